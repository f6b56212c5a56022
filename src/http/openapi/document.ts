/**
 * The OpenAPI document, made from the schemas that validate and serialise. What the framework's schemas cannot say is put right here:
 * path parameters that are wildcards have a name, errors have their media type, and every named schema stands there once.
 */
import swagger from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import fp from 'fastify-plugin';
import type { TSchema } from 'typebox';
import { CATALOGUE, type ErrorCode, LadingError } from '../../errors.ts';
import { Problem } from '../../protocol/schemas.ts';
import type { Needs } from '../auth.ts';
import { ACCESS_COOKIE } from '../cookies.ts';
import { PROBLEM_TYPE, problemReply, type Refusal } from '../problems.ts';
import { PLAYER_COOKIE } from '../routes/players.ts';
import {
  type Documented,
  type Field,
  RATE_FIELDS,
  REPLY_FIELDS,
  REQUEST_FIELDS,
  type ReplyField,
} from './documented.ts';

type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What any request may be refused by, mostly before it is known what it asks for. */
const EVERYWHERE: readonly ErrorCode[] = [
  'invalid_request',
  'request_timeout',
  'headers_too_large',
  'internal',
  'not_implemented',
];

/** Fields that go with a refusal, by its code. */
const REFUSAL_FIELDS: { readonly [Code in ErrorCode]?: ReplyField } = {
  unauthorized: 'WWW-Authenticate',
  insufficient_scope: 'WWW-Authenticate',
  range_not_satisfiable: 'Content-Range',
  rate_limited: 'Retry-After',
  overloaded: 'Retry-After',
  shutting_down: 'Retry-After',
};

/** Fields of a header section as schemas by name. */
function fieldSchemas<Name extends string>(all: Record<Name, Field>, names: readonly Name[]): Record<string, Json> {
  return Object.fromEntries(
    names.map((name) => {
      const { example, ...rest } = all[name];
      return [name, { type: 'string', ...rest, examples: [example] }];
    }),
  );
}

function replyFields(names: readonly ReplyField[]): Record<string, Json> {
  return fieldSchemas(REPLY_FIELDS, [...new Set<ReplyField>([...names, 'X-Request-Id'])].sort());
}

/**
 * A refusal with one of these codes, which are of one status.
 * @param form another one than that of a problem document
 */
function refusalOf(codes: readonly ErrorCode[], form?: TSchema): Json {
  const names = codes.flatMap((code) => REFUSAL_FIELDS[code] ?? []);
  const schema = { allOf: [Problem, { type: 'object', properties: { code: { type: 'string', enum: codes } } }] };
  return {
    description: `${codes.map((code) => CATALOGUE[code].title).join('; ')}.`,
    headers: replyFields(names),
    content: form ? { 'application/json': { schema: form } } : { [PROBLEM_TYPE]: { schema } },
  };
}

/** @param write how the route refuses, which may change the status of a code */
function refusals(errors: readonly ErrorCode[], write: Refusal, form?: TSchema): Json {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of [...new Set([...EVERYWHERE, ...errors])].sort()) {
    const { status } = write(new LadingError(code, ''), null, false);
    // What is refused before the route is known is refused as everywhere.
    const statuses = new Set(EVERYWHERE.includes(code) ? [status, CATALOGUE[code].status] : [status]);
    // A coding of the content is refused as such, whatever the route makes of other media types.
    if (code === 'unsupported_media_type') {
      statuses.add(write(new LadingError(code, '', { header: 'content-encoding' }), null, false).status);
    }
    for (const one of statuses) byStatus.set(one, [...(byStatus.get(one) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, codes]) => [status, refusalOf(codes, form)]));
}

/** Successes with their fields; those with a schema alone are JSON. */
function successes(response: unknown, replies: Documented['replies'] = {}): Json {
  if (!isObject(response)) return {};
  return Object.fromEntries(
    Object.entries(response).map(([status, reply]) => {
      if (!isObject(reply)) return [status, reply];
      const headers = replyFields(replies[Number(status)] ?? []);
      if (isObject(reply.content) || reply.type === 'null') return [status, { ...reply, headers }];
      const description = reply.description ?? 'Done';
      return [status, { description, headers, content: { 'application/json': { schema: reply } } }];
    }),
  );
}

/** What the document says of a route beyond its schema. */
interface Circumstances {
  needs: Needs | undefined;
  method: string;
  /** It changes nothing. */
  safe: boolean;
  /** It has rate limits. */
  limited: boolean;
  refusal: Refusal;
}

/** A route's schema with what is documented beside it; the wildcard at the end of a path is the file's name. */
function documented(
  given: FastifySchema,
  url: string,
  { needs, method, safe, limited, refusal }: Circumstances,
): { schema: FastifySchema; url: string } {
  const { documented: extra = {}, ...rest } = given;
  const errors = [...(extra.errors ?? [])];
  // A token may have been made for less than the route needs; a cookie may come along with another site's request.
  if (needs !== undefined && needs !== 'sign-in') errors.push('insufficient_scope');
  if (needs !== undefined && !safe) errors.push('forbidden');
  if (!safe) errors.push('unsupported_media_type');
  if (limited) errors.push('rate_limited');
  if (isObject(rest.querystring) && rest.querystring.additionalProperties === false) errors.push('validation_failed');
  const response = { ...successes(rest.response, extra.replies), ...refusals(errors, refusal, extra.refusal) };
  // Scopes, or the role that is wanted instead (OpenAPI 3.1 §4.8.30 allows both for every scheme).
  const security =
    needs === undefined || needs === 'sign-in'
      ? {}
      : { security: [{ bearer: needs.split(' ') }, { cookie: needs.split(' ') }] };
  const schema: FastifySchema = { ...security, operationId: operationId(method, url), ...rest, response };
  if (extra.content) schema.body = { content: extra.content };
  if (extra.optionalBody) Object.assign(schema, { [OPTIONAL_BODY]: true });
  if (extra.request) schema.headers = { type: 'object', properties: fieldSchemas(REQUEST_FIELDS, extra.request) };
  if (!url.endsWith('/*')) return { schema, url };
  const filename = { type: 'string', description: "The file's name, percent-encoded; %2F makes a / in it." };
  const { '*': _wildcard, ...others } = propertiesOf(rest.params);
  const properties = { ...others, filename };
  const params = { type: 'object', properties, required: Object.keys(properties) };
  return { schema: { ...schema, params }, url: `${url.slice(0, -1)}:filename` };
}

/** Of an operation whose body may be left out; it never gets into the document. */
const OPTIONAL_BODY = 'x-optional-body';

/** `getApiFilesStatusFilename` for GET /api/files/status/*: programs that are made from the document name their functions so. */
function operationId(method: string, url: string): string {
  const words = url.replace(/\*$/, 'filename').match(/[A-Za-z0-9]+/g) ?? [];
  const tail = url.endsWith('/') && words.length > 0 ? 'Root' : '';
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('') + tail;
}

/** Operations as the framework cannot write them: each HEAD has an id of its own, and a body may be optional. */
function corrected(path: unknown): unknown {
  if (!isObject(path)) return path;
  const operations = Object.entries(path).map(([method, operation]) => {
    if (!isObject(operation)) return [method, operation];
    const { [OPTIONAL_BODY]: optional, ...rest } = operation;
    if (optional === true && isObject(rest.requestBody)) rest.requestBody = { ...rest.requestBody, required: false };
    if (method === 'head') rest.operationId = String(rest.operationId).replace(/^(?:get|head)/, 'head');
    return [method, rest];
  });
  return Object.fromEntries(operations);
}

function propertiesOf(schema: unknown): Json {
  return isObject(schema) && isObject(schema.properties) ? schema.properties : {};
}

/** RFC 9110 §14.2 knows Range with GET alone, and the answer to a HEAD has no content. */
function headless(path: unknown): unknown {
  if (!isObject(path) || !isObject(path.head)) return path;
  const { parameters, responses, ...head } = path.head;
  const kept = Array.isArray(parameters)
    ? parameters.filter((parameter) => !isObject(parameter) || !['Range', 'If-Range'].includes(String(parameter.name)))
    : [];
  const replies = Object.entries(isObject(responses) ? responses : {}).flatMap(([status, reply]) => {
    if (status === '206' || status === '416' || !isObject(reply)) return [];
    const { content: _content, ...rest } = reply;
    return [[status, rest]];
  });
  return { ...path, head: { ...head, parameters: kept, responses: Object.fromEntries(replies) } };
}

/** Fields as OpenAPI has them, where nothing else brings them into that form. */
function asHeaders(schemas: Record<string, Json>): Json {
  const fields = Object.entries(schemas).map(([name, { description, ...schema }]) => [name, { description, schema }]);
  return Object.fromEntries(fields);
}

/** They stand there once: of thousands of copies the document would be several times as long. */
const RATE_NAMES = ['RateLimit', 'RateLimit-Policy'] as const;
const RATE_REFERENCES = Object.fromEntries(RATE_NAMES.map((name) => [name, { $ref: `#/components/headers/${name}` }]));

/** Operations that refuse whoever comes too often tell in every reply how it stands, if they got as far as to look. */
function withRates(path: unknown): unknown {
  if (!isObject(path)) return path;
  const operations = Object.entries(path).map(([method, operation]) => {
    if (!isObject(operation) || !isObject(operation.responses)) return [method, operation];
    const { responses: all } = operation;
    // 423: how HEAD of tus says that there were too many requests.
    if (!['429', '423'].some((status) => status in all)) return [method, operation];
    const responses = Object.entries(operation.responses).map(([status, reply]) => {
      if (!isObject(reply) || status === String(CATALOGUE.headers_too_large.status)) return [status, reply];
      return [status, { ...reply, headers: { ...(isObject(reply.headers) ? reply.headers : {}), ...RATE_REFERENCES } }];
    });
    return [method, { ...operation, responses: Object.fromEntries(responses) }];
  });
  return Object.fromEntries(operations);
}

/** What no operation answers, but every path: another method. */
function methodNotAllowed(): Json {
  const headers = { ...asHeaders(replyFields(['Allow'])), ...RATE_REFERENCES };
  return { ...refusalOf(['method_not_allowed']), headers };
}

/** Moves every schema with a title to `components` and leaves a reference. */
function hoist(node: unknown, schemas: Json): unknown {
  if (Array.isArray(node)) return node.map((item) => hoist(item, schemas));
  if (!isObject(node)) return node;
  const copy: Json = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, hoist(value, schemas)]));
  const { title, type } = copy;
  if (typeof title !== 'string' || type !== 'object') return copy;
  const known = schemas[title];
  if (known !== undefined && JSON.stringify(known) !== JSON.stringify(copy)) {
    throw new Error(`two different schemas have the title ${title}`);
  }
  schemas[title] = copy;
  return { $ref: `#/components/schemas/${title}` };
}

/** Register it before the routes that it is to describe. */
export const openapi = fp(
  async (app) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Lading',
          description:
            'Resumable chunked file transfer. Errors are application/problem+json (RFC 9457). X-Request-Id is taken from any request. ' +
            'OPTIONS tells the methods of a path (204 with Allow); any other method is answered as MethodNotAllowed.',
          version: '1',
        },
        components: {
          securitySchemes: {
            bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
            basic: { type: 'http', scheme: 'basic' },
            cookie: { type: 'apiKey', in: 'cookie', name: ACCESS_COOKIE },
            player: { type: 'apiKey', in: 'cookie', name: PLAYER_COOKIE },
          },
        },
        security: [{ bearer: [] }, { cookie: [] }],
      },
      transform: ({ schema, url, route }) => {
        const methods = [route.method].flat();
        const safe = methods.every((method) => method === 'GET' || method === 'HEAD');
        const [method = 'get'] = methods;
        const { needs, unlimited, refusal = problemReply } = route.config ?? {};
        return documented(schema ?? {}, url, { needs, method, safe, limited: unlimited !== true, refusal });
      },
      transformObject: (documentObject) => {
        if (!('openapiObject' in documentObject)) return documentObject.swaggerObject;
        const { openapiObject: document } = documentObject;
        const schemas: Json = {};
        const items = Object.entries(document.paths ?? {}).map(([path, item]) => [
          path,
          withRates(headless(corrected(item))),
        ]);
        const paths = hoist(Object.fromEntries(items), schemas);
        const headers = asHeaders(fieldSchemas(RATE_FIELDS, RATE_NAMES));
        const responses = hoist({ MethodNotAllowed: methodNotAllowed() }, schemas);
        return Object.assign(document, { paths, components: { ...document.components, headers, schemas, responses } });
      },
    });
  },
  { name: 'lading-openapi' },
);
