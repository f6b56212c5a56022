/**
 * Bearer tokens. How one is signed and verified is handed in (JWT, HS256); what it is worth is decided here: a token says who it was
 * given to, and that client must still exist.
 */
import type { Clock, Principal } from '../contracts.ts';
import { LadingError } from '../errors.ts';
import type { Credentials } from './credentials.ts';

export const ISSUER = 'lading';
export const ALGORITHM = 'HS256';

/** What a token says; times are seconds since the epoch (RFC 7519). */
export interface Claims {
  sub: string;
  role: string;
  iss: string;
  iat: number;
  exp: number;
}

export interface TokenDeps {
  sign(claims: Claims): string;
  /** The claims of a token whose signature, algorithm, issuer and dates are right; throws for any other. */
  verify(token: string): unknown;
  credentials: Credentials;
  clock: Clock;
  /** How long a token is good. */
  seconds: number;
}

export interface IssuedToken {
  access_token: string;
  token_type: 'bearer';
  /** Seconds. */
  expires_in: number;
}

/** Tokens verified lately. A device sends the same one with every chunk, and a map is much faster than a signature. */
const MOST_VERIFIED = 10_000;

export class Tokens {
  readonly #deps: TokenDeps;
  readonly #verified = new Map<string, { clientId: string; until: number }>();

  constructor(deps: TokenDeps) {
    this.#deps = deps;
  }

  issue(principal: Principal): IssuedToken {
    const { clock, seconds, sign } = this.#deps;
    const iat = Math.floor(clock.now() / 1000);
    const claims: Claims = { sub: principal.id, role: principal.role, iss: ISSUER, iat, exp: iat + seconds };
    return { access_token: sign(claims), token_type: 'bearer', expires_in: seconds };
  }

  /**
   * Who sent this token.
   * @throws LadingError `unauthorized`
   */
  verify(token: string): Principal {
    const known = this.#verified.get(token) ?? this.#verifyAnew(token);
    if (known.until <= this.#deps.clock.now()) {
      this.#verified.delete(token);
      throw unauthorized();
    }
    const principal = this.#deps.credentials.principal(known.clientId);
    if (!principal) throw unauthorized();
    return principal;
  }

  #verifyAnew(token: string): { clientId: string; until: number } {
    let claims: unknown;
    try {
      claims = this.#deps.verify(token);
    } catch {
      throw unauthorized();
    }
    if (!isClaims(claims)) throw unauthorized();
    const known = { clientId: claims.sub, until: claims.exp * 1000 };
    if (this.#verified.size >= MOST_VERIFIED) this.#verified.clear();
    this.#verified.set(token, known);
    return known;
  }
}

function isClaims(value: unknown): value is Claims {
  if (typeof value !== 'object' || value === null) return false;
  const { sub, exp } = value as Partial<Claims>;
  return typeof sub === 'string' && typeof exp === 'number';
}

function unauthorized(): LadingError {
  return new LadingError('unauthorized', 'The token is invalid or expired; get a new one from /auth/token.');
}
