/**
 * What is on its way to targets. A file is safe here before anything of this begins, and nothing that an upload waits for is done here.
 *
 *     file complete / event ─ intake ─► document (queue, durable) ─ lanes ─► try (carriers), try again, … ─► delivered or failed
 */
import type {
  BlobStore,
  Catalog,
  Clock,
  Collection,
  DeliveryDocument,
  Inspector,
  TargetDocument,
} from '../contracts.ts';
import { LadingError } from '../errors.ts';
import type { Events } from '../events/events.ts';
import { DEFAULT_TENANT } from '../identity/policy.ts';
import { Carriers } from './carriers.ts';
import { codeOf, wordsOf } from './failures.ts';
import { Intake } from './intake.ts';
import { type LaneSettings, Lanes } from './lanes.ts';
import { DeliveryQueue } from './queue.ts';
import { plainName, type Targets, takesFiles } from './targets.ts';
import type { WebhookSender } from './webhook.ts';

/** How long what is over is remembered after its file is gone. */
const REMEMBERED_MS = 30 * 24 * 3600 * 1000;

export interface DeliveryDoors {
  targets: Targets;
  documents: Collection<DeliveryDocument>;
  catalog: Catalog;
  blobs: BlobStore;
  inspector: Inspector;
  webhooks: WebhookSender;
  /** Targets of every tenant may be in the server's own network. */
  allowPrivate: boolean;
  events: Events;
  clock: Clock;
  warn(message: string, details: object): void;
}

export interface DeliverySettings extends LaneSettings {
  /** Tries before one is given up. */
  attempts: number;
}

export type ShownState = DeliveryDocument['state'] | 'sending';

export interface DeliveryPage {
  deliveries: DeliveryDocument[];
  nextCursor: string | null;
}

export class Deliveries {
  readonly #doors: DeliveryDoors;
  readonly #settings: DeliverySettings;
  readonly #queue: DeliveryQueue;
  readonly #lanes: Lanes;
  #stopping = false;
  /** Since the start. */
  readonly #counts = { done: 0, failed: 0, failedTries: 0 };

  private constructor(doors: DeliveryDoors, settings: DeliverySettings) {
    this.#doors = doors;
    this.#settings = settings;
    const carriers = new Carriers({ ...doors, named: (delivery, remoteName) => this.#named(delivery, remoteName) });
    this.#lanes = new Lanes(
      {
        clock: doors.clock,
        findTarget: (id) => doors.targets.find(id),
        carry: (delivery, target, signal) => carriers.carry(delivery, target, signal),
        tried: (delivery, target, error) => this.#tried(delivery, target, error),
      },
      settings,
    );
    this.#queue = new DeliveryQueue(doors, (delivery, there) => this.#lanes.changed(delivery, there));
  }

  /** Takes up what was on its way, and finished files of which a crash left no word here. Nothing is sent before `start`. */
  static async open(doors: DeliveryDoors, settings: DeliverySettings): Promise<Deliveries> {
    const deliveries = new Deliveries(doors, settings);
    await deliveries.#queue.load();
    deliveries.#follow();
    return deliveries;
  }

  #follow(): void {
    const lostFile = (delivery: DeliveryDocument): void =>
      this.#cancel(delivery, 'The file was deleted or replaced before it could be sent.');
    const intake = new Intake({ ...this.#doors, queue: this.#queue, lanes: this.#lanes, lostFile });
    intake.follow(this.#doors.catalog);
  }

  start(): void {
    this.#lanes.start();
  }

  /** Breaks off what is being sent, which stays queued, and resolves when everything is stored. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#lanes.stop();
    await this.#queue.settled();
    await this.#doors.webhooks.close();
  }

  /** What was and is sent of a file. */
  ofFile(id: string): DeliveryDocument[] {
    return this.#queue.ofFile(id);
  }

  find(id: string): DeliveryDocument | null {
    return this.#queue.find(id);
  }

  stateOf({ id, state }: DeliveryDocument): ShownState {
    return this.#lanes.isSending(id) ? 'sending' : state;
  }

  /** The youngest first. @param tenant null: of all */
  page(
    filter: { tenant: string | null; state: ShownState | null; targetId: string | null },
    cursor: string | null,
    limit: number,
  ): DeliveryPage {
    const { tenant, state, targetId } = filter;
    const found: DeliveryDocument[] = [];
    for (const delivery of this.#queue.all().sort((a, b) => (a.id < b.id ? 1 : -1))) {
      if (cursor !== null && delivery.id >= cursor) continue;
      if (tenant !== null && delivery.tenant !== tenant) continue;
      if (targetId !== null && delivery.targetId !== targetId) continue;
      if (state !== null && this.stateOf(delivery) !== state) continue;
      if (found.length === limit) return { deliveries: found, nextCursor: found.at(-1)?.id ?? null };
      found.push(delivery);
    }
    return { deliveries: found, nextCursor: null };
  }

  /** Tries again from the beginning, at once. @throws LadingError `invalid_request` for what is over for good or under way */
  async retry(delivery: DeliveryDocument): Promise<DeliveryDocument> {
    const target = this.#doors.targets.find(delivery.targetId);
    if (!target) throw new LadingError('invalid_request', 'Its target was deleted.');
    const { state, fileId } = delivery;
    if (state === 'delivered') throw new LadingError('invalid_request', 'It was delivered already.');
    if (takesFiles(target) && !(fileId !== null && (await this.#doors.catalog.has(fileId)))) {
      throw new LadingError('invalid_request', 'The file to deliver no longer exists.');
    }
    if (this.#lanes.isSending(delivery.id)) return delivery;
    const again: DeliveryDocument = {
      ...delivery,
      state: 'queued',
      attempts: 0,
      nextAt: this.#doors.clock.steady(),
      endedAt: null,
    };
    this.#queue.remember(again);
    this.#lanes.resume(target.id);
    await this.#queue.store(again);
    this.#lanes.look();
    return again;
  }

  /** Ends whatever waits for a target that is no more. */
  forget({ id }: TargetDocument): void {
    for (const delivery of this.#lanes.waitingFor(id)) this.#cancel(delivery, 'The target was deleted.');
    this.#lanes.forget(id);
  }

  /** Removes the targets of a tenant that is no more, and all that was sent to them: nothing of it enters a new one of the same id. */
  async forgetTenant(tenant: string): Promise<void> {
    const { targets } = this.#doors;
    for (const target of [...targets.list(tenant)]) {
      await targets.remove(target);
      this.forget(target);
    }
    for (const { id, tenant: whose } of this.#queue.all()) {
      if (whose !== tenant) continue;
      this.#lanes.abort(id, 'the tenant was deleted');
      await this.#queue.remove(id);
    }
  }

  /** Removes what is over for long and whose file is gone. */
  async sweep(): Promise<void> {
    for (const { id, endedAt, fileId } of this.#queue.all()) {
      if (endedAt === null || this.#doors.clock.since(endedAt) < REMEMBERED_MS) continue;
      if (fileId !== null && (await this.#doors.catalog.has(fileId))) continue;
      await this.#queue.remove(id);
    }
  }

  gauges() {
    return {
      deliveries_queued: this.#lanes.waiting,
      deliveries_sending: this.#lanes.sending,
      deliveries_done_total: this.#counts.done,
      deliveries_failed_total: this.#counts.failed,
      delivery_tries_failed_total: this.#counts.failedTries,
    };
  }

  // ---------------------------------------------------------------- what becomes of them

  /** Keeps the name that a file is about to get, before it gets it. */
  async #named(delivery: DeliveryDocument, remoteName: string): Promise<void> {
    const now = this.#queue.find(delivery.id);
    if (now?.state !== 'queued') throw new Error('the delivery was cancelled');
    const named = { ...now, remoteName };
    this.#queue.replace(named);
    await this.#queue.store(named);
  }

  #tried({ id }: DeliveryDocument, target: TargetDocument, error: Error | null): void {
    const now = this.#queue.find(id);
    // Cancelled meanwhile.
    if (now?.state !== 'queued') return;
    if (error === null) this.#delivered(now);
    else if (this.#stopping) this.#queue.remember(now);
    else this.#failed(now, target, error);
  }

  #delivered(delivery: DeliveryDocument): void {
    this.#counts.done += 1;
    this.#lanes.resume(delivery.targetId);
    this.#queue.end({ ...delivery, state: 'delivered', attempts: delivery.attempts + 1, lastError: null });
  }

  /** Its administrators are not those of the server: what other servers say to this one is not for them. */
  #isForeign(target: TargetDocument): boolean {
    return target.kind !== 'webhook' && target.tenant !== DEFAULT_TENANT;
  }

  #failed(delivery: DeliveryDocument, target: TargetDocument, error: Error): void {
    const attempts = delivery.attempts + 1;
    const lastError = this.#isForeign(target) ? codeOf(error) : wordsOf(error, this.#doors.targets.secretOf(target));
    const now = this.#doors.clock.steady();
    this.#lanes.pause(target.id);
    this.#counts.failedTries += 1;
    if (attempts >= this.#mostAttempts(delivery)) {
      this.#counts.failed += 1;
      const failed = { ...delivery, state: 'failed' as const, attempts, lastError };
      this.#queue.end(failed);
      this.#doors.warn('a delivery was given up', { id: delivery.id, target: target.name, error: lastError });
      // Of the failure of telling of failures nobody is told.
      if (delivery.event !== 'delivery.failed')
        this.#doors.events.deliveryFailed(failed, target.name, plainName(target));
    } else {
      const again = { ...delivery, attempts, lastError, nextAt: now + this.#lanes.wait(attempts) };
      this.#queue.remember(again);
      void this.#queue.store(again);
    }
  }

  /** How far an upload has come is soon told anew. */
  #mostAttempts({ event }: DeliveryDocument): number {
    return event === 'chunk.received' ? 1 : this.#settings.attempts;
  }

  #cancel(delivery: DeliveryDocument, why: string): void {
    this.#lanes.abort(delivery.id, why);
    this.#queue.end({ ...delivery, state: 'cancelled', lastError: why });
  }
}
