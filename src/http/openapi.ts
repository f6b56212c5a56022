/**
 * The OpenAPI document, made from the schemas that validate and serialise. What the framework's schemas cannot say is put right here:
 * path parameters that are wildcards have a name, errors have their media type, and every named schema stands there once.
 */
import swagger from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import fp from 'fastify-plugin';
import { PROBLEM_TYPE } from './problems.ts';

type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Responses with a schema alone get a description, and those with a problem their media type. */
function describedResponses(response: unknown): Json {
  if (!isObject(response)) return {};
  return Object.fromEntries(
    Object.entries(response).map(([status, schema]) => {
      if (!isObject(schema) || schema.title !== 'Problem') return [status, schema];
      return [status, { description: 'A problem (RFC 9457)', content: { [PROBLEM_TYPE]: { schema } } }];
    }),
  );
}

/** The wildcard at the end of a path is the file's name. */
function named(schema: FastifySchema, url: string): { schema: FastifySchema; url: string } {
  const response = describedResponses(schema.response);
  if (!url.endsWith('/*')) return { schema: { ...schema, response }, url };
  const filename = { type: 'string', description: "The file's name, percent-encoded; %2F makes a / in it." };
  const params = { type: 'object', properties: { filename }, required: ['filename'] };
  return { schema: { ...schema, params, response }, url: `${url.slice(0, -1)}:filename` };
}

/** Moves every schema with a title to `components` and leaves a reference. */
function hoist(node: unknown, schemas: Json): unknown {
  if (Array.isArray(node)) return node.map((item) => hoist(item, schemas));
  if (!isObject(node)) return node;
  const copy: Json = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, hoist(value, schemas)]));
  const { title, type } = copy;
  if (typeof title !== 'string' || type !== 'object') return copy;
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
          description: 'Resumable chunked file transfer. Errors are application/problem+json (RFC 9457).',
          version: '1',
        },
        components: {
          securitySchemes: {
            bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
            basic: { type: 'http', scheme: 'basic' },
          },
        },
        security: [{ bearer: [] }],
      },
      transform: ({ schema, url }) => named(schema ?? {}, url),
      transformObject: (documentObject) => {
        if (!('openapiObject' in documentObject)) return documentObject.swaggerObject;
        const { openapiObject: document } = documentObject;
        const schemas: Json = {};
        const paths = hoist(document.paths, schemas);
        return Object.assign(document, { paths, components: { ...document.components, schemas } });
      },
    });
  },
  { name: 'lading-openapi' },
);
