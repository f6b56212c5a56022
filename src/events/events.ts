/**
 * Events in one order. The newest ones are kept in a ring, so that an interrupted stream can resume where it was. Each reader has its own
 * position; slow readers neither delay the others nor extend the ring.
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

/** Size of the ring. */
const RING_SIZE = 8192;
/** Minimum interval between `chunk.received` events of one file, which combine its chunks. */
const CHUNK_SPACING_MS = 250;

/** Audit actions that change principals, permissions or targets. */
const CHANGES = /^(?:client|token|user|tenant|share|grant|quota|phone|target|delivery|session)_(?!used)|^sign_out$/;

/** An event and who may receive it. */
export interface EmittedEvent {
  seq: number;
  event: LadingEvent;
  /** Owner key; null: the event belongs to no owner. */
  ownerKey: string | null;
  /** The detail for principals that may not see delivery targets, if it differs. */
  plainDetail?: string;
  /** Id for webhooks, for events that may be emitted more than once. */
  key?: string;
}

/** Position of a reader. */
export interface Position {
  /** Sequence number of the next event to read. */
  next: number;
  /** True if events before it were missed. */
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
  /** Part of every id, because sequence numbers restart with the server. */
  readonly #run = randomBytes(6).toString('hex');
  readonly #ring: EmittedEvent[] = [];
  readonly #listeners = new Set<(emitted: EmittedEvent) => void>();
  #next = 0;
  #chunks = new Map<string, Chunks>();
  #timer: NodeJS.Timeout | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Emits a file event. The engine calls it synchronously with the change. */
  readonly emitFileEvent = (change: FileEvent): void => {
    const { type, file } = change;
    if (type === 'chunk.received') {
      this.#chunk(change);
      return;
    }
    // Pending chunks come first, to keep the order.
    this.#emitChunks(file.id);
    this.#emit(type, file.owner, aboutFile(change));
  };

  /** The event of a file that was complete before it could be emitted. */
  completedEvent(file: Readonly<FileDocument>): LadingEvent {
    return { ...this.#event('file.completed', completedFields(file)), id: `${this.#run}-${file.id}` };
  }

  /** The event of a change that is about to be made to a file. */
  preview(change: Exclude<FileEvent, { type: 'chunk.received' }>): LadingEvent {
    const event = this.#event(change.type, aboutFile(change));
    return { ...event, id: `${this.#run}-${change.file.id}-${change.type}` };
  }

  /**
   * Emits the failure of a delivery.
   * @param plain name of the target for principals that may not see its address
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
    const plainDetail = `${plain}: failed permanently; an administrator can see the reason.`;
    this.#emit('delivery.failed', owner, { ...about, detail }, { plainDetail, key });
  }

  /** Emits a refusal in the audit log. Repeated refusals arrive here as one entry. */
  emitRefusal({ tenant, principal, detail, target }: AuditEntry): void {
    const who = [principal, target].filter((part) => part !== null).join(' ');
    this.#emit('auth.refused', null, { tenant, detail: [detail, who].filter(Boolean).join('; ') });
  }

  /**
   * Emits an entry of the audit log as `admin.changed`. False if the entry is not such a change.
   * @param key id of the event for webhooks, if it was announced
   */
  emitChange(entry: AuditEntry, key?: string): boolean {
    if (!isChange(entry)) return false;
    const { tenant, principal } = entry;
    const doer = tenant !== null && principal !== null ? ownerKey(tenant, principal) : null;
    this.#emit('admin.changed', doer, aboutChange(entry), key === undefined ? {} : { key });
    return true;
  }

  /**
   * The event of an administrative change that is about to be made; null if the entry is not such a change. It is sent only if the server
   * stops before it replies, when it is unknown whether the change was made.
   */
  previewChange(entry: AuditEntry, key: string): LadingEvent | null {
    if (!isChange(entry)) return null;
    const about = aboutChange(entry);
    const detail = `${about.detail}: the server stopped before it replied; the change may not have been made`;
    return { ...this.#event('admin.changed', { ...about, detail }), id: key };
  }

  listen(listener: (emitted: EmittedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The position after an event. @param lastId id of the last event that was read; null: start with the next event */
  positionAfter(lastId: string | null): Position {
    if (lastId === null) return { next: this.#next, lost: false };
    const [run, seq] = lastId.split('-');
    const next = Number(seq) + 1;
    const first = this.#next - this.#ring.length;
    // An id of an earlier run: every event of this run is new, and events in between may be lost.
    if (run !== this.#run || !Number.isSafeInteger(next) || next > this.#next) return { next: first, lost: true };
    return next < first ? { next: first, lost: true } : { next, lost: false };
  }

  /** The event at a position; null if it has not been emitted yet. */
  read(position: Position): EmittedEvent | null {
    const first = this.#next - this.#ring.length;
    if (position.next < first) {
      position.next = first;
      position.lost = true;
    }
    return this.#ring[position.next % RING_SIZE] !== undefined && position.next < this.#next
      ? (this.#ring[position.next % RING_SIZE] as EmittedEvent)
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
    const emitted: EmittedEvent = { seq, event: this.#event(type, about), ownerKey, ...more };
    this.#ring[seq % RING_SIZE] = emitted;
    this.#next = seq + 1;
    for (const listener of this.#listeners) listener(emitted);
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

function aboutFile(change: Exclude<FileEvent, { type: 'chunk.received' }>): About {
  const { type, file } = change;
  if (type === 'file.completed') return completedFields(file);
  if (!('received' in change)) return fileFields(file);
  const about = { ...fileFields(file), bytes_received: change.received };
  if (type !== 'upload.stale') return about;
  const { expiresAt = null } = change;
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

/** The tus metadata of a file as text; null without metadata. */
function metadataOf(sent: string | null): Record<string, string> | null {
  if (sent === null || sent === '') return null;
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return Object.fromEntries([...parseMetadata(sent)].map(([key, value]) => [key, decoder.decode(value)]));
}
