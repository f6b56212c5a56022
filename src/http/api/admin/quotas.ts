/** /api/quotas: limits and usage of clients, people and tenants. */
import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { UsageTotals } from '../../../contracts/quota.ts';
import type { Engine } from '../../../engine/engine.ts';
import { LadingError } from '../../../errors.ts';
import { limitValues } from '../../../identity/audit-changes.ts';
import { type Limits, QUOTA_KINDS, type QuotaHolder, type QuotaKind, type Quotas } from '../../../identity/quotas.ts';
import { mayManage, ownerKey, reachesTenant, requireRole } from '../../../identity/rights/policy.ts';
import { NewQuota, QuotaReport } from '../../../protocol/schemas/quota.ts';
import type { Principal } from '../../../records/principal.ts';
import type { Config } from '../../../settings/config.ts';
import { jsonBodies } from '../../body/json.ts';
import { auditChange } from '../../observe/audit-change.ts';
import { smallBody } from '../../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY } from '../../request/documented.ts';

/** What these routes need from the server. */
export interface QuotaDeps {
  config: Pick<Config, 'idleSeconds'>;
  engine: Engine;
  quotas: Quotas;
}

const tags = ['Quotas'];

const HolderParams = Type.Object({
  kind: Type.Unsafe<QuotaKind>({ type: 'string', enum: QUOTA_KINDS }),
  id: Type.String({ maxLength: 128 }),
});
type HolderParams = Static<typeof HolderParams>;

function report(limits: Limits, used: UsageTotals): QuotaReport {
  const shown = ({ bytes, openUploads, dayBytes }: UsageTotals) => ({
    bytes,
    open_uploads: openUploads,
    day_bytes: dayBytes,
  });
  const { bytes, open_uploads, day_bytes } = shown(limits);
  return {
    limits: { bytes: bytes || null, open_uploads: open_uploads || null, day_bytes: day_bytes || null },
    used: shown(used),
  };
}

/** Registers the routes of quotas. */
export function quotaRoutes(app: FastifyInstance, deps: QuotaDeps): void {
  const { quotas, engine } = deps;
  app.get('/api/quotas/me', {
    schema: {
      tags,
      summary: 'Returns your own limits and usage.',
      response: { 200: QuotaReport },
      documented: { replies: { 200: ['Cache-Control'] }, errors: SIGNED_IN },
    },
    config: { needs: 'sign-in' },
    handler: async ({ principal: { tenant, id } }, reply): Promise<QuotaReport> => {
      reply.header('cache-control', 'no-store');
      return report(quotas.ofPrincipal(tenant, id), engine.usage(ownerKey(tenant, id)));
    },
  });
  app.get<{ Params: HolderParams }>('/api/quotas/:kind/:id', {
    schema: {
      tags,
      summary: 'Returns the limits and usage of a client, person or tenant.',
      params: HolderParams,
      response: { 200: QuotaReport },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: [...SIGNED_IN, 'insufficient_scope', 'not_found'],
      },
    },
    config: { needs: 'role:admin' },
    handler: async (request, reply): Promise<QuotaReport> => {
      reply.header('cache-control', 'no-store');
      return reportOf(deps, request.principal, request.params);
    },
  });
  app.register(async (json) => setRoute(json, deps));
}

function setRoute(app: FastifyInstance, deps: QuotaDeps): void {
  jsonBodies(app);
  app.put<{ Params: HolderParams; Body: NewQuota }>('/api/quotas/:kind/:id', {
    schema: {
      tags,
      summary: 'Sets the limits of a client, a person or, for root, a tenant. Stored files stay.',
      params: HolderParams,
      body: NewQuota,
      response: { 200: QuotaReport },
      documented: {
        errors: [...SIGNED_IN, 'insufficient_scope', 'not_found', ...SMALL_BODY],
      },
    },
    config: { needs: 'role:admin', audit: 'quota_set' },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request): Promise<QuotaReport> => {
      const { principal, params } = request;
      // The administrators of a tenant cannot set its limits.
      if (params.kind === 'tenant') requireRole(principal, 'root');
      const { role, tenant, limits } = holderOf(deps, principal, params);
      request.audited = { tenant };
      if (role !== null && !mayManage(principal, role)) {
        throw new LadingError(
          'insufficient_scope',
          `You cannot set the quota of a client or person with the role ${role}.`,
        );
      }
      const { bytes = null, open_uploads: openUploads = null, day_bytes: dayBytes = null } = request.body;
      if (!(await deps.quotas.set(params.kind, params.id, { bytes, openUploads, dayBytes }))) throw noHolder();
      auditChange(request, limitValues(limits), limitValues(holderOf(deps, principal, params).limits));
      return reportOf(deps, principal, params);
    },
  });
}

function reportOf(deps: QuotaDeps, principal: Principal, params: HolderParams): QuotaReport {
  const { limits, owner } = holderOf(deps, principal, params);
  return report(limits, deps.engine.usage(owner, params.kind === 'tenant'));
}

/** The holder of the path. @throws LadingError `not_found` */
function holderOf({ quotas }: QuotaDeps, principal: Principal, { kind, id }: HolderParams): QuotaHolder {
  const found = QUOTA_KINDS.includes(kind) ? quotas.find(kind, id) : null;
  if (!found || !reachesTenant(principal, found.tenant)) throw noHolder();
  return found;
}

/** The error for an unknown id, and for an id of another tenant. */
function noHolder(): LadingError {
  return new LadingError('not_found', 'There is no client or person with this id.');
}
