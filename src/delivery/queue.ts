/** All deliveries: documents on stable storage, indexed in memory by id, file and target. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../contracts/clock.ts';
import type { Collection } from '../contracts/collection.ts';
import type { DeliveryDocument } from '../records/delivery.ts';

/** Number of ended events that are kept. */
const MAX_PAST_EVENTS = 10_000;
/** Documents that are examined for one page of a list. */
const MAX_SCANNED = 5_000;
/** Documents that `each` yields in one turn of the event loop. */
const SWEEP_STEP = 500;

export interface QueueDeps {
  documents: Collection<DeliveryDocument>;
  clock: Clock;
  warn(message: string, details: object): void;
}

/** Called for each new or changed delivery. @param exists false: it was deleted */
export type QueueListener = (delivery: DeliveryDocument, exists: boolean) => void;

export interface DeliveryPage {
  deliveries: DeliveryDocument[];
  /** Null on the last page. Earlier pages may be short or empty, because a page examines a bounded number of documents. */
  nextCursor: string | null;
}

/** Stores and finds deliveries. */
export class DeliveryQueue {
  readonly #deps: QueueDeps;
  readonly #onChange: QueueListener;
  readonly #byId = new Map<string, DeliveryDocument>();
  readonly #byFile = new Map<string, Set<string>>();
  /** Ids, ascending. May contain ids of deleted documents. */
  #order: string[] = [];
  /** Number of queued deliveries, by target. */
  readonly #queued = new Map<string, number>();
  /** The last write of each document. Writes of one document run one after another. */
  readonly #writes = new Map<string, Promise<void>>();
  /** Ids of ended events, oldest first. Deliveries of complete files are kept as long as their files. */
  readonly #pastEvents = new Set<string>();
  /** Time in the newest id, in milliseconds since the epoch. */
  #lastTime = 0;

  constructor(deps: QueueDeps, onChange: QueueListener) {
    this.#deps = deps;
    this.#onChange = onChange;
  }

  /** Adds a stored document. Called in the order of the ids. */
  load(document: DeliveryDocument): void {
    this.#lastTime = Math.max(this.#lastTime, timeOf(document.id));
    this.update(document);
    if (document.endedAt !== null) this.#retainEvent(document);
  }

  find(id: string): DeliveryDocument | null {
    return this.#byId.get(id) ?? null;
  }

  /** All deliveries of a file. */
  ofFile(id: string): DeliveryDocument[] {
    return [...(this.#byFile.get(id) ?? [])].flatMap((delivery) => this.#byId.get(delivery) ?? []);
  }

  /** Number of queued deliveries to a target. */
  queuedFor(targetId: string): number {
    return this.#queued.get(targetId) ?? 0;
  }

  /** A page of deliveries, newest first. @param cursor `nextCursor` of the previous page; null: the first page */
  page(isWanted: (delivery: DeliveryDocument) => boolean, cursor: string | null, limit: number): DeliveryPage {
    const deliveries: DeliveryDocument[] = [];
    const start = cursor === null ? this.#order.length : this.#indexOf(cursor);
    const end = Math.max(0, start - MAX_SCANNED);
    for (let index = start - 1; index >= end; index -= 1) {
      const delivery = this.#byId.get(this.#order[index] as string);
      if (!delivery || !isWanted(delivery)) continue;
      if (deliveries.length === limit) return { deliveries, nextCursor: deliveries.at(-1)?.id ?? null };
      deliveries.push(delivery);
    }
    return { deliveries, nextCursor: end === 0 ? null : (this.#order[end] as string) };
  }

  /** Every delivery, oldest first. Yields to the event loop between batches. */
  async *each(): AsyncGenerator<DeliveryDocument> {
    for (let after = ''; ; ) {
      const start = after === '' ? 0 : this.#indexOf(after) + 1;
      const ids = this.#order.slice(start, start + SWEEP_STEP);
      const last = ids.at(-1);
      if (last === undefined) return;
      for (const id of ids) {
        const delivery = this.#byId.get(id);
        if (delivery) yield delivery;
      }
      after = last;
      await new Promise(setImmediate);
    }
  }

  /** A new id. Sorts after all earlier ids, even if the clock goes back. */
  newId(): string {
    this.#lastTime = Math.max(this.#deps.clock.now(), this.#lastTime + 1);
    return `${this.#lastTime.toString(36).padStart(9, '0')}${randomBytes(6).toString('hex')}`;
  }

  /** Adds a new delivery. It is sent once it is stored, so that after a crash the same delivery is sent again. */
  add(delivery: DeliveryDocument): void {
    this.#index(delivery);
    if (delivery.event === 'chunk.received') this.#onChange(delivery, true);
    else
      void this.store(delivery).then(() => {
        const current = this.#byId.get(delivery.id);
        if (current) this.#onChange(current, true);
      });
  }

  /** Changes a delivery in memory, and reports the change. */
  update(delivery: DeliveryDocument): void {
    this.#index(delivery);
    this.#onChange(delivery, true);
  }

  /** Changes a delivery in memory without a report: its place in the schedule stays the same. */
  replace(delivery: DeliveryDocument): void {
    this.#byId.set(delivery.id, delivery);
  }

  /** Ends a delivery and stores it. @param after must be on stable storage before */
  end(delivery: DeliveryDocument, after?: Promise<void>): void {
    const ended: DeliveryDocument = { ...delivery, nextAt: null, endedAt: this.#deps.clock.now() };
    this.update(ended);
    if (ended.event === 'chunk.received') this.#delete(ended.id);
    else {
      void this.store(ended, after);
      this.#retainEvent(ended);
    }
  }

  /** Stores a delivery. Never rejects: a failed write is logged, and the next write or the next start corrects it. */
  store(delivery: DeliveryDocument, after?: Promise<void>): Promise<void> {
    if (delivery.event === 'chunk.received') return Promise.resolve();
    return this.#write(delivery.id, 'the state of a delivery could not be stored', async () => {
      await after;
      await this.#deps.documents.put(delivery);
    });
  }

  /** Deletes a delivery and its document. Rejects if the storage fails. */
  async delete(id: string): Promise<void> {
    await this.#writes.get(id);
    await this.#deps.documents.remove(id);
    this.#delete(id);
  }

  /** Resolves when all pending writes have ended. */
  async flushed(): Promise<void> {
    await Promise.all(this.#writes.values());
  }

  /** Adds or replaces a delivery in memory. */
  #index(delivery: DeliveryDocument): void {
    const { id, fileId, targetId, state } = delivery;
    const before = this.#byId.get(id);
    const more = Number(state === 'queued') - Number(before?.state === 'queued');
    if (more !== 0) this.#count(targetId, more);
    this.#byId.set(id, delivery);
    if (before) return;
    if ((this.#order.at(-1) ?? '') < id) this.#order.push(id);
    else this.#order.splice(this.#indexOf(id), 0, id);
    if (fileId === null) return;
    const of = this.#byFile.get(fileId) ?? new Set();
    this.#byFile.set(fileId, of.add(id));
  }

  /** Keeps an ended event, and deletes the oldest one beyond the limit. */
  #retainEvent({ id, payload, event }: DeliveryDocument): void {
    if (payload === null || event === 'file.completed') return;
    this.#pastEvents.add(id);
    if (this.#pastEvents.size <= MAX_PAST_EVENTS) return;
    const [oldest] = this.#pastEvents as Iterable<string> as [string];
    this.#pastEvents.delete(oldest);
    // Restarted meanwhile. It is retained again when it ends.
    if (this.#byId.get(oldest)?.state === 'queued') return;
    this.#delete(oldest);
    void this.#write(oldest, 'a past delivery could not be removed', () => this.#deps.documents.remove(oldest));
  }

  /** Removes a delivery from memory. */
  #delete(id: string): void {
    const delivery = this.#byId.get(id);
    if (!delivery) return;
    this.#byId.delete(id);
    this.#pastEvents.delete(id);
    if (delivery.state === 'queued') this.#count(delivery.targetId, -1);
    this.#onChange(delivery, false);
    if (this.#order.length > 1_000 && this.#order.length > 2 * this.#byId.size)
      this.#order = this.#order.filter((kept) => this.#byId.has(kept));
    if (delivery.fileId === null) return;
    const of = this.#byFile.get(delivery.fileId);
    of?.delete(id);
    if (of?.size === 0) this.#byFile.delete(delivery.fileId);
  }

  #count(targetId: string, more: number): void {
    const count = this.queuedFor(targetId) + more;
    if (count === 0) this.#queued.delete(targetId);
    else this.#queued.set(targetId, count);
  }

  /** Index of an id in `#order`, or where it would be inserted. */
  #indexOf(id: string): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#order[middle] as string) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #write(id: string, failed: string, work: () => Promise<unknown>): Promise<void> {
    const before = this.#writes.get(id) ?? Promise.resolve();
    const write: Promise<void> = before
      .then(async () => void (await work()))
      .catch((error: unknown) => this.#deps.warn(failed, { id, error }))
      .finally(() => {
        if (this.#writes.get(id) === write) this.#writes.delete(id);
      });
    this.#writes.set(id, write);
    return write;
  }
}

/** Time in an id, in milliseconds since the epoch; 0 if it has none. */
function timeOf(id: string): number {
  const time = Number.parseInt(id.slice(0, 9), 36);
  return Number.isSafeInteger(time) ? time : 0;
}
