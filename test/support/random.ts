/** Random numbers from a seed: `CRASH_SEED=… npm test` repeats a failed run. */
import type { TestContext } from 'node:test';

export interface Random {
  /** A number from 0 to 1, without 1. */
  unit(): number;
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  /** True once in `times` on average. */
  once(times: number): boolean;
  pick<T>(items: readonly [T, ...T[]]): T;
  shuffled<T>(items: readonly T[]): T[];
  /** A separate sequence that is derived from this one. */
  fork(): Random;
}

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  // mulberry32
  const unit = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (low: number, high: number): number => low + Math.floor(unit() * (high - low + 1));
  return {
    unit,
    int,
    once: (times) => unit() * times < 1,
    pick: (items) => items[int(0, items.length - 1)] ?? items[0],
    shuffled: (items) => {
      const shuffled = [...items];
      for (let last = shuffled.length - 1; last > 0; last -= 1) {
        const other = int(0, last);
        const [a, b] = [shuffled[last], shuffled[other]];
        if (a !== undefined && b !== undefined) {
          shuffled[last] = b;
          shuffled[other] = a;
        }
      }
      return shuffled;
    },
    fork: () => randomFrom(int(0, 2 ** 31)),
  };
}

/** The random numbers of a test. Prints the seed, which `CRASH_SEED` can set. */
export function seeded(t: TestContext): Random {
  const given = Number(process.env.CRASH_SEED ?? '');
  const seed = Number.isInteger(given) && given > 0 ? given : Math.floor(Math.random() * 2 ** 31);
  t.diagnostic(`CRASH_SEED=${seed}`);
  return randomFrom(seed);
}
