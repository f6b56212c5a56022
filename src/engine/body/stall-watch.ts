/**
 * Ends requests that are silent for too long or slower than the minimum rate (PROTOCOL §6), and never one for its length. One
 * timer looks at all of them, so a byte costs no timer.
 */
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';

const LOOK_MS = 500;
const RATE_WINDOW_MS = 60_000;
/**
 * A request that others wait for may be silent for no longer than this. A device that lost its link comes back on a new connection
 * and sends its chunk again, long before the old connection is known to be dead.
 */
const WANTED_SILENCE_MS = 10_000;

export interface Watched {
  /** True while the server itself keeps the client waiting. */
  isHeld(): boolean;
  /** True while another request waits for what this one receives. */
  isWanted?(): boolean;
  /** Called with every look of the watchdog. */
  onCheck(): void;
  fail(error: LadingError): void;
}

/** One client under the watchdog's eye. */
export interface Watch {
  /** To be called for every arrival of bytes. */
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
  /** When the timer came last, whatever a test says of the time; null when it was late then: of two in a row one judges. */
  #lastTimerAt: number | null = null;

  constructor(clock: Clock, limits: StallLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Starts watching; call `stop` in the end. */
  watch(watched: Watched): Watch {
    const now = this.#clock.monotonic();
    const entry: Entry = { watched, lastByteAt: now, windowStart: now, windowBytes: 0 };
    this.#entries.add(entry);
    if (this.#timer === null) {
      this.#lastTimerAt = performance.now();
      this.#timer = setInterval(() => this.#onTimer(), LOOK_MS).unref();
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
   * A timer that comes late says that this process was stopped or had too much to do. What the clients sent meanwhile is still in the
   * sockets and is read before the next look, so that one judges.
   */
  #onTimer(): void {
    const now = performance.now();
    const late = this.#lastTimerAt !== null && now - this.#lastTimerAt > 2 * LOOK_MS;
    this.#lastTimerAt = late ? null : now;
    if (!late) this.check();
  }

  /** One look at every request. */
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
          new LadingError('request_timeout', `No byte came for ${this.#limits.idleSeconds} s. Send the chunk again.`),
        );
      } else if (now - entry.lastByteAt >= WANTED_SILENCE_MS && entry.watched.isWanted?.()) {
        entry.watched.fail(
          new LadingError(
            'request_timeout',
            `No byte came for ${WANTED_SILENCE_MS / 1000} s while another request waited to send the same ones. Send the chunk again.`,
          ),
        );
      } else if (now - entry.windowStart >= RATE_WINDOW_MS) {
        const seconds = (now - entry.windowStart) / 1000;
        if (entry.windowBytes < this.#limits.minBytesPerSecond * seconds) {
          entry.watched.fail(
            new LadingError(
              'request_timeout',
              `The chunk came slower than ${this.#limits.minBytesPerSecond} bytes a second. Send it again, in smaller chunks.`,
            ),
          );
        }
        entry.windowStart = now;
        entry.windowBytes = 0;
      }
    }
  }

  /** Fails every request still running (the end of the shutdown's patience). */
  failAll(error: () => LadingError): void {
    for (const entry of this.#entries) entry.watched.fail(error());
  }
}
