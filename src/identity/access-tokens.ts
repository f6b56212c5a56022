/**
 * Access tokens. How one is signed and verified is handed in (JWT); what it is worth is decided here: it names who it was given to and
 * the sign-in it came of, and both must still be there.
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

export const AUDIENCE = 'lading';

/** What a token says; times are seconds since the epoch (RFC 7519). */
export interface Claims {
  sub: string;
  /** Of the subject. */
  kind: Subject['kind'];
  role: string;
  iss: string;
  aud: string;
  jti: string;
  iat: number;
  exp: number;
  /** Of a client: which of its secrets it came of. */
  gen?: string;
  /** Id of the sign-in that it came of, if that one can be renewed. */
  sid?: string;
  /** Only if it may do less than its subject. */
  scope?: string;
  /** Of an ops or client account: its name and kind, for programs that read the token. */
  username?: string;
  account_kind?: AccountKind;
  /** How far the dates in it were ahead of the time line of the server (`Clock.steady`), in seconds; absent: not at all. */
  ahead?: number;
}

export interface TokenDeps {
  issuer: string;
  sign(claims: Claims): string;
  /** The claims of a token whose signature, algorithm, issuer and audience are right, expired or not; throws for any other. */
  verify(token: string): unknown;
  /**
   * The subject as it is now; null: it is gone, or was given new credentials after the token.
   * @param issued what the token says of itself
   */
  subject(kind: Subject['kind'], id: string, issued: Issuance): Principal | null;
  /** Of a client as it is now; undefined for one that has none. */
  generationOf(clientId: string): string | undefined;
  /** False once the sign-in was ended. */
  isAlive(signIn: string): boolean;
  clock: Clock;
  /** How long an access token is valid. */
  seconds: number;
}

export interface IssuedToken {
  access_token: string;
  token_type: 'bearer';
  /** Seconds. */
  expires_in: number;
}

/** A token that was just made, and what it says. */
export interface GrantedToken {
  token: string;
  claims: Claims;
}

/** A token that is good now. */
export interface VerifiedToken {
  claims: Claims;
  principal: Principal;
}

interface CachedToken {
  claims: Claims;
  until: number;
  /** What the subject was when `principal` was made of it. */
  subject: Principal | null;
  principal: Principal | null;
}

/** It was good once, and nobody revoked it. */
export class ExpiredToken extends LadingError {}

/** Tokens verified lately. A device sends the same one with every chunk, and a map is much faster than a signature. */
const MAX_VERIFIED = 20_000;

export class Tokens {
  readonly #deps: TokenDeps;
  readonly #revoked: DocumentCache<RevocationDocument>;
  readonly #verified = new Map<string, CachedToken>();

  constructor(deps: TokenDeps, revoked: DocumentCache<RevocationDocument>) {
    this.#deps = deps;
    this.#revoked = revoked;
  }

  /** As `grant`, in the words of the wire. */
  issue(principal: Principal, of: { signIn?: string; scopes?: readonly Scope[] } = {}): IssuedToken {
    const { token, claims } = this.grant(principal, of);
    return { access_token: token, token_type: 'bearer', expires_in: claims.exp - claims.iat };
  }

  /**
   * @param of the sign-in that it comes of, what it is limited to, until when it is valid if not as long as others (on the time line), and
   * the account to name in it
   */
  grant(
    principal: Principal,
    of: { signIn?: string; scopes?: readonly Scope[]; until?: number; account?: NamedAccount | undefined } = {},
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
      exp: of.until === undefined ? iat + seconds : Math.floor(of.until / 1000) + ahead,
      ...(gen === undefined ? {} : { gen }),
      ...(of.signIn === undefined ? {} : { sid: of.signIn }),
      ...(of.scopes === undefined ? {} : { scope: of.scopes.join(' ') }),
      ...(of.account === undefined ? {} : { username: of.account.username, account_kind: of.account.kind }),
      ...(ahead === 0 ? {} : { ahead }),
    };
    return { token: sign(claims), claims };
  }

  /**
   * Who sent this token.
   * @throws LadingError `unauthorized`
   */
  verify(token: string): Principal {
    return this.inspect(token).principal;
  }

  /** @throws LadingError `unauthorized` */
  inspect(token: string): VerifiedToken {
    const known = this.#verified.get(token) ?? this.#verifyAnew(token);
    const { claims } = known;
    if (known.until <= this.#deps.clock.steady()) {
      this.#verified.delete(token);
      throw new ExpiredToken('unauthorized', BAD_TOKEN);
    }
    if (claims.sid !== undefined && !this.#deps.isAlive(claims.sid)) throw badToken();
    if (this.#revoked.get(claims.jti)) throw badToken();
    const subject = this.#deps.subject(claims.kind, claims.sub, issuanceOf(claims));
    if (!subject) throw badToken();
    if (known.subject !== subject || !known.principal) {
      known.subject = subject;
      known.principal = claims.scope === undefined ? subject : principalOf(subject, parseScopes(claims.scope));
    }
    return { claims, principal: known.principal };
  }

  /** False once the token was revoked, or what it came of is gone. That it has run out meanwhile ends nothing that it began. */
  isValid({ claims }: VerifiedToken): boolean {
    const { sid, jti, kind, sub } = claims;
    if ((sid !== undefined && !this.#deps.isAlive(sid)) || this.#revoked.get(jti)) return false;
    return this.#deps.subject(kind, sub, issuanceOf(claims)) !== null;
  }

  /** This one token is worthless from this moment; durable when it resolves. */
  async revoke(claims: Pick<Claims, 'jti' | 'exp' | 'ahead'>): Promise<void> {
    await this.#revoked.put({ id: claims.jti, until: endOf(claims) });
  }

  #verifyAnew(token: string): CachedToken {
    let claims: unknown;
    try {
      claims = this.#deps.verify(token);
    } catch {
      throw badToken();
    }
    if (!isClaims(claims)) throw badToken();
    const known: CachedToken = { claims, until: endOf(claims), subject: null, principal: null };
    if (this.#verified.size >= MAX_VERIFIED) this.#verified.clear();
    this.#verified.set(token, known);
    return known;
  }
}

/** When it expires, on the time line. What `exp` says is for others, who have clocks of their own. */
export function endOf({ exp, ahead = 0 }: Pick<Claims, 'exp' | 'ahead'>): number {
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
