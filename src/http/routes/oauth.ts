/** OAuth 2.0 for clients, machine to machine: POST /api/oauth/token (RFC 6749 §4.4 and §6). */
import type { FastifyInstance } from 'fastify';
import type { Principal } from '../../contracts.ts';
import type { ErrorCode } from '../../errors.ts';
import { LadingError } from '../../errors.ts';
import type { Renewable } from '../../identity/sign-ins.ts';
import { GRANT_TYPES, GrantReply, GrantRequest, OAuthRefusal } from '../../protocol/oauth-schemas.ts';
import { parseScopes, type Scope } from '../../protocol/scopes.ts';
import { iso } from '../../protocol/times.ts';
import type { RouteDeps } from '../deps.ts';
import { SIGNED_IN } from '../documented.ts';
import { formBodies } from '../form.ts';
import { smallBody } from '../refuse.ts';
import { authenticateClient } from './oauth-clients.ts';
import { NO_STORE, OAuthError, oauthRefusal } from './oauth-errors.ts';

const tags = ['Clients'];
const security = [{ basic: [] }];
const consumes = ['application/x-www-form-urlencoded'];
const ERRORS = [
  ...SIGNED_IN,
  'rate_limited',
  'length_mismatch',
  'chunk_too_large',
  'unsupported_media_type',
] as const satisfies readonly ErrorCode[];

export function oauthRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.register(async (scope) => {
    formBodies(scope);
    tokenRoute(scope, deps);
  });
}

function tokenRoute(app: FastifyInstance, deps: RouteDeps): void {
  app.post<{ Body: GrantRequest }>('/api/oauth/token', {
    schema: {
      tags,
      summary: 'Tokens for a client: by its secret, or by its last refresh token.',
      security,
      consumes,
      body: GrantRequest,
      response: { 200: GrantReply },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: [...ERRORS, 'insufficient_storage'],
        refusal: OAuthRefusal,
      },
    },
    config: { refusal: oauthRefusal },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply): Promise<GrantReply> => {
      const { body } = request;
      // What costs nothing is looked at before a secret is hashed.
      const grant = GRANT_TYPES.find((known) => known === body.grant_type);
      if (body.grant_type === undefined) throw new OAuthError('invalid_request', 'grant_type is missing.');
      if (!grant) throw new OAuthError('unsupported_grant_type', `There are ${GRANT_TYPES.join(' and ')}.`);
      const client = await authenticateClient(deps, request, body);
      reply.headers(NO_STORE);
      return grant === 'client_credentials' ? begin(deps, client, body) : refresh(deps, client, body);
    },
  });
}

async function begin(deps: RouteDeps, client: Principal, { scope }: GrantRequest): Promise<GrantReply> {
  const scopes = narrowed(scope, client.scopes);
  const renewable = await deps.identity.signIns.begin({ id: client.id, kind: 'device' }, scopes);
  return replyOf(deps, client, renewable, scopes);
}

/** RFC 6749 §6. A narrower scope is the access token's alone: the refresh token may ask for all of its own again. */
async function refresh(deps: RouteDeps, client: Principal, body: GrantRequest): Promise<GrantReply> {
  const { signIns } = deps.identity;
  const { refresh_token: token, scope } = body;
  if (token === undefined) throw new OAuthError('invalid_request', 'refresh_token is missing.');
  const family = signIns.familyOf(token);
  // Of another client: nothing happens to it, as if it were unknown here.
  if (family?.kind !== 'device' || family.subject !== client.id) throw badRefreshToken();
  const allowed = family.scopes === null ? client.scopes : new Set(family.scopes);
  // One that was used before has to end its family, whatever is asked for besides.
  const scopes = signIns.ofToken(token) ? (narrowed(scope, allowed) ?? family.scopes) : null;
  const renewable = await signIns.refresh(token).catch((error: unknown) => {
    throw error instanceof LadingError && error.code === 'unauthorized' ? badRefreshToken() : error;
  });
  return replyOf(deps, client, renewable, scopes);
}

/**
 * What is asked for, or null when nothing is.
 * @throws OAuthError `invalid_scope` for what is no scope and for more than is allowed
 */
function narrowed(asked: string | undefined, allowed: ReadonlySet<Scope>): Scope[] | null {
  if (asked === undefined) return null;
  const scopes = scopesOf(asked);
  const beyond = scopes.filter((scope) => !allowed.has(scope));
  if (beyond.length > 0) throw new OAuthError('invalid_scope', `You cannot get ${beyond.join(' ')}.`);
  if (scopes.length === 0) throw new OAuthError('invalid_scope', 'scope names none.');
  return scopes;
}

function scopesOf(asked: string): Scope[] {
  try {
    return parseScopes(asked);
  } catch (error) {
    throw error instanceof LadingError ? new OAuthError('invalid_scope', error.message) : error;
  }
}

function replyOf(deps: RouteDeps, client: Principal, renewable: Renewable, scopes: Scope[] | null): GrantReply {
  const { signIn, refreshToken } = renewable;
  const { token, claims } = deps.tokens.grant(client, { signIn: signIn.id, ...(scopes ? { scopes } : {}) });
  return {
    access_token: token,
    refresh_token: refreshToken,
    token_type: 'bearer',
    expires_in: claims.exp - claims.iat,
    refresh_expires_in: Math.max(0, Math.floor((signIn.expiresAt - deps.clock.now()) / 1000)),
    access_token_expires_at: iso(claims.exp * 1000),
    refresh_token_expires_at: iso(signIn.expiresAt),
    ...(scopes ? { scope: scopes.join(' ') } : {}),
  };
}

function badRefreshToken(): OAuthError {
  return new OAuthError('invalid_grant', 'The refresh token is invalid, expired, revoked, or was used before.');
}
