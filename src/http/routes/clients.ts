/** Enrolling devices and people (PROTOCOL §7). For administrators. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { LadingError } from '../../errors.ts';
import { mayEnrol, reachesTenant, tenantOf } from '../../identity/policy.ts';
import { type Client, ClientCreated, ClientList, Message, NewClient, TenantQuery } from '../../protocol/schemas.ts';
import { iso } from '../../protocol/times.ts';
import type { RouteDeps } from '../deps.ts';
import { SIGNED_IN, SMALL_BODY } from '../documented.ts';
import { smallBody } from '../refuse.ts';
import { jsonBodies } from './json.ts';

const tags = ['Clients'];
const ADMINISTRATOR = [...SIGNED_IN, 'insufficient_scope'] as const;

export function clientRoutes(app: FastifyInstance, deps: RouteDeps): void {
  listRoute(app, deps);
  app.register(async (json) => createRoute(json, deps));
  deleteRoute(app, deps);
}

function listRoute(app: FastifyInstance, { clients: known }: RouteDeps): void {
  app.get<{ Querystring: TenantQuery }>('/api/clients', {
    schema: {
      tags,
      summary: 'Who may sign in.',
      querystring: TenantQuery,
      response: { 200: ClientList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...ADMINISTRATOR, 'forbidden'] },
    },
    config: { needs: 'clients:admin' },
    handler: async (request, reply): Promise<ClientList> => {
      reply.header('cache-control', 'no-store');
      const clients = known
        .list(tenantOf(request.principal, request.query.tenant))
        .sort((a, b) => a.createdAt - b.createdAt)
        .map(
          (client): Client => ({
            client_id: client.clientId,
            role: client.role,
            created_at: iso(client.createdAt),
            last_used: client.lastUsed === null ? null : iso(client.lastUsed),
            name: client.name,
          }),
        );
      return { clients, count: clients.length };
    },
  });
}

function createRoute(app: FastifyInstance, { clients, identity, config }: RouteDeps): void {
  jsonBodies(app);
  app.post<{ Body: NewClient; Querystring: TenantQuery }>('/api/clients', {
    schema: {
      tags,
      summary: 'Enrols a client. Its secret is shown this once.',
      querystring: TenantQuery,
      body: NewClient,
      response: { 201: ClientCreated },
      documented: {
        replies: { 201: ['Cache-Control', 'Location'] },
        errors: [...ADMINISTRATOR, 'forbidden', 'not_found', ...SMALL_BODY, 'insufficient_storage'],
      },
    },
    preParsing: smallBody(config.idleSeconds),
    config: { needs: 'clients:admin', audit: 'client_created' },
    handler: async (request, reply): Promise<ClientCreated> => {
      const { role, name = null } = request.body;
      const { principal } = request;
      const tenant = tenantOf(principal, request.query.tenant);
      request.audited = { tenant };
      if (!mayEnrol(principal, role)) {
        throw new LadingError('insufficient_scope', `You cannot make a client with the role ${role}.`);
      }
      if (!identity.tenants.has(tenant)) throw new LadingError('not_found', 'There is no such tenant.');
      const made = await clients.create({ role, name, tenant });
      reply.code(201).headers({ 'cache-control': 'no-store', location: `/api/clients/${made.clientId}` });
      return {
        message: 'Client created. Keep the secret now: it is not shown again.',
        client_id: made.clientId,
        client_secret: made.secret,
        role,
      };
    },
  });
}

function deleteRoute(app: FastifyInstance, { clients, identity }: RouteDeps): void {
  app.delete<{ Params: { client_id: string } }>('/api/clients/:client_id', {
    schema: {
      tags,
      summary: 'Deletes a client; its tokens are worthless at once. Its files stay.',
      params: Type.Object({ client_id: Type.String() }),
      response: { 200: Message },
      documented: { errors: [...ADMINISTRATOR, 'not_found'] },
    },
    config: { needs: 'clients:admin', audit: 'client_deleted' },
    handler: async (request): Promise<Message> => {
      const { client_id: id } = request.params;
      const { principal } = request;
      if (id === principal.id) throw new LadingError('invalid_request', 'Nobody can delete themselves.');
      const client = clients.find(id);
      // Of another tenant, or above oneself: not a hint that it exists.
      const theirs = client && reachesTenant(principal, client.tenant);
      const removable = theirs && mayEnrol(principal, client.role);
      if (!removable || !(await identity.remove({ kind: 'device', id }))) {
        throw new LadingError('not_found', 'There is no client with this id.');
      }
      request.audited = { tenant: client.tenant };
      return { message: `Client ${id} deleted.` };
    },
  });
}
