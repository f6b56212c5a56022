/** The target of a train: an upload that stays open for the whole train, or a complete file to compare the chunks with. */
import type { BlobStore, Part, SegmentJob, SegmentRange, SegmentResult } from '../../contracts/blobs.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import type { LadingError } from '../../errors.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';
import { LARGE_SEGMENT_BYTES } from '../body/buffer-pool.ts';
import { checkSealedDigest, checkSealedSize, chunkConflict, fileComplete, outOfBounds } from '../files/refusals.ts';
import type { ReservedExtent, ReservedExtents } from '../files/reservations.ts';
import type { Watchers } from '../files/watchers.ts';
import { freeSpace, planRanges } from '../receive/chunk-bytes.ts';
import type { ChunkIntent } from '../receive/chunk-intent.ts';
import type { ChunkTargets } from '../receive/chunk-target.ts';
import type { DamagedFiles } from '../upkeep/damage.ts';
import type { Committer, FreshExtent } from '../uploads/commit.ts';
import { continuesFile } from '../uploads/continuation.ts';
import type { Declaration } from '../uploads/declaration.ts';
import type { Lifetime } from '../uploads/lifetime.ts';
import type { Sealer } from '../uploads/seal.ts';
import { REPLY_GAPS, sealedStatus, uploadStatus } from '../uploads/status.ts';
import type { Handles, OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import type { Usage } from '../uploads/usage.ts';

/** `write`: none of the bytes is stored. `compare`: all are. `mixed`: some are. `refuse`: the file cannot accept the chunk. */
export type ChunkAction = 'write' | 'compare' | 'mixed' | 'refuse';

export interface TrainTarget {
  /** True when this target no longer accepts the chunk, and the caller must look it up again. @throws LadingError when the upload ended */
  isOver(chunk: Extent): boolean;
  /** @throws LadingError `out_of_bounds` */
  actionFor(chunk: Extent): ChunkAction;
  /** The ranges of the chunk to write and to compare. */
  plan(chunk: Extent): SegmentRange[];
  reserveMany(): ReservedExtents;
  /** Reserves the extent. Null when another request is receiving some of its bytes. */
  tryReserve(chunk: Extent): ReservedExtent | null;
  /** See `Reservations.whenFree`. */
  whenFree(chunk: Extent, failed?: Promise<never>): Promise<void>;
  /** Reserves the bytes that these ranges write, until the returned function is called. @throws LadingError `quota_exceeded` */
  reserveQuota(ranges: readonly SegmentRange[]): () => void;
  write(job: SegmentJob): Promise<SegmentResult>;
  /** The error for a chunk whose bytes differ from the stored ones. */
  conflict(): Promise<LadingError>;
  /** Commits verified extents, and seals the upload if they close its last gap. @param fresh disjoint, ascending */
  commit(fresh: FreshExtent[]): Promise<void>;
  /** Declares the digest of the whole file, received in a trailer. @throws LadingError `digest_mismatch` */
  declare(digest: Digest): Promise<void>;
  /** Truncates bytes that refused chunks wrote past the committed ones. Called when the disk is full. */
  freeSpace(): Promise<void>;
  /** Number of stored bytes, and the offset of the first byte that is not stored. */
  progress(): { received: number; next: number };
  /** The status of the file, for the reply. */
  status(): FileStatus;
  /** Releases the target. Must be called exactly once. */
  leave(): Promise<void>;
}

export interface UploadTargetDeps {
  targets: ChunkTargets;
  uploads: UploadTable;
  usage: Usage;
  committer: Committer;
  sealer: Sealer;
  watchers: Watchers;
  limits: Lifetime;
  /** With durability `chunk`, the sync of a large chunk starts while it arrives. */
  syncEarly: boolean;
  sealLater(upload: OpenUpload): void;
  emit(event: FileEvent): void;
}

export class UploadTarget implements TrainTarget {
  readonly #deps: UploadTargetDeps;
  readonly #intent: ChunkIntent;
  readonly #upload: OpenUpload;
  readonly #handles: Handles;
  /** True once the precondition was checked. Later changes are the train's own and would make the precondition fail. */
  #isJudged = false;

  /** @throws LadingError `size_conflict`, `invalid_request`, `already_exists`; the caller then still holds the upload */
  constructor(deps: UploadTargetDeps, intent: ChunkIntent, upload: OpenUpload, handles: Handles) {
    this.#deps = deps;
    this.#intent = intent;
    this.#upload = upload;
    this.#handles = handles;
    upload.check(this.#declaration());
  }

  #declaration(): Declaration {
    const { declaredSize: size, reprDigest, contentType } = this.#intent;
    return { size, reprDigest, contentType, byName: true };
  }

  isOver(chunk: Extent): boolean {
    this.#upload.assertNotEnded();
    return this.#upload.isSealed || (this.#upload.isClosed && !this.#upload.stored.covers(chunk));
  }

  actionFor(chunk: Extent): ChunkAction {
    const { size, stored } = this.#upload;
    if (size !== null && chunk.end >= size) throw outOfBounds(chunk.end, size);
    if (!stored.overlaps(chunk)) return 'write';
    return stored.covers(chunk) ? 'compare' : 'mixed';
  }

  plan(chunk: Extent): SegmentRange[] {
    return planRanges(this.#upload.stored, chunk);
  }

  reserveMany(): ReservedExtents {
    return this.#upload.reserveMany();
  }

  tryReserve(chunk: Extent): ReservedExtent | null {
    return this.#upload.tryReserve(chunk);
  }

  whenFree(chunk: Extent, failed?: Promise<never>): Promise<void> {
    return this.#upload.whenFree(chunk, failed);
  }

  reserveQuota(ranges: readonly SegmentRange[]): () => void {
    return this.#deps.usage.reserve(this.#upload, ranges, this.#intent.declaredSize);
  }

  async write(job: SegmentJob): Promise<SegmentResult> {
    const { part } = this.#handles;
    const result = await this.#upload.write(part, job);
    // An early sync shortens the commit. Its failure is ignored, because the commit syncs again and reports the failure.
    if (this.#deps.syncEarly && job.length >= LARGE_SEGMENT_BYTES) part.sync().catch(() => {});
    return result;
  }

  async conflict(): Promise<LadingError> {
    return this.#upload.isClosed ? this.#upload.closedError() : chunkConflict();
  }

  async commit(fresh: FreshExtent[]): Promise<void> {
    const { committer, emit, sealer, targets, watchers } = this.#deps;
    const upload = this.#upload;
    const declaration = this.#declaration();
    const changes = fresh.length > 0 || upload.declared(declaration) !== upload.document;
    if (changes && !this.#isJudged) await targets.assertPrecondition(this.#intent, upload);
    this.#isJudged ||= changes;
    await committer.commit(upload, this.#handles, fresh, declaration);
    watchers.notify(this.#intent.owner, this.#intent.name);
    const bytes = fresh.reduce((sum, extent) => sum + lengthOf(extent), 0);
    const { document: file, stored, size: total } = upload;
    if (bytes > 0) emit({ type: 'chunk.received', file, fresh: bytes, received: stored.bytes, total });
    const awaitsDigest = this.#intent.trailingDigests?.reprDigest !== undefined && this.#intent.reprDigest === null;
    if (upload.isComplete && !upload.isSealed && !awaitsDigest) await sealer.seal(upload);
  }

  async declare(digest: Digest): Promise<void> {
    this.#intent.reprDigest = digest;
    await this.commit([]);
  }

  freeSpace(): Promise<void> {
    return freeSpace(this.#upload, this.#handles.part);
  }

  progress(): { received: number; next: number } {
    const { stored } = this.#upload;
    return { received: stored.bytes, next: stored.firstGap() };
  }

  status(): FileStatus {
    return uploadStatus(this.#upload, this.#deps.limits, REPLY_GAPS);
  }

  async leave(): Promise<void> {
    await this.#upload.phase.undecided();
    await this.#deps.uploads.leave(this.#upload);
    this.#deps.sealLater(this.#upload);
  }
}

export interface SealedTargetDeps {
  blobs: BlobStore;
  damage: DamagedFiles;
  targets: ChunkTargets;
}

/** A complete file. It accepts only duplicates, which a client sends when it lost the first reply. */
export class SealedTarget implements TrainTarget {
  readonly #deps: SealedTargetDeps;
  readonly #intent: ChunkIntent;
  readonly #sealed: FileDocument;
  readonly #part: Part;

  private constructor(deps: SealedTargetDeps, intent: ChunkIntent, sealed: FileDocument, part: Part) {
    this.#deps = deps;
    this.#intent = intent;
    this.#sealed = sealed;
    this.#part = part;
  }

  /** @throws LadingError `size_conflict`, `file_complete`, `file_damaged` */
  static async open(deps: SealedTargetDeps, intent: ChunkIntent, sealed: FileDocument): Promise<SealedTarget> {
    checkSealedSize(sealed, intent.declaredSize);
    checkSealedDigest(sealed, intent.reprDigest);
    await deps.damage.assertUndamaged(sealed);
    return new SealedTarget(deps, intent, sealed, await deps.blobs.openPart(sealed.id));
  }

  isOver(chunk: Extent): boolean {
    return continuesFile(this.#sealed, chunk, this.#intent.declaredSize);
  }

  actionFor(chunk: Extent): ChunkAction {
    // A concatenated file never arrived in chunks, so no chunk can be a duplicate.
    return chunk.end >= (this.#sealed.size ?? 0) || linkedBlobs(this.#sealed) ? 'refuse' : 'compare';
  }

  plan({ start, end }: Extent): SegmentRange[] {
    return [{ extent: { start, end }, action: 'compare' }];
  }

  reserveMany(): ReservedExtents {
    return { tryAdd: () => true, release: () => {} };
  }

  tryReserve(): ReservedExtent {
    return { isWanted: false, release: () => {} };
  }

  async whenFree(): Promise<void> {}

  reserveQuota(): () => void {
    return () => {};
  }

  write(job: SegmentJob): Promise<SegmentResult> {
    return this.#part.write(job);
  }

  /** Reports a failed precondition instead, if there is one, because it explains the refusal better. */
  async conflict(): Promise<LadingError> {
    await this.#deps.targets.assertPrecondition(this.#intent);
    return fileComplete(this.#sealed.size ?? 0);
  }

  /** Duplicates change nothing. */
  async commit(): Promise<void> {}

  async declare(digest: Digest): Promise<void> {
    checkSealedDigest(this.#sealed, digest);
  }

  async freeSpace(): Promise<void> {}

  progress(): { received: number; next: number } {
    const size = this.#sealed.size ?? 0;
    return { received: size, next: size };
  }

  status(): FileStatus {
    return sealedStatus(this.#sealed);
  }

  async leave(): Promise<void> {
    this.#part.release();
  }
}
