/** Retries of a transfer: when it retries and when it gives up. */
import { isTransient, retryAfterMs } from '../transport/failures.ts';

/** How long and how often to retry. */
export interface RetryOptions {
  /** Milliseconds without any progress after which a transfer gives up; default one hour. */
  retryForMs?: number | undefined;
  /** Upper bound of the first random delay, doubled for each further one; default 500 ms. */
  firstDelayMs?: number | undefined;
  /** Upper bound of all delays, unless the server requests a longer one; default 30 s. */
  longestDelayMs?: number | undefined;
}

/** Describes a retry, before its delay. */
export interface RetryNotice {
  error: unknown;
  /** Failures since the last progress, this one included. */
  attempt: number;
  delayMs: number;
}

/**
 * Exponential backoff with full jitter. After a common failure, such as a restart of the server, the devices reconnect spread over the whole
 * interval instead of in waves.
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

  /** Reports progress: the next failure counts as the first. */
  progress(): void {
    this.#failures = 0;
    this.#progressAt = performance.now();
  }

  /** Waits before a retry. Throws `error` when it is final or there was no progress for `retryForMs`. */
  async wait(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted();
    if (!isTransient(error)) throw error;
    const left = this.#retryForMs - (performance.now() - this.#progressAt);
    if (left <= 0) throw error;
    const maxDelay = Math.min(this.#longestDelayMs, this.#firstDelayMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    const delayMs = Math.min(Math.max(Math.random() * maxDelay, retryAfterMs(error)), left);
    this.#onRetry?.({ error, attempt: this.#failures, delayMs });
    await sleep(delayMs, this.#signal);
  }

  /** Calls until it succeeds or fails finally. A success does not count as progress of the transfer. */
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

/** Resolves after `ms`. Rejects with the reason of the signal when it is aborted. */
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
