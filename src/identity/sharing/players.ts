/**
 * Rights to play one file in one browser. A media element can send no token, and a token has no place in an address, so the browser gets
 * a cookie that is good for one file at one path. It is no share: it ends with the sign-in that asked for it, soon in any case, and
 * nobody else can use its address. Kept in memory alone; after a restart the page asks for another one.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';

/** How long a right is good. A file that plays already is sent to its end. */
export const PLAYER_SECONDS = 15 * 60;
/** Of one principal; the oldest ends when there are more. */
const MAX_EACH = 16;
/** Of all. */
const MAX_PLAYERS = 10_000;

export interface Player {
  id: string;
  /** Who asked for it. */
  principal: string;
  /** Of the file, as the engine knows it. */
  owner: string;
  name: string;
  fileId: string;
  /** False once who asked may no longer read the file. */
  isAuthorized: () => boolean;
}

interface StoredPlayer extends Player {
  hash: Buffer;
  endsAt: number;
}

export class Players {
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #players = new Map<string, StoredPlayer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns the id, which may be seen by anybody, and the secret of the cookie, which is known this once */
  open(player: Omit<Player, 'id'>): { id: string; secret: string } {
    const id = randomBytes(16).toString('hex');
    const secret = randomBytes(32).toString('base64url');
    this.#endSuperfluous(player.principal);
    const endsAt = this.#clock.monotonic() + PLAYER_SECONDS * 1000;
    this.#players.set(id, { ...player, id, hash: hashOf(secret), endsAt });
    return { id, secret };
  }

  /** The right of this id, if the secret is its own and it has not ended; null without telling why. */
  find(id: string, secret: string): Player | null {
    const player = this.#players.get(id);
    if (!player || player.endsAt <= this.#clock.monotonic()) return null;
    return timingSafeEqual(player.hash, hashOf(secret)) && player.isAuthorized() ? player : null;
  }

  /** False once it was ended, or its sign-in was. That it has run out meanwhile cuts nothing that is being sent. */
  isValid(player: Player): boolean {
    return this.#players.has(player.id) && player.isAuthorized();
  }

  /** Ends a right of this principal. False when they have no such right. */
  end(id: string, principal: string): boolean {
    return this.#players.get(id)?.principal === principal && this.#players.delete(id);
  }

  /** Makes room for one more. */
  #endSuperfluous(principal: string): void {
    const now = this.#clock.monotonic();
    const own = [];
    for (const { id, endsAt, isAuthorized: stands, principal: of } of this.#players.values()) {
      // Those that ran out stay a moment, for what they began may be on its way still.
      if (endsAt + PLAYER_SECONDS * 1000 <= now || !stands()) this.#players.delete(id);
      else if (of === principal) own.push(id);
    }
    for (const id of own.slice(0, Math.max(0, own.length + 1 - MAX_EACH))) this.#players.delete(id);
    for (const id of this.#players.keys()) {
      if (this.#players.size < MAX_PLAYERS) break;
      this.#players.delete(id);
    }
  }
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
