/**
 * One open upload in memory: its phase, its stored extents, the requests that send to it, and what clients declared about the file. The
 * journal on the disk is authoritative.
 */

import type { Part, SegmentJob, SegmentResult } from '../../contracts/blobs.ts';
import type { Manifest, ManifestRecord } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import { type Extent, ExtentSet, lengthOf } from '../../protocol/extents.ts';
import type { FileDocument } from '../../records/file.ts';
import { Reservations, type ReservedExtent, type ReservedExtents } from '../files/reservations.ts';
import { checkDeclaration, type Declaration, withDeclaration } from './declaration.ts';
import { type RestingPhase, UploadPhase } from './phase.ts';

/** The open files of an upload while requests use it. */
export interface Handles {
  part: Part;
  manifest: Manifest;
}

export class OpenUpload {
  document: FileDocument;
  readonly stored = new ExtentSet();
  readonly phase: UploadPhase;
  /** Number of requests among its users. Its other users are internal, such as parking and sealing. */
  senders = 0;
  /** One request sends the whole file, and other requests see it only once it is complete. */
  isFileUpload = false;
  /** It becomes the file even while other requests send to uploads of its name. */
  takesNameAlways = false;
  /** A client received an acknowledgement for it or used its URL. */
  acknowledged = false;
  /** The size at which the digest of the whole file last failed to match; -1 if it never failed. */
  digestMismatchAt = -1;
  /** The journal has unsynced records, which an earlier run with durability `seal` left. */
  hasUnsynced = false;
  /** Time of the last commit. */
  lastCommitAt: number;
  openEndedTimer: NodeJS.Timeout | null = null;
  readonly #reservations = new Reservations();
  readonly #writes = new Set<Promise<unknown>>();
  #users = 0;
  #handles: Promise<Handles> | null = null;

  /** @param resting `creating` for a new upload, which has no document yet */
  constructor(document: FileDocument, resting: RestingPhase = 'creating') {
    this.document = document;
    this.phase = new UploadPhase(resting);
    this.lastCommitAt = document.updatedAt;
  }

  get id(): string {
    return this.document.id;
  }

  get size(): number | null {
    return this.document.size;
  }

  /** See `UploadPhase.isVisible`. */
  get isVisible(): boolean {
    return this.phase.isVisible;
  }

  /** See `UploadPhase.isClosed`. */
  get isClosed(): boolean {
    return this.phase.isClosed;
  }

  /** See `UploadPhase.isSealed`. */
  get isSealed(): boolean {
    return this.phase.isSealed;
  }

  /** See `UploadPhase.isParked`. */
  get isParked(): boolean {
    return this.phase.isParked;
  }

  /** See `UploadPhase.endReason`. */
  get endReason(): LadingError | null {
    return this.phase.endReason;
  }

  /** Number of requests and other work that hold this upload now. */
  get users(): number {
    return this.#users;
  }

  /** True when every byte of the declared size is stored; false while the size is not declared. */
  get hasAllBytes(): boolean {
    return this.size !== null && this.stored.bytes === this.size;
  }

  /** True when it can become a file: it has all bytes, and no explicit end is missing. Never for a partial upload. */
  get isComplete(): boolean {
    return this.isCompleteWith([], { size: null, reprDigest: null, contentType: null });
  }

  /** `isComplete` once these disjoint extents and this declaration are stored too. */
  isCompleteWith(fresh: readonly Extent[], declaration: Declaration): boolean {
    const { size, resource } = this.declared(declaration);
    if (size === null || resource?.endsWhenTold || resource?.partial) return false;
    return fresh.reduce((bytes, extent) => bytes + lengthOf(extent), this.stored.bytes) === size;
  }

  /**
   * True when the size is undeclared and the stored bytes have no gap, so that it is readable as a complete file until more bytes arrive
   * (PROTOCOL §3). With a declared digest, only the seal makes it complete.
   */
  get isContiguous(): boolean {
    return this.isContiguousWith([], this.document);
  }

  /**
   * True when readers get this upload instead of the complete file of its name: there is no such file, or this upload is contiguous and
   * replaces it.
   */
  get isReadable(): boolean {
    return this.document.replaces === null || this.isContiguous;
  }

  /** `isContiguous` once these disjoint extents and this document are stored too. */
  isContiguousWith(fresh: readonly Extent[], { size, reprDigest, resource }: FileDocument): boolean {
    // A digest must be checked before the file is complete. An upload with its own URL ends when its client says so.
    if (size !== null || reprDigest !== null || resource) return false;
    let { bytes, end } = this.stored;
    for (const extent of fresh) {
      bytes += lengthOf(extent);
      end = Math.max(end, extent.end + 1);
    }
    return bytes > 0 && bytes === end;
  }

  /** Adds a user. The first one opens the files. */
  async enter(open: () => Promise<Handles>): Promise<Handles> {
    this.#users += 1;
    this.#handles ??= open();
    try {
      return await this.#handles;
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  leave(): void {
    this.#users -= 1;
    if (this.#users > 0 || !this.#handles) return;
    const handles = this.#handles;
    this.#handles = null;
    handles.then(
      ({ part, manifest }) => {
        part.release();
        manifest.release();
      },
      () => {},
    );
  }

  /** Waits for other requests that receive bytes of this extent, then reserves it; see `Reservations.reserve`. */
  reserve(extent: Extent, failed: Promise<never>): Promise<ReservedExtent> {
    return this.#reservations.reserve(extent, failed);
  }

  /** Reserves the extent if no request receives bytes of it now; otherwise null. */
  tryReserve(extent: Extent): ReservedExtent | null {
    return this.#reservations.tryReserve(extent);
  }

  /** Reserves many extents, none at first. */
  reserveMany(): ReservedExtents {
    return this.#reservations.reserveMany();
  }

  /** Waits for the request that receives bytes of this extent now; see `Reservations.whenFree`. */
  whenFree(extent: Extent, failed?: Promise<never>): Promise<void> {
    return this.#reservations.whenFree(extent, failed);
  }

  /** Passes a segment to a worker. Once the upload is closed, segments are only compared and not written. */
  async write(part: Part, job: SegmentJob): Promise<SegmentResult> {
    this.assertNotEnded();
    if (this.isClosed && job.ranges.some(({ action }) => action === 'write')) throw this.closedError();
    const written = part.write(job);
    this.#writes.add(written);
    try {
      return await written;
    } finally {
      this.#writes.delete(written);
    }
  }

  /** Waits for the segments that workers are processing now. */
  async writesDone(): Promise<void> {
    await Promise.allSettled(this.#writes);
  }

  /**
   * Compares a declaration with what earlier requests declared.
   * @throws LadingError `size_conflict`, `invalid_request`, `already_exists`
   */
  check(declaration: Declaration, storedEnd = this.stored.end): void {
    checkDeclaration(this.document, declaration, storedEnd);
  }

  /** Restores the stored extents from journal records. */
  restore(records: readonly ManifestRecord[]): void {
    for (const { start, end, crc32, synced, time } of records) {
      // Count a range with two records only once.
      if (this.stored.overlaps({ start, end })) continue;
      this.stored.add({ start, end }, crc32);
      this.lastCommitAt = Math.max(this.lastCommitAt, time);
      this.hasUnsynced ||= !synced;
    }
  }

  /** The document with the declaration added, or the same object when the declaration changes nothing. */
  declared(declaration: Declaration): FileDocument {
    return withDeclaration(this.document, declaration);
  }

  closedError(): LadingError {
    return new LadingError(
      'file_complete',
      'This file is complete. Send it with overwrite=true and a total_size to replace it.',
    );
  }

  /** Throws the reason when the upload has ended. */
  assertNotEnded(): void {
    if (this.endReason) throw this.endReason;
  }
}
