/** Clocks for tests. */
import { SteadyClock, type TimeSource } from '../../../src/clock/clock.ts';
import type { Clock, StoredTime } from '../../../src/contracts/clock.ts';

/** A clock whose date and monotonic time both come from `time`, as on a machine whose date is not set. */
export function clockOf(time: () => number): Clock {
  const since = (date: number): number => Math.max(0, time() - date);
  return { now: time, monotonic: time, since, steady: time, passed: since, dateOf: (moment) => moment, latest: 0 };
}

/** A clock that a test moves. */
export interface HandClock extends Clock {
  time: number;
  /** Lets time pass. */
  pass(ms: number): void;
}

export function handClock(start = 1_700_000_000_000): HandClock {
  const clock: HandClock = {
    ...clockOf(() => clock.time),
    time: start,
    pass: (ms) => {
      clock.time += ms;
    },
  };
  return clock;
}

/** Typical changes of a date, in milliseconds. */
export const STEPS = [600_000, -600_000, 2 * 86_400_000, -2 * 86_400_000, 365 * 86_400_000, -365 * 86_400_000] as const;

/** A machine whose date a test sets, and the clock of a server on it. */
export interface Machine {
  /** The clock of the running server. */
  clock: SteadyClock;
  /** The messages that the server logged about the date. */
  warnings: string[];
  /** Lets time pass. */
  pass(ms: number): void;
  /** Sets the date. */
  step(ms: number): void;
  /** Suspends the machine. */
  sleep(ms: number): void;
  /** Switches the machine off for this time. */
  reboot(offMs: number): void;
  /** Restarts the server. @param kept the stored state of the previous run; an earlier version stored only the date */
  restart(kept?: StoredTime | number | null): SteadyClock;
}

export function machine(start = 1_700_000_000_000): Machine {
  let time = 0;
  let date = start;
  let slept = 0;
  let boot = 1;
  let bootedAt = 0;
  const source: TimeSource = {
    date: () => date,
    monotonic: () => time,
    uptime: () => time + slept - bootedAt,
    boot: () => `boot ${boot}`,
  };
  const warnings: string[] = [];
  const run = (kept: StoredTime | null): SteadyClock =>
    new SteadyClock({ source, kept, warn: (message) => warnings.push(message) });
  const made: Machine = {
    clock: run(null),
    warnings,
    pass: (ms) => {
      time += ms;
      date += ms;
    },
    step: (ms) => {
      date += ms;
    },
    sleep: (ms) => {
      slept += ms;
      date += ms;
    },
    reboot: (offMs) => {
      time += offMs;
      date += offMs;
      boot += 1;
      bootedAt = time + slept;
    },
    restart: (kept = null) => {
      const before = { ahead: 0, latest: 0, boot: null, uptime: 0 };
      made.clock = run(typeof kept === 'number' ? { ...before, date: kept, steady: kept } : kept);
      return made.clock;
    },
  };
  return made;
}
