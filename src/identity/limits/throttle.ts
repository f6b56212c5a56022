/**
 * Slows the guessing of secrets, and locks nobody out by it.
 *
 *     from                      counted                          when there are too many
 *     one network, one id       each failure                     one try every ten seconds from there
 *     one address               each failure                     one try every two seconds from there
 *     everywhere, one id        failures of a chosen password    waits that grow, for networks that are new to the id
 *
 * A secret that was generated has 256 random bits: nobody guesses it, so guesses from elsewhere never hold up its owner. A password can
 * be guessed, so guesses from everywhere are slowed; a network from which the id signed in before is asked for none of that.
 */
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import { networkOf } from '../../protocol/ip.ts';
import type { Asker } from './fair-queue.ts';

/** Failures at once that are forgiven, and how long one of them is remembered beyond that. */
const NEAR = { burst: 10, leakMs: 10_000 };
/** An address may hold a whole fleet behind a proxy, so its bucket is larger and leaks faster. */
const ADDRESS = { burst: 50, leakMs: 2_000 };
/** After so many failures the wait begins with a second and doubles with each more; one is forgotten each minute. */
const EVERYWHERE = { burst: 100, leakMs: 60_000, firstMs: 1_000, mostMs: 60_000 };
/** Buckets kept of each sort; beyond that the one that failed longest ago is forgotten. */
const MAX_KEPT = 10_000;
/** Pairs of an id and a network it signed in from; beyond that the one used longest ago is forgotten. */
const MAX_KNOWN = 100_000;
/** Checks of one id from one network that run or wait at one time. */
const MAX_AT_ONCE = NEAR.burst;
const MAX_WAITING = 64;

/** What is known of a secret that is tried. */
export interface Tried {
  /** A person chose it, so it may be guessed. */
  chosen?: boolean;
  /** True when the id signed in from there before, as far as that is kept besides. */
  known?: () => boolean;
}

interface Bucket {
  /** Failures not yet leaked, as of `at`. */
  level: number;
  at: number;
}

class Buckets {
  readonly #kept = new Map<string, Bucket>();
  readonly #most: number;
  readonly #leakMs: number;

  /** @param most the level never rises above it: whoever guesses on must not make anybody wait for hours */
  constructor(most: number, leakMs: number) {
    this.#most = most;
    this.#leakMs = leakMs;
  }

  /** Failures that are remembered now. */
  level(key: string, now: number): number {
    const bucket = this.#kept.get(key);
    return bucket ? Math.max(0, bucket.level - Math.max(0, now - bucket.at) / this.#leakMs) : 0;
  }

  /** When the last failure was. */
  at(key: string): number {
    return this.#kept.get(key)?.at ?? Number.NEGATIVE_INFINITY;
  }

  /** Milliseconds until the level leaves room for one more below `burst`; 0: now. */
  waitMs(key: string, burst: number, now: number): number {
    return Math.max(0, Math.ceil((this.level(key, now) - (burst - 1)) * this.#leakMs));
  }

  add(key: string, now: number): void {
    const level = Math.min(this.#most, this.level(key, now) + 1);
    // Taken out and put back, so that the map's order is that of the last failure.
    this.#kept.delete(key);
    this.#kept.set(key, { level, at: now });
    if (this.#kept.size > MAX_KEPT) {
      const [oldest] = this.#kept.keys();
      if (oldest !== undefined) this.#kept.delete(oldest);
    }
  }

  takeBack(key: string): void {
    const bucket = this.#kept.get(key);
    if (bucket) bucket.level = Math.max(0, bucket.level - 1);
  }

  forget(key: string): void {
    this.#kept.delete(key);
  }
}

/** Those who check a secret of one id from one network right now. */
interface Line {
  running: number;
  waiting: (() => void)[];
}

export class Throttle {
  readonly #clock: Clock;
  readonly #near = new Buckets(NEAR.burst, NEAR.leakMs);
  readonly #addresses = new Buckets(ADDRESS.burst, ADDRESS.leakMs);
  readonly #everywhere = new Buckets(
    EVERYWHERE.burst + 1 + Math.log2(EVERYWHERE.mostMs / EVERYWHERE.firstMs),
    EVERYWHERE.leakMs,
  );
  /** Ids and networks that a secret was right for, the one used longest ago first. */
  readonly #known = new Set<string>();
  readonly #lines = new Map<string, Line>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Checks a secret, unless too many were wrong lately. Of one id from one network only a few are checked at one time, the others wait: a
   * thousand guesses at once get no further than a thousand one after the other, and nobody takes all the hashing there is.
   * @param check null when the secret was wrong; it gets who waits for its turn
   * @throws LadingError `rate_limited` with the seconds to wait, `overloaded`
   */
  async attempt<T>(
    id: string,
    address: string,
    check: (asker: Asker) => Promise<T | null>,
    tried: Tried = {},
  ): Promise<T | null> {
    const key = nearKey(id, address);
    const line = this.#lines.get(key) ?? { running: 0, waiting: [] };
    this.#lines.set(key, line);
    if (line.running >= MAX_AT_ONCE) {
      if (line.waiting.length >= MAX_WAITING) {
        throw new LadingError('overloaded', 'Too many sign-ins at one time; try again shortly.', { retry_after: 5 });
      }
      // The place is handed on, never free in between.
      await new Promise<void>((go) => line.waiting.push(go));
    } else line.running += 1;
    try {
      return await this.#checked(id, address, check, tried);
    } finally {
      const next = line.waiting.shift();
      if (next) next();
      else {
        line.running -= 1;
        if (line.running === 0) this.#lines.delete(key);
      }
    }
  }

  async #checked<T>(
    id: string,
    address: string,
    check: (asker: Asker) => Promise<T | null>,
    tried: Tried,
  ): Promise<T | null> {
    const stranger = !this.#knows(id, address, tried);
    this.#check(id, address, stranger, tried.chosen === true);
    const slowed = stranger && tried.chosen === true;
    // Counted before it is known to be wrong, or networks that try at the same time would all be let in.
    if (slowed) this.#everywhere.add(idKey(id), this.#clock.monotonic());
    try {
      const found = await check({ from: networkOf(address), known: !stranger });
      if (found === null) {
        this.failed(id, address);
        return null;
      }
      if (slowed) this.#everywhere.takeBack(idKey(id));
      this.succeeded(id, address);
      return found;
    } catch (error) {
      // That a check could not be made is nobody's guess.
      if (slowed) this.#everywhere.takeBack(idKey(id));
      throw error;
    }
  }

  /**
   * To be asked before what counts as a try.
   * @throws LadingError `rate_limited` with the seconds to wait
   */
  check(id: string, address: string, tried: Tried = {}): void {
    this.#check(id, address, !this.#knows(id, address, tried), tried.chosen === true);
  }

  #check(id: string, address: string, stranger: boolean, chosen: boolean): void {
    const now = this.#clock.monotonic();
    const wait = Math.max(
      this.#near.waitMs(nearKey(id, address), NEAR.burst, now),
      stranger ? this.#addresses.waitMs(networkOf(address), ADDRESS.burst, now) : 0,
      stranger && chosen ? this.#growingMs(idKey(id), now) : 0,
    );
    if (wait === 0) return;
    throw new LadingError('rate_limited', 'Too many failed sign-ins; wait before the next one.', {
      retry_after: Math.ceil(wait / 1000),
    });
  }

  /** Counts a wrong secret against the network and the address. */
  failed(id: string, address: string): void {
    const now = this.#clock.monotonic();
    this.#near.add(nearKey(id, address), now);
    this.#addresses.add(networkOf(address), now);
  }

  /** Clears the failures from there; the address keeps its own, or one good credential would allow endless guessing of others. */
  succeeded(id: string, address: string): void {
    const key = nearKey(id, address);
    this.#near.forget(key);
    this.#known.delete(key);
    this.#known.add(key);
    if (this.#known.size > MAX_KNOWN) {
      const [oldest] = this.#known;
      if (oldest !== undefined) this.#known.delete(oldest);
    }
  }

  #knows(id: string, address: string, { known }: Tried): boolean {
    return this.#known.has(nearKey(id, address)) || known?.() === true;
  }

  #growingMs(key: string, now: number): number {
    const beyond = Math.floor(this.#everywhere.level(key, now) - EVERYWHERE.burst);
    if (beyond < 0) return 0;
    const wait = Math.min(EVERYWHERE.mostMs, EVERYWHERE.firstMs * 2 ** beyond);
    return Math.max(0, Math.ceil(this.#everywhere.at(key) + wait - now));
  }
}

function nearKey(id: string, address: string): string {
  return `${idKey(id)} ${networkOf(address)}`;
}

/** Ids are at most 64 characters; what is longer is nobody's and shares buckets by its beginning. */
function idKey(clientId: string): string {
  return clientId.slice(0, 64);
}
