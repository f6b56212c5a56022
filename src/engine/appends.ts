/**
 * Uploads with an address of their own, to which bytes are appended in requests of any length (tus):
 *
 *     create → document → append: bytes → segments → workers → rounds, each committed by itself → … → seal
 *
 * A round ends with the body, after so many bytes, or after so long; a body that breaks ends where it broke. So what arrived counts
 * whatever becomes of the connection, and a crash loses one round at most. Who asks for the offset or appends anew takes over:
 * a request that still receives is ended, what arrived with it is committed, and only then the offset is told.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { FileDocument, SegmentJob, SegmentResult, Subject } from '../contracts.ts';
import { LadingError } from '../errors.ts';
import { MAX_OFFSET } from '../protocol/chunk.ts';
import { lengthOf } from '../protocol/extents.ts';
import { MIB } from '../protocol/sizes.ts';
import { Inbox } from './inbox.ts';
import { type IngestDeps, planPieces } from './ingest.ts';
import { Receiver } from './receiver.ts';
import { assertStands, chunkConflict, fileTooLarge, outOfBounds, revoked } from './refusals.ts';
import type { Declaration, Handles, OpenUpload } from './upload.ts';

/** Bytes that a round commits at most: enough that its two syncs cost little of the time in which they came. */
const ROUND_BYTES = 16 * MIB;
/** A slower sender has what it sent committed at least so often. */
const ROUND_MS = 2_000;
/** How long what is on its way from an older request may still be read when a newer one takes over. */
const LAST_READ_MS = 25;
/** Names tried for a file whose own is taken. */
const MOST_NAMES = 1_000;
const ALL = { start: 0, end: MAX_OFFSET };

/** How an upload is found: by its id, and by a secret that nobody else can know. */
export interface ResourceAddress {
  id: string;
  secret: string;
}

/** What is said of an upload when it begins. Sizes in bytes. */
export interface ResourceIntent {
  owner: string;
  creator: Subject;
  /** The file's; if it is taken, a number is put to it, unless `overwrite`. */
  name: string;
  overwrite: boolean;
  /** Null: told later. */
  size: number | null;
  contentType: string | null;
  metadata: string | null;
}

export interface AppendIntent {
  offset: number;
  /** Of the whole file, when this request says it. */
  size: number | null;
  /** Bytes of this request, when it says so beforehand. */
  contentLength: number | null;
  /** False once whoever sends may do so no longer: then what is still to come is not waited for, nor does what came since count. */
  stands?: () => boolean;
}

/** How far an upload is. */
export interface ResourceState {
  owner: string;
  name: string;
  /** The next byte wanted; the size once complete. */
  offset: number;
  /** Null: not told yet. */
  size: number | null;
  complete: boolean;
  metadata: string | null;
  creator: Subject;
  /** When it is removed if nothing more comes; null once it is complete. */
  expiresAt: number | null;
}

/** A request that receives. */
class Running {
  readonly over: Promise<void>;
  #ended: LadingError | null = null;
  #inbox: Inbox | null = null;
  #finish = (): void => {};

  constructor() {
    this.over = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  receives(inbox: Inbox): void {
    this.#inbox = inbox;
    if (this.#ended) inbox.endSoon(this.#ended, LAST_READ_MS);
  }

  end(why: LadingError): void {
    this.#ended ??= why;
    this.#inbox?.endSoon(why, LAST_READ_MS);
  }

  finish(): void {
    this.#finish();
  }
}

export class Appends {
  readonly #deps: IngestDeps;
  readonly #running = new Map<string, Running>();

  constructor(deps: IngestDeps) {
    this.#deps = deps;
  }

  /** @throws LadingError `file_too_large`, `quota_exceeded`, `already_exists`, `insufficient_storage` */
  async create(intent: ResourceIntent): Promise<ResourceAddress> {
    const { uploads, usage, catalog, committer, sealer, limits } = this.#deps;
    const { owner, size, contentType, overwrite } = intent;
    if (size !== null && size > limits.maxFileBytes) throw fileTooLarge(size, limits.maxFileBytes);
    usage.check(owner, { bytes: size ?? 0, dayBytes: size ?? 0, openUploads: 1 });
    const secret = randomBytes(24).toString('base64url');
    for (const name of overwrite ? [intent.name] : freeNames(intent.name)) {
      if (uploads.find(owner, name)) continue;
      if (!overwrite && (await catalog.find(owner, name)).sealed) continue;
      const { target, handles } = await uploads.enter(owner, name, overwrite);
      if ('sealed' in target || !handles) continue;
      const { upload } = target;
      const held = upload.visible ? null : upload.tryReserve(ALL);
      try {
        if (!held || upload.document.resource) continue;
        const { creator, metadata } = intent;
        upload.document = { ...upload.document, resource: { keyHash: hashOf(secret), creator, metadata } };
        await committer.commit(upload, handles, [], { size, reprDigest: null, contentType });
        this.#deps.watchers.changed(owner, name);
        if (upload.covered) await sealer.seal(upload);
        return { id: upload.id, secret };
      } finally {
        held?.release();
        await uploads.leave(upload);
      }
    }
    throw new LadingError('already_exists', 'A file of this name is being uploaded. Wait until it is complete.');
  }

  /**
   * How far the upload is. A request that receives into it is ended first.
   * @throws LadingError `not_found`
   */
  async state(address: ResourceAddress): Promise<ResourceState> {
    await this.find(address);
    await this.#takeOver(address.id);
    return await this.find(address);
  }

  /** As `state`, and whoever receives goes on. */
  async find({ id, secret }: ResourceAddress): Promise<ResourceState> {
    const document = await this.#deps.catalog.get(id);
    const resource = document?.resource;
    if (!document || !resource || !sameHash(resource.keyHash, hashOf(secret))) throw gone();
    const { owner, name } = document;
    const { creator, metadata } = resource;
    const { clock, limits, uploads } = this.#deps;
    const shared = { owner, name, creator, metadata };
    if (document.state === 'sealed') {
      const size = document.size ?? 0;
      // The address is good as long after the end as it would have been without one.
      if (clock.now() >= (document.completedAt ?? 0) + limits.staleMs) throw gone();
      return { ...shared, offset: size, size, complete: true, expiresAt: null };
    }
    const upload = this.#uploadOf(document);
    if (!upload) throw gone();
    const expiresAt = upload.lastCommitAt + limits.staleMs;
    if (upload.users === 0 && clock.now() >= expiresAt && !upload.covered) throw gone();
    const offset = upload.stored.firstGap();
    const complete = upload.sealed;
    return { ...shared, offset, size: upload.size, complete, expiresAt: uploads.find(owner, name) ? expiresAt : null };
  }

  /**
   * Appends what `source` brings, up to its end or to where it breaks, and resolves with how far the upload is then. When the request
   * was ended before its end it throws why; what arrived until then counts all the same.
   * @throws LadingError `not_found`, `offset_mismatch`, `out_of_bounds`, `size_conflict`, `file_too_large`, `quota_exceeded`,
   * `superseded`, `request_timeout`, `length_mismatch`, `insufficient_storage`
   */
  async append(source: Readable, address: ResourceAddress, intent: AppendIntent): Promise<ResourceState> {
    await this.find(address);
    const running = await this.#claim(address.id);
    try {
      const { offset, size, complete } = await this.find(address);
      this.#check(intent, offset, size);
      if (!complete) {
        const document = await this.#deps.catalog.get(address.id);
        const upload = document && this.#uploadOf(document);
        if (!upload) throw gone();
        await this.#run(source, upload, intent, running);
      }
    } finally {
      this.#running.delete(address.id);
      running.finish();
    }
    return await this.find(address);
  }

  /** Removes an unfinished upload; of a complete one only the address ends. Whoever receives is ended. @throws LadingError `not_found` */
  async remove(address: ResourceAddress, cancel: (upload: OpenUpload) => Promise<void>): Promise<void> {
    await this.find(address);
    await this.#takeOver(address.id);
    const document = await this.#deps.catalog.get(address.id);
    if (!document) throw gone();
    const upload = this.#uploadOf(document);
    if (upload && !upload.sealed) await cancel(upload);
    const left = await this.#deps.catalog.get(address.id);
    if (left) {
      const { resource: _, ...rest } = left;
      await this.#deps.catalog.put(rest);
    }
  }

  #uploadOf({ id, owner, name }: FileDocument): OpenUpload | null {
    const upload = this.#deps.uploads.find(owner, name);
    return upload?.id === id ? upload : null;
  }

  /** From here on this request alone receives into the upload, until another one takes over. */
  async #claim(id: string): Promise<Running> {
    await this.#takeOver(id);
    // Others may have waited for the same end.
    while (this.#running.has(id)) await this.#takeOver(id);
    const running = new Running();
    this.#running.set(id, running);
    return running;
  }

  async #takeOver(id: string): Promise<void> {
    for (let running = this.#running.get(id); running; running = this.#running.get(id)) {
      running.end(new LadingError('superseded', 'A newer request for this upload took over.'));
      await running.over;
    }
  }

  #check(intent: AppendIntent, offset: number, known: number | null): void {
    const { maxFileBytes } = this.#deps.limits;
    if (intent.offset !== offset) {
      throw new LadingError('offset_mismatch', `The upload goes on at byte ${offset}, not at ${intent.offset}.`, {
        expected: offset,
        actual: intent.offset,
      });
    }
    if (intent.size !== null && known !== null && intent.size !== known) {
      throw new LadingError('size_conflict', `The size was declared as ${known}, not ${intent.size}.`, {
        expected: known,
        actual: intent.size,
      });
    }
    const size = known ?? intent.size;
    if (size !== null && size < offset) {
      throw new LadingError('size_conflict', `${offset} bytes are stored already; the size cannot be ${size}.`, {
        expected: offset,
        actual: size,
      });
    }
    if (size !== null && size > maxFileBytes) throw fileTooLarge(size, maxFileBytes);
    const end = offset + (intent.contentLength ?? 0);
    if (size !== null && end > size) throw outOfBounds(end - 1, size);
    if (end > maxFileBytes) throw fileTooLarge(end, maxFileBytes);
  }

  async #run(source: Readable, upload: OpenUpload, intent: AppendIntent, running: Running): Promise<void> {
    const { segments, watchdog } = this.#deps;
    let receiver: Receiver | null = null;
    let reading = false;
    const inbox = new Inbox(
      source,
      () => segments.holdLimit(),
      (bytes) => watch.seen(bytes),
      true,
    );
    segments.enter();
    const watch = watchdog.watch({
      held: () => !reading || inbox.paused || (receiver?.waiting ?? false),
      look: () => {
        inbox.look();
        if (intent.stands?.() === false) inbox.fail(revoked());
      },
      fail: (error) => inbox.endHere(error),
    });
    running.receives(inbox);
    try {
      await this.#deps.uploads.using(upload, async (handles) => {
        const held = await upload.reserve({ start: intent.offset, end: MAX_OFFSET }, inbox.gone);
        try {
          upload.assertGoing();
          await this.#rounds(inbox, upload, handles, intent, (next) => {
            receiver = next;
            reading = next !== null;
          });
        } finally {
          held.release();
        }
      });
      if (upload.covered && !upload.sealed) await this.#deps.sealer.seal(upload);
    } finally {
      watch.stop();
      inbox.detach();
      segments.leave();
      this.#deps.settleLater(upload);
    }
    if (inbox.cut) throw inbox.cut;
  }

  /** Reads to the end of the body, and has every round committed before the next begins. */
  async #rounds(
    inbox: Inbox,
    upload: OpenUpload,
    handles: Handles,
    intent: AppendIntent,
    reads: (receiver: Receiver | null) => void,
  ): Promise<void> {
    const { segments, committer, watchers, limits } = this.#deps;
    const declaration: Declaration = { size: intent.size, reprDigest: null, contentType: null };
    upload.check(declaration);
    if (intent.size !== null && upload.size === null) await committer.commit(upload, handles, [], declaration);
    let position = intent.offset;
    const last = (upload.size ?? limits.maxFileBytes) - 1;
    for (;;) {
      const extent = { start: position, end: Math.min(position + ROUND_BYTES - 1, last) };
      const began = performance.now();
      const { write, giveBack } = this.#writeInto(upload, handles);
      try {
        const plan = extent.end < extent.start ? [] : planPieces(upload.stored, extent);
        const pauses = (): boolean => performance.now() - began >= ROUND_MS;
        const receiver = new Receiver(inbox, write, segments, extent, plan, true, pauses);
        reads(receiver);
        const received = await receiver.receive();
        reads(null);
        if (received.conflict) throw chunkConflict();
        assertStands(intent.stands);
        if (received.fresh.length > 0) {
          await committer.commit(upload, handles, received.fresh, declaration);
          watchers.changed(upload.document.owner, upload.document.name);
          const fresh = received.fresh.reduce((sum, piece) => sum + lengthOf(piece), 0);
          const { document: file, stored, size: total } = upload;
          this.#deps.happened({ type: 'chunk.received', file, fresh, received: stored.bytes, total });
        }
        position += receiver.read;
      } finally {
        giveBack();
      }
      if (position > last) {
        reads(null);
        await this.#expectEnd(inbox, upload, position);
        return;
      }
      if (inbox.ended && inbox.bytes === 0) return;
    }
  }

  async #expectEnd(inbox: Inbox, upload: OpenUpload, position: number): Promise<void> {
    if (inbox.bytes === 0 && !inbox.ended) await inbox.until(1, null);
    if (inbox.bytes === 0) return;
    throw upload.size === null
      ? fileTooLarge(position + inbox.bytes, this.#deps.limits.maxFileBytes)
      : outOfBounds(position, upload.size);
  }

  #writeInto(upload: OpenUpload, { part }: Handles) {
    const { syncEarly, usage } = this.#deps;
    const reservations: (() => void)[] = [];
    const write = async (job: SegmentJob): Promise<SegmentResult> => {
      reservations.push(usage.reserve(upload, job.pieces, null));
      const result = await upload.write(part, job);
      // So that the commit has little left to wait for; a sync that fails here, the one of the commit makes good for.
      if (syncEarly && job.length > MIB / 2) part.sync().catch(() => {});
      return result;
    };
    const giveBack = (): void => {
      for (const give of reservations.splice(0)) give();
    };
    return { write, giveBack };
  }
}

/** `a.bin`, `a (2).bin`, `a (3).bin`, … */
function* freeNames(name: string): Generator<string> {
  yield name;
  const slash = name.lastIndexOf('/') + 1;
  const dot = name.lastIndexOf('.');
  const at = dot > slash ? dot : name.length;
  for (let count = 2; count <= MOST_NAMES; count += 1) yield `${name.slice(0, at)} (${count})${name.slice(at)}`;
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function gone(): LadingError {
  return new LadingError('not_found', 'There is no such upload, or it has ended.');
}
