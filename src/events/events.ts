/**
 * What happened, in one order, for whoever listens: the newest events are kept so that a stream that broke can go on where it was.
 * Listeners read from where they are; none of them holds the others up or makes anything be kept longer.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../contracts/clock.ts';
import type { FileEvent } from '../contracts/file-events.ts';
import { ownerKey, parseOwnerKey } from '../identity/rights/policy.ts';
import { hex32 } from '../protocol/crc32.ts';
import { contentTypeFor } from '../protocol/http/media-types.ts';
import { parseMetadata } from '../protocol/http/tus.ts';
import type { LadingEvent } from '../protocol/schemas/event.ts';
import { iso } from '../protocol/times.ts';
import type { AuditEntry } from '../records/audit.ts';
import type { DeliveryDocument } from '../records/delivery.ts';
import type { FileDocument } from '../records/file.ts';

/** Events that are kept. */
const KEPT = 8192;
/** Chunks of one file are told together, at most so often. */
const CHUNK_SPACING_MS = 250;

/** Actions that change who may do what, or where things go. */
const CHANGES = /^(?:client|token|user|tenant|share|grant|quota|phone|target|delivery|session)_(?!used)|^sign_out$/;

/** An event and who may hear of it. */
export interface EmittedEvent {
  seq: number;
  event: LadingEvent;
  /** Key of the owner as the engine knows it; null: of no file. */
  ownerKey: string | null;
  /** The detail for those who do not see where files are sent on to, where it is another one. */
  plainDetail?: string;
  /** What webhooks know it by, where they may be told more than once. */
  key?: string;
}

/** Where a listener is. */
export interface Position {
  /** Number of the next event to read. */
  next: number;
  /** Events between where it was and there are gone. */
  lost: boolean;
}

interface Chunks {
  file: Readonly<FileDocument>;
  count: number;
  fresh: number;
  received: number;
  total: number | null;
}

type About = Partial<Omit<LadingEvent, 'id' | 'type' | 'time'>>;

export class Events {
  readonly #clock: Clock;
  /** In the ids of this run: numbers begin anew with each. */
  readonly #run = randomBytes(6).toString('hex');
  readonly #ring: EmittedEvent[] = [];
  readonly #listeners = new Set<(told: EmittedEvent) => void>();
  #next = 0;
  #chunks = new Map<string, Chunks>();
  #timer: NodeJS.Timeout | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Called in the very step in which something happens to a file. */
  readonly emitFileEvent = (happening: FileEvent): void => {
    const { type, file } = happening;
    if (type === 'chunk.received') {
      this.#chunk(happening);
      return;
    }
    // What came before must be told before.
    this.#emitChunks(file.id);
    this.#emit(type, file.owner, aboutFile(happening));
  };

  /** The event of a file that was complete before anybody here was told. */
  completedEvent(file: Readonly<FileDocument>): LadingEvent {
    return { ...this.#event('file.completed', completedFields(file)), id: `${this.#run}-${file.id}` };
  }

  /** The event of something that is about to happen to a file. */
  preview(happening: Exclude<FileEvent, { type: 'chunk.received' }>): LadingEvent {
    const event = this.#event(happening.type, aboutFile(happening));
    return { ...event, id: `${this.#run}-${happening.file.id}-${happening.type}` };
  }

  /**
   * @param plain the name of the target for those who do not see where it is
   * @param key id of the event for webhooks
   */
  emitDeliveryFailed(delivery: DeliveryDocument, target: string, plain: string, key: string): void {
    const { owner, fileName, fileId, tenant, lastError } = delivery;
    const about = {
      filename: fileName,
      file_id: fileId,
      tenant,
      owner: owner === null ? null : parseOwnerKey(owner).id,
    };
    const detail = `${target}: ${lastError ?? 'failed'}`;
    const plainDetail = `${plain}: given up; an administrator can see why.`;
    this.#emit('delivery.failed', owner, { ...about, detail }, { plainDetail, key });
  }

  /** Of entries that refuse; a flood of the same is one entry. */
  emitRefusal({ tenant, principal, detail, target }: AuditEntry): void {
    const who = [principal, target].filter((part) => part !== null).join(' ');
    this.#emit('auth.refused', null, { tenant, detail: [detail, who].filter(Boolean).join('; ') });
  }

  /**
   * Takes an entry of the audit log. False when it is no event, for it is not about what administrators look after.
   * @param key id of the event for webhooks, if it was foretold
   */
  emitChange(entry: AuditEntry, key?: string): boolean {
    if (!isChange(entry)) return false;
    const { tenant, principal } = entry;
    const doer = tenant !== null && principal !== null ? ownerKey(tenant, principal) : null;
    this.#emit('admin.changed', doer, aboutChange(entry), key === undefined ? {} : { key });
    return true;
  }

  /**
   * The event of a change that is about to be made; null for what is none. It is told only if the server is killed before it answers,
   * when nobody knows whether the change was made.
   */
  previewChange(entry: AuditEntry, key: string): LadingEvent | null {
    if (!isChange(entry)) return null;
    const about = aboutChange(entry);
    const detail = `${about.detail}: begun, and the server stopped before it answered; it may not be done`;
    return { ...this.#event('admin.changed', { ...about, detail }), id: key };
  }

  listen(listener: (told: EmittedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @param lastId id of the last event that was read; null: from now on */
  positionAfter(lastId: string | null): Position {
    if (lastId === null) return { next: this.#next, lost: false };
    const [run, seq] = lastId.split('-');
    const next = Number(seq) + 1;
    const first = this.#next - this.#ring.length;
    // Of another run everything that this one has is new, and what was in between nobody knows.
    if (run !== this.#run || !Number.isSafeInteger(next) || next > this.#next) return { next: first, lost: true };
    return next < first ? { next: first, lost: true } : { next, lost: false };
  }

  /** The event at a position; null when it is yet to come. */
  read(position: Position): EmittedEvent | null {
    const first = this.#next - this.#ring.length;
    if (position.next < first) {
      position.next = first;
      position.lost = true;
    }
    return this.#ring[position.next % KEPT] !== undefined && position.next < this.#next
      ? (this.#ring[position.next % KEPT] as EmittedEvent)
      : null;
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#chunks.clear();
    this.#listeners.clear();
  }

  #chunk({ file, fresh, received, total }: Extract<FileEvent, { type: 'chunk.received' }>): void {
    const known = this.#chunks.get(file.id);
    if (known) {
      known.count += 1;
      known.fresh += fresh;
      known.received = Math.max(known.received, received);
      known.total = total;
    } else {
      this.#chunks.set(file.id, { file, count: 1, fresh, received, total });
      this.#timer ??= setTimeout(() => this.#emitAllChunks(), CHUNK_SPACING_MS).unref();
    }
  }

  #emitAllChunks(): void {
    this.#timer = null;
    for (const id of [...this.#chunks.keys()]) this.#emitChunks(id);
  }

  #emitChunks(id: string): void {
    const chunks = this.#chunks.get(id);
    if (!chunks) return;
    this.#chunks.delete(id);
    const { file, count, fresh, received, total } = chunks;
    this.#emit('chunk.received', file.owner, {
      ...fileFields(file),
      bytes_received: received,
      total_bytes: total,
      chunks: count,
      chunk_bytes: fresh,
    });
  }

  #emit(
    type: LadingEvent['type'],
    ownerKey: string | null,
    about: About,
    more: Pick<EmittedEvent, 'plainDetail' | 'key'> = {},
  ): void {
    const seq = this.#next;
    const told: EmittedEvent = { seq, event: this.#event(type, about), ownerKey, ...more };
    this.#ring[seq % KEPT] = told;
    this.#next = seq + 1;
    for (const listener of this.#listeners) listener(told);
  }

  #event(type: LadingEvent['type'], about: About): LadingEvent {
    return {
      id: `${this.#run}-${this.#next}`,
      type,
      time: iso(this.#clock.now()),
      tenant: null,
      owner: null,
      filename: null,
      file_id: null,
      bytes_received: null,
      total_bytes: null,
      content_type: null,
      crc32: null,
      sha256: null,
      metadata: null,
      detail: null,
      ...about,
    };
  }
}

function isChange({ action, outcome }: AuditEntry): boolean {
  return outcome === 'ok' && CHANGES.test(action);
}

function aboutChange({ tenant, principal, action, target }: AuditEntry): About {
  return { tenant, owner: principal, detail: [action, target].filter(Boolean).join(' ') };
}

function aboutFile(happening: Exclude<FileEvent, { type: 'chunk.received' }>): About {
  const { type, file } = happening;
  if (type === 'file.completed') return completedFields(file);
  if (!('received' in happening)) return fileFields(file);
  const about = { ...fileFields(file), bytes_received: happening.received };
  if (type !== 'upload.stale') return about;
  const { expiresAt = null } = happening;
  return { ...about, detail: expiresAt === null ? 'kept' : `kept until ${iso(expiresAt)}` };
}

function completedFields(file: Readonly<FileDocument>): About {
  const { size, crc32, reprDigest } = file;
  const declared = reprDigest?.algorithm === 'sha-256' ? Buffer.from(reprDigest.value, 'base64').toString('hex') : null;
  const hex = crc32 === null ? null : hex32(crc32);
  return { ...fileFields(file), bytes_received: size, crc32: hex, sha256: declared };
}

function fileFields({ id, owner, name, size, contentType, resource }: Readonly<FileDocument>): About {
  const holder = parseOwnerKey(owner);
  const type = contentType ?? contentTypeFor(name);
  return {
    tenant: holder.tenant,
    owner: holder.id,
    filename: name,
    file_id: id,
    total_bytes: size,
    content_type: type,
    metadata: metadataOf(resource?.metadata ?? null),
  };
}

/** What the sender said of the file, as text; null when it said nothing. */
function metadataOf(sent: string | null): Record<string, string> | null {
  if (sent === null || sent === '') return null;
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return Object.fromEntries([...parseMetadata(sent)].map(([key, value]) => [key, decoder.decode(value)]));
}
