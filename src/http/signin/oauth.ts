/** OAuth 2.0 for clients: tokens (RFC 6749 §4.4 and §6), revocation (RFC 7009) and introspection (RFC 7662). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import { type ErrorCode, LadingError } from '../../errors.ts';
import { expiryOf, type Tokens } from '../../identity/access-tokens.ts';
import type { Audit } from '../../identity/audit.ts';
import type { IssuedSession } from '../../identity/credentials/sessions.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { type IntrospectedToken, introspect } from '../../identity/introspection.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import { managesTokensOf } from '../../identity/rights/policy.ts';
import type { Clients } from '../../identity/subjects/clients.ts';
import {
  GRANT_TYPES,
  GrantReply,
  GrantRequest,
  Introspection,
  OAuthRefusal,
  Revoked,
  TokenQuestion,
} from '../../protocol/schemas/identity/oauth.ts';
import { ForeignQuery } from '../../protocol/schemas/parts.ts';
import { parseScopes, type Scope } from '../../protocol/scopes.ts';
import { plainTime } from '../../protocol/times.ts';
import type { Principal } from '../../records/principal.ts';
import type { Config } from '../../settings/config.ts';
import { formBodies } from '../body/form.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { NO_STORE, OAuthError, oauthRefusal } from '../problems/oauth-errors.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { authenticateClient, badRefreshToken, clientOfRefreshToken } from './oauth-clients.ts';

/** What these routes need from the server. */
export interface OAuthDeps {
  config: Pick<Config, 'compat' | 'idleSeconds'>;
  identity: Identity;
  audit: Audit;
  clock: Clock;
  clients: Clients;
  tokens: Tokens;
  throttle: Throttle;
}

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

/** Registers the OAuth routes. */
export function oauthRoutes(app: FastifyInstance, deps: OAuthDeps): void {
  app.register(async (scope) => {
    formBodies(scope);
    tokenRoute(scope, deps);
    revokeRoute(scope, deps);
    introspectRoute(scope, deps);
  });
}

function tokenRoute(app: FastifyInstance, deps: OAuthDeps): void {
  const { config } = deps;
  app.post<{ Body: GrantRequest }>('/api/oauth/token', {
    schema: {
      tags,
      summary: 'Issues tokens to a client for its secret or its latest refresh token.',
      security,
      consumes,
      querystring: ForeignQuery,
      body: GrantRequest,
      response: { 200: GrantReply },
      documented: { replies: { 200: ['Cache-Control'] }, errors: ERRORS, refusal: OAuthRefusal },
    },
    config: { refusal: oauthRefusal, audit: 'sign_in' },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply): Promise<GrantReply> => {
      const { body } = request;
      // Check the cheap rules before hashing a secret.
      const grant = GRANT_TYPES.find((type) => type === body.grant_type);
      if (body.grant_type === undefined) throw new OAuthError('invalid_request', 'grant_type is missing.');
      if (!grant) throw new OAuthError('unsupported_grant_type', `Use ${GRANT_TYPES.join(' or ')}.`);
      const byTokenAlone =
        grant === 'refresh_token' && config.compat.allows('refreshAlone') ? clientOfRefreshToken(deps, request) : null;
      const client = byTokenAlone ?? (await authenticateClient(deps, request, body));
      reply.headers(NO_STORE);
      return grant === 'client_credentials'
        ? issueByCredentials(deps, request, client)
        : issueByRefreshToken(deps, request, client);
    },
  });
}

async function issueByCredentials(
  deps: OAuthDeps,
  { body, headers }: FastifyRequest<{ Body: GrantRequest }>,
  client: Principal,
): Promise<GrantReply> {
  const scopes = requestedScopes(body.scope, client.scopes);
  const agent = headers['user-agent'];
  const issued = await deps.identity.sessions.begin({ id: client.id, kind: 'device' }, scopes, { agent });
  return replyOf(deps, client, issued, scopes);
}

/** RFC 6749 §6. A narrower scope applies to the access token only: the refresh token keeps its scopes. */
async function issueByRefreshToken(
  deps: OAuthDeps,
  request: FastifyRequest<{ Body: GrantRequest }>,
  client: Principal,
): Promise<GrantReply> {
  const { sessions } = deps.identity;
  const { refresh_token: token, scope } = request.body;
  if (token === undefined) throw new OAuthError('invalid_request', 'refresh_token is missing.');
  const family = sessions.familyOf(token);
  // Treat a token of another client as unknown.
  if (family?.kind !== 'device' || family.subject !== client.id) throw badRefreshToken();
  const allowed = family.scopes === null ? client.scopes : new Set(family.scopes);
  // A token that was used before must end its session, whatever scopes the request has.
  const fresh = sessions.isAccepted(token);
  const scopes = fresh ? (requestedScopes(scope, allowed) ?? family.scopes) : null;
  if (!fresh) noteReuse(deps, request, client, family.id);
  const keepsToken = deps.config.compat.allows('keepRefreshToken') && sessions.findByToken(token) !== null;
  const issued = await (keepsToken ? sessions.renewWithSameToken(token) : sessions.refresh(token)).catch(
    (error: unknown) => {
      throw error instanceof LadingError && error.code === 'unauthorized' ? badRefreshToken() : error;
    },
  );
  return replyOf(deps, client, issued, scopes);
}

/** Records the reuse of a refresh token, which may have been stolen. */
function noteReuse(
  { audit }: OAuthDeps,
  { ip, id: requestId }: FastifyRequest,
  { id, kind, tenant }: Principal,
  session: string,
): void {
  audit.recordAggregated({
    action: 'refusal',
    outcome: 'refused',
    principal: { id, kind },
    tenant,
    address: ip,
    target: session,
    detail: 'a refresh token was used twice: its session ended',
    requestId,
  });
}

/**
 * The requested scopes; null if the parameter is absent.
 * @throws OAuthError `invalid_scope` for an unknown scope or one that is not allowed
 */
function requestedScopes(scope: string | undefined, allowed: ReadonlySet<Scope>): Scope[] | null {
  if (scope === undefined) return null;
  const scopes = scopesOf(scope);
  const excess = scopes.filter((one) => !allowed.has(one));
  if (excess.length > 0)
    throw new OAuthError('invalid_scope', `This client may not request the scope ${excess.join(' ')}.`);
  if (scopes.length === 0) throw new OAuthError('invalid_scope', 'The scope parameter is empty.');
  return scopes;
}

function scopesOf(text: string): Scope[] {
  try {
    return parseScopes(text);
  } catch (error) {
    throw error instanceof LadingError ? new OAuthError('invalid_scope', error.message) : error;
  }
}

function replyOf(deps: OAuthDeps, client: Principal, issued: IssuedSession, scopes: Scope[] | null): GrantReply {
  const { session, refreshToken } = issued;
  const { token, claims } = deps.tokens.grant(client, { signIn: session.id, ...(scopes ? { scopes } : {}) });
  const expiresAt = plainTime(deps.clock.dateOf(expiryOf(claims)));
  return {
    access_token: token,
    refresh_token: refreshToken,
    token_type: 'bearer',
    expires_in: claims.exp - claims.iat,
    refresh_expires_in: Math.max(0, Math.floor((session.expiresAt - deps.clock.steady()) / 1000)),
    expires_at: expiresAt,
    access_token_expires_at: expiresAt,
    refresh_token_expires_at: plainTime(deps.clock.dateOf(session.expiresAt)),
    ...(scopes ? { scope: scopes.join(' ') } : {}),
  };
}

function revokeRoute(app: FastifyInstance, deps: OAuthDeps): void {
  app.post<{ Body: TokenQuestion }>('/api/oauth/revoke', {
    schema: {
      tags,
      summary: 'Revokes a token of the client. A refresh token ends its session with all its access tokens.',
      security,
      consumes,
      querystring: ForeignQuery,
      body: TokenQuestion,
      response: { 200: Revoked },
      documented: { replies: { 200: ['Cache-Control'] }, errors: ERRORS, refusal: OAuthRefusal },
    },
    config: { refusal: oauthRefusal, audit: 'token_revoked' },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply): Promise<Revoked> => {
      const client = await authenticateClient(deps, request, request.body);
      const target = await revoke(deps, client, tokenOf(request.body));
      request.audited = {
        principal: client,
        ...(target === null ? { detail: 'no token of this client' } : { target }),
      };
      if (target !== null) auditChange(request, { token: 'valid' }, { token: 'revoked' });
      reply.headers(NO_STORE);
      return { message: 'The token is invalid.' };
    },
  });
}

/**
 * Revokes a token of the client. Ignores an unknown token and one of another client (RFC 7009 §2.2).
 * @returns the id of the revoked token or session; null if it was ignored
 */
async function revoke(
  { identity, tokens, clock }: OAuthDeps,
  client: Principal,
  token: string,
): Promise<string | null> {
  const family = identity.sessions.familyOf(token);
  if (family) {
    // A refresh token that was used before also ends the session, because the client wants its tokens revoked.
    if (family.kind !== 'device' || family.subject !== client.id) return null;
    await identity.sessions.end(family.id);
    return family.id;
  }
  const issued = introspect(identity, tokens, clock, token);
  if (issued?.owner.kind !== 'device' || issued.owner.id !== client.id) return null;
  if (issued.claims) await tokens.revoke(issued.claims);
  else await identity.apiTokens.revoke(issued.id);
  return issued.id;
}

function introspectRoute(app: FastifyInstance, deps: OAuthDeps): void {
  const { identity, tokens } = deps;
  app.post<{ Body: TokenQuestion }>('/api/oauth/introspect', {
    schema: {
      tags,
      summary: 'Returns the state of a token of the client. Administrators may ask for any token of their tenant.',
      security,
      consumes,
      querystring: ForeignQuery,
      body: TokenQuestion,
      response: { 200: Introspection },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: ERRORS,
        refusal: OAuthRefusal,
        storesNothing: true,
      },
    },
    config: { refusal: oauthRefusal },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply): Promise<Introspection> => {
      const client = await authenticateClient(deps, request, request.body);
      const issued = introspect(identity, tokens, deps.clock, tokenOf(request.body));
      reply.headers(NO_STORE);
      return issued && managesTokensOf(client, issued.owner) ? shown(deps, issued) : { active: false };
    },
  });
}

function shown(
  { identity }: OAuthDeps,
  { type, id, owner, scopes, issuedAt, expiresAt, claims }: IntrospectedToken,
): Introspection {
  const person = owner.kind === 'person' ? identity.people.get(owner.id) : null;
  return {
    active: true,
    scope: scopes.join(' '),
    ...(owner.kind === 'device' ? { client_id: owner.id } : {}),
    username: person?.email ?? person?.account?.username ?? owner.id,
    ...(type === 'refresh' ? {} : { token_type: 'bearer', jti: id }),
    ...(expiresAt === null ? {} : { exp: Math.floor(expiresAt / 1000) }),
    iat: Math.floor(issuedAt / 1000),
    sub: owner.id,
    ...(claims ? { aud: claims.aud, iss: claims.iss } : {}),
  };
}

function tokenOf({ token }: TokenQuestion): string {
  if (token === undefined) throw new OAuthError('invalid_request', 'token is missing.');
  return token;
}
