/**
 * Players: permission for the media elements of one browser to read one file. A media element cannot send a token, and a URL must not
 * contain one, so the browser gets a cookie that is valid for one file at one path. Unlike a share link, a player ends with the session
 * that requested it or after a short time, and its URL is useless without the cookie. Players exist only in memory; after a restart the page
 * requests a new one.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';

/** Lifetime of a player. A download that has begun may continue longer. */
export const PLAYER_SECONDS = 15 * 60;
/** Maximum number of players of one principal; the oldest ends first. */
const MAX_PER_PRINCIPAL = 16;
/** Maximum number of players. */
const MAX_PLAYERS = 10_000;

/** Permission to play one file. */
export interface Player {
  id: string;
  /** The principal that requested it. */
  principal: string;
  /** Owner key of the file. */
  owner: string;
  name: string;
  fileId: string;
  /** False once the principal may no longer read the file. */
  isAuthorized: () => boolean;
}

interface StoredPlayer extends Player {
  hash: Buffer;
  expiresAt: number;
}

/** The players of all browsers. */
export class Players {
  readonly #clock: Clock;
  /** Ordered by age, oldest first. */
  readonly #players = new Map<string, StoredPlayer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Creates a player. Returns its public id and the secret of its cookie, which is not stored. */
  open(player: Omit<Player, 'id'>): { id: string; secret: string } {
    const id = randomBytes(16).toString('hex');
    const secret = randomBytes(32).toString('base64url');
    this.#makeRoom(player.principal);
    const expiresAt = this.#clock.monotonic() + PLAYER_SECONDS * 1000;
    this.#players.set(id, { ...player, id, hash: hashOf(secret), expiresAt });
    return { id, secret };
  }

  /** The player of this id if the secret is correct and it has not ended; otherwise null, without a reason. */
  find(id: string, secret: string): Player | null {
    const player = this.#players.get(id);
    if (!player || player.expiresAt <= this.#clock.monotonic()) return null;
    return timingSafeEqual(player.hash, hashOf(secret)) && player.isAuthorized() ? player : null;
  }

  /** False once the player or its session was ended. Expiry does not count, because it does not end a running download. */
  isValid(player: Player): boolean {
    return this.#players.has(player.id) && player.isAuthorized();
  }

  /** Ends a player of this principal; false if the principal has no such player. */
  end(id: string, principal: string): boolean {
    return this.#players.get(id)?.principal === principal && this.#players.delete(id);
  }

  /** Makes room for one more player of this principal. */
  #makeRoom(principal: string): void {
    const now = this.#clock.monotonic();
    const own = [];
    for (const player of this.#players.values()) {
      // Expired players are kept for a while, because their downloads may still be running.
      if (player.expiresAt + PLAYER_SECONDS * 1000 <= now || !player.isAuthorized()) this.#players.delete(player.id);
      else if (player.principal === principal) own.push(player.id);
    }
    for (const id of own.slice(0, Math.max(0, own.length + 1 - MAX_PER_PRINCIPAL))) this.#players.delete(id);
    for (const id of this.#players.keys()) {
      if (this.#players.size < MAX_PLAYERS) break;
      this.#players.delete(id);
    }
  }
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
