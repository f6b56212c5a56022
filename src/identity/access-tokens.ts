/**
 * Access tokens. The caller passes in the functions that sign and verify JWTs. This module decides whether a token is valid: its subject
 * and its session must exist, and it must not be revoked.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../contracts/clock.ts';
import { LadingError } from '../errors.ts';
import { parseScopes, type Scope } from '../protocol/scopes.ts';
import type { RevocationDocument } from '../records/credentials.ts';
import type { Principal, Subject } from '../records/principal.ts';
import type { AccountKind, NamedAccount } from '../records/subjects.ts';
import type { DocumentCache } from './state/document-cache.ts';
import type { Issuance } from './subjects/clients.ts';
import { principalOf } from './subjects/principals.ts';

/** The claim `aud` of access tokens. */
export const AUDIENCE = 'lading';

/** Claims of a token. Times are seconds since the epoch (RFC 7519). */
export interface Claims {
  sub: string;
  /** Kind of the subject. */
  kind: Subject['kind'];
  role: string;
  iss: string;
  aud: string;
  jti: string;
  iat: number;
  exp: number;
  /** Devices only: generation of the secret that the token was issued for. */
  gen?: string;
  /** Id of the session that the token belongs to. */
  sid?: string;
  /** Present if the token has fewer scopes than its subject. */
  scope?: string;
  /** Username and kind of an ops or client account, for programs that read the token. */
  username?: string;
  account_kind?: AccountKind;
  /** Seconds by which the dates were ahead of the server's time line (`Clock.steady`) at issue; absent: 0. */
  ahead?: number;
}

/** What access tokens need. */
export interface TokenDeps {
  issuer: string;
  sign(claims: Claims): string;
  /** Returns the claims if signature, algorithm, issuer and audience are valid; throws otherwise. Does not check expiry. */
  verify(token: string): unknown;
  /**
   * The subject as it is now; null if it was deleted, disabled, or got new credentials after the token was issued.
   * @param issued when, and for which generation, the token was issued
   */
  subject(kind: Subject['kind'], id: string, issued: Issuance): Principal | null;
  /** Current generation of a device; undefined for devices of earlier versions. */
  generationOf(clientId: string): string | undefined;
  /** False once the session has ended. */
  isAlive(signIn: string): boolean;
  clock: Clock;
  /** Lifetime of an access token. */
  seconds: number;
}

/** The token response of OAuth 2.0 (RFC 6749 §5.1). */
export interface IssuedToken {
  access_token: string;
  token_type: 'bearer';
  /** Seconds. */
  expires_in: number;
}

/** A token that was just issued, with its claims. */
export interface GrantedToken {
  token: string;
  claims: Claims;
}

/** A token that is valid now. */
export interface VerifiedToken {
  claims: Claims;
  principal: Principal;
}

interface CachedToken {
  claims: Claims;
  until: number;
  /** The subject from which `principal` was derived; null before the first use. */
  subject: Principal | null;
  principal: Principal | null;
}

/** The token has expired but was not revoked. */
export class ExpiredToken extends LadingError {}

/** Maximum number of cached tokens. A device sends the same token with every chunk, and a lookup is much faster than a signature check. */
const MAX_VERIFIED = 20_000;

/** Issues, verifies and revokes access tokens. */
export class Tokens {
  readonly #deps: TokenDeps;
  readonly #revoked: DocumentCache<RevocationDocument>;
  readonly #verified = new Map<string, CachedToken>();

  constructor(deps: TokenDeps, revoked: DocumentCache<RevocationDocument>) {
    this.#deps = deps;
    this.#revoked = revoked;
  }

  /** Like `grant`, as the token response of OAuth 2.0 (RFC 6749 §5.1). */
  issue(principal: Principal, options: { signIn?: string; scopes?: readonly Scope[] } = {}): IssuedToken {
    const { token, claims } = this.grant(principal, options);
    return { access_token: token, token_type: 'bearer', expires_in: claims.exp - claims.iat };
  }

  /**
   * Issues a token.
   * @param options the session of the token, its scopes if they are reduced, its expiry on the time line if it differs from the default, and
   * the account to name in the claims
   */
  grant(
    principal: Principal,
    options: { signIn?: string; scopes?: readonly Scope[]; until?: number; account?: NamedAccount | undefined } = {},
  ): GrantedToken {
    const { clock, seconds, sign, issuer, generationOf } = this.#deps;
    const now = clock.now();
    const ahead = Math.round((now - clock.steady()) / 1000);
    const iat = Math.floor(now / 1000);
    const gen = principal.kind === 'person' ? undefined : generationOf(principal.id);
    const claims: Claims = {
      sub: principal.id,
      kind: principal.kind === 'person' ? 'person' : 'device',
      role: principal.role,
      iss: issuer,
      aud: AUDIENCE,
      jti: randomBytes(12).toString('base64url'),
      iat,
      exp: options.until === undefined ? iat + seconds : Math.floor(options.until / 1000) + ahead,
      ...(gen === undefined ? {} : { gen }),
      ...(options.signIn === undefined ? {} : { sid: options.signIn }),
      ...(options.scopes === undefined ? {} : { scope: options.scopes.join(' ') }),
      ...(options.account === undefined
        ? {}
        : { username: options.account.username, account_kind: options.account.kind }),
      ...(ahead === 0 ? {} : { ahead }),
    };
    return { token: sign(claims), claims };
  }

  /**
   * The principal of a token.
   * @throws LadingError `unauthorized`
   */
  verify(token: string): Principal {
    return this.inspect(token).principal;
  }

  /** Verifies a token and resolves its principal. @throws LadingError `unauthorized`; `ExpiredToken` if expiry is the only reason */
  inspect(token: string): VerifiedToken {
    const cached = this.#verified.get(token) ?? this.#verifySignature(token);
    const { claims } = cached;
    if (cached.until <= this.#deps.clock.steady()) {
      this.#verified.delete(token);
      throw new ExpiredToken('unauthorized', BAD_TOKEN);
    }
    if (claims.sid !== undefined && !this.#deps.isAlive(claims.sid)) throw badToken();
    if (this.#revoked.get(claims.jti)) throw badToken();
    const subject = this.#deps.subject(claims.kind, claims.sub, issuanceOf(claims));
    if (!subject) throw badToken();
    if (cached.subject !== subject || !cached.principal) {
      cached.subject = subject;
      cached.principal = claims.scope === undefined ? subject : principalOf(subject, parseScopes(claims.scope));
    }
    return { claims, principal: cached.principal };
  }

  /** False once the token was revoked, or its session or subject ended. Expiry does not count, because it does not end a running request. */
  isValid({ claims }: VerifiedToken): boolean {
    const { sid, jti, kind, sub } = claims;
    if ((sid !== undefined && !this.#deps.isAlive(sid)) || this.#revoked.get(jti)) return false;
    return this.#deps.subject(kind, sub, issuanceOf(claims)) !== null;
  }

  /** Revokes one token at once. Durable when it resolves. */
  async revoke(claims: Pick<Claims, 'jti' | 'exp' | 'ahead'>): Promise<void> {
    await this.#revoked.put({ id: claims.jti, until: expiryOf(claims) });
  }

  #verifySignature(token: string): CachedToken {
    let claims: unknown;
    try {
      claims = this.#deps.verify(token);
    } catch {
      throw badToken();
    }
    if (!isClaims(claims)) throw badToken();
    const cached: CachedToken = { claims, until: expiryOf(claims), subject: null, principal: null };
    if (this.#verified.size >= MAX_VERIFIED) this.#verified.clear();
    this.#verified.set(token, cached);
    return cached;
  }
}

/** When a token expires, in milliseconds on the time line. The claim `exp` is for other servers, which have their own clocks. */
export function expiryOf({ exp, ahead = 0 }: Pick<Claims, 'exp' | 'ahead'>): number {
  return (exp - ahead) * 1000;
}

function issuanceOf({ gen: generation, iat }: Claims): Issuance {
  return { generation, issuedAt: iat * 1000 };
}

function isClaims(value: unknown): value is Claims {
  if (typeof value !== 'object' || value === null) return false;
  const { sub, iat, exp, gen, jti, kind, sid, scope, ahead = 0 } = value as Partial<Record<keyof Claims, unknown>>;
  const optional = [sid, scope, gen].every((claim) => claim === undefined || typeof claim === 'string');
  const kinds = kind === 'device' || kind === 'person';
  const times = [iat, exp, ahead].every((time) => typeof time === 'number');
  return typeof sub === 'string' && times && typeof jti === 'string' && kinds && optional;
}

const BAD_TOKEN = 'The token is invalid, expired or revoked; sign in again.';

function badToken(): LadingError {
  return new LadingError('unauthorized', BAD_TOKEN);
}
