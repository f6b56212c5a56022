/**
 * Refuses requests with unknown parameters or keys and names them. Otherwise a misspelled name could silently leave a limit unset.
 * Protocols that allow additional fields declare `additionalProperties: true`.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { LadingError } from '../../errors.ts';
import { misspelt, nearest } from '../../settings/misspelt.ts';

type Json = Record<string, unknown>;

/** Most names that an error lists. */
const MAX_NAMED = 4;
/** Most characters of a name that an error repeats. */
const MAX_NAME = 40;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same schema with every object closed, unless it declares `additionalProperties` itself. */
export function closed<Schema>(schema: Schema): Schema {
  if (!isObject(schema)) return schema;
  const copy: Json = Object.create(Object.getPrototypeOf(schema), Object.getOwnPropertyDescriptors(schema)) as Json;
  if (isObject(copy.properties)) {
    copy.properties = Object.fromEntries(Object.entries(copy.properties).map(([name, part]) => [name, closed(part)]));
    copy.additionalProperties ??= false;
  }
  if (isObject(copy.items)) copy.items = closed(copy.items);
  return copy as Schema;
}

/** A missing body is the same as an empty object. */
function emptyBody(request: FastifyRequest, _reply: unknown, next: () => void): void {
  request.body ??= {};
  next();
}

/**
 * Closes the schemas of all queries of documented routes and of all bodies. A missing body that is optional becomes an empty object.
 * Call it before any route is registered.
 */
export function strictRequests(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const { schema = {} } = route;
    if (schema.hide === true && schema.querystring === undefined) return;
    const { body, querystring = { type: 'object', properties: {} } } = schema;
    route.schema = { ...schema, querystring: closed(querystring) };
    if (body !== undefined) route.schema.body = closed(body);
    if (schema.documented?.optionalBody) route.preValidation = [emptyBody, ...[route.preValidation ?? []].flat()];
  });
}

/**
 * Checks a field of an upload form besides its file. Unknown fields are ignored, because some programs add their own. A field whose name
 * equals or resembles a query parameter was probably meant as that parameter.
 * @param known fields that the form may have
 * @param query the known parameters, and those of the request
 * @throws LadingError `validation_failed`
 */
export function checkFormField(
  [name, value]: readonly [name: string, value: string],
  known: readonly string[],
  query: { readonly names: readonly string[]; readonly given: Readonly<Record<string, unknown>> },
): void {
  if (known.includes(name)) return;
  const meant = misspelt(name, [...known, ...query.names]);
  if (meant === null) return;
  if (known.includes(meant)) throw unknownNames('form field', [name], known);
  if (name === meant && query.given[name] !== undefined && String(query.given[name]) === value) return;
  throw new LadingError(
    'validation_failed',
    `The form field \`${name}\` has no effect. Send \`${meant}\` as a query parameter.`,
  );
}

/**
 * The error that lists unknown names, with suggestions, and the known ones.
 * @param kind `key`, `query parameter` or `form field`
 */
export function unknownNames(kind: string, unknown: readonly string[], known: readonly string[]): LadingError {
  const sentences = unknown.slice(0, MAX_NAMED).map((name) => {
    const near = nearest(name.slice(name.lastIndexOf('.') + 1), known);
    // A name may contain anything; JSON escapes keep terminals and logs safe.
    const shown = JSON.stringify(name.slice(0, MAX_NAME)).slice(1, -1);
    return `The request has an unknown ${kind} \`${shown}\`${near === null ? '.' : `; did you mean \`${near}\`?`}`;
  });
  const list = known.length === 0 ? `This request has no ${kind}s.` : `Known: ${known.join(', ')}.`;
  return new LadingError('validation_failed', `${sentences.join(' ')} ${list}`);
}

interface Found {
  unknown: string[];
  known: string[];
}

/**
 * Finds keys of a JSON document or form that its schema does not know, also in nested objects.
 * @returns the unknown keys of the first such object, with their path, and the known keys there; null if all are known
 */
export function unknownKeys(schema: TSchema, value: unknown, path = ''): Found | null {
  const { properties, additionalProperties, items } = schema as Json;
  if (Array.isArray(value)) {
    if (!isObject(items)) return null;
    return firstOf(value.map((item, index) => () => unknownKeys(items, item, `${path}${index}.`)));
  }
  if (!isObject(value) || !isObject(properties)) return null;
  if (additionalProperties === false) {
    const unknown = Object.keys(value).filter((name) => !Object.hasOwn(properties, name));
    if (unknown.length > 0) return { unknown: unknown.map((name) => path + name), known: Object.keys(properties) };
  }
  return firstOf(
    Object.entries(value).map(
      ([name, part]) =>
        () =>
          isObject(properties[name]) ? unknownKeys(properties[name], part, `${path}${name}.`) : null,
    ),
  );
}

function firstOf(searches: (() => Found | null)[]): Found | null {
  for (const search of searches) {
    const found = search();
    if (found) return found;
  }
  return null;
}
