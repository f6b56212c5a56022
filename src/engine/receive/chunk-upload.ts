/**
 * One chunk, from its first byte to the acknowledgement:
 *
 *     header → where does it belong → reserve the range → segments → workers → checks → commit → seal if that was the last gap
 *
 * Whatever fails before the commit leaves what was stored untouched.
 */
import type { Readable } from 'node:stream';
import type { BlobStore, Inspector, Part, SegmentJob, SegmentRange, SegmentResult } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import type { ManifestStore } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import { CHUNK_HEADER_BYTES, type ChunkHeader, MAX_OFFSET, parseChunkHeader } from '../../protocol/chunk.ts';
import { hex32 } from '../../protocol/crc32.ts';
import { type Extent, type ExtentSet, lengthOf } from '../../protocol/extents.ts';
import { type Digest, mismatchMembers } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { FileDocument } from '../../records/file.ts';
import { BodyBuffer } from '../body/body-buffer.ts';
import { BodyWriter, type Received } from '../body/body-writer.ts';
import { type BufferPool, LARGE_SEGMENT_BYTES } from '../body/buffer-pool.ts';
import type { StallWatch } from '../body/stall-watch.ts';
import type { TrailingDigests } from '../body/trailing-digests.ts';
import {
  assertAuthorized,
  checkSealedDigest,
  checkSealedSize,
  checksumMismatch,
  chunkConflict,
  chunkTooLarge,
  fileComplete,
  fileTooLarge,
  outOfBounds,
  revoked,
  uploadHasAddress,
  uploadInProgress,
} from '../files/refusals.ts';
import { noName, type Watchers } from '../files/watchers.ts';
import type { DamagedFiles } from '../upkeep/damage.ts';
import type { Committer } from '../uploads/commit.ts';
import { continuesFile } from '../uploads/continuation.ts';
import type { Lifetime } from '../uploads/parking.ts';
import type { CurrentFiles, Precondition } from '../uploads/preconditions.ts';
import type { Sealer } from '../uploads/seal.ts';
import { REPLY_GAPS, sealedStatus, uploadStatus } from '../uploads/status.ts';
import type { Succession } from '../uploads/succession.ts';
import type { Declaration, Handles, OpenUpload, ReservedExtent } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import type { Usage } from '../uploads/usage.ts';
import { completedByChunk } from './duplicate.ts';
import { mayBeNewVersion, takeName } from './new-content.ts';
import type { ActiveRequest } from './upload-resource.ts';

/** What the request line and the headers say of a chunk; null where they say nothing. Sizes in bytes. */
export interface ChunkIntent {
  owner: string;
  name: string;
  /** `total_size`, or the N of `Content-Range: bytes START-END/N`. */
  declaredSize: number | null;
  /** START-END of `Content-Range`. */
  range: Extent | null;
  crc32: number | null;
  /** Over header and data (RFC 9530). */
  contentDigest: Digest | null;
  /** Of the whole file. */
  reprDigest: Digest | null;
  overwrite: boolean;
  contentType: string | null;
  /** Bytes of header and data, when the sender said so beforehand. */
  contentLength: number | null;
  /** Digests that come behind the bytes. */
  trailingDigests?: TrailingDigests | undefined;
  /** False once whoever sends may do so no longer: then the chunk does not count, and what is still to come of it is not waited for. */
  isAuthorized?: () => boolean;
  /** Of the file; with `overwrite` it is judged when the replacement begins. */
  precondition?: Precondition | undefined;
  /** New content that starts at byte 0 under the name of a complete file replaces it, unasked. */
  replaceFromStart?: boolean;
  /** A header for 0-0 without data is an empty file. */
  emptyChunk?: boolean;
}

export interface ReceiveLimits extends Lifetime {
  maxChunkBytes: number;
  maxFileBytes: number;
  openEndedMs: number;
}

export interface ReceiveDeps {
  damage: DamagedFiles;
  blobs: BlobStore;
  manifests: ManifestStore;
  catalog: Catalog;
  inspector: Inspector;
  clock: Clock;
  uploads: UploadTable;
  usage: Usage;
  committer: Committer;
  current: CurrentFiles;
  sealer: Sealer;
  succession: Succession;
  /** What receives into which upload with an address. */
  activeRequests: Map<string, ActiveRequest>;
  /** Others know of the upload, and nobody sends to it. */
  isIdle(upload: OpenUpload): boolean;
  buffers: BufferPool;
  stallWatch: StallWatch;
  watchers: Watchers;
  limits: ReceiveLimits;
  /** Durability `chunk`. */
  syncEarly: boolean;
  /** Looks after the seal of an upload of undeclared size once nothing more comes. */
  sealLater(upload: OpenUpload): void;
  emit(happening: FileEvent): void;
  /** The log, for what no request can be told. */
  warn(message: string, details: object): void;
}

/** A chunk whose header was read, on its way. */
interface Arrival {
  intent: ChunkIntent;
  inbox: BodyBuffer;
  header: ChunkHeader;
  headerBytes: Uint8Array;
  beforeCommit: (() => Promise<void>) | undefined;
  /** Set while this side, not the client, is what is waited for. */
  held: () => boolean;
  hold<T>(promise: Promise<T>): Promise<T>;
  watchReceiver(receiver: BodyWriter): void;
  watchReserved(reserved: ReservedExtent): void;
}

const ALL: Extent = { start: 0, end: MAX_OFFSET };

type Write = (job: SegmentJob) => Promise<SegmentResult>;

export class ChunkUploads {
  readonly #deps: ReceiveDeps;

  constructor(deps: ReceiveDeps) {
    this.#deps = deps;
  }

  /** Refuses what the headers alone show to be wrong. */
  checkIntent(intent: ChunkIntent): void {
    const { maxChunkBytes, maxFileBytes } = this.#deps.limits;
    const { declaredSize, range, contentLength } = intent;
    if (intent.overwrite && declaredSize === null) {
      throw new LadingError('invalid_request', 'overwrite=true needs the new total_size.');
    }
    if (declaredSize !== null && declaredSize > maxFileBytes) throw fileTooLarge(declaredSize, maxFileBytes);
    if (contentLength !== null && contentLength - CHUNK_HEADER_BYTES > maxChunkBytes) {
      throw chunkTooLarge(contentLength - CHUNK_HEADER_BYTES, maxChunkBytes);
    }
    if (range) this.#checkExtent(intent, range);
  }

  /**
   * Judges the precondition of a chunk that would change the file. A chunk of a replacement that has begun is past that, and a repeat of
   * what is stored changes nothing (RFC 9110 §13.1.1 lets it succeed).
   * @param upload that the chunk goes to, as far as there is one
   * @throws LadingError `precondition_failed`
   */
  async assertPrecondition({ owner, name, overwrite, precondition }: ChunkIntent, upload?: OpenUpload): Promise<void> {
    const begun = upload?.visible === true && !upload.isContiguous;
    if (!(overwrite && begun)) await this.#deps.current.assert(precondition, owner, name);
  }

  #checkExtent({ declaredSize, contentLength }: ChunkIntent, extent: Extent): void {
    const { maxChunkBytes, maxFileBytes } = this.#deps.limits;
    const length = lengthOf(extent);
    if (contentLength !== null && contentLength !== CHUNK_HEADER_BYTES + length) {
      throw new LadingError(
        'length_mismatch',
        `The chunk announces ${length} data bytes, which with the header makes ${CHUNK_HEADER_BYTES + length}, but the body has ${contentLength}.`,
        { expected: CHUNK_HEADER_BYTES + length, actual: contentLength },
      );
    }
    if (length > maxChunkBytes) throw chunkTooLarge(length, maxChunkBytes);
    if (declaredSize !== null && extent.end >= declaredSize) throw outOfBounds(extent.end, declaredSize);
    if (extent.end >= maxFileBytes) throw fileTooLarge(extent.end + 1, maxFileBytes);
  }

  /** Reads one chunk from `source` to its end and resolves with the file's status once the chunk counts. */
  async receive(source: Readable, intent: ChunkIntent, beforeCommit?: () => Promise<void>): Promise<FileStatus> {
    const { buffers: segments, stallWatch: watchdog } = this.#deps;
    let waits = 0;
    let receiver: BodyWriter | null = null;
    let reserved: ReservedExtent | null = null;
    const held = (): boolean => waits > 0 || inbox.isPaused || (receiver?.isWaiting ?? false);
    const hold = async <T>(promise: Promise<T>): Promise<T> => {
      waits += 1;
      try {
        return await promise;
      } finally {
        waits -= 1;
      }
    };
    segments.addReceiver();
    const inbox = new BodyBuffer(
      source,
      () => segments.holdLimit(),
      (bytes) => watch.received(bytes),
    );
    const watch = watchdog.watch({
      isHeld: held,
      isWanted: () => reserved?.isWanted ?? false,
      onCheck: () => {
        inbox.adjust();
        if (intent.isAuthorized?.() === false) inbox.fail(revoked());
      },
      fail: (error) => inbox.fail(error),
    });
    try {
      await inbox.waitFor(CHUNK_HEADER_BYTES, null);
      if (inbox.ended && inbox.bytes === 0) return await this.#receiveEmpty(intent, beforeCommit);
      const headerBytes = new Uint8Array(Math.min(CHUNK_HEADER_BYTES, inbox.bytes));
      inbox.drainInto(headerBytes);
      const header = parseChunkHeader(headerBytes);
      const watchReceiver = (started: BodyWriter): void => {
        receiver = started;
      };
      const watchReserved = (held: ReservedExtent): void => {
        reserved = held;
      };
      const arrival: Arrival = {
        intent,
        inbox,
        header,
        headerBytes,
        beforeCommit,
        held,
        hold,
        watchReceiver,
        watchReserved,
      };
      return await this.#receiveChunk(arrival);
    } finally {
      watch.stop();
      inbox.detach();
      segments.removeReceiver();
    }
  }

  async #receiveChunk(arrival: Arrival): Promise<FileStatus> {
    const { intent, header, inbox } = arrival;
    this.checkIntent(intent);
    if (intent.emptyChunk && header.start === 0 && header.end === 0) {
      await inbox.waitFor(1, null);
      if (inbox.ended && inbox.bytes === 0) return await this.#receiveEmptyChunk(intent, arrival.beforeCommit);
    }
    this.#checkExtent(intent, header);
    if (intent.range && (intent.range.start !== header.start || intent.range.end !== header.end)) {
      throw new LadingError(
        'invalid_request',
        `Content-Range says ${intent.range.start}-${intent.range.end}, but the chunk's header says ${header.start}-${header.end}.`,
      );
    }
    const { upload, sealed, handles } = await arrival.hold(this.#enter(intent, header));
    if (!upload) return await this.#compareWithSealed(arrival, sealed);
    try {
      return await this.#receiveInto(arrival, upload, handles);
    } catch (error) {
      if (error instanceof LadingError && error.code === 'insufficient_storage')
        await this.#makeRoom(upload, handles.part);
      throw error;
    } finally {
      await this.#deps.uploads.leave(upload);
      this.#deps.sealLater(upload);
    }
  }

  /** The disk is full: what a refused chunk left behind all that counts goes, or smaller ones would find no room either. */
  async #makeRoom(upload: OpenUpload, part: Part): Promise<void> {
    const { end } = upload.stored;
    const rest = upload.tryReserve({ start: end, end: MAX_OFFSET });
    if (!rest) return;
    try {
      if (!upload.closed && !upload.endReason) await part.cut(end);
    } catch {
      // It was an offer; the refusal stands.
    } finally {
      rest.release();
    }
  }

  /** Finds what the chunk belongs to; settles an upload of undeclared size first if its time is over or it is to be replaced. */
  async #enter(
    intent: ChunkIntent,
    extent: Extent | null = null,
  ): Promise<
    { upload: OpenUpload; handles: Handles; sealed: null } | { upload: null; handles: null; sealed: FileDocument }
  > {
    const { uploads, clock, limits, sealer } = this.#deps;
    for (;;) {
      const aside = await mayBeNewVersion(this.#deps, intent, extent);
      const name = aside ? noName() : intent.name;
      const { target, handles } = await uploads.enter(intent.owner, name, intent.overwrite || aside);
      if (!handles || 'sealed' in target) {
        if ('upload' in target) throw new Error('an upload without its files');
        const { sealed } = target;
        const more = extent !== null && continuesFile(sealed, extent, intent.declaredSize);
        if (more && (await uploads.reopen(sealed))) continue;
        return { upload: null, handles: null, sealed };
      }
      const { upload } = target;
      if (upload.document.resource) {
        await uploads.leave(upload);
        return { upload: null, handles: null, sealed: await this.besideAddress(intent) };
      }
      const more = extent !== null && extent.end >= upload.stored.end;
      if (more && upload.size === null && upload.sealing) {
        // Silence is sealing it at this moment; then this chunk continues the file.
        await upload.sealing.catch(() => {});
        await uploads.leave(upload);
        continue;
      }
      const overdue = !more && clock.since(upload.lastCommitAt) >= limits.openEndedMs;
      const settle = upload.visible && upload.isContiguous && upload.senders === 1 && (overdue || intent.overwrite);
      if (!settle && !upload.sealed) return { upload, handles, sealed: null };
      try {
        if (settle) await sealer.seal(upload, true);
      } finally {
        await uploads.leave(upload);
      }
    }
  }

  /**
   * What a chunk is compared with while an upload with an address of its own has the name: the complete file. Bytes of two protocols would
   * make a file that nobody sent.
   * @throws LadingError `already_exists`
   */
  async besideAddress({ owner, name, overwrite }: ChunkIntent): Promise<FileDocument> {
    const { sealed } = await this.#deps.catalog.find(owner, name);
    if (!sealed || overwrite) throw uploadHasAddress();
    return sealed;
  }

  async #receiveInto(arrival: Arrival, upload: OpenUpload, handles: Handles): Promise<FileStatus> {
    const { intent, header, inbox } = arrival;
    const declaration: Declaration = {
      size: intent.declaredSize,
      reprDigest: intent.reprDigest,
      contentType: intent.contentType,
      byName: true,
    };
    upload.check(declaration);
    if (upload.size !== null && header.end >= upload.size) throw outOfBounds(header.end, upload.size);
    const reserved = await arrival.hold(upload.reserve(header, inbox.failed));
    arrival.watchReserved(reserved);
    let giveBack = (): void => {};
    try {
      upload.assertNotEnded();
      const plan = planRanges(upload.stored, header);
      giveBack = this.#deps.usage.reserve(upload, plan, intent.declaredSize);
      const write = this.#writeInto(upload, handles.part, header);
      const received = await this.#receiveBytes(arrival, upload.id, write, plan);
      if (received.conflict) throw upload.closed ? upload.closedError() : chunkConflict();
      if (arrival.beforeCommit) await arrival.beforeCommit();
      assertAuthorized(intent.isAuthorized);
      const chunk = receipt(header, received);
      declaration.reprDigest = intent.reprDigest;
      const said = { ...header, crc32: received.crc32 };
      const held = await this.#findDuplicate(upload, intent, declaration, said);
      if (held) return { ...held, chunk: { ...chunk, duplicate: true } };
      const changes = !chunk.duplicate || upload.declared(declaration) !== upload.document;
      if (changes) await this.assertPrecondition(intent, upload);
      await this.#deps.committer.commit(upload, handles, received.fresh, declaration);
      giveBack();
      this.#deps.watchers.changed(intent.owner, intent.name);
      this.#emitReceived(upload, received.fresh);
      return await this.#acknowledge(upload, chunk);
    } finally {
      giveBack();
      reserved.release();
    }
  }

  /** The file that has this chunk already, where that could not be seen before it was all there; null when the chunk is news. */
  async #findDuplicate(
    upload: OpenUpload,
    intent: ChunkIntent,
    declaration: Declaration,
    chunk: Extent & { crc32: number },
  ): Promise<FileStatus | null> {
    if (upload.visible) return null;
    if (upload.document.name !== intent.name) return takeName(this.#deps, upload, intent, chunk);
    const held = await completedByChunk(this.#deps, upload, declaration, chunk);
    return held && sealedStatus(held);
  }

  /**
   * With durability `chunk` the bytes of a large chunk begin to go to stable storage while the rest still comes, so that the commit
   * has little left to wait for. A sync that fails here changes nothing: the one of the commit makes good for it or fails too.
   */
  #writeInto(upload: OpenUpload, part: Part, extent: Extent): Write {
    if (!this.#deps.syncEarly || lengthOf(extent) <= LARGE_SEGMENT_BYTES) return (job) => upload.write(part, job);
    return async (job) => {
      const result = await upload.write(part, job);
      part.sync().catch(() => {});
      return result;
    };
  }

  /** The bytes, and every check that the client asked for. */
  async #receiveBytes(arrival: Arrival, id: string, write: Write, plan: SegmentRange[]): Promise<Received> {
    const { intent, inbox, header, headerBytes } = arrival;
    const receiver = new BodyWriter(inbox, write, this.#deps.buffers, header, plan);
    arrival.watchReceiver(receiver);
    const received = await receiver.receive();
    if (received.sum !== header.checksum) {
      throw checksumMismatch(
        'The sum of the data bytes modulo 256 is not what the chunk header says.',
        header.checksum,
        received.sum,
      );
    }
    if (intent.crc32 !== null && intent.crc32 !== received.crc32) {
      throw checksumMismatch('The CRC-32 is not what X-Chunk-CRC32 says.', hex32(intent.crc32), hex32(received.crc32));
    }
    // The digest is read back from what is stored, which in a conflict is not what was sent.
    intent.reprDigest = intent.trailingDigests?.reprDigest?.() ?? intent.reprDigest;
    const contentDigest = intent.trailingDigests?.contentDigest?.() ?? intent.contentDigest;
    if (contentDigest && !received.conflict) {
      await arrival.hold(this.#checkContentDigest(id, contentDigest, header, headerBytes));
    }
    return received;
  }

  /** Read back from what was stored, for a digest cannot travel between workers half-made as a CRC can. */
  async #checkContentDigest(id: string, wanted: Digest, extent: Extent, prefix: Uint8Array): Promise<void> {
    const actual = await this.#deps.inspector.digest(id, wanted.algorithm, extent, prefix);
    if (Buffer.compare(actual, wanted.value) !== 0) {
      throw checksumMismatch(
        `The ${wanted.algorithm} is not what Content-Digest says.`,
        Buffer.from(wanted.value).toString('base64'),
        Buffer.from(actual).toString('base64'),
        mismatchMembers('Content-Digest', wanted),
      );
    }
  }

  #emitReceived({ document: file, stored, size: total }: OpenUpload, extents: readonly Extent[]): void {
    const fresh = extents.reduce((sum, extent) => sum + lengthOf(extent), 0);
    if (fresh > 0) this.#deps.emit({ type: 'chunk.received', file, fresh, received: stored.bytes, total });
  }

  /** Seals if that was the last gap, and says how the file stands now. */
  async #acknowledge(upload: OpenUpload, chunk: FileStatus['chunk']): Promise<FileStatus> {
    if (upload.isComplete && !upload.sealed) await this.#deps.sealer.seal(upload);
    const status = uploadStatus(upload, this.#deps.limits, REPLY_GAPS);
    return chunk ? { ...status, chunk } : status;
  }

  /** A complete file takes nothing new; a repeat of what it holds is welcome (the reply to the first may have been lost). */
  async #compareWithSealed(arrival: Arrival, sealed: FileDocument): Promise<FileStatus> {
    const { intent, header } = arrival;
    const size = sealed.size ?? 0;
    checkSealedSize(sealed, intent.declaredSize);
    checkSealedDigest(sealed, intent.reprDigest);
    // What was put together from pieces never came in chunks, so nobody repeats one.
    if (header.end >= size || sealed.pieces) throw await this.#refusalOf(intent, size);
    await this.#deps.damage.assertUndamaged(sealed);
    const part = await this.#deps.blobs.openPart(sealed.id);
    try {
      const plan: SegmentRange[] = [{ extent: { start: header.start, end: header.end }, action: 'compare' }];
      const received = await this.#receiveBytes(arrival, sealed.id, (job) => part.write(job), plan);
      if (received.conflict) throw await this.#refusalOf(intent, size);
      if (arrival.beforeCommit) await arrival.beforeCommit();
      assertAuthorized(arrival.intent.isAuthorized);
      return { ...sealedStatus(sealed), chunk: receipt(header, received) };
    } finally {
      part.release();
    }
  }

  /** Other bytes than those of the complete file: the precondition is what says so, if there is one that does not hold. */
  async #refusalOf(intent: ChunkIntent, size: number): Promise<LadingError> {
    await this.assertPrecondition(intent);
    return fileComplete(size);
  }

  /** Older programs send an empty file as a header that speaks of one byte. It replaces what is there, as all that starts at 0 does. */
  async #receiveEmptyChunk(intent: ChunkIntent, beforeCommit: (() => Promise<void>) | undefined): Promise<FileStatus> {
    const { owner, name } = intent;
    const { catalog, uploads } = this.#deps;
    const isEmpty = !uploads.find(owner, name) && (await catalog.find(owner, name)).sealed?.size === 0;
    const anew = !isEmpty && (await mayBeNewVersion(this.#deps, intent, { start: 0, end: 0 }));
    const overwrite = intent.overwrite || anew;
    return this.#receiveEmpty({ ...intent, declaredSize: 0, overwrite }, beforeCommit);
  }

  /** `total_size=0` with an empty body makes an empty file. */
  async #receiveEmpty(intent: ChunkIntent, beforeCommit: (() => Promise<void>) | undefined): Promise<FileStatus> {
    if (intent.declaredSize !== 0) {
      throw new LadingError(
        'malformed_header',
        'The body is empty. An empty file is sent with total_size=0, anything else as a chunk.',
        {
          expected: CHUNK_HEADER_BYTES,
          actual: 0,
        },
      );
    }
    this.checkIntent(intent);
    const { upload, sealed, handles } = await this.#enter(intent);
    if (!upload) {
      checkSealedSize(sealed, 0);
      return sealedStatus(sealed);
    }
    // Nothing else may begin in an upload that has just been made.
    const held = upload.visible ? null : upload.tryReserve(ALL);
    try {
      if (upload.isFileUpload) throw uploadInProgress();
      const { reprDigest, contentType } = intent;
      const declaration: Declaration = { size: 0, reprDigest, contentType, byName: true };
      upload.check(declaration);
      if (intent.contentDigest)
        await this.#checkContentDigest(upload.id, intent.contentDigest, { start: 0, end: -1 }, new Uint8Array());
      if (beforeCommit) await beforeCommit();
      assertAuthorized(intent.isAuthorized);
      await this.assertPrecondition(intent, upload);
      await this.#deps.committer.commit(upload, handles, [], declaration);
      return await this.#acknowledge(upload, undefined);
    } finally {
      held?.release();
      await this.#deps.uploads.leave(upload);
    }
  }
}

/** New bytes are written, stored ones are compared: bytes that were committed are never written again. */
export function planRanges(stored: ExtentSet, extent: Extent): SegmentRange[] {
  return stored
    .split({ start: extent.start, end: extent.end })
    .map((slice) => ({ extent: slice.extent, action: slice.stored ? 'compare' : 'write' }));
}

function receipt({ start, end }: Extent, received: Received): NonNullable<FileStatus['chunk']> {
  return { start, end, crc32: hex32(received.crc32), duplicate: received.fresh.length === 0 };
}
