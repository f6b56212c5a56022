/** Runs work by a cron expression, on the date of the server: see `clock/clock.ts`. */
import { createTask } from 'node-cron';
import type { Clock } from '../contracts/clock.ts';

const CHECK_MS = 1000;
/** Maximum number of missed seconds, after the process was busy, that are still checked. */
const MAX_MISSED_SECONDS = 60;

export interface Schedule {
  start(): void;
  stop(): void;
}

/**
 * Runs the work in each second that the expression matches. Never runs it twice at the same time. When the date is set forward, skipped
 * runs are not made up for. When it is set back, the schedule continues from the new date.
 * @param expression five or six fields of cron
 * @param work must not throw
 */
export function schedule(expression: string, clock: Clock, work: () => Promise<void>): Schedule {
  const times = createTask(expression, () => {});
  let timer: NodeJS.Timeout | null = null;
  let lastSecond = 0;
  let working = false;
  const check = (): void => {
    const now = Math.floor(clock.now() / 1000);
    const from = now >= lastSecond && now - lastSecond <= MAX_MISSED_SECONDS ? lastSecond + 1 : now;
    lastSecond = now;
    for (let second = from; second <= now; second += 1) {
      if (!times.match(new Date(second * 1000))) continue;
      if (working) return;
      working = true;
      void work().finally(() => {
        working = false;
      });
      return;
    }
  };
  return {
    start: () => {
      lastSecond = Math.floor(clock.now() / 1000);
      timer ??= setInterval(check, CHECK_MS).unref();
    },
    stop: () => {
      if (timer) clearInterval(timer);
      timer = null;
    },
  };
}
