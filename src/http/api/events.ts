/** GET /api/events: all events, as they happen. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { tenantOfEvent } from '../../delivery/targets.ts';
import { LadingError } from '../../errors.ts';
import type { EmittedEvent, Events } from '../../events/events.ts';
import type { Access } from '../../identity/authenticate.ts';
import { eventScopeOf, maySeeRefusals, maySeeTargets } from '../../identity/rights/policy.ts';
import { EVENT_TYPES, EventQuery, type EventType } from '../../protocol/schemas/event.ts';
import type { Principal } from '../../records/principal.ts';
import { authorizationOf } from '../access/bearer.ts';
import type { StreamLimits } from '../access/stream-limits.ts';
import { endsWithClient } from '../connection/half-open.ts';
import { EventStream } from '../live/event-stream.ts';
import { SIGNED_IN } from '../request/documented.ts';

/** What these routes need from the server. */
export interface EventDeps {
  events: Events;
  access: Access;
  streams: StreamLimits;
}

/** Registers the stream of events. */
export function eventRoutes(app: FastifyInstance, deps: EventDeps): void {
  const { events, streams } = deps;
  const open = new Set<EventStream>();
  app.addHook('preClose', async () => {
    for (const stream of open) stream.finish();
  });
  app.get<{ Querystring: EventQuery }>('/api/events', {
    schema: {
      tags: ['Events'],
      summary: 'Streams events of the files that you may see, as server-sent events.',
      description:
        'Clients see events of their own files; ops and administrators, those of their tenant. Administrators also see refusals. ' +
        'A client that reconnects with Last-Event-ID receives the events that it missed. An event named "lost" means that some of ' +
        'these events are no longer available. Chunks of a file are reported at most four times per second.',
      querystring: EventQuery,
      response: {
        200: {
          description: 'A stream of events, each named by its type, with an Event as data',
          content: { 'text/event-stream': { schema: Type.String() } },
        },
      },
      documented: {
        request: ['Last-Event-ID'],
        replies: { 200: ['Cache-Control'] },
        errors: [...SIGNED_IN, 'insufficient_scope', 'invalid_request'],
      },
    },
    exposeHeadRoute: false,
    config: { needs: 'files:read' },
    handler: async (request, reply) => {
      const { principal, query, headers } = request;
      const wanted = filterOf(principal, query);
      const leave = streams.enter(principal);
      const last = headers['last-event-id'];
      const from = typeof last === 'string' ? last : null;
      const stream = new EventStream(events, from, wanted, authorizationOf(deps, request), !maySeeTargets(principal));
      open.add(stream);
      stream.once('close', () => {
        open.delete(stream);
        leave();
      });
      // The last field keeps proxies (nginx) from buffering the events.
      reply.headers({
        'cache-control': 'no-store',
        'content-type': 'text/event-stream',
        'x-accel-buffering': 'no',
      });
      endsWithClient(reply.raw);
      return reply.send(stream);
    },
  });
}

/** @throws LadingError `invalid_request` for an unknown event type */
function filterOf(principal: Principal, { types, prefix = '' }: EventQuery): (emitted: EmittedEvent) => boolean {
  const wanted = types === undefined ? null : new Set<EventType>(types.split(',').map(typeOf));
  const scope = eventScopeOf(principal);
  const refusals = maySeeRefusals(principal);
  return ({ event, ownerKey }) => {
    if (wanted !== null && !wanted.has(event.type)) return false;
    if (!(event.filename ?? '').startsWith(prefix)) return false;
    if (event.type === 'auth.refused' && !refusals) return false;
    // A principal may see its own actions.
    if (event.type === 'admin.changed' && !refusals && event.owner !== principal.id) return false;
    if (scope === null) return true;
    return scope.tenant === tenantOfEvent(event) && (scope.owner === null || scope.owner === ownerKey);
  };
}

function typeOf(text: string): EventType {
  const found = EVENT_TYPES.find((type) => type === text.trim());
  if (!found) throw new LadingError('invalid_request', `types must be a list of ${EVENT_TYPES.join(', ')}.`);
  return found;
}
