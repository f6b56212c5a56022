/** What becomes a delivery: finished files and events, for the targets whose rules they follow. */
import type { Catalog } from '../contracts/catalog.ts';
import type { Clock } from '../contracts/clock.ts';
import type { EmittedEvent, Events } from '../events/events.ts';
import { parseOwnerKey } from '../identity/rights/policy.ts';
import { hex32 } from '../protocol/crc32.ts';
import type { EventType } from '../protocol/schemas/event.ts';
import type { DeliveryDocument, TargetDocument } from '../records/delivery.ts';
import type { FileDocument } from '../records/file.ts';
import { idOfEvent } from './failure-event.ts';
import { MAX_EVENTS, newDelivery, type Outbox } from './outbox.ts';
import type { DeliveryQueue } from './queue.ts';
import { type Targets, takesFiles, tenantOfEvent, wantsEvent, wantsFile } from './targets.ts';

export interface IntakeDoors {
  targets: Targets;
  queue: DeliveryQueue;
  outbox: Outbox;
  events: Events;
  clock: Clock;
  /** Called for a delivery whose file is not there any more. */
  fileRemoved(delivery: DeliveryDocument): void;
}

export class Intake {
  readonly #doors: IntakeDoors;

  constructor(doors: IntakeDoors) {
    this.#doors = doors;
  }

  /** Takes up finished files that a crash left no delivery of, and from now on whatever happens. */
  follow(catalog: Catalog): void {
    let started = false;
    catalog.subscribe({
      added: (file) => (started ? this.#fileCompleted(file) : this.#fileFoundAtStart(file)),
      removed: (file) => this.#fileRemoved(file),
    });
    started = true;
    this.#doors.events.listen((told) => this.#eventEmitted(told));
  }

  #fileCompleted(file: Readonly<FileDocument>): void {
    for (const target of this.#doors.targets.enabled(parseOwnerKey(file.owner).tenant)) {
      if (!takesFiles(target) || !wantsFile(target, file) || this.#knows(target, file)) continue;
      this.#enqueue(target, 'file.completed', file, null, versionOf(file));
    }
  }

  /** True when this version of the file is on its way to the target, or was. */
  #knows(target: TargetDocument, file: Readonly<FileDocument>): boolean {
    return this.#doors.queue
      .ofFile(file.id)
      .some(
        ({ targetId, event, state, version }) =>
          targetId === target.id &&
          event === 'file.completed' &&
          (version === undefined || (version === versionOf(file) && state !== 'cancelled')),
      );
  }

  /** At the start: files that were complete before their target was there, or are on their way already, are left alone. */
  #fileFoundAtStart(file: Readonly<FileDocument>): void {
    for (const target of this.#doors.targets.enabled(parseOwnerKey(file.owner).tenant)) {
      if (wasBefore(file, target) || !wantsFile(target, file)) continue;
      if (this.#knows(target, file)) continue;
      const version = versionOf(file);
      if (target.kind !== 'webhook' || target.content === 'file')
        this.#enqueue(target, 'file.completed', file, null, version);
      else if (target.events.includes('file.completed')) {
        this.#enqueue(target, 'file.completed', file, JSON.stringify(this.#doors.events.completedEvent(file)), version);
      }
    }
  }

  #fileRemoved(file: Readonly<FileDocument>): void {
    for (const delivery of this.#doors.queue.ofFile(file.id)) {
      const target = this.#doors.targets.find(delivery.targetId);
      // Events stay queued: they are true although the file was removed.
      if (delivery.state === 'queued' && (!target || takesFiles(target))) {
        this.#doors.fileRemoved(delivery);
      }
    }
  }

  #eventEmitted({ event, ownerKey, plainDetail, key }: EmittedEvent): void {
    for (const target of this.#doors.targets.enabled(tenantOfEvent(event))) {
      if (target.kind !== 'webhook' || target.content === 'file' || !wantsEvent(target, event)) continue;
      const id = key === undefined ? {} : { id: idOfEvent(key, target.id) };
      if (id.id !== undefined && this.#doors.queue.find(id.id)) continue;
      const announced = this.#doors.outbox.take(event.type, key ?? event.file_id, target.id);
      const many =
        !announced && event.type !== 'file.completed' && this.#doors.queue.queuedFor(target.id) >= MAX_EVENTS;
      if (many) continue;
      const file = ownerKey === null ? null : { owner: ownerKey, name: event.filename ?? '', id: event.file_id ?? '' };
      const version = event.type === 'file.completed' ? `${event.total_bytes}-${event.crc32}` : undefined;
      // A webhook for the files of one owner reads what that owner may.
      const known = key === undefined ? {} : { id: key };
      const plain = target.rule.owner === null || plainDetail === undefined ? {} : { detail: plainDetail };
      this.#enqueue(
        target,
        event.type,
        file,
        JSON.stringify({ ...event, ...known, ...plain }),
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
    known: { id?: string } = {},
  ): void {
    const made = newDelivery(this.#doors, target, event, file);
    // What was announced is stored under its own id, which becomes that of the delivery.
    const { id = made.id } = known;
    this.#doors.queue.add({ ...made, id, payload, ...(version === undefined ? {} : { version }) });
  }
}

/** True when the file was complete before there was the target, or before it was enabled again. Dates say so only where an earlier version kept nothing else. */
function wasBefore({ sealedAt, completedAt }: Readonly<FileDocument>, target: TargetDocument): boolean {
  const { createdAt, madeAt, enabledAt: since = madeAt } = target;
  if (sealedAt !== undefined && since !== undefined) return sealedAt < since;
  // Whichever has no moment on the time line is the older one.
  if (sealedAt !== undefined || since !== undefined) return sealedAt === undefined;
  return (completedAt ?? 0) < createdAt;
}

/** Version of a complete file: it changes with the bytes. */
function versionOf({ size, crc32 }: Readonly<FileDocument>): string {
  return `${size}-${hex32(crc32 ?? 0)}`;
}
