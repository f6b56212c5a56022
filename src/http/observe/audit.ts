/**
 * Writes the audit log of HTTP requests. A route declares `config: { audit: 'client_created' }`. The entry of a successful request is on
 * stable storage before the answer is sent. `answerError` records refusals.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { AnnouncedChange } from '../../contracts/file-events.ts';
import type { LadingError } from '../../errors.ts';
import type { Audit, AuditEvent } from '../../identity/audit.ts';
import type { AuditAction } from '../../protocol/schemas/audit.ts';
import type { Principal } from '../../records/principal.ts';
import { OAuthError } from '../problems/oauth-errors.ts';
import { loggedPath } from './log.ts';

/** The part of an audit entry that only the handler knows. */
export interface Audited {
  /** The principal that signed in, on routes that need no sign-in. */
  principal?: Principal;
  /** The object that was changed, if neither the path nor the reply names it. For a refused sign-in: the claimed account. */
  target?: string;
  /** Tenant of the target, if it is not the principal's own. */
  tenant?: string;
  detail?: string;
  /** The action, on routes that have several. */
  action?: Exclude<AuditAction, 'refusal'>;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The action that a successful request to this route performs. */
    audit?: Exclude<AuditAction, 'refusal'>;
    /** The path contains a secret. */
    secretPath?: true;
  }
  interface FastifyRequest {
    audited: Audited | null;
    /** The announced change, until it is recorded. */
    announced: AnnouncedChange | null;
  }
}

const REFUSALS: ReadonlySet<number> = new Set([401, 403, 429]);
const NO_CHANGE: ReadonlySet<AuditAction> = new Set(['sign_in']);
/** Limit of a path in an entry, in characters: more than a name and its owner need, percent-encoded. */
const MAX_TARGET = 3 * 1024;
/** The keys of a reply that may hold the id of a created object. */
const IDS = ['client_id', 'token_id', 'user_id', 'tenant_id', 'id'] as const;

/** Registers the hooks of audited routes; others have no overhead. Call it before any route is registered. */
export function auditHooks(app: FastifyInstance, audit: Audit): void {
  app.decorateRequest('audited', null);
  app.decorateRequest('announced', null);
  app.addHook('onRoute', (route) => {
    const action = route.config?.audit;
    if (action === undefined) return;
    const frequent = route.config?.frequent === true;
    if (!frequent && !NO_CHANGE.has(action)) announceBefore(route, audit, action);
    const before = route.onSend === undefined ? [] : [route.onSend].flat();
    route.onSend = [
      ...before,
      async (request: FastifyRequest, reply: FastifyReply, payload: unknown) => {
        const { principal = null } = request.audited ?? request;
        // Some routes accept a token or a secret, and only a secret is a sign-in. Without a known principal there is no sign-out either.
        const session = action === 'sign_in' || action === 'sign_out';
        const { announced } = request;
        if (reply.statusCode >= 400 || (session && request.audited === null)) {
          announced?.end();
          return payload;
        }
        const entry = {
          ...actionOf(request, request.audited?.action ?? action, principal ?? request.principal ?? null),
          outcome: 'ok' as const,
        };
        entry.target ??= action === 'sign_in' ? null : idIn(payload);
        if (frequent) audit.recordAggregated(entry);
        else await audit.record(entry, announced?.key);
        announced?.end();
        return payload;
      },
    ];
  });
}

/** Announces the change just before the handler runs, so that subscribers learn of it even if the server is killed meanwhile. */
function announceBefore(route: RouteOptions, audit: Audit, action: Exclude<AuditAction, 'refusal'>): void {
  route.preHandler = [
    ...(route.preHandler === undefined ? [] : [route.preHandler].flat()),
    async (request: FastifyRequest) => {
      request.announced = audit.announce({ ...actionOf(request, action, request.principal ?? null), outcome: 'ok' });
      await request.announced?.ready;
    },
  ];
}

/** True for errors of authorization, rate limits and quotas. An invalid request is not a refusal. */
function isRefusal(error: LadingError, opens: boolean): boolean {
  // Some routes answer an unknown secret with `not_found`.
  if (opens && error.code === 'not_found') return true;
  if (error instanceof OAuthError) return error.error === 'invalid_grant';
  return REFUSALS.has(error.status) || error.code === 'quota_exceeded';
}

/** Records an error if it is a refusal. */
export function auditRefusal(audit: Audit, request: FastifyRequest, error: LadingError): void {
  const { method, routeOptions } = request;
  const action = routeOptions.config.audit === 'sign_in' ? 'sign_in' : 'refusal';
  const secret = routeOptions.config.secretPath === true;
  const opens = action === 'sign_in' || secret;
  if (!isRefusal(error, opens)) return;
  const entry = actionOf(request, action, request.audited?.principal ?? request.principal ?? null);
  const target = request.audited?.target ?? null;
  const path = loggedPath(request).slice(0, MAX_TARGET);
  audit.recordAggregated({
    ...entry,
    outcome: 'refused',
    target: action === 'sign_in' ? target : ((secret ? target : null) ?? path),
    detail: `${error.code}: ${method} ${routeOptions.url ?? 'elsewhere'}`,
  });
}

function actionOf(
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
    // The tenant in the query is only a request; the handler sets the real one.
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

/** The id of the created object. No other key of a reply is read, because the reply may contain secrets. */
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
