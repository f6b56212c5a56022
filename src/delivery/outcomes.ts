/** Handles the outcomes of attempts: a delivery succeeds, is retried, fails permanently or is cancelled, and its temporary files are removed. */
import type { Clock } from '../contracts/clock.ts';
import type { Events } from '../events/events.ts';
import { DEFAULT_TENANT } from '../identity/rights/policy.ts';
import type { DeliveryDocument, TargetDocument } from '../records/delivery.ts';
import { failedEventKey } from './failure-event.ts';
import type { DeliveryQueue } from './queue.ts';
import type { DeliveryScheduler } from './scheduler.ts';
import { type Consequence, consequenceOf, describeError, describeWithoutReply } from './send/failures.ts';
import { plainName, type Targets } from './targets.ts';

/** Tenant of a delivery whose tenant was deleted while temporary files remain on a server. */
export const NO_TENANT = '';

export interface OutcomeDeps {
  queue: DeliveryQueue;
  scheduler: DeliveryScheduler;
  targets: Targets;
  events: Events;
  clock: Clock;
  warn(message: string, details: object): void;
  /** Disables a target and returns it; null if it was deleted meanwhile. */
  disable(target: TargetDocument, reason: string, unrecorded: string): Promise<TargetDocument | null>;
  /** Records in the audit log that the server disabled a target. Resolves when the event with this id is on stable storage for webhooks. */
  recordDisabled(target: TargetDocument, reason: string, event: string): Promise<void>;
}

/** Decides what follows an attempt. */
export class Outcomes {
  readonly #deps: OutcomeDeps;
  /** Attempts before a delivery fails permanently. */
  readonly #maxAttempts: number;
  #isStopping = false;
  /** Totals since the server started. */
  readonly counts = { done: 0, failed: 0, failedAttempts: 0 };

  constructor(deps: OutcomeDeps, attempts: number) {
    this.#deps = deps;
    this.#maxAttempts = attempts;
  }

  /** From now on, a failed attempt leaves its delivery queued and uncounted, because the server aborted it. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Handles the outcome of an attempt. @param error null: the attempt succeeded */
  handle({ id, state: attemptedState }: DeliveryDocument, target: TargetDocument, error: Error | null): void {
    const consequence = error === null ? {} : consequenceOf(error);
    if (consequence.pauses) this.#deps.scheduler.pause(target.id, consequence.retryAfterMs);
    else if (!consequence.unknown) this.#deps.scheduler.resume(target.id);
    const current = this.#deps.queue.find(id);
    if (!current) return;
    // The state may have changed meanwhile: cancelled during a send, or restarted during a clean-up.
    if (current.state !== 'queued')
      this.#cleaned(current, target, attemptedState === 'queued' ? 0 : (current.cleanTries ?? 0) + 1);
    else if (attemptedState !== 'queued' || (error !== null && this.#isStopping)) this.#deps.queue.update(current);
    else if (error === null) this.#delivered(current);
    else this.#failed(current, target, error, consequence);
  }

  #delivered(delivery: DeliveryDocument): void {
    this.counts.done += 1;
    this.#end({ ...delivery, state: 'delivered', attempts: delivery.attempts + 1, lastError: null });
  }

  /** Stores the result of a clean-up, and schedules the next one if temporary files remain. */
  #cleaned(delivery: DeliveryDocument, target: TargetDocument, cleanTries: number): void {
    const { litter: left = [], cleanAt: _, cleanTries: __, ...rest } = delivery;
    const isLastAttempt = cleanTries >= this.#maxAttempts;
    if (isLastAttempt && left.length > 0) {
      this.#deps.warn('temporary names on an FTP server could not be removed', { target: target.name, names: left });
    }
    // An aborted session on the server may create the file after the abort, so the first clean-up waits.
    const cleanAt = this.#deps.clock.steady() + this.#deps.scheduler.backoffMs(cleanTries + 1);
    const ended = left.length === 0 || isLastAttempt ? rest : { ...rest, litter: left, cleanAt, cleanTries };
    const { queue, warn } = this.#deps;
    queue.update(ended);
    const isOrphan = ended.tenant === NO_TENANT && ended === rest;
    const stored = isOrphan ? queue.delete(ended.id) : queue.store(ended);
    const failed = (error: unknown): void => warn('a past delivery could not be removed', { id: ended.id, error });
    void stored.catch(failed).then(() => this.removeIfClean(target));
  }

  /** Removes the document of a deleted target once no temporary files remain on its server. */
  async removeIfClean({ id }: TargetDocument): Promise<void> {
    const { targets, warn } = this.#deps;
    const retired = targets.findRetired(id);
    if (!retired || this.#deps.scheduler.isActive(id)) return;
    await targets
      .remove(retired)
      .catch((error: unknown) => warn('a deleted target could not be removed', { id, error }));
  }

  /** Cancels every delivery that waits for a target or is being sent to it. */
  async cancelAll({ id: targetId }: TargetDocument, why: string): Promise<void> {
    for await (const delivery of this.#deps.queue.each()) {
      if (delivery.targetId === targetId && delivery.state === 'queued') this.cancel(delivery, why);
    }
  }

  /** True if the administrators of the target do not run the server. They must not see replies of servers on its network. */
  #isForeign(target: TargetDocument): boolean {
    return target.kind !== 'webhook' && target.tenant !== DEFAULT_TENANT;
  }

  #failed(delivery: DeliveryDocument, target: TargetDocument, error: Error, consequence: Consequence): void {
    this.counts.failedAttempts += 1;
    const attempts = delivery.attempts + 1;
    const lastError = this.#isForeign(target)
      ? describeWithoutReply(error)
      : describeError(error, this.#deps.targets.secretOf(target));
    const { ends, disables, retryAfterMs = 0 } = consequence;
    if (disables || ends || attempts >= this.#maxAttemptsFor(delivery))
      this.giveUp({ ...delivery, attempts, lastError }, target);
    else {
      const wait = Math.max(this.#deps.scheduler.backoffMs(attempts), retryAfterMs);
      const retried = { ...delivery, attempts, lastError, nextAt: this.#deps.clock.steady() + wait };
      this.#deps.queue.update(retried);
      void this.#deps.queue.store(retried);
    }
    if (disables) void this.#disable(target, lastError);
  }

  /** Fails a delivery permanently and emits `delivery.failed`. */
  giveUp(delivery: DeliveryDocument, target: TargetDocument): void {
    this.counts.failed += 1;
    const failed = { ...delivery, state: 'failed' as const };
    const { id, event, lastError } = failed;
    this.#deps.warn('a delivery failed permanently', { id, target: target.name, error: lastError });
    // The failure of such an event causes no further event.
    if (event !== 'delivery.failed')
      this.#deps.events.emitDeliveryFailed(failed, target.name, plainName(target), failedEventKey(failed));
    // The event is stored first, so that a crash cannot lose it.
    this.#end(failed, this.#deps.queue.flushed());
  }

  /** Disables a target that asked for it, and records that. */
  async #disable(target: TargetDocument, reason: string): Promise<void> {
    if (this.#deps.targets.find(target.id)?.disabled) return;
    try {
      const disabled = await this.#deps.disable(target, reason, this.#deps.queue.newId());
      if (disabled) await this.recordDisabled(disabled);
    } catch (error) {
      this.#deps.warn('a target could not be disabled', { id: target.id, error });
    }
  }

  /** Records in the audit log, once, that the server disabled a target. The next start repeats it after a crash. */
  async recordDisabled(target: TargetDocument): Promise<void> {
    const { reason, unrecorded } = target.disabled ?? {};
    if (reason === undefined || unrecorded === undefined) return;
    await this.#deps.recordDisabled(target, reason, unrecorded);
    await this.#deps.targets.setRecorded(target, unrecorded);
  }

  /** `chunk.received` gets one attempt, because the next one soon follows. */
  #maxAttemptsFor({ event }: DeliveryDocument): number {
    return event === 'chunk.received' ? 1 : this.#maxAttempts;
  }

  /** Cancels a delivery, because its file or target was deleted or the target was disabled. */
  cancel(delivery: DeliveryDocument, why: string): void {
    this.#deps.scheduler.abort(delivery.id, why);
    this.#end({ ...delivery, state: 'cancelled', lastError: why });
  }

  /** Ends a delivery, and schedules the clean-up of its temporary files. @param after must be stored before */
  #end(delivery: DeliveryDocument, after?: Promise<void>): void {
    const cleanAt = this.#deps.clock.steady() + this.#deps.scheduler.backoffMs(1);
    this.#deps.queue.end(delivery.litter?.length ? { ...delivery, cleanAt, cleanTries: 0 } : delivery, after);
  }
}
