/** /api/tenants: `root` manages tenants, which share nothing with each other. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { LadingError } from '../../../errors.ts';
import { NOTHING, tenantValues } from '../../../identity/audit-changes.ts';
import type { Identity } from '../../../identity/directory/identity.ts';
import { NewTenant, Tenant, TenantList } from '../../../protocol/schemas/identity/tenant.ts';
import { Message } from '../../../protocol/schemas/parts.ts';
import { iso } from '../../../protocol/times.ts';
import type { TenantDocument } from '../../../records/subjects.ts';
import type { Config } from '../../../settings/config.ts';
import { jsonBodies } from '../../body/json.ts';
import { auditChange } from '../../observe/audit-change.ts';
import { smallBody } from '../../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY } from '../../request/documented.ts';

/** What these routes need from the server. */
export interface TenantDeps {
  config: Pick<Config, 'idleSeconds'>;
  identity: Identity;
}

const tags = ['Tenants'];
const ROOT = [...SIGNED_IN, 'insufficient_scope'] as const;

function shown({ id, name, createdAt }: TenantDocument): Tenant {
  return { tenant_id: id, name, created_at: iso(createdAt) };
}

/** Registers the routes of tenants. */
export function tenantRoutes(app: FastifyInstance, deps: TenantDeps): void {
  const { identity } = deps;
  const { tenants } = identity;
  app.get('/api/tenants', {
    schema: {
      tags,
      summary: 'Lists the tenants.',
      response: { 200: TenantList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: ROOT },
    },
    config: { needs: 'role:root' },
    handler: async (_request, reply): Promise<TenantList> => {
      reply.header('cache-control', 'no-store');
      return { tenants: tenants.list().map(shown) };
    },
  });
  app.delete<{ Params: { tenant_id: string } }>('/api/tenants/:tenant_id', {
    schema: {
      tags,
      summary: 'Deletes a tenant with its clients, people and tokens. Its files stay.',
      params: Type.Object({ tenant_id: Type.String() }),
      response: { 200: Message },
      documented: { errors: [...ROOT, 'not_found'] },
    },
    config: { needs: 'role:root', audit: 'tenant_deleted' },
    handler: async (request): Promise<Message> => {
      const { tenant_id: id } = request.params;
      if (id === request.principal.tenant) {
        throw new LadingError('invalid_request', 'You cannot delete your own tenant.');
      }
      const before = tenants.get(id);
      if (!before || !(await identity.removeTenant(id)))
        throw new LadingError('not_found', 'There is no tenant with this id.');
      auditChange(request, tenantValues(before), NOTHING);
      return { message: `Tenant ${id} deleted.` };
    },
  });
  app.register(async (json) => createRoute(json, deps));
}

function createRoute(app: FastifyInstance, { identity, config }: TenantDeps): void {
  jsonBodies(app);
  app.post<{ Body: NewTenant }>('/api/tenants', {
    schema: {
      tags,
      summary: 'Creates an empty tenant.',
      body: NewTenant,
      response: { 201: Tenant },
      documented: { errors: [...ROOT, ...SMALL_BODY, 'already_exists'] },
    },
    config: { needs: 'role:root', audit: 'tenant_created' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<Tenant> => {
      const { tenant_id: id, name = id } = request.body;
      const created = await identity.createTenant(id, name);
      auditChange(request, NOTHING, tenantValues(created));
      reply.code(201);
      return shown(created);
    },
  });
}
