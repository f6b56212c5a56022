/** Measures the rate of a transfer and estimates the remaining time. */

export interface Progress {
  /** Confirmed bytes, including those of earlier runs. */
  done: number;
  /** Bytes in flight, not confirmed yet. */
  moving: number;
  total: number;
  /** Confirmed bytes at the start of this run. */
  before: number;
  /** Bytes per second over the last ten seconds. */
  rate: number;
  /** Remaining seconds at this rate; null when the rate is 0. */
  left: number | null;
}

const WINDOW_MS = 10_000;
/** Minimum interval between samples: a fast transfer reports thousands of times per second. */
const SAMPLE_INTERVAL_MS = 100;

/** Counts confirmed bytes and bytes in flight. */
export class Meter {
  readonly total: number;
  readonly #now: () => number;
  #before = 0;
  #done = 0;
  #moving = 0;
  #samples: { at: number; bytes: number }[];

  constructor(total: number, now: () => number = () => performance.now()) {
    this.total = total;
    this.#now = now;
    this.#samples = [{ at: now(), bytes: 0 }];
  }

  /** Sets the confirmed bytes at the start, or after starting over. */
  begin(before: number): void {
    this.#before = before;
    this.#done = before;
    this.#samples = [{ at: this.#now(), bytes: before + this.#moving }];
  }

  /** Adds bytes in flight; negative after a failure or confirmation. */
  moved(bytes: number): void {
    this.#moving += bytes;
    this.#sample();
  }

  /** Sets the confirmed bytes. */
  confirmed(done: number): void {
    this.#done = done;
    this.#sample();
  }

  progress(): Progress {
    const { total } = this;
    const now = this.#now();
    const first = this.#samples.find((sample) => sample.at >= now - WINDOW_MS) ?? this.#samples.at(-1);
    const seconds = first === undefined ? 0 : (now - first.at) / 1000;
    const reached = this.#done + this.#moving;
    const rate = first === undefined || seconds <= 0 ? 0 : Math.max(0, (reached - first.bytes) / seconds);
    const left = rate > 0 ? Math.max(0, total - reached) / rate : null;
    return { done: this.#done, moving: this.#moving, total, before: this.#before, rate, left };
  }

  #sample(): void {
    const at = this.#now();
    const last = this.#samples.at(-1);
    if (last !== undefined && this.#samples.length > 1 && at - last.at < SAMPLE_INTERVAL_MS) return;
    this.#samples.push({ at, bytes: this.#done + this.#moving });
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? at) < at - WINDOW_MS) this.#samples.shift();
  }
}
