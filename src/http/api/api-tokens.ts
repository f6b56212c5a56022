/** /api/tokens: long-lived tokens for programs. Principals manage their own tokens; with `tokens:admin`, those of the tenant. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import { apiTokenValues, NOTHING } from '../../identity/audit-changes.ts';
import type { Access } from '../../identity/authenticate.ts';
import { type NewApiToken as CreatedToken, dayOf, isLive, usesByDay } from '../../identity/credentials/api-tokens.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { checkGrant, checkRevocation, requireFullRoleOrScope, requireScope } from '../../identity/rights/policy.ts';
import type { SecondFactor } from '../../identity/second-factor.ts';
import { principalOf } from '../../identity/subjects/principals.ts';
import {
  type ApiToken,
  ApiTokenCreated,
  ApiTokenList,
  ApiTokenQuery,
  NewApiToken,
  Protected,
} from '../../protocol/schemas/identity/token.ts';
import { Message } from '../../protocol/schemas/parts.ts';
import { parseScopes } from '../../protocol/scopes.ts';
import { iso } from '../../protocol/times.ts';
import type { ApiTokenDocument } from '../../records/credentials.ts';
import type { Principal } from '../../records/principal.ts';
import type { Config } from '../../settings/config.ts';
import { type BearerOptions, bearerAuth } from '../access/bearer.ts';
import { type LocalProgramsDeps, localPrograms } from '../access/local-programs.ts';
import type { RateLimits } from '../access/rate-limit.ts';
import {
  currentOwnerOf,
  listedTokens,
  managesToken,
  namedOwner,
  noOwner,
  READ_AND_WRITE,
  tokenOf,
  userIdOf,
  wordsOf,
} from '../access/token-owners.ts';
import { jsonBodies } from '../body/json.ts';
import { unparsedBodies } from '../body/unparsed.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY } from '../request/documented.ts';
import type { PathRules } from '../request/path-rules.ts';

/** What these routes need from the server. */
export interface ApiTokenDeps extends LocalProgramsDeps {
  config: Pick<Config, 'compat' | 'idleSeconds'>;
  secondFactor: SecondFactor;
  clock: Clock;
  access: Access;
}

/** Rules for the paths of API tokens. */
export const TOKEN_PATHS: readonly PathRules[] = [
  { folder: '/api/tokens/', repeatsDetail: true },
  { folder: '/api/protected/', repeatsDetail: true },
];

const tags = ['API tokens'];
const REFUSALS = [...SIGNED_IN, 'insufficient_scope', 'not_found'] as const;
const NO_STORE = { 'cache-control': 'no-store' };

/** Registers the routes of API tokens. If a setting allows it, programs on this machine create, list and revoke tokens without a sign-in. */
export function apiTokenRoutes(app: FastifyInstance, deps: ApiTokenDeps, limits: RateLimits): void {
  const { access, secondFactor } = deps;
  const fallback = localPrograms(deps);
  const register = (auth: BearerOptions, routes: (scope: FastifyInstance) => void): void => {
    app.register(async (scope) => {
      scope.register(bearerAuth, auth);
      unparsedBodies(scope);
      scope.register(async (inner) => routes(inner));
    });
  };
  const signedIn = { access, limits, secondFactor };
  register({ ...signedIn, ...(fallback ? { fallback } : {}) }, (scope) => {
    listRoute(scope, deps);
    scope.register(async (json) => createRoute(json, deps));
    revokeRoute(scope, deps);
  });
  register(signedIn, (scope) => {
    protectedRoute(scope, deps);
    rotateRoute(scope, deps);
  });
}

function protectedRoute(app: FastifyInstance, { identity }: ApiTokenDeps): void {
  app.get('/api/protected', {
    schema: {
      tags,
      summary: 'Verifies a token and returns its principal and scopes.',
      response: { 200: Protected },
      documented: { replies: { 200: ['Cache-Control'] }, errors: SIGNED_IN },
    },
    config: { needs: 'sign-in' },
    handler: async (request, reply): Promise<Protected> => {
      reply.headers(NO_STORE);
      const document = tokenOf(identity, request);
      return {
        message: 'The token is valid.',
        user_id: userIdOf(identity, request),
        scopes: document ? wordsOf(document) : [...request.principal.scopes],
      };
    },
  });
}

function listRoute(app: FastifyInstance, { identity, clock }: ApiTokenDeps): void {
  app.get<{ Querystring: ApiTokenQuery }>('/api/tokens', {
    schema: {
      tags,
      summary: 'Lists the valid API tokens, without their secrets.',
      querystring: ApiTokenQuery,
      response: { 200: ApiTokenList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: REFUSALS },
    },
    config: { needs: 'sign-in' },
    handler: async (request, reply): Promise<ApiTokenList> => {
      reply.headers(NO_STORE);
      const { principal, query } = request;
      const { user_id: wanted, revoked = false } = query;
      const tokens = listedTokens(identity, principal, wanted)
        .filter((document) => isLive(document, clock) || (revoked && document.revokedAt !== undefined))
        .filter((document) => managesToken(identity, principal, document))
        .map((document) => shown(document, clock));
      return { tokens, count: tokens.length };
    },
  });
}

function createRoute(app: FastifyInstance, { identity, config, clock }: ApiTokenDeps): void {
  jsonBodies(app);
  app.post<{ Body: NewApiToken }>('/api/tokens', {
    schema: {
      tags,
      summary: 'Creates an API token. It is shown only once.',
      body: NewApiToken,
      response: { 201: ApiTokenCreated },
      documented: {
        // All keys have defaults.
        optionalBody: true,
        replies: { 201: ['Cache-Control'] },
        errors: [...REFUSALS, ...SMALL_BODY, 'quota_exceeded'],
      },
    },
    config: { needs: 'sign-in', audit: 'token_created' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<ApiTokenCreated> => {
      const { user_id: id, scopes: requested, expires_in: seconds, name } = request.body;
      const { principal } = request;
      // The token may never expire, so a token with reduced scopes must not create one with more scopes.
      requireFullRoleOrScope(principal, 'tokens:admin');
      const { owner, label } = namedOwner(identity, principal, id);
      request.audited = { tenant: owner.tenant };
      const words = requested ?? READ_AND_WRITE;
      const scopes = parseScopes(words);
      checkGrant(principal, scopes);
      checkGrant(principalOf(owner), scopes, 'the owner of the token does not have it');
      const created = await identity.apiTokens.create({
        owner,
        name: name ?? null,
        label,
        scopes,
        words,
        lifeMs: seconds ? seconds * 1000 : null,
      });
      // If the owner was deleted during the request, the deletion may have missed this token.
      if (currentOwnerOf(identity, created.document) === null) {
        await identity.apiTokens.revoke(created.document.id);
        throw noOwner();
      }
      auditChange(request, NOTHING, apiTokenValues(created.document, clock));
      reply.code(201).headers(NO_STORE);
      return withToken(created, clock);
    },
  });
}

function rotateRoute(app: FastifyInstance, { identity, clock }: ApiTokenDeps): void {
  app.post<{ Params: { token_id: string } }>('/api/tokens/:token_id/rotate', {
    schema: {
      tags,
      summary: 'Replaces the secret of an API token. The old secret becomes invalid at once; scopes and expiry stay.',
      params: Type.Object({ token_id: Type.String() }),
      response: { 200: ApiTokenCreated },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...REFUSALS] },
    },
    config: { needs: 'sign-in', audit: 'token_rotated' },
    handler: async (request, reply): Promise<ApiTokenCreated> => {
      const document = tokenFor(identity, request.principal, request.params.token_id);
      request.audited = { tenant: document.tenant };
      // The new secret has the scopes and the expiry of the token.
      requireFullRoleOrScope(request.principal, 'tokens:admin');
      checkGrant(request.principal, document.scopes);
      const rotated = isLive(document, clock) ? await identity.apiTokens.rotate(document.id) : undefined;
      if (!rotated) throw noToken();
      auditChange(request, { secret: 'old' }, { secret: 'new' });
      reply.headers(NO_STORE);
      return withToken(rotated, clock);
    },
  });
}

function revokeRoute(app: FastifyInstance, { identity, clock }: ApiTokenDeps): void {
  app.delete<{ Params: { token_id: string } }>('/api/tokens/:token_id', {
    schema: {
      tags,
      summary: 'Revokes an API token at once.',
      params: Type.Object({ token_id: Type.String() }),
      response: { 200: Message },
      documented: { errors: REFUSALS },
    },
    config: { needs: 'sign-in', audit: 'token_revoked' },
    handler: async (request): Promise<Message> => {
      const token = tokenFor(identity, request.principal, request.params.token_id);
      const { id, tenant, owner, ownerKind, scopes } = token;
      request.audited = { tenant };
      checkRevocation(request.principal, { id: owner, kind: ownerKind }, scopes);
      if (!(await identity.apiTokens.revoke(id))) throw noToken();
      // A program repeats the request if it received no answer.
      if (token.revokedAt !== undefined) return { message: `API token ${id} was already revoked.` };
      auditChange(request, apiTokenValues(token, clock), NOTHING);
      return { message: `API token ${id} revoked.` };
    },
  });
}

/**
 * The token that a request names.
 * @throws LadingError `insufficient_scope`; `not_found`, also for tokens that the principal may not manage
 */
function tokenFor(identity: Identity, principal: Principal, id: string): ApiTokenDocument {
  if (principal.kind === 'token') requireScope(principal, 'tokens:admin');
  const document = identity.apiTokens.get(id);
  if (!document || !managesToken(identity, principal, document)) throw noToken();
  return document;
}

function shown(document: ApiTokenDocument, clock: Clock): ApiToken {
  const { id, createdAt, lastUsed, label, uses, days, owner, name, expiresAt, revokedAt } = document;
  return {
    token_id: id,
    created_at: iso(createdAt),
    last_used: lastUsed === null ? null : iso(lastUsed),
    scopes: wordsOf(document),
    uses,
    uses_by_day: usesByDay(days, dayOf(clock.now())),
    user_id: label ?? owner,
    owner_id: owner,
    name,
    expires_at: expiresAt === null ? null : iso(clock.dateOf(expiresAt)),
    active: isLive(document, clock),
    revoked_at: revokedAt === undefined ? null : iso(clock.dateOf(revokedAt)),
  };
}

function withToken({ document, token }: CreatedToken, clock: Clock): ApiTokenCreated {
  const { token_id, created_at, scopes, user_id, owner_id, name, expires_at } = shown(document, clock);
  return { token_id, token, created_at, scopes, user_id, owner_id, name, expires_at };
}

function noToken(): LadingError {
  return new LadingError('not_found', 'There is no API token with this id.');
}
