import { clockOf } from '../../support/product/clock.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import type { Tap } from '../../support/wire/tap.ts';

/** Milliseconds. */
export const HOUR = 3_600_000;

export interface Timed {
  run: EngineUnderTest;
  pass(ms: number): void;
}

/** An engine whose clock `pass` advances. Its own timers do not run: only the sweep ends anything. */
export async function timed(t: Parameters<typeof startEngine>[0], tap?: Tap): Promise<Timed> {
  let now = Date.UTC(2030, 0, 1);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const rigging = { clock: clockOf(() => now), ...(tap ? { tap } : {}) };
  const run = await startEngine(t, { staleSeconds: 86_400, openEndedSeconds: 900 }, rigging);
  return {
    run,
    pass: (ms) => {
      now += ms;
    },
  };
}
