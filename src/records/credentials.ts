/** Documents of sessions and tokens, as they are stored. */
import type { Scope } from '../protocol/scopes.ts';
import type { Subject } from './principal.ts';

/** A session: a sign-in that can be renewed, with its family of refresh tokens, or one whose access token is good as long as it is. */
export interface SessionDocument {
  id: string;
  subject: string;
  kind: Subject['kind'];
  /** What it was limited to when it began; null: whatever its subject may. */
  scopes: Scope[] | null;
  /** SHA-256 of the youngest refresh token, in hex. */
  hash: string;
  /** This and the other times of it are moments of the time line of the server: see `Clock.steady`. */
  createdAt: number;
  expiresAt: number;
  /** When it was last renewed; absent: never. */
  renewedAt?: number;
  /** What the program that signed in calls itself. */
  agent?: string;
  /** Its access token is good until it ends. */
  long?: true;
  /** The network it began in, as failures are counted by. */
  network?: string;
  /** The refresh token before the youngest: its hash, the youngest sealed by it, and when it was used. */
  previous?: { hash: string; next: string; at: number };
}

export interface ApiTokenDocument {
  id: string;
  tenant: string;
  /** Who it acts for. */
  owner: string;
  ownerKind: Subject['kind'];
  name: string | null;
  /** What its maker calls whom it is for, if that is nobody's id. It gives no right. */
  label?: string;
  scopes: Scope[];
  /** The same in the words of its maker. */
  words?: string[];
  /** SHA-256 of the token, in hex; empty once it is revoked. */
  hash: string;
  createdAt: number;
  /** On the time line (`Clock.steady`); null: good until it is revoked. */
  expiresAt: number | null;
  /** On the time line; absent: it was not revoked. */
  revokedAt?: number;
  lastUsed: number | null;
  uses: number;
  /** Absent: never used since days are counted apart. */
  days?: TokenDays;
}

/** How often something was used on each of the last days, UTC. */
export interface TokenDays {
  /** Days since the epoch: of `today`. */
  day: number;
  today: number;
  /** Of the days before, the youngest last. */
  before: number[];
}

/** An access token that was revoked before its time. */
export interface RevocationDocument {
  /** `jti` of the token. */
  id: string;
  /** When it would have expired, on the time line (`Clock.steady`). */
  until: number;
}
