/** Creates deliveries: matches complete files and events with the rules of the targets. */
import type { Catalog } from '../contracts/catalog.ts';
import type { Clock } from '../contracts/clock.ts';
import type { EmittedEvent, Events } from '../events/events.ts';
import { parseOwnerKey } from '../identity/rights/policy.ts';
import { hex32 } from '../protocol/crc32.ts';
import type { EventType } from '../protocol/schemas/event.ts';
import type { DeliveryDocument, TargetDocument } from '../records/delivery.ts';
import type { FileDocument } from '../records/file.ts';
import { eventDeliveryId } from './failure-event.ts';
import { MAX_QUEUED_EVENTS, newDelivery, type Outbox } from './outbox.ts';
import type { DeliveryQueue } from './queue.ts';
import { type Targets, takesFiles, tenantOfEvent, wantsEvent, wantsFile } from './targets.ts';

export interface IntakeDeps {
  targets: Targets;
  queue: DeliveryQueue;
  outbox: Outbox;
  events: Events;
  clock: Clock;
  /** Called for a queued delivery whose file was deleted or replaced. */
  onFileRemoved(delivery: DeliveryDocument): void;
}

/** Queues a delivery for each target that wants a file or an event. */
export class Intake {
  readonly #deps: IntakeDeps;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** Queues complete files that a crash left without a delivery, then follows the catalog and the events. */
  follow(catalog: Catalog): void {
    let isStarted = false;
    catalog.subscribe({
      added: (file) => (isStarted ? this.#fileCompleted(file) : this.#fileFoundAtStart(file)),
      removed: (file) => this.#fileRemoved(file),
    });
    isStarted = true;
    this.#deps.events.listen((emitted) => this.#eventEmitted(emitted));
  }

  #fileCompleted(file: Readonly<FileDocument>): void {
    for (const target of this.#deps.targets.enabled(parseOwnerKey(file.owner).tenant)) {
      if (!takesFiles(target) || !wantsFile(target, file) || this.#isKnown(target, file)) continue;
      this.#enqueue(target, 'file.completed', file, null, versionOf(file));
    }
  }

  /** True if this version of the file has a delivery to the target already. */
  #isKnown(target: TargetDocument, file: Readonly<FileDocument>): boolean {
    return this.#deps.queue
      .ofFile(file.id)
      .some(
        ({ targetId, event, state, version }) =>
          targetId === target.id &&
          event === 'file.completed' &&
          (version === undefined || (version === versionOf(file) && state !== 'cancelled')),
      );
  }

  /** Queues a file that the catalog has at start, unless it is older than the target or has a delivery already. */
  #fileFoundAtStart(file: Readonly<FileDocument>): void {
    for (const target of this.#deps.targets.enabled(parseOwnerKey(file.owner).tenant)) {
      if (isOlderThanTarget(file, target) || !wantsFile(target, file)) continue;
      if (this.#isKnown(target, file)) continue;
      const version = versionOf(file);
      if (target.kind !== 'webhook' || target.content === 'file')
        this.#enqueue(target, 'file.completed', file, null, version);
      else if (target.events.includes('file.completed')) {
        this.#enqueue(target, 'file.completed', file, JSON.stringify(this.#deps.events.completedEvent(file)), version);
      }
    }
  }

  #fileRemoved(file: Readonly<FileDocument>): void {
    for (const delivery of this.#deps.queue.ofFile(file.id)) {
      const target = this.#deps.targets.find(delivery.targetId);
      // Events stay queued. They report the past, which the removal does not change.
      if (delivery.state === 'queued' && (!target || takesFiles(target))) {
        this.#deps.onFileRemoved(delivery);
      }
    }
  }

  #eventEmitted({ event, ownerKey, plainDetail, key }: EmittedEvent): void {
    for (const target of this.#deps.targets.enabled(tenantOfEvent(event))) {
      if (target.kind !== 'webhook' || target.content === 'file' || !wantsEvent(target, event)) continue;
      const id = key === undefined ? {} : { id: eventDeliveryId(key, target.id) };
      if (id.id !== undefined && this.#deps.queue.find(id.id)) continue;
      const announced = this.#deps.outbox.take(event.type, key ?? event.file_id, target.id);
      const isFull =
        !announced && event.type !== 'file.completed' && this.#deps.queue.queuedFor(target.id) >= MAX_QUEUED_EVENTS;
      if (isFull) continue;
      const file = ownerKey === null ? null : { owner: ownerKey, name: event.filename ?? '', id: event.file_id ?? '' };
      const version = event.type === 'file.completed' ? `${event.total_bytes}-${event.crc32}` : undefined;
      // The receiver of one owner's events gets only the details that this owner may see.
      const publicId = key === undefined ? {} : { id: key };
      const plain = target.rule.owner === null || plainDetail === undefined ? {} : { detail: plainDetail };
      this.#enqueue(
        target,
        event.type,
        file,
        JSON.stringify({ ...event, ...publicId, ...plain }),
        version,
        announced ?? id,
      );
    }
  }

  #enqueue(
    target: TargetDocument,
    event: EventType,
    file: Pick<FileDocument, 'owner' | 'name' | 'id'> | null,
    payload: string | null,
    version?: string,
    announced: { id?: string } = {},
  ): void {
    const created = newDelivery(this.#deps, target, event, file);
    // An announced event is stored already. Its delivery keeps that id.
    const { id = created.id } = announced;
    this.#deps.queue.add({ ...created, id, payload, ...(version === undefined ? {} : { version }) });
  }
}

/**
 * True if the file was complete before the target was created or last enabled. Compares positions on the time line; documents of earlier
 * versions have only dates.
 */
function isOlderThanTarget({ sealedAt, completedAt }: Readonly<FileDocument>, target: TargetDocument): boolean {
  const { createdAt, madeAt, enabledAt: since = madeAt } = target;
  if (sealedAt !== undefined && since !== undefined) return sealedAt < since;
  // The one without a position on the time line is older.
  if (sealedAt !== undefined || since !== undefined) return sealedAt === undefined;
  return (completedAt ?? 0) < createdAt;
}

/** The version of a complete file, which changes with its content. */
function versionOf({ size, crc32 }: Readonly<FileDocument>): string {
  return `${size}-${hex32(crc32 ?? 0)}`;
}
