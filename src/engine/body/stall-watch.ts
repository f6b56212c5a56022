/**
 * Ends requests that are silent for too long or slower than the minimum rate (PROTOCOL §6). A request may take any amount of time. One
 * timer checks all requests, so receiving bytes needs no timer of its own.
 */
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';

const CHECK_MS = 500;
const RATE_WINDOW_MS = 60_000;
/**
 * Maximum silence of a request that another request waits for. A device that lost its link reconnects and sends its chunk again, long
 * before the old connection is known to be dead.
 */
const WANTED_SILENCE_MS = 10_000;

export interface Watched {
  /** True while the server itself keeps the client waiting. */
  isHeld(): boolean;
  /** True while another request waits for what this one receives. */
  isWanted?(): boolean;
  /** Called with every check of the timer. */
  onCheck(): void;
  fail(error: LadingError): void;
}

/** One watched client. */
export interface Watch {
  /** To be called whenever bytes arrive. */
  received(bytes: number): void;
  stop(): void;
}

interface Entry {
  watched: Watched;
  lastByteAt: number;
  windowStart: number;
  windowBytes: number;
}

export interface StallLimits {
  idleSeconds: number;
  minBytesPerSecond: number;
}

export class StallWatch {
  readonly #clock: Clock;
  readonly #limits: StallLimits;
  readonly #entries = new Set<Entry>();
  #timer: NodeJS.Timeout | null = null;
  /** Time of the last timer call; null when that call was late, so that the next call always checks. */
  #lastTimerAt: number | null = null;

  constructor(clock: Clock, limits: StallLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Starts watching. The caller must call `stop`. */
  watch(watched: Watched): Watch {
    const now = this.#clock.monotonic();
    const entry: Entry = { watched, lastByteAt: now, windowStart: now, windowBytes: 0 };
    this.#entries.add(entry);
    if (this.#timer === null) {
      this.#lastTimerAt = performance.now();
      this.#timer = setInterval(() => this.#onTimer(), CHECK_MS).unref();
    }
    return {
      received: (bytes) => {
        entry.lastByteAt = this.#clock.monotonic();
        entry.windowBytes += bytes;
      },
      stop: () => {
        this.#entries.delete(entry);
        if (this.#entries.size === 0 && this.#timer) {
          clearInterval(this.#timer);
          this.#timer = null;
        }
      },
    };
  }

  /**
   * If the timer is late, this process was suspended or overloaded, and bytes that clients sent are still unread in the sockets. This
   * call then checks nothing; the bytes are read before the next one.
   */
  #onTimer(): void {
    const now = performance.now();
    const late = this.#lastTimerAt !== null && now - this.#lastTimerAt > 2 * CHECK_MS;
    this.#lastTimerAt = late ? null : now;
    if (!late) this.check();
  }

  /** Checks every request once. */
  check(): void {
    const now = this.#clock.monotonic();
    const idleMs = this.#limits.idleSeconds * 1000;
    for (const entry of this.#entries) {
      entry.watched.onCheck();
      if (entry.watched.isHeld()) {
        entry.lastByteAt = now;
        entry.windowStart = now;
        entry.windowBytes = 0;
      } else if (now - entry.lastByteAt >= idleMs) {
        entry.watched.fail(
          new LadingError(
            'request_timeout',
            `The client sent no byte for ${this.#limits.idleSeconds} s. Send the request body again.`,
          ),
        );
      } else if (now - entry.lastByteAt >= WANTED_SILENCE_MS && entry.watched.isWanted?.()) {
        entry.watched.fail(
          new LadingError(
            'request_timeout',
            `The client sent no byte for ${WANTED_SILENCE_MS / 1000} s while another request waited to send the same bytes. Send the request body again.`,
          ),
        );
      } else if (now - entry.windowStart >= RATE_WINDOW_MS) {
        const seconds = (now - entry.windowStart) / 1000;
        if (entry.windowBytes < this.#limits.minBytesPerSecond * seconds) {
          entry.watched.fail(
            new LadingError(
              'request_timeout',
              `The request body arrived slower than ${this.#limits.minBytesPerSecond} bytes a second. Send it again in smaller parts.`,
            ),
          );
        }
        entry.windowStart = now;
        entry.windowBytes = 0;
      }
    }
  }

  /** Fails every running request, when a stop waits no longer. */
  failAll(error: () => LadingError): void {
    for (const entry of this.#entries) entry.watched.fail(error());
  }
}
