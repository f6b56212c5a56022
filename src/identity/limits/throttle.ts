/**
 * Slows down the guessing of secrets without locking out their owners.
 *
 *     from                      counted                          above the limit
 *     one network, one id       each failure                     one attempt every ten seconds from there
 *     one address               each failure                     one attempt every two seconds from there
 *     everywhere, one id        failures of a chosen password    growing waits for networks that are new to the id
 *
 * A generated secret has 256 random bits and cannot be guessed, so attempts from elsewhere never delay its owner. A password can be
 * guessed, so attempts from everywhere are slowed down, except from networks where the id signed in before.
 */
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import { networkOf } from '../../protocol/ip.ts';
import type { Requester } from './fair-queue.ts';

/** Failures that may follow each other at once, and the time after which one of them is forgotten. */
const NEAR = { burst: 10, leakMs: 10_000 };
/** One address may serve a whole fleet behind a proxy, so its bucket is larger and leaks faster. */
const ADDRESS = { burst: 50, leakMs: 2_000 };
/** After `burst` failures the wait starts at one second and doubles with each further failure; one is forgotten each minute. */
const EVERYWHERE = { burst: 100, leakMs: 60_000, firstMs: 1_000, maxMs: 60_000 };
/** Maximum number of buckets of each kind; the one with the oldest failure is dropped first. */
const MAX_BUCKETS = 10_000;
/** Maximum number of pairs of an id and a network from which it signed in; the least recently used is dropped first. */
const MAX_KNOWN = 100_000;
/** Concurrent checks of one id from one network; further checks wait. */
const MAX_CONCURRENT = NEAR.burst;
const MAX_WAITING = 64;

/** What the throttle needs to know about the secret of an id. */
export interface SecretTraits {
  /** A person chose it, so it can be guessed. */
  chosen?: boolean;
  /** True if other records show that the id signed in from this network before. */
  known?: () => boolean;
}

interface Bucket {
  /** Failures not yet leaked, as of `at`. */
  level: number;
  at: number;
}

class Buckets {
  readonly #buckets = new Map<string, Bucket>();
  readonly #maxLevel: number;
  readonly #leakMs: number;

  /** @param maxLevel upper bound of the level, so that continued guessing does not cause waits of hours */
  constructor(maxLevel: number, leakMs: number) {
    this.#maxLevel = maxLevel;
    this.#leakMs = leakMs;
  }

  /** Failures that count now. */
  level(key: string, now: number): number {
    const bucket = this.#buckets.get(key);
    return bucket ? Math.max(0, bucket.level - Math.max(0, now - bucket.at) / this.#leakMs) : 0;
  }

  /** Time of the last failure. */
  lastFailure(key: string): number {
    return this.#buckets.get(key)?.at ?? Number.NEGATIVE_INFINITY;
  }

  /** Milliseconds until one more failure fits below `burst`; 0 if it fits now. */
  waitMs(key: string, burst: number, now: number): number {
    return Math.max(0, Math.ceil((this.level(key, now) - (burst - 1)) * this.#leakMs));
  }

  add(key: string, now: number): void {
    const level = Math.min(this.#maxLevel, this.level(key, now) + 1);
    // Insert it again, so that the map is ordered by the last failure.
    this.#buckets.delete(key);
    this.#buckets.set(key, { level, at: now });
    if (this.#buckets.size > MAX_BUCKETS) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
  }

  /** Takes back one failure. */
  undo(key: string): void {
    const bucket = this.#buckets.get(key);
    if (bucket) bucket.level = Math.max(0, bucket.level - 1);
  }

  clear(key: string): void {
    this.#buckets.delete(key);
  }
}

/** Running and waiting checks of one id from one network. */
interface Line {
  running: number;
  waiting: (() => void)[];
}

/** Limits failed attempts; see the table above. */
export class Throttle {
  readonly #clock: Clock;
  readonly #near = new Buckets(NEAR.burst, NEAR.leakMs);
  readonly #addresses = new Buckets(ADDRESS.burst, ADDRESS.leakMs);
  readonly #everywhere = new Buckets(
    EVERYWHERE.burst + 1 + Math.log2(EVERYWHERE.maxMs / EVERYWHERE.firstMs),
    EVERYWHERE.leakMs,
  );
  /** Pairs of id and network with a successful sign-in, least recently used first. */
  readonly #known = new Set<string>();
  readonly #lines = new Map<string, Line>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Checks a secret, unless too many recent attempts failed. Only a few attempts for one id from one network run at a time and the others
   * wait: parallel guesses are no faster than sequential ones, and one network cannot use all of the hashing capacity.
   * @param check resolves with null if the secret is wrong; receives the requester for the fair queue
   * @throws LadingError `rate_limited` with the seconds to wait, `overloaded`
   */
  async attempt<T>(
    id: string,
    address: string,
    check: (requester: Requester) => Promise<T | null>,
    traits: SecretTraits = {},
  ): Promise<T | null> {
    const key = nearKey(id, address);
    const line = this.#lines.get(key) ?? { running: 0, waiting: [] };
    this.#lines.set(key, line);
    if (line.running >= MAX_CONCURRENT) {
      if (line.waiting.length >= MAX_WAITING) {
        throw new LadingError('overloaded', 'Too many concurrent sign-ins; try again shortly.', { retry_after: 5 });
      }
      // The slot passes to the next attempt directly, so that no other attempt can take it.
      await new Promise<void>((start) => line.waiting.push(start));
    } else line.running += 1;
    try {
      return await this.#runCheck(id, address, check, traits);
    } finally {
      const next = line.waiting.shift();
      if (next) next();
      else {
        line.running -= 1;
        if (line.running === 0) this.#lines.delete(key);
      }
    }
  }

  async #runCheck<T>(
    id: string,
    address: string,
    check: (requester: Requester) => Promise<T | null>,
    traits: SecretTraits,
  ): Promise<T | null> {
    const isNew = !this.#knows(id, address, traits);
    this.#requireNoWait(id, address, isNew, traits.chosen === true);
    const slowed = isNew && traits.chosen === true;
    // Counted in advance. Otherwise all networks that try at the same time would be admitted.
    if (slowed) this.#everywhere.add(idKey(id), this.#clock.monotonic());
    try {
      const found = await check({ from: networkOf(address), known: !isNew });
      if (found === null) {
        this.recordFailure(id, address);
        return null;
      }
      if (slowed) this.#everywhere.undo(idKey(id));
      this.recordSuccess(id, address);
      return found;
    } catch (error) {
      // A check that failed to run is not a wrong guess.
      if (slowed) this.#everywhere.undo(idKey(id));
      throw error;
    }
  }

  /**
   * Checks whether an attempt is allowed now.
   * @throws LadingError `rate_limited` with the seconds to wait
   */
  check(id: string, address: string, traits: SecretTraits = {}): void {
    this.#requireNoWait(id, address, !this.#knows(id, address, traits), traits.chosen === true);
  }

  #requireNoWait(id: string, address: string, isNew: boolean, chosen: boolean): void {
    const now = this.#clock.monotonic();
    const wait = Math.max(
      this.#near.waitMs(nearKey(id, address), NEAR.burst, now),
      isNew ? this.#addresses.waitMs(networkOf(address), ADDRESS.burst, now) : 0,
      isNew && chosen ? this.#growingMs(idKey(id), now) : 0,
    );
    if (wait === 0) return;
    throw new LadingError('rate_limited', 'Too many failed sign-ins; wait before the next one.', {
      retry_after: Math.ceil(wait / 1000),
    });
  }

  /** Counts a wrong secret against the id in this network, and against the address. */
  recordFailure(id: string, address: string): void {
    const now = this.#clock.monotonic();
    this.#near.add(nearKey(id, address), now);
    this.#addresses.add(networkOf(address), now);
  }

  /** Clears the failures of the id in this network. Those of the address stay: one valid credential must not allow endless guesses of others. */
  recordSuccess(id: string, address: string): void {
    const key = nearKey(id, address);
    this.#near.clear(key);
    this.#known.delete(key);
    this.#known.add(key);
    if (this.#known.size > MAX_KNOWN) {
      const [oldest] = this.#known;
      if (oldest !== undefined) this.#known.delete(oldest);
    }
  }

  #knows(id: string, address: string, { known }: SecretTraits): boolean {
    return this.#known.has(nearKey(id, address)) || known?.() === true;
  }

  #growingMs(key: string, now: number): number {
    const beyond = Math.floor(this.#everywhere.level(key, now) - EVERYWHERE.burst);
    if (beyond < 0) return 0;
    const wait = Math.min(EVERYWHERE.maxMs, EVERYWHERE.firstMs * 2 ** beyond);
    return Math.max(0, Math.ceil(this.#everywhere.lastFailure(key) + wait - now));
  }
}

function nearKey(id: string, address: string): string {
  return `${idKey(id)} ${networkOf(address)}`;
}

/** Valid ids have at most 64 characters. Longer ones share buckets by their prefix. */
function idKey(id: string): string {
  return id.slice(0, 64);
}
