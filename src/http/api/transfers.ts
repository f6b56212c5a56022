/** Running uploads and the recent load of the server. */
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { eventScopeOf, parseOwnerKey, requireServerRole } from '../../identity/rights/policy.ts';
import { History, TransferList, TransferQuery } from '../../protocol/schemas/transfer.ts';
import { ServerHistory } from '../observe/history.ts';
import type { Metrics } from '../observe/metrics.ts';
import { SIGNED_IN } from '../request/documented.ts';

/** What these routes need from the server. */
export interface TransferDeps {
  engine: Engine;
  identity: Identity;
  clock: Clock;
  metrics: Metrics;
}

const tags = ['Administration'];

/** Registers the routes of uploads and load. */
export function transferRoutes(app: FastifyInstance, { engine, metrics, clock, identity }: TransferDeps): void {
  app.get<{ Querystring: TransferQuery }>('/api/transfers', {
    schema: {
      tags,
      summary: 'Lists running uploads: your own or, for ops and administrators, those of the tenant.',
      querystring: TransferQuery,
      response: { 200: TransferList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: SIGNED_IN },
    },
    config: { needs: 'files:read' },
    handler: async (request, reply): Promise<TransferList> => {
      reply.header('cache-control', 'no-store');
      const { limit = 200 } = request.query;
      const scope = eventScopeOf(request.principal);
      const found = engine.transfers((owner) => {
        if (scope === null) return true;
        return scope.owner === null ? parseOwnerKey(owner).tenant === scope.tenant : owner === scope.owner;
      });
      const transfers = found.slice(0, limit).map(({ owner, ...transfer }) => {
        const { tenant, id } = parseOwnerKey(owner);
        return { owner: id, tenant, ...transfer };
      });
      return { transfers, count: found.length };
    },
  });
  const history = new ServerHistory(metrics, clock);
  app.addHook('onClose', async () => history.close());
  app.get('/api/history', {
    schema: {
      tags,
      summary:
        'Returns throughput, chunks and refusals of the whole server in the last hour. For ops and administrators; with several tenants, only for root.',
      response: { 200: History },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...SIGNED_IN, 'forbidden'] },
    },
    config: { needs: 'role:ops' },
    handler: async ({ principal }, reply): Promise<History> => {
      requireServerRole(principal, 'ops', identity.tenants.hasSeveral);
      reply.header('cache-control', 'no-store');
      return history.all();
    },
  });
}
