/** /api/clients: administrators manage clients (PROTOCOL §7). */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { LadingError } from '../../../errors.ts';
import { clientValues, NOTHING } from '../../../identity/audit-changes.ts';
import type { Identity } from '../../../identity/directory/identity.ts';
import { mayEnrol, reachesTenant, tenantOf } from '../../../identity/rights/policy.ts';
import type { Clients } from '../../../identity/subjects/clients.ts';
import {
  Client,
  ClientCreated,
  ClientList,
  ClientUpdate,
  NewClient,
} from '../../../protocol/schemas/identity/client.ts';
import { TenantQuery } from '../../../protocol/schemas/identity/tenant.ts';
import { Message } from '../../../protocol/schemas/parts.ts';
import { plainTime } from '../../../protocol/times.ts';
import type { DeviceDocument } from '../../../records/subjects.ts';
import type { Config } from '../../../settings/config.ts';
import { jsonBodies } from '../../body/json.ts';
import { needsFields } from '../../body/required-fields.ts';
import { auditChange } from '../../observe/audit-change.ts';
import { smallBody } from '../../problems/early-refusal.ts';
import { recorderRefusal } from '../../problems/recorder-refusals.ts';
import { SIGNED_IN, SMALL_BODY } from '../../request/documented.ts';

/** What these routes need from the server. */
export interface ClientDeps {
  config: Pick<Config, 'idleSeconds'>;
  identity: Identity;
  clients: Clients;
}

const tags = ['Clients'];
const ADMINISTRATOR = [...SIGNED_IN, 'insufficient_scope'] as const;

/** Registers the routes of clients. */
export function clientRoutes(app: FastifyInstance, deps: ClientDeps): void {
  listRoute(app, deps);
  app.register(async (json) => createRoute(json, deps));
  app.register(async (json) => updateRoute(json, deps));
  deleteRoute(app, deps);
}

function shown({ clientId, role, createdAt, lastUsed, name, disabled }: DeviceDocument): Client {
  const used = lastUsed === null ? null : plainTime(lastUsed);
  const client = { client_id: clientId, role, created_at: plainTime(createdAt), last_used: used, name };
  return disabled ? { ...client, disabled } : client;
}

function listRoute(app: FastifyInstance, { clients: devices }: ClientDeps): void {
  app.get<{ Querystring: TenantQuery }>('/api/clients', {
    schema: {
      tags,
      summary: 'Lists the clients of the tenant.',
      querystring: TenantQuery,
      response: { 200: ClientList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...ADMINISTRATOR, 'forbidden'] },
    },
    config: { needs: 'clients:admin', refusal: recorderRefusal },
    handler: async (request, reply): Promise<ClientList> => {
      reply.header('cache-control', 'no-store');
      const clients = devices
        .list(tenantOf(request.principal, request.query.tenant))
        .sort((a, b) => a.createdAt - b.createdAt)
        .map(shown);
      return { clients, count: clients.length };
    },
  });
}

function createRoute(app: FastifyInstance, { clients, identity, config }: ClientDeps): void {
  jsonBodies(app);
  app.post<{ Body: NewClient; Querystring: TenantQuery }>('/api/clients', {
    schema: {
      tags,
      summary: 'Creates a client. Its secret is shown only once.',
      querystring: TenantQuery,
      body: NewClient,
      response: { 201: ClientCreated },
      documented: {
        replies: { 201: ['Cache-Control', 'Location'] },
        errors: [...ADMINISTRATOR, 'forbidden', 'not_found', ...SMALL_BODY],
      },
    },
    preParsing: smallBody(config.idleSeconds),
    preValidation: needsFields(NewClient),
    config: { needs: 'clients:admin', audit: 'client_created', refusal: recorderRefusal },
    handler: async (request, reply): Promise<ClientCreated> => {
      const { role, name = null } = request.body;
      const { principal } = request;
      const tenant = tenantOf(principal, request.query.tenant);
      request.audited = { tenant };
      if (!mayEnrol(principal, role)) {
        throw new LadingError('insufficient_scope', `You cannot create a client with the role ${role}.`);
      }
      if (!identity.tenants.has(tenant)) throw new LadingError('not_found', 'There is no such tenant.');
      const created = await clients.create({ role, name, tenant });
      auditChange(request, NOTHING, { role, name });
      const location = request.site.path(`/api/clients/${created.clientId}`);
      reply.code(201).headers({ 'cache-control': 'no-store', location });
      return {
        message: 'Client created. Keep the secret now: it is not shown again.',
        client_id: created.clientId,
        client_secret: created.secret,
        role,
      };
    },
  });
}

function updateRoute(app: FastifyInstance, { clients, identity, config }: ClientDeps): void {
  jsonBodies(app);
  app.put<{ Body: ClientUpdate; Params: { client_id: string } }>('/api/clients/:client_id', {
    schema: {
      tags,
      summary: 'Changes the role or name of a client, disables or enables it, or ends its sessions.',
      params: Type.Object({ client_id: Type.String() }),
      body: ClientUpdate,
      response: { 200: Client },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: [...ADMINISTRATOR, 'forbidden', 'not_found', ...SMALL_BODY],
      },
    },
    preParsing: smallBody(config.idleSeconds),
    config: { needs: 'clients:admin', audit: 'client_updated', refusal: recorderRefusal },
    handler: async (request, reply): Promise<Client> => {
      reply.header('cache-control', 'no-store');
      const { client_id: id } = request.params;
      const { principal, body } = request;
      const { role, name, disabled, end_sessions: endSessions } = body;
      const client = clients.find(id);
      const isManaged = client && reachesTenant(principal, client.tenant) && mayEnrol(principal, client.role);
      if (!isManaged) throw new LadingError('not_found', 'There is no client with this id.');
      if (id === principal.id && (role ?? disabled) !== undefined)
        throw new LadingError('forbidden', 'You cannot change your own role or disable yourself.');
      if (role !== undefined && !mayEnrol(principal, role))
        throw new LadingError('insufficient_scope', `You cannot give the role ${role}.`);
      request.audited = { tenant: client.tenant };
      const ends = endSessions || disabled || (role !== undefined && role !== client.role);
      const after = await clients.update(id, { role, name, disabled, endSessions: ends });
      if (!after) throw new LadingError('not_found', 'There is no client with this id.');
      if (ends) await identity.sessions.endAllOf({ kind: 'device', id });
      const sessions = endSessions ? ['open', 'ended'] : [];
      auditChange(
        request,
        { ...clientValues(client), sessions: sessions[0] },
        { ...clientValues(after), sessions: sessions[1] },
      );
      return shown(after);
    },
  });
}

function deleteRoute(app: FastifyInstance, { clients, identity }: ClientDeps): void {
  app.delete<{ Params: { client_id: string } }>('/api/clients/:client_id', {
    schema: {
      tags,
      summary: 'Deletes a client. Its tokens become invalid at once; its files stay.',
      params: Type.Object({ client_id: Type.String() }),
      response: { 200: Message },
      documented: { errors: [...ADMINISTRATOR, 'not_found'] },
    },
    config: { needs: 'clients:admin', audit: 'client_deleted', refusal: recorderRefusal },
    handler: async (request): Promise<Message> => {
      const { client_id: id } = request.params;
      const { principal } = request;
      if (id === principal.id) throw new LadingError('invalid_request', 'A client cannot delete itself.');
      const client = clients.find(id);
      // Do not reveal clients of other tenants and of higher roles.
      const isManaged = client && reachesTenant(principal, client.tenant);
      const isRemovable = isManaged && mayEnrol(principal, client.role);
      if (!isRemovable || !(await identity.remove({ kind: 'device', id }))) {
        throw new LadingError('not_found', 'There is no client with this id.');
      }
      request.audited = { tenant: client.tenant };
      auditChange(request, clientValues(client), NOTHING);
      return { message: `Client ${id} deleted.` };
    },
  });
}
