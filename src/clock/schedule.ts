/** Work by a timetable (cron). The date that counts is the one of the server's clock: see `clock/clock.ts`. */
import { createTask } from 'node-cron';
import type { Clock } from '../contracts/clock.ts';

const LOOK_MS = 1000;
/** Seconds that are looked at again when the process was busy for so long. */
const MAX_LATE = 60;

export interface Schedule {
  start(): void;
  stop(): void;
}

/**
 * Does the work in each second that the expression names, and once at a time. A date that is set forwards brings back nothing that it
 * skipped; one that is set back is no reason to wait for what comes after the date of before.
 * @param expression five or six fields of cron
 * @param work must not throw
 */
export function schedule(expression: string, clock: Clock, work: () => Promise<void>): Schedule {
  const times = createTask(expression, () => {});
  let timer: NodeJS.Timeout | null = null;
  let looked = 0;
  let working = false;
  const look = (): void => {
    const now = Math.floor(clock.now() / 1000);
    const from = now >= looked && now - looked <= MAX_LATE ? looked + 1 : now;
    looked = now;
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
      looked = Math.floor(clock.now() / 1000);
      timer ??= setInterval(look, LOOK_MS).unref();
    },
    stop: () => {
      if (timer) clearInterval(timer);
      timer = null;
    },
  };
}
