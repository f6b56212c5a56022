/**
 * What is on its way to targets: a queue on stable storage, and those who carry it. A file is safe here before anything of this begins,
 * and nothing that an upload waits for is done here.
 *
 *     file complete / event → matches a target's rule → document (durable) → try, try again, … → delivered or failed
 */
import { randomBytes } from 'node:crypto';
import type {
  BlobStore,
  Catalog,
  Clock,
  Collection,
  DeliveryDocument,
  FileDocument,
  Inspector,
  TargetDocument,
  WebhookTargetDocument,
} from '../contracts.ts';
import { openBytes } from '../engine/pieces.ts';
import { LadingError } from '../errors.ts';
import type { Events, Told } from '../events/events.ts';
import { DEFAULT_TENANT, holderOf } from '../identity/policy.ts';
import { hex32 } from '../protocol/crc32.ts';
import { formatDigestField } from '../protocol/digests.ts';
import type { EventType } from '../protocol/event-schemas.ts';
import { contentTypeFor } from '../protocol/media-types.ts';
import { mayBePrivate, publicAddressOf } from './addresses.ts';
import { bytesOf, putByFtp } from './ftp.ts';
import { namesFor, remoteName } from './naming.ts';
import { plainName, type Targets, takesFiles, tenantOfEvent, wantsEvent, wantsFile } from './targets.ts';
import type { WebhookMessage, WebhookSender } from './webhook.ts';

/** At one time to one target. */
const MOST_EACH = 2;
/** Events that wait for one target; more are not taken up. Finished files always are. */
const MOST_EVENTS = 10_000;
const LONGEST_WAIT_MS = 600_000;
const MOST_ERROR = 300;
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

export interface DeliverySettings {
  /** At one time to all targets. */
  parallel: number;
  /** Tries before one is given up. */
  attempts: number;
  /** Wait after the first try; it doubles with each. */
  retrySeconds: number;
}

interface Waiting {
  delivery: DeliveryDocument;
  /** Monotonic time of the next try. Its date is for those who look at the list. */
  dueAt: number;
}

/** What waits for one target. */
interface Lane {
  /** In the order in which it is tried. */
  waiting: Map<string, Waiting>;
  sending: number;
  failures: number;
  /** The target did not answer: nothing is tried before this monotonic time. */
  pausedUntil: number;
}

export type ShownState = DeliveryDocument['state'] | 'sending';

export interface DeliveryPage {
  deliveries: DeliveryDocument[];
  nextCursor: string | null;
}

export class Deliveries {
  readonly #doors: DeliveryDoors;
  readonly #settings: DeliverySettings;
  readonly #byId = new Map<string, DeliveryDocument>();
  readonly #byFile = new Map<string, Set<string>>();
  readonly #lanes = new Map<string, Lane>();
  readonly #sending = new Map<string, AbortController>();
  readonly #sends = new Set<Promise<void>>();
  /** One write after the other of each document. */
  readonly #writes = new Map<string, Promise<void>>();
  /** Events that are over, the oldest first: so many of them are remembered. Those of complete files stay as long as their files. */
  #pastEvents: string[] = [];
  #timer: NodeJS.Timeout | null = null;
  #planned = false;
  #running = false;
  #stopping = false;
  /** Of the youngest id, in milliseconds since the epoch. */
  #lastTime = 0;

  private constructor(doors: DeliveryDoors, settings: DeliverySettings) {
    this.#doors = doors;
    this.#settings = settings;
  }

  /** Takes up what was on its way, and finished files of which a crash left no word here. Nothing is sent before `start`. */
  static async open(doors: DeliveryDoors, settings: DeliverySettings): Promise<Deliveries> {
    const deliveries = new Deliveries(doors, settings);
    for (const document of await doors.documents.list()) {
      deliveries.#remember(document);
      deliveries.#lastTime = Math.max(deliveries.#lastTime, timeOf(document.id));
      if (document.endedAt !== null) deliveries.#rememberPast(document);
    }
    let here = false;
    doors.catalog.follow((file, there) => {
      if (!there) deliveries.#fileWent(file);
      else if (here) deliveries.#fileCame(file);
      else deliveries.#fileIsThere(file);
    });
    here = true;
    doors.events.listen((told) => deliveries.#eventCame(told));
    return deliveries;
  }

  start(): void {
    this.#running = true;
    this.#look();
  }

  /** Breaks off what is being sent, which stays queued, and resolves when everything is stored. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#running = false;
    if (this.#timer) clearTimeout(this.#timer);
    for (const abort of this.#sending.values()) abort.abort(new Error('the server is stopping'));
    await Promise.all(this.#sends);
    await Promise.all(this.#writes.values());
    await this.#doors.webhooks.close();
  }

  /** What was and is sent of a file. */
  ofFile(id: string): DeliveryDocument[] {
    return [...(this.#byFile.get(id) ?? [])].flatMap((delivery) => this.#byId.get(delivery) ?? []);
  }

  find(id: string): DeliveryDocument | null {
    return this.#byId.get(id) ?? null;
  }

  stateOf({ id, state }: DeliveryDocument): ShownState {
    return this.#sending.has(id) ? 'sending' : state;
  }

  /** The youngest first. @param tenant null: of all */
  page(
    filter: { tenant: string | null; state: ShownState | null; targetId: string | null },
    cursor: string | null,
    limit: number,
  ): DeliveryPage {
    const { tenant, state, targetId } = filter;
    const found: DeliveryDocument[] = [];
    for (const id of [...this.#byId.keys()].sort().reverse()) {
      if (cursor !== null && id >= cursor) continue;
      const delivery = this.#byId.get(id) as DeliveryDocument;
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
    if (this.#sending.has(delivery.id)) return delivery;
    const again: DeliveryDocument = { ...delivery, state: 'queued', attempts: 0, nextAt: this.#now(), endedAt: null };
    this.#remember(again);
    const lane = this.#lane(target.id);
    lane.pausedUntil = Number.NEGATIVE_INFINITY;
    await this.#store(again);
    this.#look();
    return again;
  }

  /** Ends whatever waits for a target that is no more. */
  forget({ id }: TargetDocument): void {
    for (const { delivery } of this.#lanes.get(id)?.waiting.values() ?? [])
      this.#cancel(delivery, 'The target was deleted.');
    this.#lanes.delete(id);
  }

  /** Removes the targets of a tenant that is no more, and all that was sent to them: nothing of it enters a new one of the same id. */
  async forgetTenant(tenant: string): Promise<void> {
    const { targets, documents } = this.#doors;
    for (const target of [...targets.list(tenant)]) {
      await targets.remove(target);
      this.forget(target);
    }
    for (const { id, tenant: whose } of [...this.#byId.values()]) {
      if (whose !== tenant) continue;
      this.#sending.get(id)?.abort(new Error('the tenant was deleted'));
      await this.#writes.get(id);
      await documents.remove(id);
      this.#drop(id);
    }
  }

  /** Removes what is over for long and whose file is gone. */
  async sweep(): Promise<void> {
    for (const { id, endedAt, fileId } of [...this.#byId.values()]) {
      if (endedAt === null || this.#doors.clock.since(endedAt) < REMEMBERED_MS) continue;
      if (fileId !== null && (await this.#doors.catalog.has(fileId))) continue;
      await this.#doors.documents.remove(id);
      this.#drop(id);
    }
  }

  gauges(): Record<string, number> {
    let queued = 0;
    for (const { waiting } of this.#lanes.values()) queued += waiting.size;
    return { deliveries_queued: queued, deliveries_sending: this.#sending.size };
  }

  // ---------------------------------------------------------------- what comes

  #fileCame(file: Readonly<FileDocument>): void {
    for (const target of this.#doors.targets.list(holderOf(file.owner).tenant)) {
      if (!takesFiles(target) || !wantsFile(target, file) || this.#knows(target, file)) continue;
      this.#enqueue(target, 'file.completed', file, null, versionOf(file));
    }
  }

  /** True when this version of the file is on its way to the target, or was. */
  #knows(target: TargetDocument, file: Readonly<FileDocument>): boolean {
    return this.ofFile(file.id).some(
      ({ targetId, event, state, version }) =>
        targetId === target.id &&
        event === 'file.completed' &&
        (version === undefined || (version === versionOf(file) && state !== 'cancelled')),
    );
  }

  /** At the start: files that were complete before their target was there, or are on their way already, are left alone. */
  #fileIsThere(file: Readonly<FileDocument>): void {
    for (const target of this.#doors.targets.list(holderOf(file.owner).tenant)) {
      if ((file.completedAt ?? 0) < target.createdAt || !wantsFile(target, file)) continue;
      if (this.#knows(target, file)) continue;
      const version = versionOf(file);
      if (target.kind !== 'webhook' || target.content === 'file')
        this.#enqueue(target, 'file.completed', file, null, version);
      else if (target.events.includes('file.completed')) {
        this.#enqueue(target, 'file.completed', file, JSON.stringify(this.#doors.events.completed(file)), version);
      }
    }
  }

  #fileWent(file: Readonly<FileDocument>): void {
    for (const delivery of this.ofFile(file.id)) {
      const target = this.#doors.targets.find(delivery.targetId);
      // An event is none the less true.
      if (delivery.state === 'queued' && (!target || takesFiles(target))) {
        this.#cancel(delivery, 'The file was deleted or replaced before it could be sent.');
      }
    }
  }

  #eventCame({ event, ownerKey, plainDetail }: Told): void {
    for (const target of this.#doors.targets.list(tenantOfEvent(event))) {
      if (target.kind !== 'webhook' || target.content === 'file' || !wantsEvent(target, event)) continue;
      if (event.type !== 'file.completed' && this.#lane(target.id).waiting.size >= MOST_EVENTS) continue;
      const file = ownerKey === null ? null : { owner: ownerKey, name: event.filename ?? '', id: event.file_id ?? '' };
      const version = event.type === 'file.completed' ? `${event.total_bytes}-${event.crc32}` : undefined;
      // A webhook for the files of one owner reads what that owner may.
      const plain = target.rule.owner === null || plainDetail === undefined ? {} : { detail: plainDetail };
      this.#enqueue(target, event.type, file, JSON.stringify({ ...event, ...plain }), version);
    }
  }

  #enqueue(
    target: TargetDocument,
    event: EventType,
    file: Pick<FileDocument, 'owner' | 'name' | 'id'> | null,
    payload: string | null,
    version?: string,
  ): void {
    const now = this.#now();
    const delivery: DeliveryDocument = {
      id: this.#newId(now),
      targetId: target.id,
      tenant: target.tenant,
      event,
      owner: file?.owner ?? null,
      fileName: file?.name ?? null,
      fileId: file?.id ?? null,
      ...(version === undefined ? {} : { version }),
      payload,
      state: 'queued',
      attempts: 0,
      lastError: null,
      createdAt: now,
      nextAt: now,
      endedAt: null,
    };
    this.#remember(delivery);
    void this.#store(delivery);
    // Not in the step in which the file became complete.
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      this.#look();
    });
  }

  /** Sorts behind those that were made before, whatever the date does. */
  #newId(now: number): string {
    this.#lastTime = Math.max(now, this.#lastTime + 1);
    return `${this.#lastTime.toString(36).padStart(9, '0')}${randomBytes(6).toString('hex')}`;
  }

  // ---------------------------------------------------------------- what is sent

  /** Starts what may be started, and sees to it that the next look comes in time. */
  #look(): void {
    if (!this.#running) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const now = this.#doors.clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const [targetId, lane] of this.#lanes) {
      const target = this.#doors.targets.find(targetId);
      if (!target) continue;
      while (lane.waiting.size > 0 && lane.sending < MOST_EACH && this.#sending.size < this.#settings.parallel) {
        const due = lane.pausedUntil <= now ? firstDue(lane, now) : null;
        if (!due) break;
        const send = this.#send(due, target, lane).finally(() => this.#sends.delete(send));
        this.#sends.add(send);
      }
      if (lane.sending < MOST_EACH) next = Math.min(next, nextDue(lane, now));
    }
    if (next === Number.POSITIVE_INFINITY) return;
    // What is due and finds no room is looked at again when something ends.
    const wait = next <= now ? LONGEST_WAIT_MS : Math.min(next - now, LONGEST_WAIT_MS);
    this.#timer = setTimeout(() => this.#look(), wait).unref();
  }

  async #send(delivery: DeliveryDocument, target: TargetDocument, lane: Lane): Promise<void> {
    const abort = new AbortController();
    lane.waiting.delete(delivery.id);
    lane.sending += 1;
    this.#sending.set(delivery.id, abort);
    let error: Error | null = null;
    try {
      await this.#carry(delivery, target, abort.signal);
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown));
    }
    lane.sending -= 1;
    this.#sending.delete(delivery.id);
    const now = this.#byId.get(delivery.id);
    // Cancelled meanwhile.
    if (now?.state !== 'queued') this.#look();
    else if (error === null) this.#delivered(now, lane);
    else if (this.#stopping) lane.waiting.set(delivery.id, { delivery, dueAt: 0 });
    else this.#failed(now, target, lane, error);
  }

  async #carry(delivery: DeliveryDocument, target: TargetDocument, signal: AbortSignal): Promise<void> {
    const secret = this.#doors.targets.secretOf(target);
    if (secret === null) {
      throw new Error('the password cannot be read with the key of this server; make the target anew');
    }
    if (target.kind === 'webhook' && target.content === 'event') return this.#tell(delivery, target, secret, signal);
    const { catalog, blobs } = this.#doors;
    const { owner, fileName, fileId } = delivery;
    const slot = owner === null || fileName === null ? null : await catalog.find(owner, fileName);
    const file = slot?.sealed;
    if (!file || file.id !== fileId) throw new Error('the file is gone');
    const reader = await openBytes(blobs, file);
    try {
      const content = { size: file.size ?? 0, read: reader.read.bind(reader) };
      if (target.kind === 'webhook') return await this.#post(delivery, target, secret, file, content, signal);
      const clientId = holderOf(file.owner).id;
      const name = remoteName(target.pattern, { ...file, clientId, completedAt: file.completedAt ?? file.updatedAt });
      const { remoteName: tried = null } = delivery;
      const takes = async (taken: string): Promise<void> => {
        const now = this.#byId.get(delivery.id);
        if (now?.state !== 'queued') throw new Error('the delivery was cancelled');
        const named = { ...now, remoteName: taken };
        this.#byId.set(delivery.id, named);
        await this.#store(named);
      };
      const address = this.#mayBePrivate(target) ? null : await publicAddressOf(target.host);
      const sent = { names: namesFor(name), tried, takes, id: file.id, ...content };
      await putByFtp(target, secret, sent, signal, address);
    } finally {
      reader.release();
    }
  }

  #tell(delivery: DeliveryDocument, { url }: WebhookTargetDocument, secret: string, signal: AbortSignal) {
    const timestamp = Math.floor(this.#now() / 1000);
    return this.#doors.webhooks.send(
      url,
      secret,
      { id: delivery.id, timestamp, body: delivery.payload ?? '{}' },
      signal,
    );
  }

  /** The file itself. Its digest is made off the main thread, and what is signed is the digest. */
  async #post(
    delivery: DeliveryDocument,
    target: WebhookTargetDocument,
    secret: string,
    file: FileDocument,
    content: { size: number; read(into: Uint8Array, position: number): Promise<number> },
    signal: AbortSignal,
  ): Promise<void> {
    const digest = await this.#doors.inspector.digest(file.id, 'sha-256', { start: 0, end: content.size - 1 });
    const message: WebhookMessage = {
      id: delivery.id,
      timestamp: Math.floor(this.#now() / 1000),
      body: formatDigestField({ algorithm: 'sha-256', value: digest }),
      file: {
        name: file.name,
        type: file.contentType ?? contentTypeFor(file.name),
        size: content.size,
        bytes: () => bytesOf(content),
      },
    };
    await this.#doors.webhooks.send(target.url, secret, message, signal);
  }

  #delivered(delivery: DeliveryDocument, lane: Lane): void {
    lane.failures = 0;
    lane.pausedUntil = Number.NEGATIVE_INFINITY;
    this.#end({ ...delivery, state: 'delivered', attempts: delivery.attempts + 1, lastError: null });
    this.#look();
  }

  #mayBePrivate({ tenant }: TargetDocument): boolean {
    return mayBePrivate(tenant, this.#doors.allowPrivate);
  }

  /** Its administrators are not those of the server: what other servers say to this one is not for them. */
  #isForeign(target: TargetDocument): boolean {
    return target.kind !== 'webhook' && target.tenant !== DEFAULT_TENANT;
  }

  #failed(delivery: DeliveryDocument, target: TargetDocument, lane: Lane, error: Error): void {
    const attempts = delivery.attempts + 1;
    const lastError = this.#isForeign(target) ? codeOf(error) : wordsOf(error, this.#doors.targets.secretOf(target));
    const now = this.#now();
    lane.failures += 1;
    lane.pausedUntil = this.#doors.clock.monotonic() + this.#wait(lane.failures);
    if (attempts >= this.#mostAttempts(delivery)) {
      const failed = { ...delivery, state: 'failed' as const, attempts, lastError };
      this.#end(failed);
      this.#doors.warn('a delivery was given up', { id: delivery.id, target: target.name, error: lastError });
      // Of the failure of telling of failures nobody is told.
      if (delivery.event !== 'delivery.failed')
        this.#doors.events.deliveryFailed(failed, target.name, plainName(target));
    } else {
      const again = { ...delivery, attempts, lastError, nextAt: now + this.#wait(attempts) };
      this.#remember(again);
      void this.#store(again);
    }
    this.#look();
  }

  /** How far an upload has come is soon told anew. */
  #mostAttempts({ event }: DeliveryDocument): number {
    return event === 'chunk.received' ? 1 : this.#settings.attempts;
  }

  /** A date that was kept may be one of a wrong clock: no wait becomes longer than waits are. */
  #dueAt({ nextAt }: DeliveryDocument): number {
    const { clock } = this.#doors;
    const wait = (nextAt ?? 0) - clock.now();
    return clock.monotonic() + Math.min(Math.max(wait, 0), 1.25 * this.#longestWait);
  }

  get #longestWait(): number {
    return Math.max(LONGEST_WAIT_MS, this.#settings.retrySeconds * 1000);
  }

  /** Doubles from try to try; a quarter more or less, so that many do not come back at one time. */
  #wait(tries: number): number {
    const wait = Math.min(this.#settings.retrySeconds * 1000 * 2 ** Math.min(tries - 1, 30), this.#longestWait);
    return Math.round(wait * (0.75 + Math.random() / 2));
  }

  // ---------------------------------------------------------------- what is kept

  #cancel(delivery: DeliveryDocument, why: string): void {
    this.#sending.get(delivery.id)?.abort(new Error(why));
    this.#end({ ...delivery, state: 'cancelled', lastError: why });
  }

  #end(delivery: DeliveryDocument): void {
    const ended: DeliveryDocument = { ...delivery, nextAt: null, endedAt: this.#now() };
    this.#remember(ended);
    if (ended.event === 'chunk.received') this.#drop(ended.id);
    else {
      void this.#store(ended);
      this.#rememberPast(ended);
    }
  }

  #rememberPast({ id, payload, event }: DeliveryDocument): void {
    if (payload === null || event === 'file.completed') return;
    this.#pastEvents.push(id);
    if (this.#pastEvents.length <= MOST_EVENTS) return;
    const oldest = this.#pastEvents.shift() as string;
    // Tried again meanwhile: it is remembered when it ends.
    if (this.#byId.get(oldest)?.state === 'queued') return;
    this.#drop(oldest);
    void (this.#writes.get(oldest) ?? Promise.resolve())
      .then(() => this.#doors.documents.remove(oldest))
      .catch((error: unknown) => this.#doors.warn('a past delivery could not be removed', { id: oldest, error }));
  }

  #remember(delivery: DeliveryDocument): void {
    const { id, fileId, targetId, state } = delivery;
    this.#byId.set(id, delivery);
    if (fileId !== null) {
      const of = this.#byFile.get(fileId) ?? new Set();
      this.#byFile.set(fileId, of.add(id));
    }
    const { waiting } = this.#lane(targetId);
    // Behind what was there before.
    waiting.delete(id);
    if (state === 'queued') waiting.set(id, { delivery, dueAt: this.#dueAt(delivery) });
  }

  #drop(id: string): void {
    const delivery = this.#byId.get(id);
    this.#byId.delete(id);
    if (delivery) this.#lanes.get(delivery.targetId)?.waiting.delete(id);
    if (!delivery || delivery.fileId === null) return;
    const of = this.#byFile.get(delivery.fileId);
    of?.delete(id);
    if (of?.size === 0) this.#byFile.delete(delivery.fileId);
  }

  #lane(targetId: string): Lane {
    const known = this.#lanes.get(targetId);
    if (known) return known;
    const lane: Lane = { waiting: new Map(), sending: 0, failures: 0, pausedUntil: Number.NEGATIVE_INFINITY };
    this.#lanes.set(targetId, lane);
    return lane;
  }

  /** A write that fails is made good by the next one of the same document, or by the next start. */
  #store(delivery: DeliveryDocument): Promise<void> {
    if (delivery.event === 'chunk.received') return Promise.resolve();
    const { id } = delivery;
    const before = this.#writes.get(id) ?? Promise.resolve();
    const write = before
      .then(() => this.#doors.documents.put(delivery))
      .catch((error: unknown) => this.#doors.warn('the state of a delivery could not be stored', { id, error }))
      .finally(() => {
        if (this.#writes.get(id) === write) this.#writes.delete(id);
      });
    this.#writes.set(id, write);
    return write;
  }

  #now(): number {
    return this.#doors.clock.now();
  }
}

/** Of a complete file: other bytes, another version. */
function versionOf({ size, crc32 }: Readonly<FileDocument>): string {
  return `${size}-${hex32(crc32 ?? 0)}`;
}

/** When an id was made; 0 for one that does not say. */
function timeOf(id: string): number {
  const time = Number.parseInt(id.slice(0, 9), 36);
  return Number.isSafeInteger(time) ? time : 0;
}

function firstDue({ waiting }: Lane, now: number): DeliveryDocument | null {
  for (const { delivery, dueAt } of waiting.values()) if (dueAt <= now) return delivery;
  return null;
}

function nextDue({ waiting, pausedUntil }: Lane, now: number): number {
  // However many wait, none of them is tried before.
  if (waiting.size > 0 && pausedUntil > now) return pausedUntil;
  let next = Number.POSITIVE_INFINITY;
  for (const { dueAt } of waiting.values()) next = Math.min(next, dueAt);
  return next;
}

/** One short line, with nothing of the password in it. */
/** What went wrong, without a word of another server's. */
function codeOf(error: Error): string {
  if (error instanceof LadingError) return error.message;
  const { code } = error as Error & { code?: unknown };
  if (typeof code === 'number') return `the server said ${code}`;
  return typeof code === 'string' ? `the connection failed: ${code}` : 'the server or the connection failed';
}

function wordsOf(error: Error, secret: string | null): string {
  const cause = error.cause instanceof Error ? error.cause.message : '';
  const text = (error.message || cause || error.name).replaceAll(/\s+/g, ' ');
  const safe = secret === null || secret === '' ? text : text.replaceAll(secret, '*'.repeat(8));
  return safe.slice(0, MOST_ERROR);
}
