/** GET /api/files/status/{filename}: returns the status of a file, once or as a stream of events. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { Deliveries } from '../../delivery/deliveries.ts';
import type { Targets } from '../../delivery/targets.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { checkName } from '../../protocol/names.ts';
import { FileStatus, OwnerQuery } from '../../protocol/schemas/files.ts';
import { authorizeRead } from '../access/authorize-read.ts';
import { authorizationOf } from '../access/bearer.ts';
import type { StreamLimits } from '../access/stream-limits.ts';
import { endsWithClient } from '../connection/half-open.ts';
import { hasSeenComplete, StatusStreams, wantsEvents } from '../live/status-stream.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { nameParameter } from '../request/parameters.ts';
import { withDeliveries } from './delivery-views.ts';

/** What these routes need from the server. */
export interface StatusDeps {
  engine: Engine;
  identity: Identity;
  targets: Targets;
  deliveries: Deliveries;
  access: Access;
  streams: StreamLimits;
}

export function statusRoutes(app: FastifyInstance, deps: StatusDeps): void {
  const { engine } = deps;
  const streams = new StatusStreams(engine, deps.streams);
  app.addHook('preClose', async () => streams.close());
  app.get<{ Params: { '*': string }; Querystring: OwnerQuery }>('/api/files/status/*', {
    schema: {
      tags: ['Files'],
      summary: 'Returns the status of a file; an unknown name is pending.',
      description:
        'With Accept: text/event-stream, sends a stream of status objects, at most four per second, until the file is complete. A ' +
        'client that reconnects with the id of the last event of a complete file gets 204.',
      params: nameParameter,
      querystring: OwnerQuery,
      response: {
        200: {
          description: 'One status object, or a stream of events named "status"',
          content: {
            'application/json': { schema: FileStatus },
            'text/event-stream': { schema: Type.String() },
          },
        },
        204: { type: 'null', description: 'The client has already received the complete status.' },
      },
      documented: {
        request: ['Last-Event-ID'],
        replies: { 200: ['Cache-Control'], 204: ['Cache-Control'] },
        errors: [...SIGNED_IN, 'forbidden', 'invalid_name'],
      },
    },
    config: { frequent: true, needs: 'files:read' },
    handler: async (request, reply) => {
      const name = checkName(request.params['*']);
      const { owner, isAuthorized } = authorizeRead(deps, request, request.query.owner, name);
      reply.header('cache-control', 'no-store');
      // A HEAD has no body for events.
      if (request.method === 'HEAD' || !wantsEvents(request.headers.accept)) {
        return withDeliveries(deps, await engine.status(owner, name), request.principal);
      }
      const lastId = request.headers['last-event-id'];
      if (hasSeenComplete(await engine.status(owner, name), [lastId].flat()[0])) return reply.code(204).send();
      const events = await streams.open(owner, name, request.principal, isAuthorized ?? authorizationOf(deps, request));
      // Keeps proxies (nginx) from buffering the events.
      reply.headers({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
      endsWithClient(reply.raw);
      return reply.send(events);
    },
  });
}
