/** What is and was on its way to targets: documents on stable storage, and in memory all of them by what is asked for. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../contracts/clock.ts';
import type { Collection } from '../contracts/collection.ts';
import type { DeliveryDocument } from '../records/delivery.ts';

/** Past events that are remembered. */
const MAX_PAST_EVENTS = 10_000;
/** Documents looked at for one page of a list, whether they fit or not. */
const MAX_LOOKED_AT = 5_000;
/** Documents looked at in one step of a sweep. */
const STEP = 500;

export interface QueueDoors {
  documents: Collection<DeliveryDocument>;
  clock: Clock;
  warn(message: string, details: object): void;
}

/** Called for each document that comes or changes; `there` is false when it is forgotten. */
export type QueueListener = (delivery: DeliveryDocument, there: boolean) => void;

export interface DeliveryPage {
  deliveries: DeliveryDocument[];
  /** Null on the last page. A page may hold fewer than asked for, even none, while there are more. */
  nextCursor: string | null;
}

export class DeliveryQueue {
  readonly #doors: QueueDoors;
  readonly #changed: QueueListener;
  readonly #byId = new Map<string, DeliveryDocument>();
  readonly #byFile = new Map<string, Set<string>>();
  /** Every id in its order; some are of documents that are forgotten. */
  #order: string[] = [];
  /** How many are queued, by target. */
  readonly #queued = new Map<string, number>();
  /** One write after the other of each document. */
  readonly #writes = new Map<string, Promise<void>>();
  /** Events that are over, the oldest first. Deliveries of complete files are remembered as long as their files. */
  readonly #pastEvents = new Set<string>();
  /** Time in the newest id, in milliseconds since the epoch. */
  #lastTime = 0;

  constructor(doors: QueueDoors, changed: QueueListener) {
    this.#doors = doors;
    this.#changed = changed;
  }

  /** Takes a stored document, in the order of their ids. */
  load(document: DeliveryDocument): void {
    this.#lastTime = Math.max(this.#lastTime, timeOf(document.id));
    this.remember(document);
    if (document.endedAt !== null) this.#rememberPast(document);
  }

  find(id: string): DeliveryDocument | null {
    return this.#byId.get(id) ?? null;
  }

  /** What was and is sent of a file. */
  ofFile(id: string): DeliveryDocument[] {
    return [...(this.#byFile.get(id) ?? [])].flatMap((delivery) => this.#byId.get(delivery) ?? []);
  }

  queuedFor(targetId: string): number {
    return this.#queued.get(targetId) ?? 0;
  }

  /** Youngest first. A page looks at a bounded number of documents. @param cursor `nextCursor` of the page before */
  page(fits: (delivery: DeliveryDocument) => boolean, cursor: string | null, limit: number): DeliveryPage {
    const deliveries: DeliveryDocument[] = [];
    const start = cursor === null ? this.#order.length : this.#placeOf(cursor);
    const end = Math.max(0, start - MAX_LOOKED_AT);
    for (let index = start - 1; index >= end; index -= 1) {
      const delivery = this.#byId.get(this.#order[index] as string);
      if (!delivery || !fits(delivery)) continue;
      if (deliveries.length === limit) return { deliveries, nextCursor: deliveries.at(-1)?.id ?? null };
      deliveries.push(delivery);
    }
    return { deliveries, nextCursor: end === 0 ? null : (this.#order[end] as string) };
  }

  /** Every document, oldest first, with room for others in between. */
  async *each(): AsyncGenerator<DeliveryDocument> {
    for (let after = ''; ; ) {
      const start = after === '' ? 0 : this.#placeOf(after) + 1;
      const ids = this.#order.slice(start, start + STEP);
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

  /** Sorts behind those that were made before, whatever the date does. */
  newId(): string {
    this.#lastTime = Math.max(this.#doors.clock.now(), this.#lastTime + 1);
    return `${this.#lastTime.toString(36).padStart(9, '0')}${randomBytes(6).toString('hex')}`;
  }

  /** Takes a new document, which is not sent before it is stored: after a crash the same one is sent again, not another one. */
  add(delivery: DeliveryDocument): void {
    this.#keep(delivery);
    if (delivery.event === 'chunk.received') this.#changed(delivery, true);
    else
      void this.store(delivery).then(() => {
        const now = this.#byId.get(delivery.id);
        if (now) this.#changed(now, true);
      });
  }

  /** Takes a changed document into memory. */
  remember(delivery: DeliveryDocument): void {
    this.#keep(delivery);
    this.#changed(delivery, true);
  }

  /** The same document with other words, in memory: it waits or is sent as before. */
  replace(delivery: DeliveryDocument): void {
    this.#byId.set(delivery.id, delivery);
  }

  /** Remembers and stores a document that is over. @param after what is to be on stable storage before */
  end(delivery: DeliveryDocument, after?: Promise<void>): void {
    const ended: DeliveryDocument = { ...delivery, nextAt: null, endedAt: this.#doors.clock.now() };
    this.remember(ended);
    if (ended.event === 'chunk.received') this.#drop(ended.id);
    else {
      void this.store(ended, after);
      this.#rememberPast(ended);
    }
  }

  /** A write that fails is made good by the next one of the same document, or by the next start. */
  store(delivery: DeliveryDocument, after?: Promise<void>): Promise<void> {
    if (delivery.event === 'chunk.received') return Promise.resolve();
    return this.#write(delivery.id, 'the state of a delivery could not be stored', async () => {
      await after;
      await this.#doors.documents.put(delivery);
    });
  }

  /** Forgets a delivery, and removes its document. Rejects when that fails. */
  async remove(id: string): Promise<void> {
    await this.#writes.get(id);
    await this.#doors.documents.remove(id);
    this.#drop(id);
  }

  /** Resolves when everything that is being stored now is. */
  async flushed(): Promise<void> {
    await Promise.all(this.#writes.values());
  }

  #keep(delivery: DeliveryDocument): void {
    const { id, fileId, targetId, state } = delivery;
    const before = this.#byId.get(id);
    const more = Number(state === 'queued') - Number(before?.state === 'queued');
    if (more !== 0) this.#count(targetId, more);
    this.#byId.set(id, delivery);
    if (before) return;
    if ((this.#order.at(-1) ?? '') < id) this.#order.push(id);
    else this.#order.splice(this.#placeOf(id), 0, id);
    if (fileId === null) return;
    const of = this.#byFile.get(fileId) ?? new Set();
    this.#byFile.set(fileId, of.add(id));
  }

  #rememberPast({ id, payload, event }: DeliveryDocument): void {
    if (payload === null || event === 'file.completed') return;
    this.#pastEvents.add(id);
    if (this.#pastEvents.size <= MAX_PAST_EVENTS) return;
    const [oldest] = this.#pastEvents as Iterable<string> as [string];
    this.#pastEvents.delete(oldest);
    // Tried again meanwhile: it is remembered when it ends.
    if (this.#byId.get(oldest)?.state === 'queued') return;
    this.#drop(oldest);
    void this.#write(oldest, 'a past delivery could not be removed', () => this.#doors.documents.remove(oldest));
  }

  #drop(id: string): void {
    const delivery = this.#byId.get(id);
    if (!delivery) return;
    this.#byId.delete(id);
    this.#pastEvents.delete(id);
    if (delivery.state === 'queued') this.#count(delivery.targetId, -1);
    this.#changed(delivery, false);
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

  /** Place of an id in the order, or where it would be. */
  #placeOf(id: string): number {
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
      .catch((error: unknown) => this.#doors.warn(failed, { id, error }))
      .finally(() => {
        if (this.#writes.get(id) === write) this.#writes.delete(id);
      });
    this.#writes.set(id, write);
    return write;
  }
}

/** When an id was made; 0 for one that does not say. */
function timeOf(id: string): number {
  const time = Number.parseInt(id.slice(0, 9), 36);
  return Number.isSafeInteger(time) ? time : 0;
}
