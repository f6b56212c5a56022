/** Who is sent next: a lane of waiting deliveries for each target, a few sent at a time. */
import type { Clock, DeliveryDocument, TargetDocument } from '../contracts.ts';

/** Sent to one target at a time. */
const MOST_EACH = 2;
const LONGEST_WAIT_MS = 600_000;

export interface LaneSettings {
  /** Sent to all targets at a time. */
  parallel: number;
  /** Wait after the first try; it doubles with each. */
  retrySeconds: number;
}

export interface LaneDoors {
  clock: Clock;
  findTarget(id: string): TargetDocument | null;
  /** Sends one; rejects when it was not delivered. */
  carry(delivery: DeliveryDocument, target: TargetDocument, signal: AbortSignal): Promise<void>;
  /** Called after each try. The delivery is no longer being sent. */
  tried(delivery: DeliveryDocument, target: TargetDocument, error: Error | null): void;
}

interface Waiting {
  delivery: DeliveryDocument;
  /** Monotonic time of the next try. Its date is for those who look at the list. */
  dueAt: number;
}

/** What waits for one target. */
interface Lane {
  /** In the order in which it is tried. */
  waiting: Map<string, Waiting>;
  sending: number;
  failures: number;
  /** The target did not answer: nothing is tried before this monotonic time. */
  pausedUntil: number;
}

export class Lanes {
  readonly #doors: LaneDoors;
  readonly #settings: LaneSettings;
  readonly #lanes = new Map<string, Lane>();
  readonly #sending = new Map<string, AbortController>();
  readonly #sends = new Set<Promise<void>>();
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
    for (const abort of this.#sending.values()) abort.abort(new Error('the server is stopping'));
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

  /** Deliveries that wait for a target. */
  waitingFor(targetId: string): DeliveryDocument[] {
    return [...(this.#lanes.get(targetId)?.waiting.values() ?? [])].map(({ delivery }) => delivery);
  }

  countFor(targetId: string): number {
    return this.#lanes.get(targetId)?.waiting.size ?? 0;
  }

  /** Puts a delivery behind what waits for its target, or takes it out when it does not wait any more. */
  changed(delivery: DeliveryDocument, there: boolean): void {
    const { id, targetId, state } = delivery;
    const { waiting } = this.#lane(targetId);
    waiting.delete(id);
    if (there && state === 'queued') waiting.set(id, { delivery, dueAt: this.#dueAt(delivery) });
  }

  /** Breaks off what is being sent of a delivery. */
  abort(id: string, why: string): void {
    this.#sending.get(id)?.abort(new Error(why));
  }

  forget(targetId: string): void {
    this.#lanes.delete(targetId);
  }

  /** A target that answered, or is to be tried in any case. */
  resume(targetId: string): void {
    const lane = this.#lane(targetId);
    lane.failures = 0;
    lane.pausedUntil = Number.NEGATIVE_INFINITY;
  }

  /** A target that did not answer: nothing is tried for a while. */
  pause(targetId: string): void {
    const lane = this.#lane(targetId);
    lane.failures += 1;
    lane.pausedUntil = this.#doors.clock.monotonic() + this.wait(lane.failures);
  }

  /** Looks soon, not in the step in which a file became complete. */
  plan(): void {
    if (this.#planned) return;
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
    let next = Number.POSITIVE_INFINITY;
    for (const [targetId, lane] of this.#lanes) {
      const target = this.#doors.findTarget(targetId);
      if (!target) continue;
      while (lane.waiting.size > 0 && lane.sending < MOST_EACH && this.#sending.size < this.#settings.parallel) {
        const due = lane.pausedUntil <= now ? firstDue(lane, now) : null;
        if (!due) break;
        const send = this.#send(due, target, lane).finally(() => this.#sends.delete(send));
        this.#sends.add(send);
      }
      if (lane.sending < MOST_EACH) next = Math.min(next, nextDue(lane, now));
    }
    if (next === Number.POSITIVE_INFINITY) return;
    // What is due and finds no room is looked at again when something ends.
    const wait = next <= now ? LONGEST_WAIT_MS : Math.min(next - now, LONGEST_WAIT_MS);
    this.#timer = setTimeout(() => this.look(), wait).unref();
  }

  /** Milliseconds; doubles from try to try, a quarter more or less, so that many do not come back at one time. */
  wait(tries: number): number {
    const wait = Math.min(this.#settings.retrySeconds * 1000 * 2 ** Math.min(tries - 1, 30), this.#longestWait);
    return Math.round(wait * (0.75 + Math.random() / 2));
  }

  async #send(delivery: DeliveryDocument, target: TargetDocument, lane: Lane): Promise<void> {
    const abort = new AbortController();
    lane.waiting.delete(delivery.id);
    lane.sending += 1;
    this.#sending.set(delivery.id, abort);
    let error: Error | null = null;
    try {
      await this.#doors.carry(delivery, target, abort.signal);
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown));
    }
    lane.sending -= 1;
    this.#sending.delete(delivery.id);
    this.#doors.tried(delivery, target, error);
    this.look();
  }

  /** What an earlier version kept may be a date of a wrong clock: no wait becomes longer than waits are. */
  #dueAt({ nextAt }: DeliveryDocument): number {
    const { clock } = this.#doors;
    const wait = (nextAt ?? 0) - clock.steady();
    return clock.monotonic() + Math.min(Math.max(wait, 0), 1.25 * this.#longestWait);
  }

  get #longestWait(): number {
    return Math.max(LONGEST_WAIT_MS, this.#settings.retrySeconds * 1000);
  }

  #lane(targetId: string): Lane {
    const known = this.#lanes.get(targetId);
    if (known) return known;
    const lane: Lane = { waiting: new Map(), sending: 0, failures: 0, pausedUntil: Number.NEGATIVE_INFINITY };
    this.#lanes.set(targetId, lane);
    return lane;
  }
}

function firstDue({ waiting }: Lane, now: number): DeliveryDocument | null {
  for (const { delivery, dueAt } of waiting.values()) if (dueAt <= now) return delivery;
  return null;
}

function nextDue({ waiting, pausedUntil }: Lane, now: number): number {
  // However many wait, none of them is tried before.
  if (waiting.size > 0 && pausedUntil > now) return pausedUntil;
  let next = Number.POSITIVE_INFINITY;
  for (const { dueAt } of waiting.values()) next = Math.min(next, dueAt);
  return next;
}
