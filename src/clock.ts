/**
 * The clock of the server (see `Clock` in `contracts.ts`), and the only place that reads the one of the machine.
 *
 * The machine's date may be set at any moment: by hand, by a time server, by a virtual machine that moves, to what is right or to what is
 * wrong. Nothing else tells them apart, so no step is believed at once. The server goes on by the time that passed, logs the step, and
 * takes the new date when it has held for ten minutes.
 *
 *     date of the machine    10:00 … 10:05 | 12:05 … 12:15           a step of two hours
 *     date of the server     10:00 … 10:05 | 10:05 … 10:15 | 12:15   believed ten minutes later
 *     monotonic time         0     … 5     | 5     … 15    | 15      knows of nothing
 *
 * Time that the machine slept is no step: the system counts it, and it has passed.
 */
import { uptime } from 'node:os';
import type { Clock, DateBox } from './contracts.ts';

/** What a step must hold for. */
export const CONFIRM_MS = 600_000;
/** The date is corrected by so much at a time without a word. */
const TOLERANCE_MS = 2_000;
/** What has lapsed is kept for so long. A wrong date takes nothing away that a right one could not bring back. */
export const LINGER_MS = 24 * 3600 * 1000;

/** What the machine says, in milliseconds. */
export interface TimeSource {
  /** Since the epoch; may be set. */
  date(): number;
  /** Since some moment; stands still while the machine sleeps. */
  monotonic(): number;
  /** The same, but counts the sleep. */
  uptime(): number;
}

const machine: TimeSource = {
  date: () => Date.now(),
  monotonic: () => performance.now(),
  uptime: () => uptime() * 1000,
};

export interface SteadyClockOptions {
  source?: TimeSource;
  /** A date up to which an earlier run of the server is known to have lived; null: nothing is known. */
  known?: number | null;
  /** For the log. */
  warn?(message: string, details: object): void;
}

/** Dates that were given out from `from` to `to`, each `offset` more than the monotonic time. */
interface Span {
  from: number;
  to: number;
  offset: number;
}

export class SteadyClock implements Clock {
  readonly #source: TimeSource;
  readonly #known: number | null;
  readonly #warn: (message: string, details: object) => void;
  readonly #began: number;
  readonly #beganUp: number;
  /** Added to the monotonic time it is the date. */
  #offset: number;
  /** The first date by this offset. */
  #from: number;
  /** Those before the steps that were believed. */
  readonly #spans: Span[] = [];
  #steppedAt = 0;
  /** How much of the date is sleep of the machine. */
  #slept = 0;
  /** A step that is not believed yet, and when it was noticed. */
  #pending: { by: number; at: number } | null = null;

  constructor({ source = machine, known = null, warn = () => {} }: SteadyClockOptions = {}) {
    this.#source = source;
    this.#known = known;
    this.#warn = warn;
    this.#began = source.monotonic();
    this.#beganUp = source.uptime();
    // Time went on while the server was down. A date before that is a step, noticed with the first reading.
    this.#from = Math.max(source.date(), known ?? 0);
    this.#offset = this.#from - this.#began;
  }

  monotonic(): number {
    return this.#source.monotonic();
  }

  now(): number {
    const time = this.#source.monotonic();
    const date = this.#source.date();
    const by = date - (this.#offset + time);
    if (Math.abs(by) > TOLERANCE_MS) return this.#stepped(by, time);
    if (this.#pending) this.#warn('the date of this machine is as it was before the step', { by_ms: round(by) });
    this.#pending = null;
    this.#offset = date - time;
    this.#from = Math.min(this.#from, date);
    return date;
  }

  since(date: number): number {
    const now = this.now();
    const time = this.#source.monotonic();
    let least = date >= this.#from && date <= now + TOLERANCE_MS ? now - date : Number.POSITIVE_INFINITY;
    for (const { from, to, offset } of this.#spans) {
      if (date >= from && date <= to) least = Math.min(least, offset + time - date);
    }
    if (least !== Number.POSITIVE_INFINITY) return Math.max(0, least);
    if (date > now) return 0;
    // Between the dates before a step and those after it.
    if (date >= (this.#spans[0]?.from ?? this.#from)) return time - this.#steppedAt;
    // How long the server was down is what its date says alone, so that does not count.
    return time - this.#began + this.#slept + Math.max(0, (this.#known ?? date) - date);
  }

  /** A date that the next start may know; null while there is reason to doubt it. */
  get proven(): number | null {
    const now = this.now();
    const held = this.#source.monotonic() - Math.max(this.#began, this.#steppedAt);
    return this.#pending || held < CONFIRM_MS ? null : now;
  }

  #stepped(by: number, time: number): number {
    if (!this.#pending || Math.abs(by - this.#pending.by) > TOLERANCE_MS) {
      const slept = this.#source.uptime() - this.#beganUp - (time - this.#began) - this.#slept;
      if (Math.abs(by - slept) <= TOLERANCE_MS) {
        this.#slept += by;
        this.#pending = null;
        this.#offset += by;
        return this.#dateAt(time);
      }
      this.#pending = { by, at: time };
      this.#warn('the date of this machine was changed; it counts when it has held for ten minutes', {
        by_ms: round(by),
        machine: iso(this.#offset + time + by),
        server: iso(this.#offset + time),
      });
    }
    if (time - this.#pending.at < CONFIRM_MS) return this.#dateAt(time);
    this.#spans.push({ from: this.#from, to: this.#offset + time, offset: this.#offset });
    this.#offset += by;
    this.#from = this.#offset + time;
    this.#steppedAt = time;
    this.#pending = null;
    this.#warn('the changed date of this machine has held and counts from now on', {
      by_ms: round(by),
      server: iso(this.#from),
    });
    return this.#dateAt(time);
  }

  #dateAt(time: number): number {
    return Math.floor(this.#offset + time);
  }
}

/** The clock of a server, which remembers from run to run how late it is. */
export interface KeptClock {
  clock: Clock;
  /** Remembers the date for the next run. */
  close(): Promise<void>;
}

/**
 * Opens the clock. The date is written down while the server runs and when it stops, unless there is doubt. One that cannot be read or
 * written is no reason to stop: the next run then counts only its own time.
 */
export async function openClock(box: DateBox, warn: (message: string, details: object) => void): Promise<KeptClock> {
  const known = await box.read().catch((error: unknown) => {
    warn('the date of the last run cannot be read', { error });
    return null;
  });
  const clock = new SteadyClock({ known, warn });
  const keep = async (): Promise<void> => {
    const date = clock.proven;
    if (date === null) return;
    await box.write(date).catch((error: unknown) => warn('the date cannot be kept for the next run', { error }));
  };
  let keeping: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    keeping = keep();
  }, CONFIRM_MS).unref();
  return {
    clock,
    close: async () => {
      clearInterval(timer);
      await keeping;
      await keep();
    },
  };
}

/** True when this date is past beyond doubt and for a while: what lapsed then may be removed. */
export function isLongPast(clock: Clock, date: number): boolean {
  return clock.since(date) >= LINGER_MS;
}

function round(ms: number): number {
  return Math.round(ms);
}

function iso(date: number): string {
  return new Date(date).toISOString();
}
