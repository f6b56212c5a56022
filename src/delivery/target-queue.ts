/** What waits for one target. */
import type { DeliveryDocument } from '../records/delivery.ts';
import { DueHeap } from './due-heap.ts';

export interface Waiting {
  delivery: DeliveryDocument;
  /** Monotonic time of the next try. Its date is for those who look at the list. */
  dueAt: number;
}

export interface Lane {
  waiting: Map<string, Waiting>;
  /** Those that are due, in the order in which they are tried. */
  ready: Map<string, Waiting>;
  /** Those that are not; also some that do not wait any more. */
  later: DueHeap<Waiting>;
  sending: number;
  failures: number;
  /** The target failed or asked for it: nothing is tried before this monotonic time. */
  pausedUntil: number;
  /** Counts starts: of two lanes the one that was served longer ago is first. */
  servedAt: number;
}

export function newLane(): Lane {
  return {
    waiting: new Map(),
    ready: new Map(),
    later: new DueHeap(),
    sending: 0,
    failures: 0,
    pausedUntil: Number.NEGATIVE_INFINITY,
    servedAt: 0,
  };
}

/** True when one lane is served before another. */
export function isBefore(a: Lane, b: Lane): boolean {
  return a.sending === b.sending ? a.servedAt < b.servedAt : a.sending < b.sending;
}

/** True when something of a lane is due. */
export function hasReady({ waiting, ready, later }: Lane, now: number): boolean {
  for (let first = later.first; first && first.dueAt <= now; first = later.first) {
    later.pop();
    const { id } = first.delivery;
    // Changed meanwhile: another entry stands for it.
    if (waiting.get(id) === first) ready.set(id, first);
  }
  return ready.size > 0;
}
