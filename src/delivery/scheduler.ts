/**
 * Decides which delivery is sent next. Each target has a queue. A few deliveries are sent at the same time, and no target delays another.
 *
 * Only sends that make progress occupy a slot. A send that has moved no bytes for a second gives its slot to another target and counts only
 * toward the limit of its own target, so receivers that do not answer delay nobody else.
 */
import type { Clock } from '../contracts/clock.ts';
import type { DeliveryDocument, TargetDocument } from '../records/delivery.ts';
import { asError, withConsequence } from './send/failures.ts';
import { hasDue, isServedBefore, newTargetQueue, type TargetQueue, type WaitingDelivery } from './target-queue.ts';

/** Maximum number of concurrent sends to one target. */
const MAX_PER_TARGET = 2;
/** A send without progress for this time is stalled and occupies no slot. */
const STALL_MS = 1_000;
/** Maximum number of stalled sends to all targets. */
const MAX_STALLED = 64;
const MAX_BACKOFF_MS = 600_000;
/** Longest pause that a target may ask for. */
export const MAX_RETRY_AFTER_MS = 3_600_000;

export interface SchedulerSettings {
  /** Maximum number of concurrent sends to all targets. */
  parallel: number;
  /** Wait after the first attempt. Doubles with each further attempt. */
  retrySeconds: number;
}

export interface SchedulerDeps {
  clock: Clock;
  /** Null if nothing is sent to the target. */
  findTarget(id: string): TargetDocument | null;
  /** Makes one attempt, and calls `onProgress` whenever the target accepted bytes. Rejects if the attempt fails. */
  attempt(
    delivery: DeliveryDocument,
    target: TargetDocument,
    signal: AbortSignal,
    onProgress: () => void,
  ): Promise<void>;
  /** Called after each attempt, when the delivery is no longer being sent. */
  handleOutcome(delivery: DeliveryDocument, target: TargetDocument, error: Error | null): void;
}

interface Send {
  abort: AbortController;
  /** Monotonic time of the last progress. */
  progressAt: number;
}

/** True if a delivery must be sent, or its temporary files must be removed. */
function needsWork({ state, litter = [] }: DeliveryDocument): boolean {
  return state === 'queued' || litter.length > 0;
}

/** Starts attempts when they are due, and retries later. */
export class DeliveryScheduler {
  readonly #deps: SchedulerDeps;
  readonly #settings: SchedulerSettings;
  readonly #queues = new Map<string, TargetQueue>();
  readonly #sending = new Map<string, Send>();
  readonly #sends = new Set<Promise<void>>();
  #served = 0;
  #timer: NodeJS.Timeout | null = null;
  #isStartPlanned = false;
  #isRunning = false;

  constructor(deps: SchedulerDeps, settings: SchedulerSettings) {
    this.#deps = deps;
    this.#settings = settings;
  }

  start(): void {
    this.#isRunning = true;
    this.startDue();
  }

  /** Aborts the running sends. Resolves when all of them have ended. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    if (this.#timer) clearTimeout(this.#timer);
    for (const { abort } of this.#sending.values()) abort.abort(new Error('the server is stopping'));
    await Promise.all(this.#sends);
  }

  /** Number of deliveries that are being sent. */
  get sending(): number {
    return this.#sending.size;
  }

  /** Number of deliveries that wait for an attempt. */
  get waiting(): number {
    let count = 0;
    for (const { waiting } of this.#queues.values()) count += waiting.size;
    return count;
  }

  isSending(id: string): boolean {
    return this.#sending.has(id);
  }

  /** True if a delivery to the target is waiting or being sent. */
  isActive(targetId: string): boolean {
    const queue = this.#queues.get(targetId);
    return queue !== undefined && (queue.waiting.size > 0 || queue.sending > 0);
  }

  /**
   * Queues a new or changed delivery, or removes it from the queue if it needs no work.
   * @param exists false: the delivery was deleted
   */
  update(delivery: DeliveryDocument, exists: boolean): void {
    const { id, targetId } = delivery;
    const isWaiting = exists && needsWork(delivery);
    if (!isWaiting && !this.#queues.has(targetId)) return;
    const queue = this.#queueOf(targetId);
    queue.waiting.delete(id);
    queue.due.delete(id);
    // The outcome of a running send queues the delivery again.
    if (!isWaiting || this.#sending.has(id)) {
      this.#deleteIfIdle(targetId, queue);
      return;
    }
    const entry = { delivery, dueAt: this.#dueAt(delivery) };
    queue.waiting.set(id, entry);
    if (entry.dueAt <= this.#deps.clock.monotonic()) queue.due.set(id, entry);
    else queue.later.push(entry);
    this.startDueSoon();
  }

  /** Aborts a delivery if it is being sent. */
  abort(id: string, why: string): void {
    this.#sending.get(id)?.abort.abort(new Error(why));
  }

  /** Ends the pause of a target, because it answered or an administrator asked for an attempt. */
  resume(targetId: string): void {
    const queue = this.#queues.get(targetId);
    if (!queue) return;
    queue.failures = 0;
    queue.pausedUntil = Number.NEGATIVE_INFINITY;
    this.startDueSoon();
  }

  /**
   * Pauses a target that failed. The pause grows with each consecutive failure.
   * @param minMs shortest pause, if the target asked for one
   */
  pause(targetId: string, minMs = 0): void {
    const queue = this.#queueOf(targetId);
    const now = this.#deps.clock.monotonic();
    // Sends that fail at the same time count as one failure of the target.
    if (queue.pausedUntil <= now) queue.failures += 1;
    queue.pausedUntil = Math.max(queue.pausedUntil, now + Math.max(this.backoffMs(queue.failures), minMs));
  }

  /** Wait before the next attempt, in milliseconds. Doubles with each attempt, with a jitter of 25 % against simultaneous retries. */
  backoffMs(attempts: number): number {
    const wait = Math.min(this.#settings.retrySeconds * 1000 * 2 ** Math.min(attempts - 1, 30), this.#maxBackoffMs);
    return Math.round(wait * (0.75 + Math.random() / 2));
  }

  /** Starts due deliveries in a later turn of the event loop, so that the completion of a file is not delayed. */
  startDueSoon(): void {
    if (this.#isStartPlanned || !this.#isRunning) return;
    this.#isStartPlanned = true;
    setImmediate(() => {
      this.#isStartPlanned = false;
      this.startDue();
    });
  }

  /** Starts the deliveries that are due, as far as there are slots, and sets the timer for the next ones. */
  startDue(): void {
    if (!this.#isRunning) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const now = this.#deps.clock.monotonic();
    for (let next = this.#nextQueue(now); next; next = this.#nextQueue(now)) this.#startNext(...next, now);
    const wait = Math.min(this.#nextStartAt(now) - now, MAX_BACKOFF_MS);
    this.#timer = setTimeout(() => this.startDue(), Math.max(wait, 1)).unref();
  }

  /** The queue that is served next. Targets without a running send come first. Null if nothing can start. */
  #nextQueue(now: number): [TargetQueue, TargetDocument] | null {
    const free = this.#freeSlots(now);
    if (free <= 0) return null;
    let best: [TargetQueue, TargetDocument] | null = null;
    for (const [targetId, queue] of this.#queues) {
      if (queue.pausedUntil > now || queue.sending >= (queue.failures > 0 ? 1 : MAX_PER_TARGET)) continue;
      // The last slot is reserved for a target without a running send.
      if (queue.sending > 0 && free === 1 && this.#settings.parallel > 2) continue;
      if (best && !isServedBefore(queue, best[0])) continue;
      if (!hasDue(queue, now)) continue;
      const target = this.#deps.findTarget(targetId);
      if (target) best = [queue, target];
    }
    return best;
  }

  #freeSlots(now: number): number {
    let busy = 0;
    for (const { progressAt: movedAt } of this.#sending.values()) if (now - movedAt < STALL_MS) busy += 1;
    const stalled = this.#sending.size - busy;
    return stalled >= MAX_STALLED ? 0 : this.#settings.parallel - busy;
  }

  /** Monotonic time at which another delivery may be able to start. */
  #nextStartAt(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const queue of this.#queues.values()) {
      if (queue.pausedUntil > now) next = Math.min(next, queue.pausedUntil);
      // Deliveries that are due already wait for a slot, not for a time.
      else if (queue.later.first && queue.later.first.dueAt > now) next = Math.min(next, queue.later.first.dueAt);
    }
    for (const { progressAt: movedAt } of this.#sending.values()) {
      const stalls = movedAt + STALL_MS;
      if (stalls > now) next = Math.min(next, stalls);
    }
    return next;
  }

  #startNext(queue: TargetQueue, target: TargetDocument, now: number): void {
    const { delivery } = queue.due.values().next().value as WaitingDelivery;
    const { id } = delivery;
    queue.due.delete(id);
    queue.waiting.delete(id);
    queue.sending += 1;
    this.#served += 1;
    queue.servedAt = this.#served;
    const send: Send = { abort: new AbortController(), progressAt: now };
    this.#sending.set(id, send);
    const run: Promise<void> = this.#send(delivery, target, queue, send).finally(() => this.#sends.delete(run));
    this.#sends.add(run);
  }

  async #send(delivery: DeliveryDocument, target: TargetDocument, queue: TargetQueue, send: Send): Promise<void> {
    const onProgress = (): void => {
      send.progressAt = this.#deps.clock.monotonic();
    };
    let error: Error | null = null;
    try {
      await this.#deps.attempt(delivery, target, send.abort.signal, onProgress);
    } catch (thrown) {
      error = asError(thrown);
    }
    const { signal } = send.abort;
    if (signal.aborted) error = withConsequence(asError(signal.reason), { unknown: true });
    queue.sending -= 1;
    this.#sending.delete(delivery.id);
    this.#deps.handleOutcome(delivery, target, error);
    this.#deleteIfIdle(delivery.targetId, queue);
    this.startDue();
  }

  /** Monotonic time. The wait is bounded, because earlier versions stored dates of a clock that may have been wrong. */
  #dueAt({ state, nextAt, cleanAt = 0 }: DeliveryDocument): number {
    const { clock } = this.#deps;
    const wait = (state === 'queued' ? (nextAt ?? 0) : cleanAt) - clock.steady();
    return clock.monotonic() + Math.min(Math.max(wait, 0), Math.max(1.25 * this.#maxBackoffMs, MAX_RETRY_AFTER_MS));
  }

  get #maxBackoffMs(): number {
    return Math.max(MAX_BACKOFF_MS, this.#settings.retrySeconds * 1000);
  }

  #queueOf(targetId: string): TargetQueue {
    const known = this.#queues.get(targetId);
    if (known) return known;
    const queue = newTargetQueue();
    this.#queues.set(targetId, queue);
    return queue;
  }

  /** Deletes a queue that holds nothing and remembers no failure. */
  #deleteIfIdle(targetId: string, queue: TargetQueue): void {
    if (queue.waiting.size > 0 || queue.sending > 0 || queue.failures > 0) return;
    if (this.#queues.get(targetId) === queue) this.#queues.delete(targetId);
  }
}
