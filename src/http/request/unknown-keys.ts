/**
 * Requests say nothing that is not understood: a parameter or key that the schema does not know is refused by name. A typing error would
 * otherwise be a limit that is not set. Protocols that let others add fields say so with `additionalProperties: true`.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { LadingError } from '../../errors.ts';
import { misspelt, nearest } from '../../settings/misspelt.ts';

type Json = Record<string, unknown>;

/** Names that a refusal lists at most. */
const MAX_NAMED = 4;
/** Characters of a name that a refusal repeats at most. */
const MAX_NAME = 40;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same schema with every object in it closed, unless it says itself whether it is open. */
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

/** Nothing at all is the same as an object without keys. */
function emptyBody(request: FastifyRequest, _reply: unknown, next: () => void): void {
  request.body ??= {};
  next();
}

/**
 * Closes the query of every documented route and every body that a schema describes; a body that may be left out is an empty object then.
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
 * Looks at a field that comes beside the file of an upload form. Others' programs add fields of their own, which mean nothing here;
 * one that is called as a parameter of the query, or nearly so, was meant as that parameter.
 * @param known fields that the form may have
 * @param query the parameters that are taken, and what the request said
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
    `The form has a field \`${name}\`, which is not read; send \`${meant}\` as a query parameter.`,
  );
}

/** @param kind what the names are, for people: `key`, `query parameter` */
export function unknownNames(kind: string, unknown: readonly string[], known: readonly string[]): LadingError {
  const said = unknown.slice(0, MAX_NAMED).map((name) => {
    const near = nearest(name.slice(name.lastIndexOf('.') + 1), known);
    // A name may hold anything; as JSON it harms no terminal and no log.
    const shown = JSON.stringify(name.slice(0, MAX_NAME)).slice(1, -1);
    return `The request has an unknown ${kind} \`${shown}\`${near === null ? '.' : `; did you mean \`${near}\`?`}`;
  });
  const list = known.length === 0 ? `No ${kind} is known here.` : `Known here: ${known.join(', ')}.`;
  return new LadingError('validation_failed', `${said.join(' ')} ${list}`);
}

interface Found {
  unknown: string[];
  known: string[];
}

/**
 * Looks for keys of a JSON document or form that its schema does not know, in objects within it too.
 * @returns those of the first object that has any, with the path to them, and what is known there; null when all are known
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

function firstOf(looks: (() => Found | null)[]): Found | null {
  for (const look of looks) {
    const found = look();
    if (found) return found;
  }
  return null;
}
