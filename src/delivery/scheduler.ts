/**
 * Who is sent next: a lane of waiting deliveries for each target, a few sent at a time, and no target at the cost of another.
 *
 * A slot belongs to what moves bytes. A send that has moved nothing for a second gives its slot to another target and keeps only its place
 * in its own lane, so receivers that do not answer hold nobody up.
 */
import type { Clock } from '../contracts/clock.ts';
import type { DeliveryDocument, TargetDocument } from '../records/delivery.ts';
import { asError, withConsequence } from './send/failures.ts';
import { hasReady, isBefore, type Lane, newLane, type Waiting } from './target-queue.ts';

/** Sent to one target at a time. */
const MAX_EACH = 2;
/** Without a byte for so long, a send holds no slot. */
const STALL_MS = 1_000;
/** Sends without a slot, to all targets. */
const MAX_STALLED = 64;
const MAX_WAIT_MS = 600_000;
/** A target may ask to be left alone for so long. */
export const MAX_RETRY_AFTER_MS = 3_600_000;

export interface LaneSettings {
  /** Sent to all targets at a time. */
  parallel: number;
  /** Wait after the first try; it doubles with each. */
  retrySeconds: number;
}

export interface LaneDoors {
  clock: Clock;
  /** Null for a target to which nothing is sent. */
  findTarget(id: string): TargetDocument | null;
  /** Sends one, and calls `moved` whenever some of it was taken; rejects when it was not delivered. */
  attempt(delivery: DeliveryDocument, target: TargetDocument, signal: AbortSignal, moved: () => void): Promise<void>;
  /** Called after each try. The delivery is no longer being sent. */
  attempted(delivery: DeliveryDocument, target: TargetDocument, error: Error | null): void;
}

interface Send {
  abort: AbortController;
  movedAt: number;
}

/** True when something is to be done about a delivery: it is to be sent, or its traces are to be removed. */
function waits({ state, litter = [] }: DeliveryDocument): boolean {
  return state === 'queued' || litter.length > 0;
}

export class Lanes {
  readonly #doors: LaneDoors;
  readonly #settings: LaneSettings;
  readonly #lanes = new Map<string, Lane>();
  readonly #sending = new Map<string, Send>();
  readonly #sends = new Set<Promise<void>>();
  #served = 0;
  #timer: NodeJS.Timeout | null = null;
  #planned = false;
  #running = false;

  constructor(doors: LaneDoors, settings: LaneSettings) {
    this.#doors = doors;
    this.#settings = settings;
  }

  start(): void {
    this.#running = true;
    this.look();
  }

  /** Breaks off what is being sent, and resolves when nothing is. */
  async stop(): Promise<void> {
    this.#running = false;
    if (this.#timer) clearTimeout(this.#timer);
    for (const { abort } of this.#sending.values()) abort.abort(new Error('the server is stopping'));
    await Promise.all(this.#sends);
  }

  get sending(): number {
    return this.#sending.size;
  }

  get waiting(): number {
    let count = 0;
    for (const { waiting } of this.#lanes.values()) count += waiting.size;
    return count;
  }

  isSending(id: string): boolean {
    return this.#sending.has(id);
  }

  /** True when something is being done about deliveries to a target, or is to be done. */
  concerns(targetId: string): boolean {
    const lane = this.#lanes.get(targetId);
    return lane !== undefined && (lane.waiting.size > 0 || lane.sending > 0);
  }

  /** Puts a delivery behind what waits for its target, or takes it out when nothing is to be done about it any more. */
  changed(delivery: DeliveryDocument, there: boolean): void {
    const { id, targetId } = delivery;
    const wanted = there && waits(delivery);
    if (!wanted && !this.#lanes.has(targetId)) return;
    const lane = this.#lane(targetId);
    lane.waiting.delete(id);
    lane.ready.delete(id);
    // It is looked at again when its send has ended.
    if (!wanted || this.#sending.has(id)) {
      this.#tidy(targetId, lane);
      return;
    }
    const entry = { delivery, dueAt: this.#dueAt(delivery) };
    lane.waiting.set(id, entry);
    if (entry.dueAt <= this.#doors.clock.monotonic()) lane.ready.set(id, entry);
    else lane.later.push(entry);
    this.plan();
  }

  /** Breaks off what is being sent of a delivery. */
  abort(id: string, why: string): void {
    this.#sending.get(id)?.abort.abort(new Error(why));
  }

  /** The target answered, or is to be tried in any case. */
  resume(targetId: string): void {
    const lane = this.#lanes.get(targetId);
    if (!lane) return;
    lane.failures = 0;
    lane.pausedUntil = Number.NEGATIVE_INFINITY;
    this.plan();
  }

  /**
   * Nothing is tried at a target that failed, for longer each time.
   * @param leastMs what it asked for itself
   */
  pause(targetId: string, leastMs = 0): void {
    const lane = this.#lane(targetId);
    const now = this.#doors.clock.monotonic();
    // Two sends that failed at one time are one failure of the target.
    if (lane.pausedUntil <= now) lane.failures += 1;
    lane.pausedUntil = Math.max(lane.pausedUntil, now + Math.max(this.wait(lane.failures), leastMs));
  }

  /** Milliseconds; doubles from try to try, a quarter more or less, so that many do not come back at one time. */
  wait(tries: number): number {
    const wait = Math.min(this.#settings.retrySeconds * 1000 * 2 ** Math.min(tries - 1, 30), this.#longestWait);
    return Math.round(wait * (0.75 + Math.random() / 2));
  }

  /** Looks soon, not in the step in which a file became complete. */
  plan(): void {
    if (this.#planned || !this.#running) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      this.look();
    });
  }

  /** Starts what may be started, and sees to it that the next look comes in time. */
  look(): void {
    if (!this.#running) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const now = this.#doors.clock.monotonic();
    for (let next = this.#next(now); next; next = this.#next(now)) this.#begin(...next, now);
    const wait = Math.min(this.#nextLook(now) - now, MAX_WAIT_MS);
    this.#timer = setTimeout(() => this.look(), Math.max(wait, 1)).unref();
  }

  /** The lane that is served next: those of whom nothing is being sent come first. */
  #next(now: number): [Lane, TargetDocument] | null {
    const free = this.#freeSlots(now);
    if (free <= 0) return null;
    let best: [Lane, TargetDocument] | null = null;
    for (const [targetId, lane] of this.#lanes) {
      if (lane.pausedUntil > now || lane.sending >= (lane.failures > 0 ? 1 : MAX_EACH)) continue;
      // The last slot is for a target of whom nothing is being sent.
      if (lane.sending > 0 && free === 1 && this.#settings.parallel > 2) continue;
      if (best && !isBefore(lane, best[0])) continue;
      if (!hasReady(lane, now)) continue;
      const target = this.#doors.findTarget(targetId);
      if (target) best = [lane, target];
    }
    return best;
  }

  #freeSlots(now: number): number {
    let busy = 0;
    for (const { movedAt } of this.#sending.values()) if (now - movedAt < STALL_MS) busy += 1;
    const stalled = this.#sending.size - busy;
    return stalled >= MAX_STALLED ? 0 : this.#settings.parallel - busy;
  }

  /** Monotonic time. */
  #nextLook(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes.values()) {
      if (lane.pausedUntil > now) next = Math.min(next, lane.pausedUntil);
      // What is due already waits for a slot.
      else if (lane.later.first && lane.later.first.dueAt > now) next = Math.min(next, lane.later.first.dueAt);
    }
    for (const { movedAt } of this.#sending.values()) {
      const stalls = movedAt + STALL_MS;
      if (stalls > now) next = Math.min(next, stalls);
    }
    return next;
  }

  #begin(lane: Lane, target: TargetDocument, now: number): void {
    const { delivery } = lane.ready.values().next().value as Waiting;
    const { id } = delivery;
    lane.ready.delete(id);
    lane.waiting.delete(id);
    lane.sending += 1;
    this.#served += 1;
    lane.servedAt = this.#served;
    const send: Send = { abort: new AbortController(), movedAt: now };
    this.#sending.set(id, send);
    const run: Promise<void> = this.#send(delivery, target, lane, send).finally(() => this.#sends.delete(run));
    this.#sends.add(run);
  }

  async #send(delivery: DeliveryDocument, target: TargetDocument, lane: Lane, send: Send): Promise<void> {
    const moved = (): void => {
      send.movedAt = this.#doors.clock.monotonic();
    };
    let error: Error | null = null;
    try {
      await this.#doors.attempt(delivery, target, send.abort.signal, moved);
    } catch (thrown) {
      error = asError(thrown);
    }
    const { signal } = send.abort;
    if (signal.aborted) error = withConsequence(asError(signal.reason), { unknown: true });
    lane.sending -= 1;
    this.#sending.delete(delivery.id);
    this.#doors.attempted(delivery, target, error);
    this.#tidy(delivery.targetId, lane);
    this.look();
  }

  /** What an earlier version kept may be a date of a wrong clock: no wait becomes longer than waits are. */
  #dueAt({ state, nextAt, cleanAt = 0 }: DeliveryDocument): number {
    const { clock } = this.#doors;
    const wait = (state === 'queued' ? (nextAt ?? 0) : cleanAt) - clock.steady();
    return clock.monotonic() + Math.min(Math.max(wait, 0), Math.max(1.25 * this.#longestWait, MAX_RETRY_AFTER_MS));
  }

  get #longestWait(): number {
    return Math.max(MAX_WAIT_MS, this.#settings.retrySeconds * 1000);
  }

  #lane(targetId: string): Lane {
    const known = this.#lanes.get(targetId);
    if (known) return known;
    const lane = newLane();
    this.#lanes.set(targetId, lane);
    return lane;
  }

  /** Forgets a lane that nothing is known of. */
  #tidy(targetId: string, lane: Lane): void {
    if (lane.waiting.size > 0 || lane.sending > 0 || lane.failures > 0) return;
    if (this.#lanes.get(targetId) === lane) this.#lanes.delete(targetId);
  }
}
