/** How fast a transfer goes, and how long it will take. */

export interface Progress {
  /** Bytes that are safely there, those of earlier runs included. */
  done: number;
  /** Bytes on their way that nobody has confirmed yet. */
  moving: number;
  total: number;
  /** Bytes that were there when this run started. */
  before: number;
  /** Bytes a second over the last seconds. */
  rate: number;
  /** Seconds left at this rate, null when nothing moves. */
  left: number | null;
}

const WINDOW_MS = 10_000;
/** Samples closer than this are one: a fast transfer reports thousands of times a second. */
const GRAIN_MS = 100;

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

  /** What is there at the start, or after starting over. */
  begin(before: number): void {
    this.#before = before;
    this.#done = before;
    this.#samples = [{ at: this.#now(), bytes: before + this.#moving }];
  }

  /** Bytes more (or, after a failure, fewer) on their way. */
  moved(bytes: number): void {
    this.#moving += bytes;
    this.#sample();
  }

  /** What is safely there now. */
  confirmed(done: number): void {
    this.#done = done;
    this.#sample();
  }

  progress(): Progress {
    const { total } = this;
    const now = this.#now();
    const first = this.#samples.find((sample) => sample.at >= now - WINDOW_MS) ?? this.#samples.at(-1);
    const seconds = first === undefined ? 0 : (now - first.at) / 1000;
    const here = this.#done + this.#moving;
    const rate = first === undefined || seconds <= 0 ? 0 : Math.max(0, (here - first.bytes) / seconds);
    const left = rate > 0 ? Math.max(0, total - here) / rate : null;
    return { done: this.#done, moving: this.#moving, total, before: this.#before, rate, left };
  }

  #sample(): void {
    const at = this.#now();
    const last = this.#samples.at(-1);
    if (last !== undefined && this.#samples.length > 1 && at - last.at < GRAIN_MS) return;
    this.#samples.push({ at, bytes: this.#done + this.#moving });
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? at) < at - WINDOW_MS) this.#samples.shift();
  }
}
