/** In which states requests that ran at the same time may have left a name. */
import type { Effect, State } from './states.ts';

/** A request and the changes that it makes, one after the other, between its begin and its end. */
export interface Request {
  /** For the message of a failure. */
  label: string;
  began: number;
  /** Null: it never ended. */
  ended: number | null;
  effects: Effect[];
}

/**
 * The states after every order of the changes in which a request that ended before another one began comes first. Empty: the outcomes of
 * the requests contradict each other.
 */
export function statesAfter(before: readonly State[], requests: readonly Request[]): State[] {
  const found = new Map<string, State>();
  const seen = new Set<string>();
  const explore = (state: State, done: readonly number[]): void => {
    const key = JSON.stringify([state, done]);
    if (seen.has(key)) return;
    seen.add(key);
    const isOver = (index: number): boolean => (done[index] ?? 0) >= (requests[index]?.effects.length ?? 0);
    if (requests.every((_, index) => isOver(index))) found.set(JSON.stringify(state), state);
    for (const [index, { began, effects }] of requests.entries()) {
      const effect = effects[done[index] ?? 0];
      const waits = requests.some(({ ended }, other) => ended !== null && ended < began && !isOver(other));
      if (!effect || waits) continue;
      const next = done.with(index, (done[index] ?? 0) + 1);
      for (const after of effect(state)) explore(after, next);
    }
  };
  for (const state of before) {
    explore(
      state,
      requests.map(() => 0),
    );
  }
  return [...found.values()];
}
