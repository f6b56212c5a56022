/** /api/tokens: long-lived tokens for programs. One's own for everybody who signed in, with `tokens:admin` those of the tenant. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { ApiTokenDocument, Clock, Principal } from '../../contracts.ts';
import { LadingError } from '../../errors.ts';
import { dayOf, isLive, type NewApiToken as Made, usesByDay } from '../../identity/api-tokens.ts';
import type { Identity } from '../../identity/identity.ts';
import {
  checkGrant,
  checkRevocation,
  managesTokensOf,
  requireScope,
  requireWhole,
  type TokenOwner,
} from '../../identity/policy.ts';
import { principalOf } from '../../identity/principals.ts';
import { Message } from '../../protocol/schemas.ts';
import { parseScopes } from '../../protocol/scopes.ts';
import { iso } from '../../protocol/times.ts';
import {
  type ApiToken,
  ApiTokenCreated,
  ApiTokenList,
  ApiTokenQuery,
  NewApiToken,
} from '../../protocol/token-schemas.ts';
import { NOTHING, noteChange, ofApiToken } from '../changes.ts';
import type { RouteDeps } from '../deps.ts';
import { SIGNED_IN, SMALL_BODY } from '../openapi/documented.ts';
import { smallBody } from '../refuse.ts';
import { jsonBodies } from './json.ts';

const tags = ['API tokens'];
const REFUSALS = [...SIGNED_IN, 'insufficient_scope', 'not_found'] as const;
const NO_STORE = { 'cache-control': 'no-store' };

export function apiTokenRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.register(async (scope) => {
    listRoute(scope, deps);
    scope.register(async (json) => createRoute(json, deps));
    rotateRoute(scope, deps);
    revokeRoute(scope, deps);
  });
}

function listRoute(app: FastifyInstance, { identity, clock }: RouteDeps): void {
  app.get<{ Querystring: ApiTokenQuery }>('/api/tokens', {
    schema: {
      tags,
      summary: 'The valid API tokens, without the tokens themselves.',
      querystring: ApiTokenQuery,
      response: { 200: ApiTokenList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: REFUSALS },
    },
    config: { needs: 'sign-in' },
    handler: async (request, reply): Promise<ApiTokenList> => {
      reply.headers(NO_STORE);
      const { principal, query } = request;
      const all = query.user_id === undefined && principal.scopes.has('tokens:admin');
      const owner = all ? null : ownerFor(identity, principal, query.user_id);
      const tokens = identity.apiTokens
        .list(owner?.tenant ?? principal.tenant, owner?.id ?? null)
        .filter((document) => isLive(document, clock) && managed(identity, principal, document))
        .map((document) => shown(document, clock));
      return { tokens, count: tokens.length };
    },
  });
}

function createRoute(app: FastifyInstance, { identity, config, clock }: RouteDeps): void {
  jsonBodies(app);
  app.post<{ Body: NewApiToken }>('/api/tokens', {
    schema: {
      tags,
      summary: 'Makes an API token. It is shown this once.',
      body: NewApiToken,
      response: { 201: ApiTokenCreated },
      documented: {
        // Everything has a default.
        optionalBody: true,
        replies: { 201: ['Cache-Control'] },
        errors: [...REFUSALS, ...SMALL_BODY, 'quota_exceeded', 'insufficient_storage'],
      },
    },
    config: { needs: 'sign-in', audit: 'token_created' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<ApiTokenCreated> => {
      const { user_id: id, scopes: asked, expires_in: seconds, name } = request.body;
      const { principal } = request;
      // It may be good for ever: a sign-in for less than its owner may must not leave one behind.
      requireWhole(principal, 'tokens:admin');
      const owner = ownerFor(identity, principal, id ?? undefined);
      request.audited = { tenant: owner.tenant };
      const scopes = asked ? parseScopes(asked) : (['files:read'] as const);
      checkGrant(principal, scopes);
      checkGrant(principalOf(owner), scopes, 'the owner of the token does not have it');
      const made = await identity.apiTokens.create({
        owner,
        name: name ?? null,
        scopes,
        lifeMs: seconds ? seconds * 1000 : null,
      });
      // Deleted while it was made: the deletion may not have seen this token.
      if (ownerNow(identity, made.document) === null) {
        await identity.apiTokens.revoke(made.document.id);
        throw noOwner();
      }
      noteChange(request, NOTHING, ofApiToken(made.document, clock));
      reply.code(201).headers(NO_STORE);
      return withToken(made, clock);
    },
  });
}

function rotateRoute(app: FastifyInstance, { identity, clock }: RouteDeps): void {
  app.post<{ Params: { token_id: string } }>('/api/tokens/:token_id/rotate', {
    schema: {
      tags,
      summary: 'Gives an API token a new secret; the old one is refused at once. Scopes and end stay.',
      params: Type.Object({ token_id: Type.String() }),
      response: { 200: ApiTokenCreated },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...REFUSALS, 'insufficient_storage'] },
    },
    config: { needs: 'sign-in', audit: 'token_rotated' },
    handler: async (request, reply): Promise<ApiTokenCreated> => {
      const document = tokenFor(identity, request.principal, request.params.token_id);
      request.audited = { tenant: document.tenant };
      // Whoever gets the new secret gets what the token may do, as long as it may.
      requireWhole(request.principal, 'tokens:admin');
      checkGrant(request.principal, document.scopes);
      const made = isLive(document, clock) ? await identity.apiTokens.rotate(document.id) : undefined;
      if (!made) throw noToken();
      noteChange(request, { secret: 'old' }, { secret: 'new' });
      reply.headers(NO_STORE);
      return withToken(made, clock);
    },
  });
}

function revokeRoute(app: FastifyInstance, { identity, clock }: RouteDeps): void {
  app.delete<{ Params: { token_id: string } }>('/api/tokens/:token_id', {
    schema: {
      tags,
      summary: 'Revokes an API token; it is refused at once.',
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
      noteChange(request, ofApiToken(token, clock), NOTHING);
      return { message: `API token ${id} revoked.` };
    },
  });
}

/**
 * Whose tokens a request is about: by default one's own.
 * @throws LadingError `insufficient_scope`; `not_found` for one of another tenant or above oneself too
 */
function ownerFor(identity: Identity, principal: Principal, asked: string | undefined): TokenOwner {
  const { id, kind } = principal;
  const self = asked === undefined || asked === id;
  if (kind === 'token' || !self) requireScope(principal, 'tokens:admin');
  const owner = self && kind !== 'token' ? ownerOf(identity, kind, id) : anyOwner(identity, asked ?? id);
  if (!owner || !managesTokensOf(principal, owner)) throw noOwner();
  return owner;
}

/**
 * The token that a request is about.
 * @throws LadingError `insufficient_scope`; `not_found`, the same for tokens that are nobody's and of whom one has no say over
 */
function tokenFor(identity: Identity, principal: Principal, id: string): ApiTokenDocument {
  if (principal.kind === 'token') requireScope(principal, 'tokens:admin');
  const document = identity.apiTokens.get(id);
  if (!document || !managed(identity, principal, document)) throw noToken();
  return document;
}

function managed(identity: Identity, principal: Principal, document: ApiTokenDocument): boolean {
  const owner = ownerNow(identity, document);
  return owner !== null && managesTokensOf(principal, owner);
}

function ownerNow(identity: Identity, document: ApiTokenDocument): TokenOwner | null {
  return ownerOf(identity, document.ownerKind, document.owner);
}

function anyOwner(identity: Identity, id: string): TokenOwner | null {
  return ownerOf(identity, 'device', id) ?? ownerOf(identity, 'person', id);
}

/** From the documents, for being asked about is no use of an account. */
function ownerOf(identity: Identity, kind: TokenOwner['kind'], id: string): TokenOwner | null {
  const found = kind === 'device' ? identity.clients.find(id) : identity.people.get(id);
  if (!found || !identity.tenants.has(found.tenant)) return null;
  return { id, kind, tenant: found.tenant, role: found.role };
}

function shown(document: ApiTokenDocument, clock: Clock): ApiToken {
  const { id, createdAt, lastUsed, scopes, uses, days, owner, name, expiresAt } = document;
  return {
    token_id: id,
    created_at: iso(createdAt),
    last_used: lastUsed === null ? null : iso(lastUsed),
    scopes,
    uses,
    uses_by_day: usesByDay(days, dayOf(clock.now())),
    user_id: owner,
    name,
    expires_at: expiresAt === null ? null : iso(clock.dateOf(expiresAt)),
  };
}

function withToken({ document, token }: Made, clock: Clock): ApiTokenCreated {
  const { token_id, last_used: _, uses: __, uses_by_day: ___, ...rest } = shown(document, clock);
  return { token_id, token, ...rest };
}

function noOwner(): LadingError {
  return new LadingError('not_found', 'There is no client and no person with this id.');
}

function noToken(): LadingError {
  return new LadingError('not_found', 'There is no API token with this id.');
}
