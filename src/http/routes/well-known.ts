/** What programs find out by themselves: where the OAuth routes are (RFC 8414, RFC 9728), and the keys that verify access tokens. */
import type { FastifyInstance } from 'fastify';
import { AuthorizationServer, GRANT_TYPES, JwkSet, ProtectedResource } from '../../protocol/oauth-schemas.ts';
import { SCOPES } from '../../protocol/scopes.ts';
import type { RouteDeps } from '../deps.ts';

const tags = ['Clients'];
const AUTHENTICATION = ['client_secret_basic', 'client_secret_post'];
/** Keys rotate seldom, and whoever meets an unknown one asks again. */
const CACHED = 'public, max-age=300';

export function wellKnownRoutes(app: FastifyInstance, deps: RouteDeps): void {
  const { keys } = deps;
  app.get('/.well-known/oauth-authorization-server', {
    schema: {
      tags,
      summary: 'Where the OAuth 2.0 routes are, and what they can do (RFC 8414).',
      security: [],
      response: { 200: AuthorizationServer },
      documented: { replies: { 200: ['Cache-Control'] } },
    },
    handler: async (request, reply): Promise<AuthorizationServer> => {
      const issuer = request.site.url('');
      reply.header('cache-control', CACHED);
      return {
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
      };
    },
  });
  app.get('/.well-known/oauth-protected-resource', {
    schema: {
      tags,
      summary: 'Who gives the tokens that this server takes (RFC 9728).',
      security: [],
      response: { 200: ProtectedResource },
      documented: { replies: { 200: ['Cache-Control'] } },
    },
    handler: async (request, reply): Promise<ProtectedResource> => {
      const resource = request.site.url('');
      reply.header('cache-control', CACHED);
      return {
        resource,
        authorization_servers: [resource],
        scopes_supported: [...SCOPES],
        bearer_methods_supported: ['header'],
        resource_documentation: `${resource}/docs`,
      };
    },
  });
  app.get('/.well-known/jwks.json', {
    schema: {
      tags,
      summary: 'The public keys that verify access tokens (RFC 7517); none while they are signed by a secret (HS256).',
      security: [],
      response: { 200: JwkSet },
      documented: { replies: { 200: ['Cache-Control'] } },
    },
    handler: async (_request, reply): Promise<JwkSet> => {
      reply.header('cache-control', CACHED);
      return { keys: 'secret' in keys ? [] : keys.jwks() };
    },
  });
}
