/** GET /metrics for Prometheus, which cannot request a token. It may send the id and secret of an administrator with HTTP Basic. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import { requireServerRole } from '../../identity/rights/policy.ts';
import type { Clients } from '../../identity/subjects/clients.ts';
import type { Principal } from '../../records/principal.ts';
import { basicCredentials, credentialOf, missingToken, signIn } from '../access/bearer.ts';
import type { Metrics } from '../observe/metrics.ts';
import { SIGNED_IN } from '../request/documented.ts';

/** What these routes need from the server. */
export interface MetricsDeps {
  identity: Identity;
  clients: Clients;
  access: Access;
  throttle: Throttle;
  metrics: Metrics;
}

/** Registers the route of metrics. */
export function metricsRoutes(app: FastifyInstance, deps: MetricsDeps): void {
  const { registry } = deps.metrics;
  app.get('/metrics', {
    schema: {
      tags: ['Administration'],
      summary: 'Returns metrics of the whole server for Prometheus. With several tenants, requires the role root.',
      security: [{ bearer: [] }, { cookie: [] }, { basic: [] }],
      response: {
        200: { description: 'Text format of Prometheus', content: { 'text/plain': { schema: Type.String() } } },
      },
      documented: { errors: [...SIGNED_IN, 'insufficient_scope', 'rate_limited'] },
    },
    config: { frequent: true, audit: 'sign_in' },
    handler: async (request, reply) => {
      requireServerRole(await authenticate(deps, request), 'ops', deps.identity.tenants.hasSeveral);
      // Sent as bytes, so that no serializer changes the text.
      return reply.type(registry.contentType).send(Buffer.from(await registry.metrics()));
    },
  });
}

async function authenticate(deps: MetricsDeps, request: FastifyRequest): Promise<Principal> {
  const basic = basicCredentials(request.headers.authorization);
  if (basic) return signIn(deps, request, basic.id, basic.secret);
  const token = credentialOf(request);
  if (token === null) throw missingToken();
  return deps.access.bearer(token);
}
