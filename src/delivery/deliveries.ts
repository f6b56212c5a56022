/**
 * Deliveries to targets. A file is on stable storage before its delivery begins, and no upload waits for a delivery.
 *
 *     complete file / event ─ intake ─► document (queue, durable) ─ scheduler ─► attempts (sender) ─► delivered or failed
 */

import type { Collection } from '../contracts/collection.ts';
import type { AnnouncedChange, Announcement } from '../contracts/file-events.ts';
import { LadingError } from '../errors.ts';
import type { Events } from '../events/events.ts';
import type { AuditEntry } from '../records/audit.ts';
import type { DeliveryDocument, TargetDocument } from '../records/delivery.ts';
import { interruptedFailure } from './failure-event.ts';
import { Intake } from './intake.ts';
import { type AnnouncedFileEvent, Outbox } from './outbox.ts';
import { NO_TENANT, Outcomes } from './outcomes.ts';
import { type DeliveryPage, DeliveryQueue } from './queue.ts';
import { DeliveryScheduler, type SchedulerSettings } from './scheduler.ts';
import { DeliverySender, type SenderDeps } from './sender.ts';
import { takesFiles } from './targets.ts';

/** How long an ended delivery is kept after its file was deleted. */
const RETENTION_MS = 30 * 24 * 3600 * 1000;
const TARGET_DELETED = 'The target was deleted.';
const TARGET_DISABLED = 'The target was disabled.';

export interface DeliveryDeps extends Omit<SenderDeps, 'change'> {
  documents: Collection<DeliveryDocument>;
  events: Events;
  warn(message: string, details: object): void;
  /** Records in the audit log that the server disabled a target. Resolves when the event with this id is on stable storage for webhooks. */
  recordDisabled(target: TargetDocument, reason: string, event: string): Promise<void>;
}

export interface DeliverySettings extends SchedulerSettings {
  /** Attempts before a delivery fails permanently. */
  attempts: number;
}

/** The state as clients see it. */
export type ShownState = DeliveryDocument['state'] | 'sending';

/** Queues, sends and lists deliveries. */
export class Deliveries {
  readonly #deps: DeliveryDeps;
  readonly #queue: DeliveryQueue;
  readonly #scheduler: DeliveryScheduler;
  readonly #outbox: Outbox;
  readonly #outcomes: Outcomes;

  private constructor(deps: DeliveryDeps, settings: DeliverySettings) {
    this.#deps = deps;
    const sender = new DeliverySender({
      ...deps,
      change: (delivery, change, durable) => this.#change(delivery, change, durable),
    });
    this.#scheduler = new DeliveryScheduler(
      {
        clock: deps.clock,
        findTarget: (id) => deps.targets.find(id) ?? deps.targets.findRetired(id),
        attempt: (delivery, target, signal, onProgress) => sender.attempt(delivery, target, signal, onProgress),
        handleOutcome: (delivery, target, error) => this.#outcomes.handle(delivery, target, error),
      },
      settings,
    );
    this.#queue = new DeliveryQueue(deps, (delivery, exists) => this.#scheduler.update(delivery, exists));
    this.#outbox = new Outbox({ ...deps, queue: this.#queue });
    const disable = (target: TargetDocument, reason: string, event: string) =>
      this.disableTarget(target, reason, event);
    this.#outcomes = new Outcomes(
      { ...deps, queue: this.#queue, scheduler: this.#scheduler, disable },
      settings.attempts,
    );
  }

  /** Reads the stored deliveries, and queues complete files that a crash left without one. Nothing is sent before `start`. */
  static async open(deps: DeliveryDeps, settings: DeliverySettings): Promise<Deliveries> {
    const deliveries = new Deliveries(deps, settings);
    await deliveries.#load();
    return deliveries;
  }

  async #load(): Promise<void> {
    const { documents, targets, catalog } = this.#deps;
    for (const document of await documents.list()) {
      if (document.announced) this.#outbox.load(document);
      else this.#queue.load(document);
    }
    const cancelForFile = (delivery: DeliveryDocument): void =>
      this.#outcomes.cancel(delivery, 'The file was deleted or replaced before it could be sent.');
    const intake = new Intake({
      ...this.#deps,
      queue: this.#queue,
      outbox: this.#outbox,
      onFileRemoved: cancelForFile,
    });
    await this.#outbox.recover();
    intake.follow(catalog);
    // A crash may have prevented these cancellations.
    for await (const delivery of this.#queue.each()) {
      if (delivery.state === 'queued' && !targets.find(delivery.targetId))
        this.#outcomes.cancel(delivery, TARGET_DELETED);
    }
    for await (const event of this.#queue.each()) {
      const delivery = interruptedFailure(event, (id) => this.#queue.find(id));
      const target = delivery && targets.find(delivery.targetId);
      if (target) this.#outcomes.giveUp({ ...delivery, attempts: delivery.attempts + 1 }, target);
    }
    for await (const delivery of this.#queue.each()) {
      if (delivery.state === 'queued' && targets.find(delivery.targetId)?.disabled)
        this.#outcomes.cancel(delivery, TARGET_DISABLED);
    }
    for (const target of targets.retired()) await this.#outcomes.removeIfClean(target);
  }

  start(): void {
    this.#scheduler.start();
    for (const target of this.#deps.targets.unrecorded()) {
      const failed = (error: unknown): void =>
        this.#deps.warn('a disabled target could not be recorded', { id: target.id, error });
      this.#outcomes.recordDisabled(target).catch(failed);
    }
  }

  /** Aborts the running sends, which stay queued. Resolves when every change is stored. */
  async stop(): Promise<void> {
    this.#outcomes.stop();
    await this.#scheduler.stop();
    await this.#queue.flushed();
    this.#deps.webhooks.close();
  }

  /** All deliveries of a file. */
  ofFile(id: string): DeliveryDocument[] {
    return this.#queue.ofFile(id);
  }

  find(id: string): DeliveryDocument | null {
    return this.#queue.find(id);
  }

  stateOf({ id, state }: DeliveryDocument): ShownState {
    return state === 'queued' && this.#scheduler.isSending(id) ? 'sending' : state;
  }

  /** Stores the events of changes that the engine is about to make, so that a crash cannot lose them. Null if no webhook wants them. */
  announce(changes: readonly AnnouncedFileEvent[]): Announcement | null {
    return this.#outbox.announce(changes);
  }

  /** Stores the event of a change that an administrator is about to make. Null if no webhook wants it. */
  announceChange(entry: AuditEntry): AnnouncedChange | null {
    const key = this.#queue.newId();
    const event = this.#deps.events.previewChange(entry, key);
    const announcement = event && this.#outbox.announceChange(event);
    return announcement && { ...announcement, key };
  }

  /** Resolves when every event that was emitted until now is stored. */
  stored(): Promise<void> {
    return this.#queue.flushed();
  }

  /** A page of deliveries, newest first. In `filter`, null selects all. */
  page(
    filter: { tenant: string | null; state: ShownState | null; targetId: string | null },
    cursor: string | null,
    limit: number,
  ): DeliveryPage {
    const { tenant, state, targetId } = filter;
    const fits = (delivery: DeliveryDocument): boolean =>
      (tenant === null || delivery.tenant === tenant) &&
      (targetId === null || delivery.targetId === targetId) &&
      (state === null || this.stateOf(delivery) === state);
    return this.#queue.page(fits, cursor, limit);
  }

  /** Restarts a delivery with an attempt at once. @throws LadingError `invalid_request` if it cannot be sent any more */
  async retry(delivery: DeliveryDocument): Promise<DeliveryDocument> {
    const target = this.#deps.targets.find(delivery.targetId);
    if (!target) throw new LadingError('invalid_request', 'The target of this delivery was deleted.');
    const { state, fileId } = delivery;
    if (target.disabled)
      throw new LadingError('invalid_request', 'The target of this delivery is disabled. Enable it first.');
    if (state === 'delivered') throw new LadingError('invalid_request', 'This delivery has succeeded already.');
    if (takesFiles(target) && !(fileId !== null && (await this.#deps.catalog.has(fileId)))) {
      throw new LadingError('invalid_request', 'The file to deliver no longer exists.');
    }
    if (this.stateOf(delivery) === 'sending') return delivery;
    const restarted: DeliveryDocument = {
      ...delivery,
      state: 'queued',
      attempts: 0,
      retries: (delivery.retries ?? 0) + 1,
      nextAt: this.#deps.clock.steady(),
      endedAt: null,
    };
    this.#queue.update(restarted);
    this.#scheduler.resume(target.id);
    await this.#queue.store(restarted);
    this.#scheduler.startDue();
    return restarted;
  }

  /** Deletes a target and cancels its deliveries. Temporary files on its server are removed afterwards. */
  async removeTarget(target: TargetDocument): Promise<void> {
    const { targets } = this.#deps;
    if (target.kind === 'webhook') await targets.remove(target);
    else await targets.retire(target);
    await this.#outcomes.cancelAll(target, TARGET_DELETED);
    await this.#outcomes.removeIfClean(target);
  }

  /**
   * Disables a target and cancels its deliveries.
   * @param unrecorded id of the event that records the change, if no administrator made it
   * @returns the changed target; null if it was deleted meanwhile
   */
  async disableTarget(target: TargetDocument, reason: string, unrecorded?: string): Promise<TargetDocument | null> {
    const disabled = await this.#deps.targets.disable(target, reason, unrecorded);
    await this.#outcomes.cancelAll(target, TARGET_DISABLED);
    return disabled;
  }

  /** Enables a target. It receives files that become complete from now on. Null if it was deleted meanwhile. */
  async enableTarget(target: TargetDocument): Promise<TargetDocument | null> {
    const enabled = await this.#deps.targets.enable(target);
    this.#scheduler.resume(target.id);
    return enabled;
  }

  /** Deletes the targets and deliveries of a deleted tenant, so that a new tenant of the same id does not inherit them. */
  async deleteTenant(tenant: string): Promise<void> {
    for (const target of [...this.#deps.targets.list(tenant)]) await this.removeTarget(target);
    for await (const delivery of this.#queue.each()) {
      if (delivery.tenant !== tenant) continue;
      if (!delivery.litter?.length) await this.#queue.delete(delivery.id);
      else {
        // Kept without a tenant until its temporary files are removed from the server.
        const orphan = { ...delivery, tenant: NO_TENANT };
        this.#queue.update(orphan);
        await this.#queue.store(orphan);
      }
    }
  }

  /** Deletes deliveries that ended long ago and whose file was deleted. */
  async sweep(): Promise<void> {
    for await (const { id, endedAt, fileId } of this.#queue.each()) {
      if (endedAt === null || this.#deps.clock.since(endedAt) < RETENTION_MS) continue;
      if (fileId !== null && (await this.#deps.catalog.has(fileId))) continue;
      await this.#queue.delete(id);
    }
  }

  /** Metrics by name. */
  gauges() {
    return {
      deliveries_queued: this.#scheduler.waiting,
      deliveries_sending: this.#scheduler.sending,
      deliveries_done_total: this.#outcomes.counts.done,
      deliveries_failed_total: this.#outcomes.counts.failed,
      delivery_tries_failed_total: this.#outcomes.counts.failedAttempts,
    };
  }

  /** @throws Error if the delivery changed its state meanwhile */
  async #change(
    { id, state }: DeliveryDocument,
    change: (current: DeliveryDocument) => DeliveryDocument,
    durable = true,
  ): Promise<void> {
    const current = this.#queue.find(id);
    if (current?.state !== state) throw new Error('the delivery was cancelled');
    const changed = change(current);
    this.#queue.replace(changed);
    if (durable) await this.#queue.store(changed);
  }
}
