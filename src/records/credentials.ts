/** Documents of sessions and tokens, as they are stored. */
import type { Scope } from '../protocol/scopes.ts';
import type { Subject } from './principal.ts';

/** A session: a sign-in that refresh tokens can renew, or one whose access token is valid until the session ends. */
export interface SessionDocument {
  id: string;
  subject: string;
  kind: Subject['kind'];
  /** The scopes that it was limited to at the sign-in; null: all scopes of its subject. */
  scopes: Scope[] | null;
  /** SHA-256 of the newest refresh token, in hex. */
  hash: string;
  /** All times of a session are moments of the time line of the server: see `Clock.steady`. */
  createdAt: number;
  expiresAt: number;
  /** When it was last renewed; absent: never. */
  renewedAt?: number;
  /** The User-Agent of the program that signed in. */
  agent?: string;
  /** Its access token is valid until the session ends. */
  long?: true;
  /** The network of the sign-in, as used for counting failures. */
  network?: string;
  /** The previous refresh token: its hash, the newest token encrypted with it, and the time of its use. */
  previous?: { hash: string; next: string; at: number };
}

/** An API token. */
export interface ApiTokenDocument {
  id: string;
  tenant: string;
  /** The principal that it acts for. */
  owner: string;
  ownerKind: Subject['kind'];
  name: string | null;
  /** The creator's name for the holder, if that is not the id of a principal. It gives no permissions. */
  label?: string;
  scopes: Scope[];
  /** The scopes in the words of the creator. */
  words?: string[];
  /** SHA-256 of the token, in hex; empty once it is revoked. */
  hash: string;
  createdAt: number;
  /** On the time line (`Clock.steady`); null: valid until it is revoked. */
  expiresAt: number | null;
  /** On the time line; absent: not revoked. */
  revokedAt?: number;
  lastUsed: number | null;
  uses: number;
  /** Absent: not used since the server began to count uses by day. */
  days?: TokenDays;
}

/** Number of uses on each of the last days, UTC. */
export interface TokenDays {
  /** The day of `today`, in days since the epoch. */
  day: number;
  today: number;
  /** Uses on the days before, the latest day last. */
  before: number[];
}

/** An access token that was revoked before it expired. */
export interface RevocationDocument {
  /** `jti` of the token. */
  id: string;
  /** When it would have expired, on the time line (`Clock.steady`). */
  until: number;
}
