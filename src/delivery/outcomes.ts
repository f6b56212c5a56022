/** What becomes of a delivery after a try: delivered, tried again, given up or cancelled, and cleaned up after. */
import type { Clock } from '../contracts/clock.ts';
import type { Events } from '../events/events.ts';
import { DEFAULT_TENANT } from '../identity/rights/policy.ts';
import type { DeliveryDocument, TargetDocument } from '../records/delivery.ts';
import { failedEventKey } from './failure-event.ts';
import type { DeliveryQueue } from './queue.ts';
import type { Lanes } from './scheduler.ts';
import { type Consequence, codeOf, consequenceOf, describe } from './send/failures.ts';
import { plainName, type Targets } from './targets.ts';

/** Whose a delivery is after its tenant was deleted, while something of it is to be removed from a server. */
export const NO_TENANT = '';

export interface OutcomeDoors {
  queue: DeliveryQueue;
  lanes: Lanes;
  targets: Targets;
  events: Events;
  clock: Clock;
  warn(message: string, details: object): void;
  /** Disables a target; null when it was deleted meanwhile. */
  disable(target: TargetDocument, reason: string, unrecorded: string): Promise<TargetDocument | null>;
  /** Records that a target was disabled without an administrator. Resolves when webhooks are sure to receive the event of that id. */
  recordDisabled(target: TargetDocument, reason: string, event: string): Promise<void>;
}

export class Outcomes {
  readonly #doors: OutcomeDoors;
  /** Tries before a delivery is given up. */
  readonly #attempts: number;
  #stopping = false;
  /** Since the start. */
  readonly counts = { done: 0, failed: 0, failedTries: 0 };

  constructor(doors: OutcomeDoors, attempts: number) {
    this.#doors = doors;
    this.#attempts = attempts;
  }

  /** From now on, what is broken off stays queued. */
  stop(): void {
    this.#stopping = true;
  }

  /** Takes what a try ended with. */
  attempted({ id, state: triedIn }: DeliveryDocument, target: TargetDocument, error: Error | null): void {
    const consequence = error === null ? {} : consequenceOf(error);
    if (consequence.pauses) this.#doors.lanes.pause(target.id, consequence.retryAfterMs);
    else if (!consequence.unknown) this.#doors.lanes.resume(target.id);
    const now = this.#doors.queue.find(id);
    if (!now) return;
    // Cancelled, or tried again by an administrator while it was cleaned up.
    if (now.state !== 'queued') this.#cleaned(now, target, triedIn === 'queued' ? 0 : (now.cleanTries ?? 0) + 1);
    else if (triedIn !== 'queued' || (error !== null && this.#stopping)) this.#doors.queue.remember(now);
    else if (error === null) this.#delivered(now);
    else this.#failed(now, target, error, consequence);
  }

  #delivered(delivery: DeliveryDocument): void {
    this.counts.done += 1;
    this.#end({ ...delivery, state: 'delivered', attempts: delivery.attempts + 1, lastError: null });
  }

  /** What is over may have something to be removed from a server. */
  #cleaned(delivery: DeliveryDocument, target: TargetDocument, cleanTries: number): void {
    const { litter: left = [], cleanAt: _, cleanTries: __, ...rest } = delivery;
    const givesUp = cleanTries >= this.#attempts;
    if (givesUp && left.length > 0) {
      this.#doors.warn('temporary names on an FTP server could not be removed', { target: target.name, names: left });
    }
    // A session there that was broken off may only now make what is to be removed, so the first look is not at once.
    const cleanAt = this.#doors.clock.steady() + this.#doors.lanes.wait(cleanTries + 1);
    const ended = left.length === 0 || givesUp ? rest : { ...rest, litter: left, cleanAt, cleanTries };
    const { queue, warn } = this.#doors;
    queue.remember(ended);
    const isOver = ended.tenant === NO_TENANT && ended === rest;
    const stored = isOver ? queue.remove(ended.id) : queue.store(ended);
    const failed = (error: unknown): void => warn('a past delivery could not be removed', { id: ended.id, error });
    void stored.catch(failed).then(() => this.removeIfClean(target));
  }

  /** Ends the life of a deleted target once nothing is left to be removed from its server. */
  async removeIfClean({ id }: TargetDocument): Promise<void> {
    const { targets, warn } = this.#doors;
    const retired = targets.findRetired(id);
    if (!retired || this.#doors.lanes.concerns(id)) return;
    await targets
      .remove(retired)
      .catch((error: unknown) => warn('a deleted target could not be removed', { id, error }));
  }

  /** Cancels whatever waits for a target or is being sent to it. */
  async cancelAll({ id: targetId }: TargetDocument, why: string): Promise<void> {
    for await (const delivery of this.#doors.queue.each()) {
      if (delivery.targetId === targetId && delivery.state === 'queued') this.cancel(delivery, why);
    }
  }

  /** Its administrators are not those of the server: what other servers say to this one is not for them. */
  #isForeign(target: TargetDocument): boolean {
    return target.kind !== 'webhook' && target.tenant !== DEFAULT_TENANT;
  }

  #failed(delivery: DeliveryDocument, target: TargetDocument, error: Error, consequence: Consequence): void {
    this.counts.failedTries += 1;
    const attempts = delivery.attempts + 1;
    const lastError = this.#isForeign(target) ? codeOf(error) : describe(error, this.#doors.targets.secretOf(target));
    const { ends, disables, retryAfterMs = 0 } = consequence;
    if (disables || ends || attempts >= this.#mostAttempts(delivery))
      this.giveUp({ ...delivery, attempts, lastError }, target);
    else {
      const wait = Math.max(this.#doors.lanes.wait(attempts), retryAfterMs);
      const again = { ...delivery, attempts, lastError, nextAt: this.#doors.clock.steady() + wait };
      this.#doors.queue.remember(again);
      void this.#doors.queue.store(again);
    }
    if (disables) void this.#disableAlone(target, lastError);
  }

  /** Ends a delivery for good, and tells of it. */
  giveUp(delivery: DeliveryDocument, target: TargetDocument): void {
    this.counts.failed += 1;
    const failed = { ...delivery, state: 'failed' as const };
    const { id, event, lastError } = failed;
    this.#doors.warn('a delivery was given up', { id, target: target.name, error: lastError });
    // No event about events that say so themselves.
    if (event !== 'delivery.failed')
      this.#doors.events.emitDeliveryFailed(failed, target.name, plainName(target), failedEventKey(failed));
    // Its event is stored before: else a crash in between would lose it.
    this.#end(failed, this.#doors.queue.flushed());
  }

  async #disableAlone(target: TargetDocument, reason: string): Promise<void> {
    if (this.#doors.targets.find(target.id)?.disabled) return;
    try {
      const disabled = await this.#doors.disable(target, reason, this.#doors.queue.newId());
      if (disabled) await this.recordDisabled(disabled);
    } catch (error) {
      this.#doors.warn('a target could not be disabled', { id: target.id, error });
    }
  }

  /** Records that the server disabled a target by itself, once: after a crash in between the next start does it. */
  async recordDisabled(target: TargetDocument): Promise<void> {
    const { reason, unrecorded } = target.disabled ?? {};
    if (reason === undefined || unrecorded === undefined) return;
    await this.#doors.recordDisabled(target, reason, unrecorded);
    await this.#doors.targets.setRecorded(target, unrecorded);
  }

  /** How far an upload has come is soon told anew. */
  #mostAttempts({ event }: DeliveryDocument): number {
    return event === 'chunk.received' ? 1 : this.#attempts;
  }

  /** Ends a delivery whose file or target is not there any more. */
  cancel(delivery: DeliveryDocument, why: string): void {
    this.#doors.lanes.abort(delivery.id, why);
    this.#end({ ...delivery, state: 'cancelled', lastError: why });
  }

  /** Temporary names of what is over may be left on a server. */
  #end(delivery: DeliveryDocument, after?: Promise<void>): void {
    const cleanAt = this.#doors.clock.steady() + this.#doors.lanes.wait(1);
    this.#doors.queue.end(delivery.litter?.length ? { ...delivery, cleanAt, cleanTries: 0 } : delivery, after);
  }
}
