/** Discovery: metadata of the OAuth routes (RFC 8414, RFC 9728), and the public keys that verify access tokens. */
import type { FastifyInstance, FastifySchema } from 'fastify';
import { AuthorizationServer, GRANT_TYPES, JwkSet, ProtectedResource } from '../../protocol/schemas/identity/oauth.ts';
import { SCOPES } from '../../protocol/scopes.ts';
import type { JwtKeys } from '../access/signatures.ts';
import { FixedDocuments, sendFixed } from '../send/fixed-documents.ts';

/** What these routes need from the server. */
export interface WellKnownDeps {
  /** Keys that sign and verify tokens. */
  keys: JwtKeys;
}

const tags = ['Clients'];
const AUTHENTICATION = ['client_secret_basic', 'client_secret_post'];
/** Keys rotate rarely, and a verifier fetches the document again for an unknown key. */
const CACHED = { 'cache-control': 'public, max-age=300' };
const FIELDS = ['Cache-Control', 'ETag'] as const;

/** Schema of the documents, which are built once and have an entity tag for caches. */
const fixed = {
  security: [],
  documented: {
    request: ['If-Match', 'If-None-Match'],
    replies: { 200: FIELDS, 304: FIELDS },
    errors: ['precondition_failed'],
  },
} satisfies FastifySchema;
const notModified = { description: 'Not modified', type: 'null' } as const;

/** Registers the routes of discovery. */
export function wellKnownRoutes(app: FastifyInstance, deps: WellKnownDeps): void {
  const { keys } = deps;
  const documents = new FixedDocuments();
  app.get('/.well-known/oauth-authorization-server', {
    schema: {
      tags,
      summary: 'Returns the OAuth 2.0 metadata of the server (RFC 8414).',
      ...fixed,
      response: { 200: AuthorizationServer, 304: notModified },
    },
    handler: async (request, reply) => {
      const issuer = request.site.url('');
      const build = (): AuthorizationServer => ({
        issuer,
        token_endpoint: `${issuer}/api/oauth/token`,
        revocation_endpoint: `${issuer}/api/oauth/revoke`,
        introspection_endpoint: `${issuer}/api/oauth/introspect`,
        jwks_uri: `${issuer}/.well-known/jwks.json`,
        scopes_supported: [...SCOPES],
        response_types_supported: [],
        grant_types_supported: [...GRANT_TYPES],
        token_endpoint_auth_methods_supported: AUTHENTICATION,
        revocation_endpoint_auth_methods_supported: AUTHENTICATION,
        introspection_endpoint_auth_methods_supported: AUTHENTICATION,
        service_documentation: `${issuer}/docs`,
      });
      return sendFixed(request, reply, await documents.json(`server ${issuer}`, build), CACHED);
    },
  });
  app.get('/.well-known/oauth-protected-resource', {
    schema: {
      tags,
      summary: 'Returns the metadata of the server as a protected resource (RFC 9728).',
      ...fixed,
      response: { 200: ProtectedResource, 304: notModified },
    },
    handler: async (request, reply) => {
      const resource = request.site.url('');
      const build = (): ProtectedResource => ({
        resource,
        authorization_servers: [resource],
        scopes_supported: [...SCOPES],
        bearer_methods_supported: ['header'],
        resource_documentation: `${resource}/docs`,
      });
      return sendFixed(request, reply, await documents.json(`resource ${resource}`, build), CACHED);
    },
  });
  app.get('/.well-known/jwks.json', {
    schema: {
      tags,
      summary:
        'Returns the public keys that verify access tokens (RFC 7517). The set is empty if a secret signs them (HS256).',
      ...fixed,
      response: { 200: JwkSet, 304: notModified },
    },
    handler: async (request, reply) => {
      const set: JwkSet = { keys: 'secret' in keys ? [] : keys.jwks() };
      const key = set.keys.map(({ kid }) => kid).join(' ');
      return sendFixed(request, reply, await documents.json(`keys ${key}`, () => set), CACHED);
    },
  });
}
