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
 *
 * How long a right lasts is no matter of the date at all. It is judged on a time line of the server, which begins as the date of its first
 * start and only passes after that; no step moves it, believed or not. A restart goes on where the machine says that it is: as long as the
 * machine runs, its uptime tells how long the server was down. How long the machine was off only the date can tell.
 */
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { Clock, StoredTime } from '../contracts/clock.ts';

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
  /** Another one after each start of the machine; null: the system does not tell. */
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
  /** What the last run of the server left; null: nothing is known. */
  kept?: StoredTime | null;
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
  readonly #boot: string | null;
  /** Time on the time line, and how much of the time before it is known only from the date. */
  readonly #beganSteady: number;
  readonly #guessed: number;
  /** How far the date is ahead of the time line, to be shown: small corrections do not change it. */
  #ahead: number;
  #latest: number;
  /** What was proven last. */
  #proven: Pick<StoredTime, 'date' | 'ahead'>;

  constructor({ source = machine, kept = null, warn = () => {} }: SteadyClockOptions = {}) {
    this.#source = source;
    this.#known = kept?.date ?? null;
    this.#warn = warn;
    this.#began = source.monotonic();
    this.#beganUp = source.uptime();
    this.#boot = source.boot();
    // Time went on while the server was down. A date before that is a step, noticed with the first reading.
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
    // A sleep is noticed by the date.
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
    // A step that counts has held as long before.
    const held = this.#source.monotonic() - this.#began;
    return this.#pending || held < CONFIRM_MS ? null : now;
  }

  /** For the next run. */
  keep(): StoredTime {
    const date = this.proven;
    // Reads the date, which says how far it is ahead.
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
      this.#warn('the date of this machine was changed; it counts when it has held for ten minutes', {
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
    this.#warn('the changed date of this machine has held and counts from now on', {
      by_ms: round(by),
      server: iso(this.#from),
    });
    return this.#dateAt(time);
  }

  #isPending(by: number): boolean {
    return this.#pending !== null && Math.abs(by - this.#pending.by) <= TOLERANCE_MS;
  }

  /** @returns how long the machine slept since the last look */
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
 * Where the time line goes on after what the last run left.
 * @returns `guessed`: how much of the time since then is what the date says alone
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

/** True when this moment of the time line is past beyond doubt and for a while: what lapsed then may be removed. */
export function isLongPast(clock: Clock, moment: number): boolean {
  return clock.passed(moment) >= LINGER_MS;
}

function round(ms: number): number {
  return Math.round(ms);
}

function iso(date: number): string {
  return new Date(date).toISOString();
}
