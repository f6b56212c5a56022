/**
 * Stores events before the changes that they report, so that a crash loses none. Before the engine makes a change, the delivery of its event
 * is stored as announced. Once the change is made, the delivery is queued. After a crash in between, the stored state of the file shows
 * whether the change was made.
 *
 *     announce (durable) ─► change (durable) ─► queued
 *                        └► nothing changed ──► removed
 */

import type { Catalog } from '../contracts/catalog.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Collection } from '../contracts/collection.ts';
import type { Announcement, FileEvent } from '../contracts/file-events.ts';
import type { Events } from '../events/events.ts';
import { DEFAULT_TENANT } from '../identity/rights/policy.ts';
import type { LadingEvent } from '../protocol/schemas/event.ts';
import type { DeliveryDocument, TargetDocument } from '../records/delivery.ts';
import type { FileDocument } from '../records/file.ts';
import { eventDeliveryId } from './failure-event.ts';
import type { DeliveryQueue } from './queue.ts';
import { type Targets, tenantOfEvent, wantsEvent } from './targets.ts';

/** Maximum number of events that wait for one target. Further events are dropped; complete files are always queued. */
export const MAX_QUEUED_EVENTS = 10_000;

export type AnnouncedFileEvent = Exclude<FileEvent, { type: 'chunk.received' }>;

export interface OutboxDeps {
  documents: Collection<DeliveryDocument>;
  targets: Targets;
  catalog: Catalog;
  queue: DeliveryQueue;
  events: Events;
  clock: Clock;
  warn(message: string, details: object): void;
}

/** The announced deliveries. */
export class Outbox {
  readonly #deps: OutboxDeps;
  /** By event, subject and target; see `keyOf`. */
  readonly #announced = new Map<string, DeliveryDocument>();

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
  }

  /** Adds a stored document, which was announced before a crash. Called before `recover`. */
  load(delivery: DeliveryDocument): void {
    const { id, event, fileId, targetId } = delivery;
    this.#announced.set(keyOf(event, fileId ?? id, targetId), delivery);
  }

  /** Queues the events of changes that were made before the crash, and deletes the others. */
  async recover(): Promise<void> {
    const { queue, documents } = this.#deps;
    for (const [key, delivery] of [...this.#announced]) {
      this.#announced.delete(key);
      if (await this.#wasChangeMade(delivery)) queue.add(asQueued(delivery));
      else await documents.remove(delivery.id);
    }
  }

  /** Announces changes of files. Null if no webhook wants the events. */
  announce(changes: readonly AnnouncedFileEvent[]): Announcement | null {
    const keys: string[] = [];
    const writes: Promise<void>[] = [];
    for (const change of changes) {
      const event = this.#deps.events.preview(change);
      for (const target of this.#deps.targets.enabled(event.tenant ?? DEFAULT_TENANT)) {
        if (target.kind !== 'webhook' || target.content === 'file' || !wantsEvent(target, event)) continue;
        if (this.#deps.queue.queuedFor(target.id) >= MAX_QUEUED_EVENTS) continue;
        const key = keyOf(event.type, event.file_id, target.id);
        if (this.#announced.has(key)) continue;
        const delivery = newDelivery(this.#deps, target, event.type, change.file);
        const { continues } = change.file;
        const version = continues ? { version: String(continues.size) } : {};
        const announced = { ...delivery, ...version, announced: true as const, payload: JSON.stringify(event) };
        this.#announced.set(key, announced);
        keys.push(key);
        writes.push(this.#store(announced));
      }
    }
    if (keys.length === 0) return null;
    return { ready: Promise.all(writes).then(() => undefined), end: () => this.#withdraw(keys) };
  }

  /**
   * Announces a change by an administrator. Null if no webhook wants the event.
   * @param event its id becomes the key of its deliveries
   */
  announceChange(event: LadingEvent): Announcement | null {
    const keys: string[] = [];
    const writes: Promise<void>[] = [];
    for (const target of this.#deps.targets.enabled(tenantOfEvent(event))) {
      if (target.kind !== 'webhook' || target.content === 'file' || !wantsEvent(target, event)) continue;
      if (this.#deps.queue.queuedFor(target.id) >= MAX_QUEUED_EVENTS) continue;
      const id = eventDeliveryId(event.id, target.id);
      const delivery = { ...newDelivery(this.#deps, target, event.type, null), id, payload: JSON.stringify(event) };
      const announced = { ...delivery, announced: true as const };
      const key = keyOf(event.type, event.id, target.id);
      this.#announced.set(key, announced);
      keys.push(key);
      writes.push(this.#store(announced));
    }
    if (keys.length === 0) return null;
    return { ready: Promise.all(writes).then(() => undefined), end: () => this.#withdraw(keys) };
  }

  /** Removes and returns the announced delivery of an event that was emitted; null if it was not announced. */
  take(event: string, subject: string | null, targetId: string): DeliveryDocument | null {
    const key = keyOf(event, subject, targetId);
    const announced = this.#announced.get(key);
    if (!announced) return null;
    this.#announced.delete(key);
    return announced;
  }

  /** Deletes those of the announced events that were not emitted. */
  #withdraw(keys: readonly string[]): void {
    for (const key of keys) {
      const announced = this.#announced.get(key);
      if (!announced) continue;
      this.#announced.delete(key);
      const failed = (error: unknown): void =>
        this.#deps.warn('the event of a change that was not made could not be removed', { id: announced.id, error });
      this.#deps.documents.remove(announced.id).catch(failed);
    }
  }

  async #store(delivery: DeliveryDocument): Promise<void> {
    // The change itself must not fail because of this.
    const failed = (error: unknown): void =>
      this.#deps.warn('an event could not be stored before its change', { id: delivery.id, error });
    await this.#deps.documents.put(delivery).catch(failed);
  }

  /** Whether the announced change was made before the crash. */
  async #wasChangeMade({ event, owner, fileName, fileId, version }: DeliveryDocument): Promise<boolean> {
    // It is unknown whether the change was made, and the event says so.
    if (event === 'admin.changed') return true;
    if (fileId === null || owner === null || fileName === null) return false;
    const { catalog } = this.#deps;
    const file = await catalog.get(fileId);
    if (event === 'file.created') return file !== null;
    if (event === 'upload.stale') return file?.staleAt !== undefined;
    // A cancelled upload that continued a file leaves it at its former size.
    if (file?.state === 'sealed' && event !== 'file.deleted') return String(file.size) === version;
    if (file !== null || (await catalog.has(fileId))) return false;
    // A file that was replaced is absent for a different reason.
    return (await catalog.find(owner, fileName)).sealed?.replaces !== fileId;
  }
}

/** Creates a delivery that is due at once. @param file the subject of the event; null: the event concerns no file */
export function newDelivery(
  { queue, clock }: Pick<OutboxDeps, 'queue' | 'clock'>,
  target: TargetDocument,
  event: string,
  file: Pick<FileDocument, 'owner' | 'name' | 'id'> | null,
): DeliveryDocument {
  return {
    id: queue.newId(),
    targetId: target.id,
    tenant: target.tenant,
    event,
    owner: file?.owner ?? null,
    fileName: file?.name ?? null,
    fileId: file?.id ?? null,
    payload: null,
    state: 'queued',
    attempts: 0,
    lastError: null,
    createdAt: clock.now(),
    nextAt: clock.steady(),
    endedAt: null,
  };
}

function asQueued({ announced: _, version: __, ...delivery }: DeliveryDocument): DeliveryDocument {
  return delivery;
}

/** @param subject id of a file, or of a change */
function keyOf(event: string, subject: string | null, targetId: string): string {
  return `${event} ${subject} ${targetId}`;
}
