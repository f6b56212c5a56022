/**
 * Uploads with an address of their own, to which bytes are appended in requests of any length (tus):
 *
 *     create → document → append: bytes → segments → workers → rounds, each committed by itself → … → seal
 *
 * A round ends with the body, after so many bytes, or after so long; a body that breaks ends where it broke. So what arrived counts
 * whatever becomes of the connection, and a crash loses one round at most. Who asks for the offset or appends anew takes over:
 * a request that still receives is ended, what arrived with it is committed, and only then the offset is told.
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FileDocument, ResourceDocument, SegmentJob, SegmentResult } from '../contracts.ts';
import { LadingError } from '../errors.ts';
import { MAX_OFFSET } from '../protocol/chunk.ts';
import { crc32Combine } from '../protocol/crc32.ts';
import { type Extent, lengthOf } from '../protocol/extents.ts';
import { MIB } from '../protocol/sizes.ts';
import type { FreshExtent } from './committer.ts';
import { Inbox } from './inbox.ts';
import { type IngestDeps, planPieces } from './ingest.ts';
import { Receiver } from './receiver.ts';
import { assertStands, checksumMismatch, chunkConflict, fileTooLarge, outOfBounds, revoked } from './refusals.ts';
import {
  type AppendIntent,
  freeNames,
  gone,
  hashOf,
  type Join,
  type Proof,
  type ResourceAddress,
  type ResourceIntent,
  type ResourceState,
  Running,
  sameHash,
} from './resource.ts';
import type { Declaration, Handles, OpenUpload } from './upload.ts';
import type { Uploads } from './uploads.ts';

/** Bytes that a round commits at most: enough that its two syncs cost little of the time in which they came. */
const ROUND_BYTES = 16 * MIB;
/** A slower sender has what it sent committed at least so often. */
const ROUND_MS = 2_000;
/** Bytes read of a part in one go. */
const READ_BYTES = MIB / 2;
const MOST_PARTS = 1_000;
/** Whoever asks for a join waits so long for it; it then goes on by itself. */
const JOIN_PATIENCE_MS = 10_000;
const ALL = { start: 0, end: MAX_OFFSET };

export class Appends {
  readonly #deps: IngestDeps;
  readonly #cancel: (upload: OpenUpload) => Promise<void>;
  readonly #track: (work: () => Promise<void>) => Promise<void>;
  readonly #running = new Map<string, Running>();

  /**
   * @param cancel ends an unfinished upload and removes it
   * @param track has a stop of the server wait for what no request waits for
   */
  constructor(
    deps: IngestDeps,
    cancel: (upload: OpenUpload) => Promise<void>,
    track: (work: () => Promise<void>) => Promise<void>,
  ) {
    this.#deps = deps;
    this.#cancel = cancel;
    this.#track = track;
  }

  /** @throws LadingError `file_too_large`, `quota_exceeded`, `already_exists`, `insufficient_storage`, of a join `invalid_request` */
  async create(intent: ResourceIntent): Promise<ResourceAddress> {
    const { usage, limits } = this.#deps;
    const { owner, join } = intent;
    const parts = join ? await this.#partsOf(owner, join) : [];
    const size = join ? sizeOf(parts) : intent.size;
    if (size !== null && size > limits.maxFileBytes) throw fileTooLarge(size, limits.maxFileBytes);
    usage.check(owner, { bytes: size ?? 0, dayBytes: size ?? 0, openUploads: 1 });
    const { upload, address } = await this.#begin({ ...intent, size }, parts);
    try {
      if (upload.covered) await this.#deps.sealer.seal(upload);
      else if (join) await within(this.#joined(upload), JOIN_PATIENCE_MS, (error) => this.#notJoined(upload, error));
    } catch (error) {
      // Nobody was told where it is.
      await this.remove(address).catch(() => {});
      throw error;
    }
    return address;
  }

  /** The upload of a name that is free, or made so. */
  async #begin(
    intent: ResourceIntent,
    parts: FileDocument[],
  ): Promise<{ upload: OpenUpload; address: ResourceAddress }> {
    const { uploads, catalog, committer } = this.#deps;
    const { owner, place } = intent;
    const secret = randomBytes(24).toString('base64url');
    for (const name of namesFor(intent)) {
      if (place === 'instead') await this.#giveUp(owner, name);
      if (uploads.find(owner, name)) continue;
      if (place !== 'instead' && (await catalog.find(owner, name)).sealed) continue;
      const { target, handles } = await uploads.enter(owner, name, place === 'instead');
      if ('sealed' in target || !handles) continue;
      const { upload } = target;
      const held = upload.visible ? null : upload.tryReserve(ALL);
      try {
        if (!held || upload.document.resource) continue;
        upload.document = { ...upload.document, resource: documentOf(intent, secret, parts) };
        const { size, contentType, reprDigest = null } = intent;
        await committer.commit(upload, handles, [], { size, reprDigest, contentType });
        if (!intent.partial) this.#deps.watchers.changed(owner, name);
        return { upload, address: { id: upload.id, secret } };
      } finally {
        held?.release();
        await uploads.leave(upload);
      }
    }
    throw new LadingError('already_exists', 'There is a file of this name, or it is being uploaded.');
  }

  /** Ends an unfinished upload that stands where another one is to begin, if nobody sends to it. */
  async #giveUp(owner: string, name: string): Promise<void> {
    const upload = this.#deps.uploads.findVisible(owner, name);
    if (upload?.document.resource && upload.users === 0 && !this.#running.has(upload.id)) await this.#cancel(upload);
  }

  /**
   * How far the upload is. A request that receives into it is ended first.
   * @throws LadingError `not_found`
   */
  async state(address: ResourceAddress): Promise<ResourceState> {
    const { kind } = await this.find(address);
    // What this side does itself needs nobody else to go on.
    if (kind !== 'join') await this.#takeOver(address.id);
    return await this.find(address);
  }

  /** As `state`, and whoever receives goes on. */
  async find({ id, secret }: ResourceAddress): Promise<ResourceState> {
    const document = await this.#deps.catalog.get(id);
    const resource = document?.resource;
    if (!document || !resource || !sameHash(resource.keyHash, hashOf(secret))) throw gone();
    const { owner, name } = document;
    const { creator, metadata, partial, final } = resource;
    const { clock, limits, uploads } = this.#deps;
    const kind = partial ? 'partial' : final ? 'join' : 'plain';
    const shared = { owner, name, creator, metadata, kind, said: final?.said ?? null } as const;
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
    const complete = upload.sealed || (kind === 'partial' && upload.whole);
    const size = final && upload.size === null ? await this.#sizeOfParts(final.parts) : upload.size;
    return { ...shared, offset, size, complete, expiresAt: uploads.find(owner, name) ? expiresAt : null };
  }

  /**
   * Appends what `source` brings, up to its end or to where it breaks, and resolves with how far the upload is then. When the request
   * was ended before its end it throws why; what arrived until then counts all the same, unless there is a `proof`.
   * @throws LadingError `not_found`, `forbidden` for a join, `offset_mismatch`, `out_of_bounds`, `size_conflict`, `file_too_large`,
   * `quota_exceeded`, `superseded`, `request_timeout`, `length_mismatch`, `checksum_mismatch`, `insufficient_storage`
   */
  async append(source: Readable, address: ResourceAddress, intent: AppendIntent): Promise<ResourceState> {
    const { kind } = await this.find(address);
    if (kind === 'join')
      throw new LadingError('forbidden', 'This upload is made of others; nothing can be appended to it.');
    const running = await this.#claim(address.id);
    let part: OpenUpload | null = null;
    try {
      const { offset, size, complete } = await this.find(address);
      this.#check(intent, offset, size);
      if (!complete) {
        const document = await this.#deps.catalog.get(address.id);
        const upload = document && this.#uploadOf(document);
        if (!upload) throw gone();
        if (kind === 'partial') part = upload;
        await this.#run(source, upload, intent, running);
      }
    } finally {
      this.#running.delete(address.id);
      running.finish();
      if (part?.whole) this.#joinLater(part.id);
    }
    return await this.find(address);
  }

  /** Removes an unfinished upload; of a complete one only the address ends. Whoever receives is ended. @throws LadingError `not_found` */
  async remove(address: ResourceAddress): Promise<void> {
    await this.find(address);
    await this.#takeOver(address.id);
    const document = await this.#deps.catalog.get(address.id);
    if (!document) throw gone();
    const upload = this.#uploadOf(document);
    if (upload && !upload.sealed) await this.#cancel(upload);
    const left = await this.#deps.catalog.get(address.id);
    if (left) {
      const { resource: _, ...rest } = left;
      await this.#deps.catalog.put(rest);
    }
  }

  /** After a start: joins that wait for parts, or that a stop interrupted, go on. */
  resume(): void {
    for (const upload of this.#deps.uploads.all()) this.#joinSoon(upload);
  }

  /** The parts of a join to come; all of them this owner's. */
  async #partsOf(owner: string, { parts }: Join): Promise<FileDocument[]> {
    if (parts.length === 0 || parts.length > MOST_PARTS)
      throw new LadingError('invalid_request', `A file is made of 1 to ${MOST_PARTS} partial uploads.`);
    return await Promise.all(
      parts.map(async (address) => {
        const state = await this.find(address).catch(() => null);
        const document =
          state?.kind === 'partial' && state.owner === owner && (await this.#deps.catalog.get(address.id));
        if (document) return document;
        throw new LadingError(
          'invalid_request',
          'One of the uploads to be put together is no partial upload of yours.',
        );
      }),
    );
  }

  async #sizeOfParts(ids: string[]): Promise<number | null> {
    const documents = await Promise.all(ids.map((id) => this.#deps.catalog.get(id)));
    return sizeOf(documents);
  }

  /** Joins that wait for this part are looked at again. */
  #joinLater(partId: string): void {
    for (const upload of this.#deps.uploads.all()) {
      if (upload.document.resource?.final?.parts.includes(partId)) this.#joinSoon(upload);
    }
  }

  #joinSoon(upload: OpenUpload): void {
    if (!upload.document.resource?.final || upload.sealed || this.#running.has(upload.id)) return;
    this.#joined(upload).catch((error: unknown) => this.#notJoined(upload, error));
  }

  #notJoined({ id, over }: OpenUpload, error: unknown): void {
    if (!over) this.#deps.warn('uploads could not be put together; the next start tries again', { id, error });
  }

  /**
   * Puts the parts together if all of them are whole. Their bytes are read, checked and stored as if they were sent once more. A stop of
   * the server waits for it.
   */
  #joined(upload: OpenUpload): Promise<void> {
    return this.#track(() => this.#join(upload));
  }

  async #join(upload: OpenUpload): Promise<void> {
    const ids = upload.document.resource?.final?.parts ?? [];
    const parts: OpenUpload[] = [];
    for (const id of ids) {
      const document = await this.#deps.catalog.get(id);
      const part = document && this.#uploadOf(document);
      if (!part?.whole) return;
      parts.push(part);
    }
    if (this.#running.has(upload.id) || upload.over || upload.sealed) return;
    const running = new Running();
    this.#running.set(upload.id, running);
    const source = Readable.from(bytesOf(this.#deps.uploads, parts), { objectMode: false });
    try {
      const size = sizeOf(parts) ?? 0;
      const proof = (): Proof => ({ algorithm: 'crc32', value: crcOf(parts) });
      await this.#run(source, upload, { offset: 0, size, contentLength: size, proof }, running);
    } finally {
      source.destroy();
      this.#running.delete(upload.id);
      running.finish();
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
    const end = offset + (intent.contentLength ?? 0);
    if (intent.ends && intent.contentLength !== null && known !== null && end !== known) {
      throw new LadingError('size_conflict', `The size was declared as ${known}, but this request ends at ${end}.`, {
        expected: known,
        actual: end,
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

  /**
   * Reads to the end of the body, and has every round committed before the next begins. With a proof nothing is committed before the end
   * of the body, and nothing at all of one that breaks.
   */
  async #rounds(
    inbox: Inbox,
    upload: OpenUpload,
    handles: Handles,
    intent: AppendIntent,
    reads: (receiver: Receiver | null) => void,
  ): Promise<void> {
    const { segments, committer, limits } = this.#deps;
    const declaration: Declaration = { size: intent.size, reprDigest: null, contentType: null };
    upload.check(declaration);
    const firstDeclared = intent.size !== null && upload.size === null;
    if (firstDeclared && !intent.proof) await committer.commit(upload, handles, [], declaration);
    let position = intent.offset;
    let crc = 0;
    let fresh: FreshExtent[] = [];
    const size = upload.size ?? intent.size;
    const last = (size ?? limits.maxFileBytes) - 1;
    const { write, giveBack } = this.#writeInto(upload, handles);
    try {
      for (;;) {
        const extent = { start: position, end: Math.min(position + ROUND_BYTES - 1, last) };
        const began = performance.now();
        const plan = extent.end < extent.start ? [] : planPieces(upload.stored, extent);
        const pauses = (): boolean => performance.now() - began >= ROUND_MS;
        const receiver = new Receiver(inbox, write, segments, extent, plan, true, pauses);
        reads(receiver);
        const received = await receiver.receive();
        if (received.conflict) throw chunkConflict();
        crc = crc32Combine(crc, received.crc32, receiver.read);
        position += receiver.read;
        fresh.push(...received.fresh);
        if (position > last) await this.#expectEnd(inbox, size, position);
        reads(null);
        const over = position > last || (inbox.ended && inbox.bytes === 0);
        if (intent.proof && (!over || inbox.cut)) {
          if (over) return;
          continue;
        }
        if (intent.proof) await this.#prove(upload, { start: intent.offset, end: position - 1 }, crc, intent.proof());
        const ends = over && intent.ends === true && !inbox.cut;
        if (ends && size !== null && position !== size) throw endsEarly(position, size);
        await this.#count(
          upload,
          handles,
          fresh,
          ends ? { ...declaration, size: position, ends } : declaration,
          intent,
        );
        giveBack();
        fresh = [];
        if (over) return;
        intent.onProgress?.(position);
      }
    } finally {
      giveBack();
    }
  }

  async #count(
    upload: OpenUpload,
    handles: Handles,
    fresh: FreshExtent[],
    declaration: Declaration,
    intent: AppendIntent,
  ): Promise<void> {
    const { committer, usage, watchers } = this.#deps;
    const { owner, name, resource } = upload.document;
    assertStands(intent.stands);
    if (fresh.length === 0 && !declaration.ends && upload.declared(declaration) === upload.document) return;
    // Who completes a file without a byte more is asked, too, whether there is room for it.
    if (fresh.length === 0) usage.check(owner, { bytes: 0, dayBytes: 0 });
    await committer.commit(upload, handles, fresh, declaration);
    if (resource?.partial) return;
    watchers.changed(owner, name);
    const bytes = fresh.reduce((sum, piece) => sum + lengthOf(piece), 0);
    const { document: file, stored, size: total } = upload;
    if (bytes > 0) this.#deps.happened({ type: 'chunk.received', file, fresh: bytes, received: stored.bytes, total });
  }

  /** @throws LadingError `checksum_mismatch` */
  async #prove(upload: OpenUpload, extent: Extent, crc: number, proof: Proof | null): Promise<void> {
    if (!proof) return;
    const { algorithm, value } = proof;
    const actual =
      algorithm === 'crc32' ? crcBytes(crc) : await this.#deps.inspector.digest(upload.id, algorithm, extent);
    if (Buffer.compare(actual, value) === 0) return;
    throw checksumMismatch(
      `The ${algorithm} is another one.`,
      Buffer.from(value).toString('base64'),
      Buffer.from(actual).toString('base64'),
    );
  }

  async #expectEnd(inbox: Inbox, size: number | null, position: number): Promise<void> {
    if (inbox.bytes === 0 && !inbox.ended) await inbox.until(1, null);
    if (inbox.bytes === 0) return;
    throw size === null
      ? fileTooLarge(position + inbox.bytes, this.#deps.limits.maxFileBytes)
      : outOfBounds(position, size);
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

function namesFor({ name, place, partial }: ResourceIntent): Iterable<string> {
  // No file can have this name, so no file stands in the way, and nobody gets at the piece but by its address.
  if (partial) return [`\0${randomBytes(16).toString('hex')}`];
  return place === 'beside' ? freeNames(name) : [name];
}

function documentOf(intent: ResourceIntent, secret: string, parts: FileDocument[]): ResourceDocument {
  const { creator, metadata, endsWhenTold, partial, join } = intent;
  return {
    keyHash: hashOf(secret),
    creator,
    metadata,
    ...(endsWhenTold ? { endsWhenTold } : {}),
    ...(partial ? { partial } : {}),
    ...(join ? { final: { parts: parts.map(({ id }) => id), said: join.said } } : {}),
  };
}

/** Null while one of them has not said its size. */
function sizeOf(parts: readonly ({ size: number | null } | null)[]): number | null {
  let sum = 0;
  for (const part of parts) {
    if (!part || part.size === null) return null;
    sum += part.size;
  }
  return sum;
}

/** The bytes of all parts, each held open while it is read. */
async function* bytesOf(uploads: Uploads, parts: OpenUpload[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    const { part: bytes } = await part.enter(() => uploads.open(part.id));
    try {
      const { size } = part;
      for (let position = 0; size !== null && position < size; ) {
        const into = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, size - position));
        const read = await bytes.read(into, position);
        if (read < into.length) throw new Error('a partial upload is shorter on disk than its manifest says');
        position += read;
        yield into;
      }
    } finally {
      part.leave();
    }
  }
}

/** Of the parts one after the other, as their manifests have it. */
function crcOf(parts: readonly OpenUpload[]): Uint8Array {
  let crc = 0;
  for (const { stored, size } of parts) {
    if (size !== null && size > 0) crc = crc32Combine(crc, stored.whole(size) ?? 0, size);
  }
  return crcBytes(crc);
}

function crcBytes(crc: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc >>> 0);
  return bytes;
}

function endsEarly(position: number, size: number): LadingError {
  return new LadingError(
    'size_conflict',
    `The size was declared as ${size}, but the last request ended at ${position}.`,
    {
      expected: size,
      actual: position,
    },
  );
}

/** Resolves with `work`, or after so long without it; then it goes on by itself, and what it fails with is told. */
async function within(work: Promise<void>, ms: number, onLate: (error: unknown) => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms);
  });
  const first = await Promise.race([work, enough]).finally(() => clearTimeout(timer));
  if (first === 'late') work.catch(onLate);
}
