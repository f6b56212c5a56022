/**
 * Rate limits. Each key has a token bucket, stored as one number: the time at which it will be full again (GCRA). A bucket holds the
 * requests of one minute, so bursts after a pause are allowed.
 */
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';

/** Length of the window in which a full bucket is refilled. */
export const WINDOW_SECONDS = 60;
/** Buckets in each generation. A bucket that is unused for two generations is dropped, which makes it full. */
const MAX_BUCKETS = 10_000;

interface Bucket {
  /** Monotonic time, in milliseconds. */
  fullAt: number;
}

/** State of a bucket after a request. */
export interface RateState {
  /** Requests that are allowed now. */
  remaining: number;
  /** Seconds until the bucket is full. */
  seconds: number;
}

/** The buckets of one rate limit. */
export class Rates {
  /** Name in the header fields `RateLimit` and `RateLimit-Policy`. */
  readonly name: string;
  readonly limit: number;
  readonly #clock: Clock;
  /** Milliseconds of refill that one request costs. */
  readonly #costMs: number;
  readonly #depthMs = WINDOW_SECONDS * 1000;
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();

  /** @param limit requests per minute; 0 means unlimited */
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
   * Takes one request from the bucket of a key; a refused request takes nothing. Call it only if the limit is enabled.
   * @throws LadingError `rate_limited`
   */
  take(key: string): Bucket {
    const now = this.#clock.monotonic();
    const bucket = this.#bucketOf(key);
    const fullAt = Math.max(bucket.fullAt, now) + this.#costMs;
    const excessMs = fullAt - now - this.#depthMs;
    // Tolerate rounding errors of fractional milliseconds.
    if (excessMs > 1e-6 * this.#depthMs) {
      throw new LadingError(
        'rate_limited',
        `Rate limit of ${this.limit} requests per minute exceeded; wait before the next request.`,
        {
          retry_after: Math.max(1, Math.ceil(excessMs / 1000)),
          'violated-policies': [this.name],
        },
      );
    }
    bucket.fullAt = fullAt;
    return bucket;
  }

  /** The state of a bucket now. */
  stateOf(bucket: Bucket): RateState {
    const missing = Math.max(0, bucket.fullAt - this.#clock.monotonic());
    const remaining = Math.max(0, Math.floor(this.limit - missing / this.#costMs + 1e-6));
    return { remaining, seconds: Math.ceil(missing / 1000) };
  }

  #bucketOf(key: string): Bucket {
    const young = this.#young.get(key);
    if (young) return young;
    const bucket = this.#old.get(key) ?? { fullAt: Number.NEGATIVE_INFINITY };
    if (this.#young.size >= MAX_BUCKETS) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, bucket);
    return bucket;
  }
}

export type { Bucket };
