/** The deliveries that wait for one target. */
import type { DeliveryDocument } from '../records/delivery.ts';
import { DueHeap } from './due-heap.ts';

export interface WaitingDelivery {
  delivery: DeliveryDocument;
  /** Monotonic time of the next attempt. */
  dueAt: number;
}

export interface TargetQueue {
  /** Every waiting delivery, by id. */
  waiting: Map<string, WaitingDelivery>;
  /** Waiting deliveries that are due, in the order in which they are sent. */
  due: Map<string, WaitingDelivery>;
  /** Waiting deliveries that are not due yet. May contain stale entries, which `waiting` no longer has. */
  later: DueHeap<WaitingDelivery>;
  /** Number of deliveries that are being sent. */
  sending: number;
  /** Consecutive failures of the target. */
  failures: number;
  /** Monotonic time before which nothing is sent, because the target failed or asked for a pause. */
  pausedUntil: number;
  /** Sequence number of the last start. The queue that was served longest ago is next. */
  servedAt: number;
}

export function newTargetQueue(): TargetQueue {
  return {
    waiting: new Map(),
    due: new Map(),
    later: new DueHeap(),
    sending: 0,
    failures: 0,
    pausedUntil: Number.NEGATIVE_INFINITY,
    servedAt: 0,
  };
}

/** True if queue `a` is served before queue `b`. */
export function isServedBefore(a: TargetQueue, b: TargetQueue): boolean {
  return a.sending === b.sending ? a.servedAt < b.servedAt : a.sending < b.sending;
}

/** Moves deliveries that became due to `due`. True if there is one. */
export function hasDue({ waiting, due, later }: TargetQueue, now: number): boolean {
  for (let first = later.first; first && first.dueAt <= now; first = later.first) {
    later.pop();
    const { id } = first.delivery;
    // A stale entry: the delivery changed since and has a new one.
    if (waiting.get(id) === first) due.set(id, first);
  }
  return due.size > 0;
}
