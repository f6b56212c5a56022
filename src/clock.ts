/** The clock of the machine (see `Clock` in `contracts.ts`). The only place that reads it. */
import type { Clock } from './contracts.ts';

export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    since: (date) => Math.max(0, Date.now() - date),
  };
}
