/**
 * Slows the guessing of secrets. A leaky bucket counts the failures of each client id and of each address: a full one lets the next
 * attempt in when it has leaked. An address may hold a whole fleet behind a proxy, so its bucket is larger and leaks faster.
 */
import { isIPv6 } from 'node:net';
import type { Clock } from '../contracts.ts';
import { LadingError } from '../errors.ts';

/** Failures at once that are forgiven, and how long one of them is remembered beyond that. */
const CLIENT = { burst: 10, leakMs: 10_000 };
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
    const level = (bucket ? this.#levelAt(bucket, now) : 0) + 1;
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

export class Throttle {
  readonly #clock: Clock;
  readonly #clients = new Buckets(CLIENT);
  readonly #addresses = new Buckets(ADDRESS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * To be asked before a secret is looked at.
   * @throws LadingError `rate_limited` with the seconds to wait
   */
  check(clientId: string, address: string): void {
    const now = this.#clock.now();
    const wait = Math.max(
      this.#clients.waitMs(clientKey(clientId), now),
      this.#addresses.waitMs(network(address), now),
    );
    if (wait === 0) return;
    throw new LadingError('rate_limited', 'Too many failed sign-ins; wait before the next one.', {
      retry_after: Math.ceil(wait / 1000),
    });
  }

  failed(clientId: string, address: string): void {
    const now = this.#clock.now();
    this.#clients.fail(clientKey(clientId), now);
    this.#addresses.fail(network(address), now);
  }

  /** Clears the client's failures; the address keeps its own, or one good credential would allow endless guessing of others. */
  succeeded(clientId: string): void {
    this.#clients.forget(clientKey(clientId));
  }
}

/** Ids are at most 64 characters; what is longer is nobody's and shares buckets by its beginning. */
function clientKey(clientId: string): string {
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
