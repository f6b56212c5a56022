/** Stores the time of the server for its next run: see `clock/clock.ts`. */

import type { Clock, DateBox } from '../contracts/clock.ts';
import { CONFIRM_MS, SteadyClock } from './clock.ts';

/** A clock that continues across restarts. */
export interface PersistentClock {
  clock: Clock;
  /** Stores the time for the next run. */
  close(): Promise<void>;
}

/**
 * Opens the clock. It stores the time for the next run at the start, while the server runs and at the stop. A time that cannot be read or
 * written is logged and does not stop the server: the next run then relies on the date of the machine.
 */
export async function openClock(
  box: DateBox,
  warn: (message: string, details: object) => void,
): Promise<PersistentClock> {
  const kept = await box.read().catch((error: unknown) => {
    warn('the date of the last run cannot be read', { error });
    return null;
  });
  const clock = new SteadyClock({ kept, warn });
  const keep = async (): Promise<void> => {
    await box
      .write(clock.keep())
      .catch((error: unknown) => warn('the date cannot be stored for the next run', { error }));
  };
  const time = clock.keep();
  // A time that was stored since the boot of the machine is still sufficient.
  let keeping: Promise<void> = time.boot !== null && time.boot === kept?.boot ? Promise.resolve() : keep();
  await keeping;
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
