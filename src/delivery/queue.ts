/** What is and was on its way to targets: documents on stable storage, and in memory all of them by what is asked for. */
import { randomBytes } from 'node:crypto';
import type { Clock, Collection, DeliveryDocument } from '../contracts.ts';

/** Past events that are remembered. */
const MOST_PAST_EVENTS = 10_000;

export interface QueueDoors {
  documents: Collection<DeliveryDocument>;
  clock: Clock;
  warn(message: string, details: object): void;
}

/** Called for each document that comes or changes; `there` is false when it is forgotten. */
export type QueueListener = (delivery: DeliveryDocument, there: boolean) => void;

export class DeliveryQueue {
  readonly #doors: QueueDoors;
  readonly #changed: QueueListener;
  readonly #byId = new Map<string, DeliveryDocument>();
  readonly #byFile = new Map<string, Set<string>>();
  /** One write after the other of each document. */
  readonly #writes = new Map<string, Promise<void>>();
  /** Events that are over, the oldest first. Deliveries of complete files are remembered as long as their files. */
  #pastEvents: string[] = [];
  /** Time in the newest id, in milliseconds since the epoch. */
  #lastTime = 0;

  constructor(doors: QueueDoors, changed: QueueListener) {
    this.#doors = doors;
    this.#changed = changed;
  }

  /** Reads what was stored. */
  async load(): Promise<void> {
    for (const document of await this.#doors.documents.list()) {
      this.remember(document);
      this.#lastTime = Math.max(this.#lastTime, timeOf(document.id));
      if (document.endedAt !== null) this.#rememberPast(document);
    }
  }

  find(id: string): DeliveryDocument | null {
    return this.#byId.get(id) ?? null;
  }

  all(): DeliveryDocument[] {
    return [...this.#byId.values()];
  }

  /** What was and is sent of a file. */
  ofFile(id: string): DeliveryDocument[] {
    return [...(this.#byFile.get(id) ?? [])].flatMap((delivery) => this.#byId.get(delivery) ?? []);
  }

  /** Sorts behind those that were made before, whatever the date does. */
  newId(): string {
    this.#lastTime = Math.max(this.#doors.clock.now(), this.#lastTime + 1);
    return `${this.#lastTime.toString(36).padStart(9, '0')}${randomBytes(6).toString('hex')}`;
  }

  /** Takes a new or changed document into memory. */
  remember(delivery: DeliveryDocument): void {
    const { id, fileId } = delivery;
    this.#byId.set(id, delivery);
    if (fileId !== null) {
      const of = this.#byFile.get(fileId) ?? new Set();
      this.#byFile.set(fileId, of.add(id));
    }
    this.#changed(delivery, true);
  }

  /** The same document with other words, in memory: it waits or is sent as before. */
  replace(delivery: DeliveryDocument): void {
    this.#byId.set(delivery.id, delivery);
  }

  /** Remembers and stores a document that is over. */
  end(delivery: DeliveryDocument): void {
    const ended: DeliveryDocument = { ...delivery, nextAt: null, endedAt: this.#doors.clock.now() };
    this.remember(ended);
    if (ended.event === 'chunk.received') this.#drop(ended.id);
    else {
      void this.store(ended);
      this.#rememberPast(ended);
    }
  }

  /** A write that fails is made good by the next one of the same document, or by the next start. */
  store(delivery: DeliveryDocument): Promise<void> {
    if (delivery.event === 'chunk.received') return Promise.resolve();
    const { id } = delivery;
    return this.#write(id, 'the state of a delivery could not be stored', () => this.#doors.documents.put(delivery));
  }

  /** Forgets a delivery, and removes its document. Rejects when that fails. */
  async remove(id: string): Promise<void> {
    await this.#writes.get(id);
    await this.#doors.documents.remove(id);
    this.#drop(id);
  }

  /** Resolves when everything is stored. */
  async settled(): Promise<void> {
    await Promise.all(this.#writes.values());
  }

  #rememberPast({ id, payload, event }: DeliveryDocument): void {
    if (payload === null || event === 'file.completed') return;
    this.#pastEvents.push(id);
    if (this.#pastEvents.length <= MOST_PAST_EVENTS) return;
    const oldest = this.#pastEvents.shift() as string;
    // Tried again meanwhile: it is remembered when it ends.
    if (this.#byId.get(oldest)?.state === 'queued') return;
    this.#drop(oldest);
    void this.#write(oldest, 'a past delivery could not be removed', () => this.#doors.documents.remove(oldest));
  }

  #drop(id: string): void {
    const delivery = this.#byId.get(id);
    if (!delivery) return;
    this.#byId.delete(id);
    this.#changed(delivery, false);
    if (delivery.fileId === null) return;
    const of = this.#byFile.get(delivery.fileId);
    of?.delete(id);
    if (of?.size === 0) this.#byFile.delete(delivery.fileId);
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
