/** GET /api/audit: administrators read the audit log. */
import type { FastifyInstance } from 'fastify';
import type { Audit } from '../../../identity/audit.ts';
import { DEFAULT_TENANT, reachesAllTenants, tenantOf } from '../../../identity/rights/policy.ts';
import { AuditPage, AuditQuery, type AuditRecord } from '../../../protocol/schemas/audit.ts';
import { iso } from '../../../protocol/times.ts';
import type { AuditEntry } from '../../../records/audit.ts';
import { SIGNED_IN } from '../../request/documented.ts';

/** What these routes need from the server. */
export interface AuditDeps {
  audit: Audit;
}

function shown({ time, requestId, count, ...entry }: AuditEntry): AuditRecord {
  return { time: iso(time), ...entry, request_id: requestId, count };
}

/** Registers the route of the audit log. */
export function auditRoutes(app: FastifyInstance, { audit }: AuditDeps): void {
  app.get<{ Querystring: AuditQuery }>('/api/audit', {
    schema: {
      tags: ['Administration'],
      summary: 'Lists sign-ins, refusals and changes in pages, newest first.',
      querystring: AuditQuery,
      response: { 200: AuditPage },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: [...SIGNED_IN, 'insufficient_scope', 'forbidden'],
      },
    },
    config: { needs: 'role:admin' },
    handler: async (request, reply): Promise<AuditPage> => {
      const { limit = 100, cursor = null, action = null, principal = null, tenant: requested } = request.query;
      const all = reachesAllTenants(request.principal) && requested === undefined;
      const tenant = all ? null : tenantOf(request.principal, requested);
      reply.header('cache-control', 'no-store');
      // Entries without a tenant, such as refusals of unknown callers, concern only the operators of the server.
      const includeTenantless = tenant === DEFAULT_TENANT;
      const page = await audit.page({ tenant, includeTenantless, before: cursor, limit, action, principal });
      return { entries: page.entries.map(shown), next_cursor: page.nextCursor };
    },
  });
}
