/** Authenticates requests by bearer token or cookie, and checks what the route needs. Runs before the body is read. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { type Requester, unknownRequester } from '../../identity/limits/fair-queue.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import { requireRole, requireScope } from '../../identity/rights/policy.ts';
import type { Guarded, SecondFactor } from '../../identity/second-factor.ts';
import type { Clients } from '../../identity/subjects/clients.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import type { Scope } from '../../protocol/scopes.ts';
import type { Principal } from '../../records/principal.ts';
import { ACCESS_COOKIE, cookieOf } from '../request/cookies.ts';
import { requireSameOrigin } from '../request/csrf.ts';
import type { RateLimits } from './rate-limit.ts';

/** What these functions need from the server. */
export interface BearerDeps {
  access: Access;
}

/** What a route needs: a scope, a role (which no API token has), or only a sign-in. */
export type Needs = Scope | `role:${Exclude<Role, 'client'>}` | 'sign-in';

declare module 'fastify' {
  interface FastifyRequest {
    /** The principal of the request; set on every route that is not open. */
    principal: Principal;
  }
  interface FastifyContextConfig {
    needs?: Needs;
    /** The operation for which a setting may require a second factor. */
    guarded?: Guarded;
  }
}

/** The error for a request without a token. */
export function missingToken(): LadingError {
  return new LadingError('unauthorized', 'Send Authorization: Bearer <token>. POST /auth/token returns a token.');
}

/** The token of `Authorization: Bearer <token>` (RFC 6750 §2.1), or null. Tokens in the query are not accepted. */
export function bearerToken(authorization: string | undefined): string | null {
  if (authorization === undefined) return null;
  const space = authorization.indexOf(' ');
  if (space !== 6 || authorization.slice(0, 6).toLowerCase() !== 'bearer') return null;
  return authorization.slice(7).trim();
}

/**
 * Checks that a principal has the scope or the role that a route needs.
 * @throws LadingError `insufficient_scope`
 */
export function requireNeeds(principal: Principal, needs: Needs): void {
  if (needs === 'sign-in') return;
  if (needs === 'role:ops' || needs === 'role:admin' || needs === 'role:root') {
    requireRole(principal, needs.slice('role:'.length) as Role);
  } else requireScope(principal, needs);
}

/** Adds the member `error` to refusals, with the exact texts that programs with API tokens expect. */
function plainErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request) => {
    if (!(error instanceof LadingError)) throw error;
    const { code, message, members } = error;
    if (code !== 'unauthorized' && code !== 'insufficient_scope') throw error;
    const hasToken = Boolean(bearerToken(request.headers.authorization));
    const unauthorized = hasToken ? 'Invalid or revoked token' : 'Missing or invalid authorization header';
    const words = code === 'unauthorized' ? unauthorized : 'Insufficient scopes';
    throw new LadingError(code, message, { ...members, error: words }, { cause: error });
  });
}

function isValid(access: Access, token: string): boolean {
  try {
    access.bearer(token);
    return true;
  } catch {
    return false;
  }
}

/** Options of `bearerAuth`. */
export interface BearerOptions {
  access: Access;
  limits: RateLimits;
  secondFactor: SecondFactor;
  /** Finds the principal of a request without a valid token; null to refuse the request. By default every such request is refused. */
  fallback?: (request: FastifyRequest) => Promise<Principal | null>;
}

/**
 * The token of the request: from the header or, without one, from the browser's cookie. Null if the request has neither.
 * @throws LadingError `forbidden` if another site may have made the browser send the cookie
 */
export function credentialOf(request: FastifyRequest): string | null {
  const { authorization, cookie } = request.headers;
  if (authorization !== undefined || cookie === undefined) return bearerToken(authorization);
  const token = cookieOf(cookie, ACCESS_COOKIE);
  if (token !== null) requireSameOrigin(request);
  return token;
}

/**
 * Returns a function for long answers, which is false once the token of the request is revoked.
 * @throws LadingError `unauthorized`
 */
export function authorizationOf({ access }: BearerDeps, request: FastifyRequest): () => boolean {
  const token = credentialOf(request);
  if (token === null) throw missingToken();
  return access.authorizationOf(token);
}

/** The plugin. Every route of its scope requires a valid token and must declare `config.needs`. */
export const bearerAuth = fp<BearerOptions>(
  (scope: FastifyInstance, { access, limits, secondFactor, fallback }, done) => {
    scope.decorateRequest('principal');
    plainErrors(scope);
    scope.addHook('onRoute', ({ url, config }) => {
      // A route without it would be open to everyone who can sign in.
      if (config?.needs === undefined) throw new Error(`the route ${url} does not declare needs`);
    });
    scope.addHook('onRequest', (request, reply, next) => {
      try {
        const token = credentialOf(request);
        if (fallback && (token === null || !isValid(access, token))) {
          const refused =
            token === null ? missingToken() : new LadingError('unauthorized', 'The token is no longer valid.');
          fallback(request)
            .then((principal) => {
              if (principal === null) return next(refused);
              request.principal = principal;
              limits.principal(request, reply, principal);
              requireNeeds(principal, request.routeOptions.config.needs ?? 'role:root');
              next();
            })
            .catch(next);
          return;
        }
        if (token === null) return next(missingToken());
        request.principal = access.bearer(token);
        limits.token(request, reply, token);
        limits.principal(request, reply, request.principal);
        requireNeeds(request.principal, request.routeOptions.config.needs ?? 'role:root');
        const { guarded } = request.routeOptions.config;
        if (guarded !== undefined) secondFactor.require(guarded, request.principal, () => access.credentialOf(token));
      } catch (error) {
        return next(error instanceof Error ? error : missingToken());
      }
      next();
    });
    done();
  },
  { name: 'lading-bearer-auth', fastify: '5.x' },
);

/** The requester of deliberately slow work, such as password hashing: the principal, or the network of the request. */
export function requesterOf({ principal, ip }: FastifyRequest): Requester {
  // Open routes have no principal.
  return (principal as Principal | undefined) === undefined
    ? unknownRequester(ip)
    : { from: principal.id, known: true };
}

export interface SignInDeps {
  clients: Clients;
  identity: Identity;
  throttle: Throttle;
}

/**
 * Authenticates a client by its id and secret. Failures slow down further attempts.
 * @throws LadingError `unauthorized`, the same for an unknown id and a wrong secret; `rate_limited`
 */
export async function signIn(
  deps: SignInDeps,
  request: FastifyRequest,
  clientId: string,
  secret: string,
): Promise<Principal> {
  const { clients, identity, throttle } = deps;
  const claimed = clients.find(clientId);
  // Unknown ids are not logged: people type secrets into the wrong field.
  if (claimed) request.audited = { target: clientId, tenant: claimed.tenant };
  const correct = await throttle.attempt(clientId, request.ip, (requester) =>
    clients.authenticate(clientId, secret, requester),
  );
  // The tenant of the client may have been deleted.
  const principal = correct && identity.subject('device', clientId);
  if (!principal) throw new LadingError('unauthorized', 'The client id or the secret is wrong.');
  request.audited = { principal };
  return principal;
}

/** The id and the secret of `Authorization: Basic` (RFC 7617), for programs that cannot request a token; null for another scheme. */
export function basicCredentials(authorization: string | undefined): { id: string; secret: string } | null {
  const match = /^basic +([A-Za-z0-9+/_=-]+) *$/i.exec(authorization ?? '');
  const text = Buffer.from(match?.[1] ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? null : { id: text.slice(0, colon), secret: text.slice(colon + 1) };
}
