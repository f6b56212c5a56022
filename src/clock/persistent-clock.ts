/** The clock of a server over its runs: see `clock/clock.ts`. */

import type { Clock, DateBox } from '../contracts/clock.ts';
import { CONFIRM_MS, SteadyClock } from './clock.ts';

/** The clock of a server, which remembers from run to run how late it is. */
export interface PersistentClock {
  clock: Clock;
  /** Remembers the date for the next run. */
  close(): Promise<void>;
}

/**
 * Opens the clock. What the next run must know is written down at the start, while the server runs and when it stops. When it cannot be
 * read or written, that is no reason to stop: the next run then goes by its date.
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
      .catch((error: unknown) => warn('the date cannot be kept for the next run', { error }));
  };
  const time = clock.keep();
  // What was kept since the machine started still says it all.
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
