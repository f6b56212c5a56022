/** Token introspection (RFC 7662) for access, refresh and API tokens. Does not count as a use of the token. */
import type { Clock } from '../contracts/clock.ts';
import { LadingError } from '../errors.ts';
import { SCOPES, type Scope } from '../protocol/scopes.ts';
import type { Principal, Subject } from '../records/principal.ts';
import { type Claims, expiryOf, type Tokens, type VerifiedToken } from './access-tokens.ts';
import { ApiTokens } from './credentials/api-tokens.ts';
import type { Identity } from './directory/identity.ts';
import type { TokenOwner } from './rights/policy.ts';
import { principalOf } from './subjects/principals.ts';

/** A token that is valid now. Times are dates, in milliseconds since the epoch. */
export interface IntrospectedToken {
  type: 'access' | 'refresh' | 'api';
  /** The claim `jti`, or the id of the session or API token. */
  id: string;
  owner: TokenOwner;
  /** The scopes that it has now. */
  scopes: Scope[];
  issuedAt: number;
  /** Null: it does not expire. */
  expiresAt: number | null;
  /** Access tokens only. */
  claims: Claims | null;
}

/** Describes a token; null if it is not valid. A refresh token that was already used is not valid. */
export function introspect(identity: Identity, tokens: Tokens, clock: Clock, token: string): IntrospectedToken | null {
  if (ApiTokens.looksLike(token)) return apiToken(identity, clock, token);
  return refreshToken(identity, clock, token) ?? accessToken(tokens, clock, token);
}

function apiToken(identity: Identity, clock: Clock, token: string): IntrospectedToken | null {
  const document = identity.apiTokens.findLive(token);
  const owner = document && identity.subject(document.ownerKind, document.owner);
  if (!document || !owner) return null;
  return {
    type: 'api',
    id: document.id,
    owner: ownerOf(owner, document.ownerKind),
    scopes: inOrder(principalOf({ ...owner, kind: 'token' }, document.scopes)),
    issuedAt: document.createdAt,
    expiresAt: document.expiresAt === null ? null : clock.dateOf(document.expiresAt),
    claims: null,
  };
}

function refreshToken(identity: Identity, clock: Clock, token: string): IntrospectedToken | null {
  const session = identity.sessions.findByToken(token);
  const owner = session && identity.subject(session.kind, session.subject);
  if (!session || !owner) return null;
  return {
    type: 'refresh',
    id: session.id,
    owner: ownerOf(owner, session.kind),
    scopes: inOrder(session.scopes ? principalOf(owner, session.scopes) : owner),
    issuedAt: clock.dateOf(session.createdAt),
    expiresAt: clock.dateOf(session.expiresAt),
    claims: null,
  };
}

function accessToken(tokens: Tokens, clock: Clock, token: string): IntrospectedToken | null {
  const verified = tryInspect(tokens, token);
  if (!verified) return null;
  const { claims, principal } = verified;
  return {
    type: 'access',
    id: claims.jti,
    owner: ownerOf(principal, claims.kind),
    scopes: inOrder(principal),
    issuedAt: claims.iat * 1000,
    expiresAt: clock.dateOf(expiryOf(claims)),
    claims,
  };
}

function tryInspect(tokens: Tokens, token: string): VerifiedToken | null {
  try {
    return tokens.inspect(token);
  } catch (error) {
    if (error instanceof LadingError && error.code === 'unauthorized') return null;
    throw error;
  }
}

function ownerOf({ id, tenant, role }: Principal, kind: Subject['kind']): TokenOwner {
  return { id, kind, tenant, role };
}

function inOrder({ scopes }: Principal): Scope[] {
  return SCOPES.filter((scope) => scopes.has(scope));
}
