/**
 * How many requests somebody may make. A token bucket each, kept as one number: the time at which it would be full again (GCRA). It
 * holds a minute's worth, so that a burst after a pause is nobody's fault.
 */
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';

export const WINDOW_SECONDS = 60;
/** Buckets of each generation; a bucket that nobody asked for during two generations is forgotten, that is: full. */
const MAX_KEPT = 10_000;

interface Bucket {
  /** Monotonic time, in milliseconds. */
  fullAt: number;
}

/** How a bucket stands after a request. */
export interface RateState {
  /** Requests that may come at once. */
  remaining: number;
  /** Until it is full. */
  seconds: number;
}

export class Rates {
  /** As the fields on the wire call it. */
  readonly name: string;
  readonly limit: number;
  readonly #clock: Clock;
  /** Milliseconds that one request takes. */
  readonly #costMs: number;
  readonly #depthMs = WINDOW_SECONDS * 1000;
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();

  /** @param limit requests a minute; 0 allows any */
  constructor(name: string, limit: number, clock: Clock) {
    this.name = name;
    this.limit = limit;
    this.#clock = clock;
    this.#costMs = limit === 0 ? 0 : this.#depthMs / limit;
  }

  get isEnabled(): boolean {
    return this.limit > 0;
  }

  /**
   * Takes one request out of the bucket. One that is refused takes nothing. To be asked only when the limit is on.
   * @throws LadingError `rate_limited`
   */
  take(key: string): Bucket {
    const now = this.#clock.monotonic();
    const bucket = this.#bucketOf(key);
    const fullAt = Math.max(bucket.fullAt, now) + this.#costMs;
    const over = fullAt - now - this.#depthMs;
    // Sums of fractions of a millisecond may come out a little too large.
    if (over > 1e-6 * this.#depthMs) {
      throw new LadingError('rate_limited', `More than ${this.limit} requests a minute; wait before the next one.`, {
        retry_after: Math.max(1, Math.ceil(over / 1000)),
        'violated-policies': [this.name],
      });
    }
    bucket.fullAt = fullAt;
    return bucket;
  }

  stateOf(bucket: Bucket): RateState {
    const missing = Math.max(0, bucket.fullAt - this.#clock.monotonic());
    const remaining = Math.max(0, Math.floor(this.limit - missing / this.#costMs + 1e-6));
    return { remaining, seconds: Math.ceil(missing / 1000) };
  }

  #bucketOf(key: string): Bucket {
    const young = this.#young.get(key);
    if (young) return young;
    const bucket = this.#old.get(key) ?? { fullAt: Number.NEGATIVE_INFINITY };
    if (this.#young.size >= MAX_KEPT) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, bucket);
    return bucket;
  }
}

export type { Bucket };
