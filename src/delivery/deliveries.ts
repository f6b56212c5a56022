/**
 * What is on its way to targets. A file is safe here before anything of this begins, and nothing that an upload waits for is done here.
 *
 *     file complete / event ─ intake ─► document (queue, durable) ─ lanes ─► try (carriers), try again, … ─► delivered or failed
 */

import type { BlobStore, Inspector } from '../contracts/blobs.ts';
import type { Catalog } from '../contracts/catalog.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Collection } from '../contracts/collection.ts';
import type { AnnouncedChange, Announcement } from '../contracts/file-events.ts';
import { LadingError } from '../errors.ts';
import type { Events } from '../events/events.ts';
import type { AuditEntry } from '../records/audit.ts';
import type { DeliveryDocument, TargetDocument } from '../records/delivery.ts';
import type { FileDocument } from '../records/file.ts';
import { unfinishedFailure } from './failure-event.ts';
import { Intake } from './intake.ts';
import { type AnnouncedFileEvent, Outbox } from './outbox.ts';
import { NO_TENANT, Outcomes } from './outcomes.ts';
import { type DeliveryPage, DeliveryQueue } from './queue.ts';
import { type LaneSettings, Lanes } from './scheduler.ts';
import { Carriers } from './sender.ts';
import { type Targets, takesFiles } from './targets.ts';
import type { WebhookSender } from './webhook.ts';

/** How long what is over is remembered after its file is gone. */
const REMEMBERED_MS = 30 * 24 * 3600 * 1000;
const TARGET_DELETED = 'The target was deleted.';
const TARGET_DISABLED = 'The target was disabled.';

export interface DeliveryDoors {
  targets: Targets;
  documents: Collection<DeliveryDocument>;
  catalog: Catalog;
  blobs: BlobStore;
  inspector: Inspector;
  /** @throws LadingError `file_damaged` when bytes of a complete file are missing */
  assertWhole(file: FileDocument): Promise<void>;
  webhooks: WebhookSender;
  /** Targets of every tenant may be in the server's own network. */
  allowPrivate: boolean;
  events: Events;
  clock: Clock;
  warn(message: string, details: object): void;
  /** Records that a target was disabled without an administrator. Resolves when webhooks are sure to receive the event of that id. */
  recordDisabled(target: TargetDocument, reason: string, event: string): Promise<void>;
}

export interface DeliverySettings extends LaneSettings {
  /** Tries before one is given up. */
  attempts: number;
}

export type ShownState = DeliveryDocument['state'] | 'sending';

export class Deliveries {
  readonly #doors: DeliveryDoors;
  readonly #queue: DeliveryQueue;
  readonly #lanes: Lanes;
  readonly #outbox: Outbox;
  readonly #outcomes: Outcomes;

  private constructor(doors: DeliveryDoors, settings: DeliverySettings) {
    this.#doors = doors;
    const carriers = new Carriers({ ...doors, change: (of, change, durable) => this.#change(of, change, durable) });
    this.#lanes = new Lanes(
      {
        clock: doors.clock,
        findTarget: (id) => doors.targets.find(id) ?? doors.targets.findRetired(id),
        attempt: (delivery, target, signal, moved) => carriers.attempt(delivery, target, signal, moved),
        attempted: (delivery, target, error) => this.#outcomes.attempted(delivery, target, error),
      },
      settings,
    );
    this.#queue = new DeliveryQueue(doors, (delivery, there) => this.#lanes.changed(delivery, there));
    this.#outbox = new Outbox({ ...doors, queue: this.#queue });
    const disable = (target: TargetDocument, reason: string, event: string) =>
      this.disableTarget(target, reason, event);
    this.#outcomes = new Outcomes({ ...doors, queue: this.#queue, lanes: this.#lanes, disable }, settings.attempts);
  }

  /** Takes up what was on its way, and finished files of which a crash left no word here. Nothing is sent before `start`. */
  static async open(doors: DeliveryDoors, settings: DeliverySettings): Promise<Deliveries> {
    const deliveries = new Deliveries(doors, settings);
    await deliveries.#load();
    return deliveries;
  }

  async #load(): Promise<void> {
    const { documents, targets, catalog } = this.#doors;
    for (const document of await documents.list()) {
      if (document.announced) this.#outbox.load(document);
      else this.#queue.load(document);
    }
    const lostFile = (delivery: DeliveryDocument): void =>
      this.#outcomes.cancel(delivery, 'The file was deleted or replaced before it could be sent.');
    const intake = new Intake({ ...this.#doors, queue: this.#queue, outbox: this.#outbox, fileRemoved: lostFile });
    await this.#outbox.recover();
    intake.follow(catalog);
    // What a crash kept from being cancelled.
    for await (const delivery of this.#queue.each()) {
      if (delivery.state === 'queued' && !targets.find(delivery.targetId))
        this.#outcomes.cancel(delivery, TARGET_DELETED);
    }
    for await (const event of this.#queue.each()) {
      const delivery = unfinishedFailure(event, (id) => this.#queue.find(id));
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
    this.#lanes.start();
    for (const target of this.#doors.targets.unrecorded()) {
      const failed = (error: unknown): void =>
        this.#doors.warn('a disabled target could not be recorded', { id: target.id, error });
      this.#outcomes.recordDisabled(target).catch(failed);
    }
  }

  /** Breaks off what is being sent, which stays queued, and resolves when everything is stored. */
  async stop(): Promise<void> {
    this.#outcomes.stop();
    await this.#lanes.stop();
    await this.#queue.flushed();
    this.#doors.webhooks.close();
  }

  /** What was and is sent of a file. */
  ofFile(id: string): DeliveryDocument[] {
    return this.#queue.ofFile(id);
  }

  find(id: string): DeliveryDocument | null {
    return this.#queue.find(id);
  }

  stateOf({ id, state }: DeliveryDocument): ShownState {
    return state === 'queued' && this.#lanes.isSending(id) ? 'sending' : state;
  }

  /** Called before files change: webhooks hear of it even if the server is killed right after. Null when none is to hear of it. */
  announce(happenings: readonly AnnouncedFileEvent[]): Announcement | null {
    return this.#outbox.announce(happenings);
  }

  /** Called before administrators change something. Null when no webhook is to hear of it. */
  announceChange(entry: AuditEntry): AnnouncedChange | null {
    const key = this.#queue.newId();
    const event = this.#doors.events.previewChange(entry, key);
    const announcement = event && this.#outbox.announceChange(event);
    return announcement && { ...announcement, key };
  }

  /** Resolves when every event that happened until now is stored. */
  stored(): Promise<void> {
    return this.#queue.flushed();
  }

  /** The youngest first. @param tenant null: of all */
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

  /** Tries again from the beginning, at once. @throws LadingError `invalid_request` for what is over for good or under way */
  async retry(delivery: DeliveryDocument): Promise<DeliveryDocument> {
    const target = this.#doors.targets.find(delivery.targetId);
    if (!target) throw new LadingError('invalid_request', 'Its target was deleted.');
    const { state, fileId } = delivery;
    if (target.disabled) throw new LadingError('invalid_request', 'Its target is disabled. Enable it first.');
    if (state === 'delivered') throw new LadingError('invalid_request', 'It was delivered already.');
    if (takesFiles(target) && !(fileId !== null && (await this.#doors.catalog.has(fileId)))) {
      throw new LadingError('invalid_request', 'The file to deliver no longer exists.');
    }
    if (this.stateOf(delivery) === 'sending') return delivery;
    const again: DeliveryDocument = {
      ...delivery,
      state: 'queued',
      attempts: 0,
      retries: (delivery.retries ?? 0) + 1,
      nextAt: this.#doors.clock.steady(),
      endedAt: null,
    };
    this.#queue.remember(again);
    this.#lanes.resume(target.id);
    await this.#queue.store(again);
    this.#lanes.look();
    return again;
  }

  /** Deletes a target; what waits for it is cancelled, and what was being sent is removed from its server. */
  async removeTarget(target: TargetDocument): Promise<void> {
    const { targets } = this.#doors;
    if (target.kind === 'webhook') await targets.remove(target);
    else await targets.retire(target);
    await this.#outcomes.cancelAll(target, TARGET_DELETED);
    await this.#outcomes.removeIfClean(target);
  }

  /**
   * @param unrecorded id of the event that is to be recorded of it, where no administrator does it
   * @returns the target as it is now; null when it was deleted meanwhile
   */
  async disableTarget(target: TargetDocument, reason: string, unrecorded?: string): Promise<TargetDocument | null> {
    const now = await this.#doors.targets.disable(target, reason, unrecorded);
    await this.#outcomes.cancelAll(target, TARGET_DISABLED);
    return now;
  }

  /** Sends again to a target what becomes complete from now on. */
  async enableTarget(target: TargetDocument): Promise<TargetDocument | null> {
    const now = await this.#doors.targets.enable(target);
    this.#lanes.resume(target.id);
    return now;
  }

  /** Removes the targets of a tenant that is no more, and all that was sent to them: nothing of it enters a new one of the same id. */
  async forgetTenant(tenant: string): Promise<void> {
    for (const target of [...this.#doors.targets.list(tenant)]) await this.removeTarget(target);
    for await (const delivery of this.#queue.each()) {
      if (delivery.tenant !== tenant) continue;
      if (!delivery.litter?.length) await this.#queue.remove(delivery.id);
      else {
        // It is removed once its server is cleaned up; until then it is of no tenant.
        const orphan = { ...delivery, tenant: NO_TENANT };
        this.#queue.remember(orphan);
        await this.#queue.store(orphan);
      }
    }
  }

  /** Removes what is over for long and whose file is gone. */
  async sweep(): Promise<void> {
    for await (const { id, endedAt, fileId } of this.#queue.each()) {
      if (endedAt === null || this.#doors.clock.since(endedAt) < REMEMBERED_MS) continue;
      if (fileId !== null && (await this.#doors.catalog.has(fileId))) continue;
      await this.#queue.remove(id);
    }
  }

  gauges() {
    return {
      deliveries_queued: this.#lanes.waiting,
      deliveries_sending: this.#lanes.sending,
      deliveries_done_total: this.#outcomes.counts.done,
      deliveries_failed_total: this.#outcomes.counts.failed,
      delivery_tries_failed_total: this.#outcomes.counts.failedTries,
    };
  }

  async #change(
    { id, state }: DeliveryDocument,
    change: (now: DeliveryDocument) => DeliveryDocument,
    durable = true,
  ): Promise<void> {
    const now = this.#queue.find(id);
    if (now?.state !== state) throw new Error('the delivery was cancelled');
    const changed = change(now);
    this.#queue.replace(changed);
    if (durable) await this.#queue.store(changed);
  }
}
