/**
 * Slows the guessing of secrets. Leaky buckets count the failures of each id from each network, of each id from everywhere, and of each
 * address: a full one lets the next attempt in when it has leaked. An address may hold a whole fleet behind a proxy, so its bucket is
 * larger and leaks faster.
 */
import { isIPv6 } from 'node:net';
import type { Clock } from '../contracts.ts';
import { LadingError } from '../errors.ts';

/** Failures at once that are forgiven, and how long one of them is remembered beyond that. */
const CLIENT = { burst: 10, leakMs: 10_000 };
const EVERYWHERE = { burst: 100, leakMs: 1_000 };
const ADDRESS = { burst: 50, leakMs: 2_000 };
/** Buckets kept of each sort; beyond that the one that failed longest ago is forgotten. */
const MOST_KEPT = 10_000;

interface Bucket {
  /** Failures not yet leaked, as of `at`. */
  level: number;
  at: number;
}

class Buckets {
  readonly #kept = new Map<string, Bucket>();
  readonly #burst: number;
  readonly #leakMs: number;

  constructor({ burst, leakMs }: { burst: number; leakMs: number }) {
    this.#burst = burst;
    this.#leakMs = leakMs;
  }

  /** Milliseconds until another attempt is allowed; 0: now. */
  waitMs(key: string, now: number): number {
    const bucket = this.#kept.get(key);
    if (!bucket) return 0;
    const level = this.#levelAt(bucket, now);
    return level <= this.#burst - 1 ? 0 : Math.ceil((level - (this.#burst - 1)) * this.#leakMs);
  }

  fail(key: string, now: number): void {
    const bucket = this.#kept.get(key);
    // Never above the burst: whoever guesses on must not make the owner wait for hours.
    const level = Math.min(this.#burst, (bucket ? this.#levelAt(bucket, now) : 0) + 1);
    // Taken out and put back, so that the map's order is that of the last failure.
    this.#kept.delete(key);
    this.#kept.set(key, { level, at: now });
    if (this.#kept.size > MOST_KEPT) {
      const [oldest] = this.#kept.keys();
      if (oldest !== undefined) this.#kept.delete(oldest);
    }
  }

  forget(key: string): void {
    this.#kept.delete(key);
  }

  #levelAt(bucket: Bucket, now: number): number {
    return Math.max(0, bucket.level - Math.max(0, now - bucket.at) / this.#leakMs);
  }
}

/** Checks of one id from one network that run or wait at one time. */
const MOST_AT_ONCE = CLIENT.burst;
const MOST_WAITING = 64;

/** Those who check a secret of one id from one network right now. */
interface Line {
  running: number;
  waiting: (() => void)[];
}

export class Throttle {
  readonly #clock: Clock;
  /** By id and network: whoever guesses does not lock out the owner, who is elsewhere. */
  readonly #near = new Buckets(CLIENT);
  /** By id alone, for guesses from everywhere. */
  readonly #clients = new Buckets(EVERYWHERE);
  readonly #addresses = new Buckets(ADDRESS);
  readonly #lines = new Map<string, Line>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Checks a secret, unless too many were wrong lately. Of one id from one network only a few are checked at one time, the others wait: a
   * thousand guesses at once get no further than a thousand one after the other, and nobody takes all the hashing there is.
   * @param check null when the secret was wrong
   * @throws LadingError `rate_limited` with the seconds to wait, `overloaded`
   */
  async attempt<T>(id: string, address: string, check: () => Promise<T | null>): Promise<T | null> {
    const key = nearKey(id, address);
    const line = this.#lines.get(key) ?? { running: 0, waiting: [] };
    this.#lines.set(key, line);
    if (line.running >= MOST_AT_ONCE) {
      if (line.waiting.length >= MOST_WAITING) {
        throw new LadingError('overloaded', 'Too many sign-ins at one time; try again shortly.', { retry_after: 5 });
      }
      // The place is handed on, never free in between.
      await new Promise<void>((go) => line.waiting.push(go));
    } else line.running += 1;
    try {
      this.check(id, address);
      const found = await check();
      if (found === null) this.failed(id, address);
      else this.succeeded(id, address);
      return found;
    } finally {
      const next = line.waiting.shift();
      if (next) next();
      else {
        line.running -= 1;
        if (line.running === 0) this.#lines.delete(key);
      }
    }
  }

  /**
   * To be asked before what counts as a try.
   * @throws LadingError `rate_limited` with the seconds to wait
   */
  check(id: string, address: string): void {
    const now = this.#clock.now();
    const wait = Math.max(
      this.#near.waitMs(nearKey(id, address), now),
      this.#clients.waitMs(idKey(id), now),
      this.#addresses.waitMs(network(address), now),
    );
    if (wait === 0) return;
    throw new LadingError('rate_limited', 'Too many failed sign-ins; wait before the next one.', {
      retry_after: Math.ceil(wait / 1000),
    });
  }

  failed(id: string, address: string): void {
    const now = this.#clock.now();
    this.#near.fail(nearKey(id, address), now);
    this.#clients.fail(idKey(id), now);
    this.#addresses.fail(network(address), now);
  }

  /** Clears the failures from there; the address keeps its own, or one good credential would allow endless guessing of others. */
  succeeded(id: string, address: string): void {
    this.#near.forget(nearKey(id, address));
  }
}

function nearKey(id: string, address: string): string {
  return `${idKey(id)} ${network(address)}`;
}

/** Ids are at most 64 characters; what is longer is nobody's and shares buckets by its beginning. */
function idKey(clientId: string): string {
  return clientId.slice(0, 64);
}

/** What counts as one address: an IPv6 host has a whole /64 to choose from. */
export function network(address: string): string {
  if (!address.includes(':') || !isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail = ''] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const zeros = address.includes('::') ? Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0') : [];
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}
