/**
 * One chunk, from its first byte to the acknowledgement:
 *
 *     header → find the target → reserve the range → segments → workers → checks → commit → seal if that was the last gap
 *
 * A failure before the commit leaves the stored bytes untouched.
 */
import type { Readable } from 'node:stream';
import type { BlobStore, Inspector, Part, SegmentRange } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import type { ManifestStore } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import { CHUNK_HEADER_BYTES, parseChunkHeader } from '../../protocol/chunk.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';
import { LARGE_SEGMENT_BYTES } from '../body/buffer-pool.ts';
import { RequestBody, type RequestBodyDeps } from '../body/request-body.ts';
import {
  assertAuthorized,
  checkSealedDigest,
  checkSealedSize,
  chunkConflict,
  fileComplete,
  outOfBounds,
} from '../files/refusals.ts';
import type { Watchers } from '../files/watchers.ts';
import type { DamagedFiles } from '../upkeep/damage.ts';
import type { Committer } from '../uploads/commit.ts';
import type { Declaration } from '../uploads/declaration.ts';
import type { Lifetime } from '../uploads/lifetime.ts';
import type { CurrentFiles } from '../uploads/preconditions.ts';
import type { Sealer } from '../uploads/seal.ts';
import { REPLY_GAPS, sealedStatus, uploadStatus } from '../uploads/status.ts';
import type { Handles, OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import type { Usage } from '../uploads/usage.ts';
import { freeSpace, type IncomingChunk, planRanges, receiptOf, receiveBytes, type Write } from './chunk-bytes.ts';
import { type ChunkIntent, type ChunkLimits, checkExtent, checkIntent } from './chunk-intent.ts';
import { ChunkTargets } from './chunk-target.ts';
import { completedByChunk } from './duplicate.ts';
import { type EmptyFilesDeps, receiveEmptyBody, receiveEmptyChunk } from './empty-file.ts';
import { takeName } from './new-content.ts';

export interface ChunkUploadsDeps extends RequestBodyDeps {
  blobs: BlobStore;
  manifests: ManifestStore;
  catalog: Catalog;
  inspector: Inspector;
  clock: Clock;
  damage: DamagedFiles;
  uploads: UploadTable;
  usage: Usage;
  committer: Committer;
  current: CurrentFiles;
  sealer: Sealer;
  watchers: Watchers;
  limits: ChunkLimits & Lifetime & { openEndedMs: number };
  /** With durability `chunk`, the sync of a large chunk starts while it arrives. */
  syncEarly: boolean;
  /** Starts the timer that seals an upload of undeclared size when it receives nothing for the configured time. */
  sealLater(upload: OpenUpload): void;
  emit(event: FileEvent): void;
}

export class ChunkUploads {
  readonly #deps: ChunkUploadsDeps;
  readonly #targets: ChunkTargets;
  readonly #emptyFiles: EmptyFilesDeps;

  constructor(deps: ChunkUploadsDeps) {
    this.#deps = deps;
    this.#targets = new ChunkTargets(deps);
    const { catalog, inspector, uploads, committer, limits } = deps;
    this.#emptyFiles = {
      ...{ catalog, inspector, uploads, committer, limits, targets: this.#targets },
      acknowledge: (upload) => this.#acknowledge(upload, undefined),
    };
  }

  /** Checks the headers before the body is read; see `ChunkTargets.admit`. */
  admit(intent: ChunkIntent): Promise<void> {
    return this.#targets.admit(intent);
  }

  /** Reads one chunk from `source` to its end and resolves with the file's status once the chunk is committed. */
  async receive(source: Readable, intent: ChunkIntent, beforeCommit?: () => Promise<void>): Promise<FileStatus> {
    const { isAuthorized } = intent;
    const body = new RequestBody(this.#deps, source, { isAuthorized, readsAtOnce: true });
    const { buffer } = body;
    try {
      await buffer.waitFor(CHUNK_HEADER_BYTES, null);
      if (buffer.ended && buffer.bytes === 0) return await receiveEmptyBody(this.#emptyFiles, intent, beforeCommit);
      const headerBytes = new Uint8Array(Math.min(CHUNK_HEADER_BYTES, buffer.bytes));
      buffer.drainInto(headerBytes);
      const header = parseChunkHeader(headerBytes);
      return await this.#receiveChunk({ intent, body, header, headerBytes, beforeCommit });
    } finally {
      body.close();
    }
  }

  async #receiveChunk(chunk: IncomingChunk): Promise<FileStatus> {
    const { intent, header, body } = chunk;
    const { limits, sealLater, uploads } = this.#deps;
    checkIntent(intent, limits);
    if (intent.emptyChunk && header.start === 0 && header.end === 0) {
      await body.buffer.waitFor(1, null);
      if (body.buffer.ended && body.buffer.bytes === 0)
        return await receiveEmptyChunk(this.#emptyFiles, intent, chunk.beforeCommit);
    }
    checkExtent(intent, header, limits);
    if (intent.range && (intent.range.start !== header.start || intent.range.end !== header.end)) {
      throw new LadingError(
        'invalid_request',
        `Content-Range says ${intent.range.start}-${intent.range.end}, but the chunk's header says ${header.start}-${header.end}.`,
      );
    }
    const { upload, sealed, handles } = await body.hold(this.#targets.enter(intent, header));
    if (!upload) return await this.#compareWithSealed(chunk, sealed);
    try {
      return await this.#receiveInto(chunk, upload, handles);
    } catch (error) {
      if (error instanceof LadingError && error.code === 'insufficient_storage') await freeSpace(upload, handles.part);
      throw error;
    } finally {
      await uploads.leave(upload);
      sealLater(upload);
    }
  }

  async #receiveInto(chunk: IncomingChunk, upload: OpenUpload, handles: Handles): Promise<FileStatus> {
    const { intent, header, body } = chunk;
    const { committer, usage, watchers } = this.#deps;
    const declaration: Declaration = {
      size: intent.declaredSize,
      reprDigest: intent.reprDigest,
      contentType: intent.contentType,
      byName: true,
    };
    upload.check(declaration);
    if (upload.size !== null && header.end >= upload.size) throw outOfBounds(header.end, upload.size);
    const reserved = await body.hold(upload.reserve(header, body.buffer.failed));
    body.reserved = reserved;
    let releaseQuota = (): void => {};
    try {
      upload.assertNotEnded();
      const plan = planRanges(upload.stored, header);
      releaseQuota = usage.reserve(upload, plan, intent.declaredSize);
      const write = this.#writeInto(upload, handles.part, header);
      const received = await receiveBytes(this.#deps, chunk, upload.id, write, plan);
      if (received.conflict) throw upload.isClosed ? upload.closedError() : chunkConflict();
      if (chunk.beforeCommit) await chunk.beforeCommit();
      assertAuthorized(intent.isAuthorized);
      const receipt = receiptOf(header, received);
      declaration.reprDigest = intent.reprDigest;
      const duplicate = await this.#findDuplicate(upload, intent, declaration, { ...header, crc32: received.crc32 });
      if (duplicate) return { ...duplicate, chunk: { ...receipt, duplicate: true } };
      const changes = !receipt.duplicate || upload.declared(declaration) !== upload.document;
      if (changes) await this.#targets.assertPrecondition(intent, upload);
      await committer.commit(upload, handles, received.fresh, declaration);
      releaseQuota();
      watchers.notify(intent.owner, intent.name);
      this.#emitReceived(upload, received.fresh);
      return await this.#acknowledge(upload, receipt);
    } finally {
      releaseQuota();
      reserved.release();
    }
  }

  /** The status of the file that already contains this chunk; null when the chunk is new. Only the received bytes can tell. */
  async #findDuplicate(
    upload: OpenUpload,
    intent: ChunkIntent,
    declaration: Declaration,
    chunk: Extent & { crc32: number },
  ): Promise<FileStatus | null> {
    if (upload.isVisible) return null;
    if (upload.document.name !== intent.name) return takeName(this.#deps, upload, intent, chunk);
    const file = await completedByChunk(this.#deps, upload, declaration, chunk);
    return file && sealedStatus(file);
  }

  /**
   * With durability `chunk`, syncs the bytes of a large chunk while the rest arrives, which shortens the commit. A failure here is ignored,
   * because the commit syncs again and reports the failure.
   */
  #writeInto(upload: OpenUpload, part: Part, extent: Extent): Write {
    if (!this.#deps.syncEarly || lengthOf(extent) <= LARGE_SEGMENT_BYTES) return (job) => upload.write(part, job);
    return async (job) => {
      const result = await upload.write(part, job);
      part.sync().catch(() => {});
      return result;
    };
  }

  #emitReceived({ document: file, stored, size: total }: OpenUpload, extents: readonly Extent[]): void {
    const fresh = extents.reduce((sum, extent) => sum + lengthOf(extent), 0);
    if (fresh > 0) this.#deps.emit({ type: 'chunk.received', file, fresh, received: stored.bytes, total });
  }

  /** Seals the upload if that was the last gap, and returns the file's status. */
  async #acknowledge(upload: OpenUpload, chunk: FileStatus['chunk']): Promise<FileStatus> {
    if (upload.isComplete && !upload.isSealed) await this.#deps.sealer.seal(upload);
    const status = uploadStatus(upload, this.#deps.limits, REPLY_GAPS);
    return chunk ? { ...status, chunk } : status;
  }

  /** Compares a chunk with a complete file, which accepts only duplicates. A client sends one when it lost the first reply. */
  async #compareWithSealed(chunk: IncomingChunk, sealed: FileDocument): Promise<FileStatus> {
    const { intent, header } = chunk;
    const { blobs, damage } = this.#deps;
    const size = sealed.size ?? 0;
    checkSealedSize(sealed, intent.declaredSize);
    checkSealedDigest(sealed, intent.reprDigest);
    // A concatenated file never arrived in chunks, so no chunk can be a duplicate.
    if (header.end >= size || linkedBlobs(sealed)) throw await this.#refusalOf(intent, size);
    await damage.assertUndamaged(sealed);
    const part = await blobs.openPart(sealed.id);
    try {
      const plan: SegmentRange[] = [{ extent: { start: header.start, end: header.end }, action: 'compare' }];
      const received = await receiveBytes(this.#deps, chunk, sealed.id, (job) => part.write(job), plan);
      if (received.conflict) throw await this.#refusalOf(intent, size);
      if (chunk.beforeCommit) await chunk.beforeCommit();
      assertAuthorized(intent.isAuthorized);
      return { ...sealedStatus(sealed), chunk: receiptOf(header, received) };
    } finally {
      part.release();
    }
  }

  /** The error when the bytes differ from the complete file. Reports a failed precondition instead, which explains it better. */
  async #refusalOf(intent: ChunkIntent, size: number): Promise<LadingError> {
    await this.#targets.assertPrecondition(intent);
    return fileComplete(size);
  }
}
