/**
 * Events of which a crash loses none. Before the engine makes a change that a webhook is to hear of, the delivery of its event is stored as
 * announced; once the change is made, it is queued. After a crash in between, what is stored of the file says which of the two it is.
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
import { idOfEvent } from './failure-event.ts';
import type { DeliveryQueue } from './queue.ts';
import { type Targets, tenantOfEvent, wantsEvent } from './targets.ts';

/** Events that wait for one target; more are not taken up. Finished files always are. */
export const MAX_EVENTS = 10_000;

export type AnnouncedFileEvent = Exclude<FileEvent, { type: 'chunk.received' }>;

export interface OutboxDoors {
  documents: Collection<DeliveryDocument>;
  targets: Targets;
  catalog: Catalog;
  queue: DeliveryQueue;
  events: Events;
  clock: Clock;
  warn(message: string, details: object): void;
}

export class Outbox {
  readonly #doors: OutboxDoors;
  /** By what they announce. */
  readonly #announced = new Map<string, DeliveryDocument>();

  constructor(doors: OutboxDoors) {
    this.#doors = doors;
  }

  /** Takes a document that was announced before a crash. */
  load(delivery: DeliveryDocument): void {
    const { id, event, fileId, targetId } = delivery;
    this.#announced.set(keyOf(event, fileId ?? id, targetId), delivery);
  }

  /** Queues what came true before the crash, and removes the rest. */
  async recover(): Promise<void> {
    const { queue, documents } = this.#doors;
    for (const [key, delivery] of [...this.#announced]) {
      this.#announced.delete(key);
      if (await this.#cameTrue(delivery)) queue.add(asQueued(delivery));
      else await documents.remove(delivery.id);
    }
  }

  /** Null when no webhook is to hear of it. */
  announce(happenings: readonly AnnouncedFileEvent[]): Announcement | null {
    const keys: string[] = [];
    const writes: Promise<void>[] = [];
    for (const happening of happenings) {
      const event = this.#doors.events.preview(happening);
      for (const target of this.#doors.targets.enabled(event.tenant ?? DEFAULT_TENANT)) {
        if (target.kind !== 'webhook' || target.content === 'file' || !wantsEvent(target, event)) continue;
        if (this.#doors.queue.queuedFor(target.id) >= MAX_EVENTS) continue;
        const key = keyOf(event.type, event.file_id, target.id);
        if (this.#announced.has(key)) continue;
        const delivery = newDelivery(this.#doors, target, event.type, happening.file);
        const { continues } = happening.file;
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
   * Announces a change that administrators hear of. Null when no webhook is to hear of it.
   * @param event its id is what its deliveries are known by
   */
  announceChange(event: LadingEvent): Announcement | null {
    const keys: string[] = [];
    const writes: Promise<void>[] = [];
    for (const target of this.#doors.targets.enabled(tenantOfEvent(event))) {
      if (target.kind !== 'webhook' || target.content === 'file' || !wantsEvent(target, event)) continue;
      if (this.#doors.queue.queuedFor(target.id) >= MAX_EVENTS) continue;
      const id = idOfEvent(event.id, target.id);
      const delivery = { ...newDelivery(this.#doors, target, event.type, null), id, payload: JSON.stringify(event) };
      const announced = { ...delivery, announced: true as const };
      const key = keyOf(event.type, event.id, target.id);
      this.#announced.set(key, announced);
      keys.push(key);
      writes.push(this.#store(announced));
    }
    if (keys.length === 0) return null;
    return { ready: Promise.all(writes).then(() => undefined), end: () => this.#withdraw(keys) };
  }

  /** What was announced of an event that happened; null when it was not. It is the caller's from now on. */
  take(event: string, about: string | null, targetId: string): DeliveryDocument | null {
    const key = keyOf(event, about, targetId);
    const announced = this.#announced.get(key);
    if (!announced) return null;
    this.#announced.delete(key);
    return announced;
  }

  #withdraw(keys: readonly string[]): void {
    for (const key of keys) {
      const announced = this.#announced.get(key);
      if (!announced) continue;
      this.#announced.delete(key);
      const failed = (error: unknown): void =>
        this.#doors.warn('an event that did not happen could not be removed', { id: announced.id, error });
      this.#doors.documents.remove(announced.id).catch(failed);
    }
  }

  async #store(delivery: DeliveryDocument): Promise<void> {
    // The change is not to fail for it.
    const failed = (error: unknown): void =>
      this.#doors.warn('an event could not be stored before it happened', { id: delivery.id, error });
    await this.#doors.documents.put(delivery).catch(failed);
  }

  async #cameTrue({ event, owner, fileName, fileId, version }: DeliveryDocument): Promise<boolean> {
    // Nobody knows, and it says so.
    if (event === 'admin.changed') return true;
    if (fileId === null || owner === null || fileName === null) return false;
    const { catalog } = this.#doors;
    const file = await catalog.get(fileId);
    if (event === 'file.created') return file !== null;
    if (event === 'upload.stale') return file?.staleAt !== undefined;
    // The upload that continued a file is cancelled: the file is as it was.
    if (file?.state === 'sealed' && event !== 'file.deleted') return String(file.size) === version;
    if (file !== null || (await catalog.has(fileId))) return false;
    // It is not there any more, but for another reason: it was replaced.
    return (await catalog.find(owner, fileName)).sealed?.replaces !== fileId;
  }
}

/** A delivery to be queued. @param file what it is about */
export function newDelivery(
  { queue, clock }: Pick<OutboxDoors, 'queue' | 'clock'>,
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

/** @param about id of a file, or of a change */
function keyOf(event: string, about: string | null, targetId: string): string {
  return `${event} ${about} ${targetId}`;
}
