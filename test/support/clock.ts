/** Clocks for tests. */
import type { Clock } from '../../src/contracts.ts';

/** A clock whose date and monotonic time are both read from `time`, as on a machine whose date nobody sets. */
export function clockOf(time: () => number): Clock {
  return { now: time, monotonic: time, since: (date) => Math.max(0, time() - date) };
}

/** A clock that moves only when the test says so. */
export interface HandClock extends Clock {
  time: number;
  /** Time passes. */
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
