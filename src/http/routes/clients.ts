/** Enrolling devices and people (PROTOCOL §7). For administrators. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { LadingError } from '../../errors.ts';
import { requireAdmin } from '../../identity/policy.ts';
import { type Client, ClientCreated, ClientList, Message, NewClient } from '../../protocol/schemas.ts';
import { iso } from '../../protocol/times.ts';
import type { RouteDeps } from '../deps.ts';
import { SIGNED_IN, SMALL_BODY } from '../documented.ts';
import { smallBody } from '../refuse.ts';

const tags = ['Clients'];
const ADMINISTRATOR = [...SIGNED_IN, 'insufficient_scope'] as const;

export function clientRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.register(async (scope) => {
    scope.addHook('onRequest', (request, _reply, next) => {
      try {
        requireAdmin(request.principal);
        next();
      } catch (error) {
        next(error instanceof Error ? error : undefined);
      }
    });
    listRoute(scope, deps);
    scope.register(async (json) => createRoute(json, deps));
    deleteRoute(scope, deps);
  });
}

function listRoute(app: FastifyInstance, { credentials }: RouteDeps): void {
  app.get('/api/clients', {
    schema: {
      tags,
      summary: 'Who may sign in.',
      response: { 200: ClientList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: ADMINISTRATOR },
    },
    handler: async (_request, reply): Promise<ClientList> => {
      reply.header('cache-control', 'no-store');
      const clients = credentials
        .list()
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

function createRoute(app: FastifyInstance, { credentials, config }: RouteDeps): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'));
  app.post<{ Body: NewClient }>('/api/clients', {
    schema: {
      tags,
      summary: 'Enrols a client. Its secret is shown this once.',
      body: NewClient,
      response: { 201: ClientCreated },
      documented: {
        replies: { 201: ['Cache-Control', 'Location'] },
        errors: [...ADMINISTRATOR, ...SMALL_BODY, 'insufficient_storage'],
      },
    },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<ClientCreated> => {
      const { role, name = null } = request.body;
      const made = await credentials.create({ role, name });
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

function deleteRoute(app: FastifyInstance, { credentials }: RouteDeps): void {
  app.delete<{ Params: { client_id: string } }>('/api/clients/:client_id', {
    schema: {
      tags,
      summary: 'Deletes a client; its tokens are worthless at once. Its files stay.',
      params: Type.Object({ client_id: Type.String() }),
      response: { 200: Message },
      documented: { errors: [...ADMINISTRATOR, 'not_found'] },
    },
    handler: async (request): Promise<Message> => {
      const { client_id: id } = request.params;
      if (id === request.principal.id) throw new LadingError('invalid_request', 'Nobody can delete themselves.');
      if (!(await credentials.remove(id))) throw new LadingError('not_found', 'There is no client with this id.');
      return { message: `Client ${id} deleted.` };
    },
  });
}
