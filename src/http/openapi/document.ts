/**
 * Builds the OpenAPI document from the schemas that validate and serialize. The framework lacks names of wildcard parameters, media types
 * of errors and one definition for each named schema; this file adds them.
 */
import swagger from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import fp from 'fastify-plugin';
import type { Needs } from '../access/bearer.ts';
import { problemReply, type Refusal } from '../problems/problems.ts';
import { ACCESS_COOKIE, PLAYER_COOKIE } from '../request/cookies.ts';
import { type Documented, REQUEST_FIELDS } from '../request/documented.ts';
import { withExamples } from './examples.ts';
import { fieldSchemas, replyFields } from './fields.ts';
import { isObject, type Json } from './json.ts';
import { completed, OPTIONAL_BODY, operationId, RATE_HEADERS, RATE_REFERENCES } from './operations.ts';
import { type Refusals, refusalsOf, SharedResponses } from './refusals.ts';
import { byUse, TAGS } from './tags.ts';

/** The successful replies with their header fields. A bare schema becomes a JSON body. */
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

/** Facts about a route that its schema does not contain. */
interface RouteFacts {
  needs: Needs | undefined;
  method: string;
  /** The route changes nothing. */
  safe: boolean;
  /** The route has rate limits. */
  limited: boolean;
  refusal: Refusal;
}

/** Completes the schema of a route with its header fields and errors, and names the wildcard at the end of a path. */
function documented(
  given: FastifySchema,
  url: string,
  { needs, method, safe, limited, refusal }: RouteFacts,
): { schema: FastifySchema; url: string; refusals: Refusals } {
  const { documented: extra = {}, ...rest } = given;
  const errors = [...(extra.errors ?? [])];
  // A token may lack the scope that the route needs; a cookie may belong to a request of another site.
  if (needs !== undefined && needs !== 'sign-in') errors.push('insufficient_scope');
  if (needs !== undefined && !safe) errors.push('forbidden');
  if (!safe) errors.push('unsupported_media_type');
  if (!safe && !extra.storesNothing) errors.push('insufficient_storage');
  if (limited) errors.push('rate_limited');
  if (isObject(rest.querystring) && rest.querystring.additionalProperties === false) errors.push('validation_failed');
  const response = successes(rest.response, extra.replies);
  const refusals = { ...refusalsOf(errors, refusal, extra.refusal), pageStatus: extra.pageStatus };
  // Scopes, or the required role (OpenAPI 3.1 §4.8.30 allows both for every scheme).
  const security =
    needs === undefined || needs === 'sign-in'
      ? {}
      : { security: [{ bearer: needs.split(' ') }, { cookie: needs.split(' ') }] };
  const schema: FastifySchema = { ...security, operationId: operationId(method, url), ...rest, response };
  if (extra.content) schema.body = { content: extra.content };
  if (extra.optionalBody) Object.assign(schema, { [OPTIONAL_BODY]: true });
  if (extra.request) schema.headers = { type: 'object', properties: fieldSchemas(REQUEST_FIELDS, extra.request) };
  if (!url.endsWith('/*')) return { schema, url, refusals };
  const filename = { type: 'string', description: "The file's name, percent-encoded, with %2F for a slash." };
  const { '*': _wildcard, ...others } = propertiesOf(rest.params);
  const properties = { ...others, filename };
  const params = { type: 'object', properties, required: Object.keys(properties) };
  return { schema: { ...schema, params }, url: `${url.slice(0, -1)}:filename`, refusals };
}

function propertiesOf(schema: unknown): Json {
  return isObject(schema) && isObject(schema.properties) ? schema.properties : {};
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

/** The plugin. Register it before the routes that it describes. */
export const openapi = fp(
  async (app) => {
    /** By operation id. */
    const refusals = new Map<string, Refusals>();
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Lading',
          description:
            'Resumable chunked file transfer. Errors are application/problem+json (RFC 9457); `x-error-codes` lists the codes of an ' +
            'operation by status. Any request may send X-Request-Id. OPTIONS returns the methods of a path (204 with Allow); ' +
            'other methods return MethodNotAllowed.',
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
        tags: [...TAGS],
        security: [{ bearer: [] }, { cookie: [] }],
      },
      transform: ({ schema, url, route }) => {
        const methods = [route.method].flat();
        const safe = methods.every((method) => method === 'GET' || method === 'HEAD');
        const [method = 'get'] = methods;
        const { needs, unlimited, refusal = problemReply } = route.config ?? {};
        const limited = unlimited !== true;
        const described = documented(schema ?? {}, url, { needs, method, safe, limited, refusal });
        refusals.set(operationId(method, url), described.refusals);
        return described;
      },
      transformObject: (documentObject) => {
        if (!('openapiObject' in documentObject)) return documentObject.swaggerObject;
        const { openapiObject: document } = documentObject;
        const schemas: Json = {};
        const shared = new SharedResponses(RATE_REFERENCES);
        const sorted = Object.entries(document.paths ?? {}).sort(([a], [b]) => byUse(a, b));
        const items = sorted.map(([path, item]) => [path, completed(item, refusals, shared)]);
        shared.refer({ codes: new Map([[405, ['method_not_allowed']]]), form: undefined });
        const paths = hoist(Object.fromEntries(items), schemas);
        const responses = hoist(shared.toJSON(), schemas);
        const components = { ...document.components, headers: RATE_HEADERS, schemas, responses };
        return withExamples(Object.assign(document, { paths, components }), schemas);
      },
    });
  },
  { name: 'lading-openapi' },
);
