/**
 * One upload on its way: what is stored, what is being received right now, and what the client said about the whole file. The
 * journal on disk is the truth; this is its picture in memory.
 */

import type { Part, SegmentJob, SegmentResult } from '../../contracts/blobs.ts';
import type { Manifest, ManifestRecord } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import { type Extent, ExtentSet, lengthOf } from '../../protocol/extents.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileDocument } from '../../records/file.ts';
import { uploadHasAddress } from '../files/refusals.ts';

/** What chunk requests may say about the whole file. Null: said nothing. */
export interface Declaration {
  size: number | null;
  reprDigest: Digest | null;
  contentType: string | null;
  /** Nothing follows: an upload that ends when it is told so ends with this. */
  isEnd?: boolean;
  /** Nothing came for long: it is parked since this date, unless bytes come after all. */
  staleAt?: number;
  /** A file has the bytes of this piece. */
  isConcatenated?: boolean;
  /** Said by a request that names the file: an upload with an address of its own listens to its address alone. */
  byName?: boolean;
  /** It waits for its name no longer, and replaces this file. */
  takesName?: { replaces: string | null };
  /** Where its bytes are, if not in its own blob. */
  pieces?: FileDocument['pieces'];
  /** The upload has no document before the one of the complete file: all of it becomes known in one step. */
  atOnce?: boolean;
}

interface Reservation {
  extent: Extent;
  done: Promise<void>;
  /** Requests that wait for bytes of it. */
  waiting: number;
}

/** An extent that one request receives. */
export interface ReservedExtent {
  /** Another request waits for bytes of it: as a rule the same client, back on a new connection. */
  readonly isWanted: boolean;
  release(): void;
}

/** The doors that one upload writes through while requests run. */
export interface Handles {
  part: Part;
  manifest: Manifest;
}

export class OpenUpload {
  document: FileDocument;
  readonly stored = new ExtentSet();
  /**
   * False until the first chunk is committed: until then there is no catalog document, so nothing is visible and a crash leaves
   * only a leftover.
   */
  visible = false;
  /** A document of it may be on disk, though the write failed. */
  written = false;
  /** Requests among its users; others are this side's own, as when it is parked or sealed. */
  senders = 0;
  /** One request brings all of it: others know of it when it is complete, and say nothing of it before. */
  isFileUpload = false;
  /** What else is under way for its name does not keep it from becoming the file. */
  takesNameAlways = false;
  /** While a continuation ends and the file that was complete before comes back: nobody may take its place meanwhile. */
  reverting: Promise<void> | null = null;
  /** While another file takes its name: nobody may end it meanwhile. It is over then, or goes on if that file does not come. */
  replacing: Promise<void> | null = null;
  /** Somebody was told that bytes of it count, or knows its address. */
  acknowledged = false;
  /** Set once the upload is over: what requests that still run are told. */
  endReason: LadingError | null = null;
  /** True from the moment the seal begins: nothing can be added any more, unless the seal fails and opens it again. */
  closed = false;
  /** True once the sealed document is on disk. */
  sealed = false;
  /** The digest of the whole does not agree with what reaches to here; -1: nobody looked. */
  digestMismatchAt = -1;
  /** It does not count as open. */
  parked: boolean;
  /** There are journaled records that no sync vouches for: a run with durability `seal` left them. */
  hasUnsynced = false;
  /** Time of the last commit. */
  lastCommitAt: number;
  /** The seal under way, so that two last chunks make one. */
  sealing: Promise<void> | null = null;
  openEndedTimer: NodeJS.Timeout | null = null;
  #reservations: Reservation[] = [];
  readonly #writes = new Set<Promise<unknown>>();
  #users = 0;
  #handles: Promise<Handles> | null = null;

  constructor(document: FileDocument) {
    this.document = document;
    this.lastCommitAt = document.updatedAt;
    this.parked = document.staleAt !== undefined;
  }

  get id(): string {
    return this.document.id;
  }

  get size(): number | null {
    return this.document.size;
  }

  /** Requests that hold this upload now. */
  get users(): number {
    return this.#users;
  }

  /** Every byte of the declared size is stored; false while the size is not declared. */
  get hasAllBytes(): boolean {
    return this.size !== null && this.stored.bytes === this.size;
  }

  /** It is whole and nothing else is waited for before it becomes a file. */
  get isComplete(): boolean {
    return this.isCompleteWith([], { size: null, reprDigest: null, contentType: null });
  }

  /** `covered` once these disjoint extents and this declaration are stored too. */
  isCompleteWith(fresh: readonly Extent[], declaration: Declaration): boolean {
    const { size, resource } = this.declared(declaration);
    if (size === null || resource?.endsWhenTold || resource?.partial) return false;
    return fresh.reduce((bytes, extent) => bytes + lengthOf(extent), this.stored.bytes) === size;
  }

  /**
   * Undeclared size, and 0..highest end is stored without a gap: reads as complete until more comes (PROTOCOL §3). Not so with a
   * digest to be checked: then only the seal says it is complete.
   */
  get isContiguous(): boolean {
    return this.isContiguousWith([], this.document);
  }

  /**
   * Readers get it and not the complete file of its name: there is none, or it has begun to replace one, and nobody said how long
   * it will be.
   */
  get isReadable(): boolean {
    return this.document.replaces === null || this.isContiguous;
  }

  /** `coveredSoFar` once these disjoint extents and this document are stored too. */
  isContiguousWith(fresh: readonly Extent[], { size, reprDigest, resource }: FileDocument): boolean {
    // Whoever appends says when it is over.
    if (size !== null || reprDigest !== null || resource) return false;
    let { bytes, end } = this.stored;
    for (const extent of fresh) {
      bytes += lengthOf(extent);
      end = Math.max(end, extent.end + 1);
    }
    return bytes > 0 && bytes === end;
  }

  /** Takes the upload for one request; opens its files for the first. */
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

  /**
   * Waits until nobody else receives bytes of this extent, then holds it until it is released (PROTOCOL §4: the second of two
   * requests for one range waits for the first). `gone` rejects when the waiting request itself is over.
   */
  async reserve(extent: Extent, gone: Promise<never>): Promise<ReservedExtent> {
    for (;;) {
      const blocker = this.#blocker(extent);
      if (!blocker) return this.#hold(extent);
      blocker.waiting += 1;
      try {
        await Promise.race([blocker.done, gone]);
      } finally {
        blocker.waiting -= 1;
      }
    }
  }

  /** Holds the extent if nobody receives bytes of it now; else null. */
  tryReserve(extent: Extent): ReservedExtent | null {
    return this.#blocker(extent) ? null : this.#hold(extent);
  }

  #hold(extent: Extent): ReservedExtent {
    let finish = (): void => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const reservation: Reservation = { extent, done, waiting: 0 };
    this.#reservations.push(reservation);
    return {
      get isWanted() {
        return reservation.waiting > 0;
      },
      release: () => {
        this.#reservations.splice(this.#reservations.indexOf(reservation), 1);
        finish();
      },
    };
  }

  #blocker(extent: Extent): Reservation | undefined {
    return this.#reservations.find((held) => held.extent.start <= extent.end && extent.start <= held.extent.end);
  }

  /** Hands a segment to a worker, unless the seal has begun: then nothing may be written any more, only compared. */
  async write(part: Part, job: SegmentJob): Promise<SegmentResult> {
    this.assertNotEnded();
    if (this.closed && job.pieces.some(({ action }) => action === 'write')) throw this.closedError();
    const written = part.write(job);
    this.#writes.add(written);
    try {
      return await written;
    } finally {
      this.#writes.delete(written);
    }
  }

  /** Resolves when nothing is on its way that decides what becomes of it: a seal, a file that takes its name, its own end. */
  async undecided(): Promise<void> {
    const deciding = (): Promise<void> | null => this.sealing ?? this.replacing ?? this.reverting;
    for (let one = deciding(); one; one = deciding()) await one.catch(() => {});
  }

  /** Resolves when none of the segments that are at the workers now is any more. */
  async writesDone(): Promise<void> {
    await Promise.allSettled(this.#writes);
  }

  /** Throws `size_conflict`, `invalid_request` or `already_exists` when a declaration disagrees with what is known already. */
  check(declaration: Declaration, storedEnd = this.stored.end): void {
    const { size, reprDigest, byName } = declaration;
    if (byName && this.document.resource) throw uploadHasAddress();
    if (size !== null && this.size !== null && size !== this.size) {
      throw new LadingError('size_conflict', `The size of this file was declared as ${this.size}, not ${size}.`, {
        expected: this.size,
        actual: size,
      });
    }
    if (size !== null && size < storedEnd) {
      throw new LadingError(
        'size_conflict',
        `${storedEnd} bytes of this file are stored already; its size cannot be ${size}.`,
        {
          expected: storedEnd,
          actual: size,
        },
      );
    }
    const known = this.document.reprDigest;
    if (reprDigest && known && (known.algorithm !== reprDigest.algorithm || known.value !== encodeDigest(reprDigest))) {
      throw new LadingError(
        'invalid_request',
        'Repr-Digest differs from the one that an earlier chunk of this file declared.',
      );
    }
  }

  /** Counts journaled records as stored. */
  restore(records: readonly ManifestRecord[]): void {
    for (const { start, end, crc32, synced, time } of records) {
      // A range listed twice was journaled twice; the first record already stands for its bytes.
      if (this.stored.overlaps({ start, end })) continue;
      this.stored.add({ start, end }, crc32);
      this.lastCommitAt = Math.max(this.lastCommitAt, time);
      this.hasUnsynced ||= !synced;
    }
  }

  /** The document with the declaration added, or the same object when it says nothing new. */
  declared(declaration: Declaration): FileDocument {
    const { document } = this;
    const size = document.size ?? declaration.size;
    const contentType = declaration.contentType ?? document.contentType;
    const reprDigest =
      document.reprDigest ??
      (declaration.reprDigest && {
        algorithm: declaration.reprDigest.algorithm,
        value: encodeDigest(declaration.reprDigest),
      });
    if (declaration.takesName) return document.aside ? placed(document, declaration.takesName) : document;
    if (declaration.pieces) return { ...document, pieces: declaration.pieces };
    const { resource } = document;
    const ends = declaration.isEnd === true && resource?.endsWhenTold === true;
    const same = size === document.size && contentType === document.contentType && reprDigest === document.reprDigest;
    const { staleAt } = declaration;
    const joined = declaration.isConcatenated === true && resource !== undefined;
    if (same && !ends && !joined && staleAt === undefined) return document;
    const declared = { ...document, size, contentType, reprDigest, ...(staleAt === undefined ? {} : { staleAt }) };
    if (joined) return { ...declared, resource: { ...resource, joined } };
    if (!ends) return declared;
    const { endsWhenTold: _, ...ended } = resource;
    return { ...declared, resource: ended };
  }

  closedError(): LadingError {
    return new LadingError(
      'file_complete',
      'This file is complete. Send it with overwrite=true and a total_size to replace it.',
    );
  }

  /** Throws when the upload ended while a request was still at it. */
  assertNotEnded(): void {
    if (this.endReason) throw this.endReason;
  }
}

/** The document of an upload that waits for its name no longer. */
function placed({ aside: _, ends: __, ...document }: FileDocument, place: { replaces: string | null }): FileDocument {
  return { ...document, ...place };
}

/** Digests are kept as base64 in documents. */
export function encodeDigest(digest: Digest): string {
  return Buffer.from(digest.value).toString('base64');
}
