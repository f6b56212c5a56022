/**
 * What the audit log is told, in one place: a route says `config: { audit: 'client_created' }`, and a request to it that went well is
 * on stable storage before its answer is sent. Refusals are noted where errors are answered.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { AnnouncedChange } from '../../contracts/file-events.ts';
import type { LadingError } from '../../errors.ts';
import type { Audit, AuditEvent } from '../../identity/audit.ts';
import type { AuditAction } from '../../protocol/schemas/audit.ts';
import type { Principal } from '../../records/principal.ts';
import { OAuthError } from '../problems/oauth-errors.ts';
import { shownPath } from './log.ts';

/** What only the handler knows. */
export interface Audited {
  /** Who signed in, on routes that need no sign-in. */
  principal?: Principal;
  /** What it was done to, if neither the path nor the reply says so. On a refused sign-in: as whom. */
  target?: string;
  /** Of the target, when the principal reaches into it. Else it is the principal's own. */
  tenant?: string;
  detail?: string;
  /** What was done, where a route does one of several things. */
  action?: Exclude<AuditAction, 'refusal'>;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a request to this route that goes well does. */
    audit?: Exclude<AuditAction, 'refusal'>;
    /** What its path holds opens something. */
    secretPath?: true;
  }
  interface FastifyRequest {
    audited: Audited | null;
    /** Until it is recorded that a change was made. */
    foretold: AnnouncedChange | null;
  }
}

const REFUSALS: ReadonlySet<number> = new Set([401, 403, 429]);
const NO_CHANGE: ReadonlySet<AuditAction> = new Set(['sign_in']);
/** Longer than any name, its owner and their encoding is none that we know. */
const MAX_TARGET = 3 * 1024;
/** What replies call the id of what was made. */
const IDS = ['client_id', 'token_id', 'user_id', 'tenant_id', 'id'] as const;

/** To be called before any route is made. Routes that are not audited do not pay for it. */
export function auditHooks(app: FastifyInstance, audit: Audit): void {
  app.decorateRequest('audited', null);
  app.decorateRequest('foretold', null);
  app.addHook('onRoute', (route) => {
    const action = route.config?.audit;
    if (action === undefined) return;
    const frequent = route.config?.frequent === true;
    if (!frequent && !NO_CHANGE.has(action)) foretellBefore(route, audit, action);
    const before = route.onSend === undefined ? [] : [route.onSend].flat();
    route.onSend = [
      ...before,
      async (request: FastifyRequest, reply: FastifyReply, payload: unknown) => {
        const { principal = null } = request.audited ?? request;
        // Some routes take a token as well as a secret; only the latter is a sign-in. And nobody known is nobody to sign out.
        const session = action === 'sign_in' || action === 'sign_out';
        const { foretold } = request;
        if (reply.statusCode >= 400 || (session && request.audited === null)) {
          foretold?.end();
          return payload;
        }
        const happening = {
          ...happeningOf(request, request.audited?.action ?? action, principal ?? request.principal ?? null),
          outcome: 'ok' as const,
        };
        happening.target ??= action === 'sign_in' ? null : idIn(payload);
        if (frequent) audit.recordAggregated(happening);
        else await audit.record(happening, foretold?.key);
        foretold?.end();
        return payload;
      },
    ];
  });
}

/** The last step before the handler: who listens is sure to hear of the change, even if the server is killed in the middle of it. */
function foretellBefore(route: RouteOptions, audit: Audit, action: Exclude<AuditAction, 'refusal'>): void {
  route.preHandler = [
    ...(route.preHandler === undefined ? [] : [route.preHandler].flat()),
    async (request: FastifyRequest) => {
      request.foretold = audit.announce({ ...happeningOf(request, action, request.principal ?? null), outcome: 'ok' });
      await request.foretold?.ready;
    },
  ];
}

/** Refusals of who asks or of how much they may; what is merely wrong is none. */
function isRefusal(error: LadingError, opens: boolean): boolean {
  // Some doors say that they do not know who knocks.
  if (opens && error.code === 'not_found') return true;
  if (error instanceof OAuthError) return error.error === 'invalid_grant';
  return REFUSALS.has(error.status) || error.code === 'quota_exceeded';
}

/** Notes an error that refuses. */
export function auditRefusal(audit: Audit, request: FastifyRequest, error: LadingError): void {
  const { method, routeOptions } = request;
  const action = routeOptions.config.audit === 'sign_in' ? 'sign_in' : 'refusal';
  const secret = routeOptions.config.secretPath === true;
  const opens = action === 'sign_in' || secret;
  if (!isRefusal(error, opens)) return;
  const happening = happeningOf(request, action, request.audited?.principal ?? request.principal ?? null);
  const target = request.audited?.target ?? null;
  const path = shownPath(request.raw.url).slice(0, MAX_TARGET);
  audit.recordAggregated({
    ...happening,
    outcome: 'refused',
    target: action === 'sign_in' ? target : ((secret ? target : null) ?? path),
    detail: `${error.code}: ${method} ${routeOptions.url ?? 'elsewhere'}`,
  });
}

function happeningOf(
  request: FastifyRequest,
  action: AuditAction,
  principal: Principal | null,
): Omit<AuditEvent, 'outcome'> {
  const { audited } = request;
  const owner = queryOf(request, 'owner');
  const { secretPath = false } = request.routeOptions.config;
  const named = secretPath
    ? null
    : Object.values((request.params ?? {}) as Record<string, string>).join('/') || queryOf(request, 'pk');
  return {
    action,
    principal: principal && { id: principal.id, kind: principal.kind },
    // What a query asks for is not what it gets: the handler says it.
    tenant: audited?.tenant ?? principal?.tenant ?? null,
    address: request.ip,
    target: audited?.target ?? named?.slice(0, MAX_TARGET) ?? null,
    detail: audited?.detail ?? (owner === null ? null : `owner ${owner}`),
    requestId: request.id,
  };
}

function queryOf({ query }: FastifyRequest, name: string): string | null {
  const value: unknown = typeof query === 'object' && query !== null ? Reflect.get(query, name) : null;
  return typeof value === 'string' ? value : null;
}

/** The id of what was made; nothing else of a reply is looked at, for it may hold what is secret. */
function idIn(payload: unknown): string | null {
  if (typeof payload !== 'string') return null;
  try {
    const reply = JSON.parse(payload) as Record<string, unknown> | null;
    for (const key of IDS) {
      const id = reply?.[key];
      if (typeof id === 'string') return id;
    }
  } catch {
    // Not every reply is JSON.
  }
  return null;
}
