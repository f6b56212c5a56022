/**
 * The clock of the server (see `contracts/clock.ts`). No other code reads the clock of the machine.
 *
 * The date of the machine may be set at any moment: by an administrator, by a time server, or when a virtual machine moves. The new date
 * may be right or wrong, and nothing shows which. So the server does not accept a step at once. It continues by the time that passed, logs
 * the step, and accepts the new date when it has held for ten minutes.
 *
 *     date of the machine    10:00 … 10:05 | 12:05 … 12:15           a step of two hours
 *     date of the server     10:00 … 10:05 | 10:05 … 10:15 | 12:15   accepted ten minutes later
 *     monotonic time         0     … 5     | 5     … 15    | 15      not affected
 *
 * Sleep of the machine is not a step: the uptime of the system counts it, and the time has passed.
 *
 * The date does not decide how long a right lasts. Rights expire on a time line of the server. It begins at the date of the first start and
 * only advances; no step moves it, accepted or not. While the machine runs, its uptime shows how long the server was down. Only the date
 * shows how long the machine was off.
 */
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { Clock, StoredTime } from '../contracts/clock.ts';

/** How long a step must hold before it is accepted, in milliseconds. */
export const CONFIRM_MS = 600_000;
/** Corrections of the date up to this size are accepted at once and not logged. */
const TOLERANCE_MS = 2_000;
/** How long expired documents are kept, in milliseconds, so that a wrong date removes nothing that the right one would still need. */
export const LINGER_MS = 24 * 3600 * 1000;

/** The clocks of the machine, in milliseconds. */
export interface TimeSource {
  /** Since the epoch. May be set. */
  date(): number;
  /** Since some moment. Stops while the machine sleeps. */
  monotonic(): number;
  /** Since some moment, including sleep. */
  uptime(): number;
  /** An id of the current boot of the machine. Null if unknown. */
  boot(): string | null;
}

const machine: TimeSource = {
  date: () => Date.now(),
  monotonic: () => performance.now(),
  uptime: () => uptime() * 1000,
  boot: () => {
    try {
      return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    } catch {
      return null;
    }
  },
};

export interface SteadyClockOptions {
  source?: TimeSource;
  /** The times that the last run of the server stored. Null if unknown. */
  kept?: StoredTime | null;
  /** For the log. */
  warn?(message: string, details: object): void;
}

/** Dates that the clock returned, from `from` to `to`. Each was `offset` ahead of the monotonic time. */
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
  /** The date minus the monotonic time. */
  #offset: number;
  /** The first date with this offset. */
  #from: number;
  /** The dates before each accepted step. */
  readonly #spans: Span[] = [];
  #steppedAt = 0;
  /** Total sleep of the machine. */
  #slept = 0;
  /** A step that is not accepted yet, and the monotonic time at which it was noticed. */
  #pending: { by: number; at: number } | null = null;
  readonly #boot: string | null;
  /** The start of this run on the time line, and how much of the time before it is known only from the date. */
  readonly #beganSteady: number;
  readonly #guessed: number;
  /** How far the date is ahead of the time line, for display. Small corrections do not change it. */
  #ahead: number;
  #latest: number;
  /** The last proven date. */
  #proven: Pick<StoredTime, 'date' | 'ahead'>;

  constructor({ source = machine, kept = null, warn = () => {} }: SteadyClockOptions = {}) {
    this.#source = source;
    this.#known = kept?.date ?? null;
    this.#warn = warn;
    this.#began = source.monotonic();
    this.#beganUp = source.uptime();
    this.#boot = source.boot();
    // Time passed while the server was down. An earlier date is a step, which the first reading notices.
    this.#from = Math.max(source.date(), this.#known ?? 0);
    this.#offset = this.#from - this.#began;
    const { steady, guessed } = steadyAtStart(kept, this.#from, this.#boot, this.#beganUp);
    this.#beganSteady = steady;
    this.#guessed = guessed;
    this.#proven = { date: this.#known, ahead: kept?.ahead ?? 0 };
    this.#ahead = this.#proven.ahead;
    this.#latest = kept?.latest ?? 0;
  }

  steady(): number {
    // Reading the date notices sleep.
    this.now();
    return Math.floor(this.#beganSteady + this.#source.monotonic() - this.#began + this.#slept);
  }

  get latest(): number {
    return this.#latest;
  }

  passed(moment: number): number {
    const steady = this.steady();
    if (moment >= this.#beganSteady) return Math.max(0, steady - moment);
    const own = steady - this.#beganSteady;
    return Math.max(0, own) + Math.max(0, this.#beganSteady - this.#guessed - moment);
  }

  dateOf(moment: number): number {
    const ahead = this.now() - this.steady();
    if (Math.abs(ahead - this.#ahead) > TOLERANCE_MS) this.#ahead = ahead;
    return moment + this.#ahead;
  }

  monotonic(): number {
    return this.#source.monotonic();
  }

  now(): number {
    const time = this.#source.monotonic();
    const date = this.#source.date();
    const by = date - (this.#offset + time);
    if (Math.abs(by) > TOLERANCE_MS) return this.#stepped(by, time);
    if (this.#pending)
      this.#warn('the date of this machine was set back to what it was before the step', { by_ms: round(by) });
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
    // The date lies between the dates before a step and those after it.
    if (date >= (this.#spans[0]?.from ?? this.#from)) return time - this.#steppedAt;
    // Only the date shows how long the server was down, so that time does not count.
    return time - this.#began + this.#slept + Math.max(0, (this.#known ?? date) - date);
  }

  /** A date that the next start may rely on. Null while it is in doubt. */
  get proven(): number | null {
    const now = this.now();
    // An accepted step has already held that long.
    const held = this.#source.monotonic() - this.#began;
    return this.#pending || held < CONFIRM_MS ? null : now;
  }

  /** The times to store for the next run. */
  keep(): StoredTime {
    const date = this.proven;
    // Updates how far the date is ahead.
    this.dateOf(0);
    if (date !== null) this.#proven = { date, ahead: this.#ahead };
    return {
      ...this.#proven,
      latest: this.#latest,
      steady: this.steady(),
      boot: this.#boot,
      uptime: this.#source.uptime(),
    };
  }

  #stepped(change: number, time: number): number {
    let by = change;
    if (!this.#isPending(by)) {
      by -= this.#noticeSleep(time);
      if (Math.abs(by) <= TOLERANCE_MS) {
        this.#pending = null;
        return this.#dateAt(time);
      }
    }
    if (!this.#pending || !this.#isPending(by)) {
      this.#pending = { by, at: time };
      this.#warn('the date of this machine was changed; the server accepts it when it has held for ten minutes', {
        by_ms: round(by),
        machine: iso(this.#offset + time + by),
        server: iso(this.#offset + time),
      });
    }
    if (time - this.#pending.at < CONFIRM_MS) return this.#dateAt(time);
    if (by < 0) this.#latest = Math.max(this.#latest, this.#dateAt(time));
    this.#spans.push({ from: this.#from, to: this.#offset + time, offset: this.#offset });
    this.#offset += by;
    this.#from = this.#offset + time;
    this.#steppedAt = time;
    this.#pending = null;
    this.#warn('the changed date of this machine has held for ten minutes and is accepted', {
      by_ms: round(by),
      server: iso(this.#from),
    });
    return this.#dateAt(time);
  }

  #isPending(by: number): boolean {
    return this.#pending !== null && Math.abs(by - this.#pending.by) <= TOLERANCE_MS;
  }

  /** @returns how long the machine slept since the last call */
  #noticeSleep(time: number): number {
    const slept = this.#source.uptime() - this.#beganUp - (time - this.#began) - this.#slept;
    if (slept <= TOLERANCE_MS) return 0;
    this.#slept += slept;
    this.#offset += slept;
    return slept;
  }

  #dateAt(time: number): number {
    return Math.floor(this.#offset + time);
  }
}

/**
 * Continues the time line of the last run.
 * @returns `guessed`: how much of the time since then is known only from the date
 */
function steadyAtStart(
  kept: StoredTime | null,
  date: number,
  boot: string | null,
  up: number,
): { steady: number; guessed: number } {
  if (kept === null) return { steady: date, guessed: Number.POSITIVE_INFINITY };
  const byDate = date - kept.ahead;
  const same = boot !== null && kept.boot === boot && up >= kept.uptime;
  if (!same) {
    const least = kept.steady + (boot !== null && kept.boot !== null ? up : 0);
    const steady = Math.max(least, byDate);
    return { steady, guessed: steady - least };
  }
  const steady = kept.steady + up - kept.uptime;
  const agrees = Math.abs(byDate - steady) <= TOLERANCE_MS;
  return { steady: agrees ? Math.max(byDate, kept.steady) : steady, guessed: 0 };
}

/** True when this moment of the time line has certainly passed and `LINGER_MS` with it. What expired then may be removed. */
export function isLongPast(clock: Clock, moment: number): boolean {
  return clock.passed(moment) >= LINGER_MS;
}

function round(ms: number): number {
  return Math.round(ms);
}

function iso(date: number): string {
  return new Date(date).toISOString();
}
