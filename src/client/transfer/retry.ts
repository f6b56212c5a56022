/** When a transfer tries again, and when it gives up. */
import { isTransient, retryAfterMs } from '../transport/failures.ts';

export interface RetryOptions {
  /** Milliseconds without any progress after which a transfer gives up; default one hour. */
  retryForMs?: number | undefined;
  /** The first wait is random between 0 and this, the next between 0 and twice as much, and so on; default 500 ms. */
  firstDelayMs?: number | undefined;
  /** No wait is longer, unless the server asks for it; default 30 s. */
  longestDelayMs?: number | undefined;
}

/** Told before each wait. */
export interface RetryNotice {
  error: unknown;
  /** Failures since the last progress, this one included. */
  attempt: number;
  delayMs: number;
}

/**
 * Exponential backoff with full jitter: after a common failure (the server restarts, a tunnel) many devices come back spread over
 * the whole interval, not in waves.
 */
export class Backoff {
  readonly #retryForMs: number;
  readonly #firstDelayMs: number;
  readonly #longestDelayMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onRetry: ((notice: RetryNotice) => void) | undefined;
  #failures = 0;
  #progressAt = performance.now();

  constructor(
    options: RetryOptions,
    signal: AbortSignal | undefined,
    onRetry: ((notice: RetryNotice) => void) | undefined,
  ) {
    this.#retryForMs = options.retryForMs ?? 3_600_000;
    this.#firstDelayMs = options.firstDelayMs ?? 500;
    this.#longestDelayMs = options.longestDelayMs ?? 30_000;
    this.#signal = signal;
    this.#onRetry = onRetry;
  }

  /** Failures since the last progress. */
  get failures(): number {
    return this.#failures;
  }

  /** Something arrived: the next failure is a first one again. */
  progress(): void {
    this.#failures = 0;
    this.#progressAt = performance.now();
  }

  /** Waits before another try. Throws `error` when it is final or there was no progress for too long. */
  async wait(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted();
    if (!isTransient(error)) throw error;
    const left = this.#retryForMs - (performance.now() - this.#progressAt);
    if (left <= 0) throw error;
    const most = Math.min(this.#longestDelayMs, this.#firstDelayMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    const delayMs = Math.min(Math.max(Math.random() * most, retryAfterMs(error)), left);
    this.#onRetry?.({ error, attempt: this.#failures, delayMs });
    await sleep(delayMs, this.#signal);
  }

  /** Calls until it succeeds or fails for good. Success of a question is no progress of the transfer. */
  async retry<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        await this.wait(error);
      }
    }
  }
}

/** Rejects with the signal's reason when it is aborted meanwhile. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
