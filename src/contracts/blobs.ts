/** The doors to stored bytes. Sizes and offsets are bytes; extents are inclusive `[start, end]`. Implementation: `storage/disk`. */
import type { Extent } from '../protocol/extents.ts';
import type { HashAlgorithm } from '../protocol/http/digests.ts';
import type { ManifestRecord } from './manifests.ts';

/** What is to happen with a part of a segment: new bytes are written, bytes already stored are compared. */
export interface SegmentRange {
  extent: Extent;
  action: 'write' | 'compare';
}

/** Bytes that travel to a worker and back. The buffer is transferred: between `write` and its result nobody holds it. */
export interface SegmentJob {
  buffer: ArrayBuffer;
  /** Bytes of `buffer` in use, from 0. */
  length: number;
  /** Offset in the file of the first of them. */
  start: number;
  /** Disjoint, ascending, together exactly `[start, start + length - 1]`. */
  pieces: SegmentRange[];
}

export interface SegmentResult {
  buffer: ArrayBuffer;
  /** Sum of the segment's bytes modulo 256. */
  sum: number;
  /** CRC-32 of the whole segment. */
  crc32: number;
  /** CRC-32 of each piece, in the order of the job's pieces. */
  pieceCrcs: number[];
  /** True when a compared piece differs from what is stored. */
  conflict: boolean;
}

/** The growing bytes of one open upload. Several may hold it at once; the handle lives until the last `release`. */
export interface Part {
  /** Checksums, compares and writes one segment off the main thread. ENOSPC/EDQUOT become `insufficient_storage`. */
  write(job: SegmentJob): Promise<SegmentResult>;
  /** Makes everything written so far durable. */
  sync(): Promise<void>;
  /** Fills `into` from `position`; the number of bytes read, less than asked only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Gives the room behind `size` back. Callers make sure that nothing there counts, and that nobody writes there meanwhile. */
  cut(size: number): Promise<void>;
  release(): void;
}

/** Bytes of a file, open or sealed, for reading. */
export interface Reader {
  read(into: Uint8Array, position: number): Promise<number>;
  release(): void;
}

/** Where the bytes are, by file id. Implementations: `storage/disk`. */
export interface BlobStore {
  /** Makes an empty part. It needs no durability: without a catalog document it is a leftover. */
  create(id: string): Promise<void>;
  /**
   * Of a sealed file too, for `compare` pieces; a `write` piece opens a seal again that no document speaks of yet. `not_found`
   * when there is neither.
   */
  openPart(id: string): Promise<Part>;
  /**
   * The commit point of the bytes: cut to `size`, sync, rename part → blob, sync directory. Idempotent: a blob already sealed
   * is left alone. After a sync that failed before, everything the manifest lists is written again, for the system may have
   * dropped it while a second sync reports success.
   */
  seal(id: string, size: number): Promise<void>;
  /** Opens the part or the sealed blob, whichever there is; `not_found` if neither. Stays readable after `remove`. */
  openReader(id: string): Promise<Reader>;
  /** Bytes of the part or the sealed blob, whichever there is; null if neither. */
  size(id: string): Promise<number | null>;
  /**
   * Gives the bytes of a part that nobody writes any more a second, sealed life under a new id, without copying them; durable when it
   * resolves. False, and nothing done, where the disk cannot do that.
   */
  share(from: string, to: string): Promise<boolean>;
  /** Removes whatever is stored under the id, manifest included; no error when there is nothing. */
  remove(id: string): Promise<void>;
  /** The ids of everything stored. */
  list(): Promise<string[]>;
}

/** Bytes of one blob. */
export interface BlobExtent {
  id: string;
  /** Empty when `end < start`. */
  extent: Extent;
}

/** Long reads of stored bytes, off the main thread and away from the segment workers. */
export interface Inspector {
  /** Digest of `prefix` followed by the stored bytes of `extent` (none for an empty extent, `end < start`). */
  digest(id: string, algorithm: HashAlgorithm, extent: Extent, prefix?: Uint8Array): Promise<Uint8Array>;
  /** The same of bytes that lie in several blobs, one part after the other. */
  digestParts(parts: readonly BlobExtent[], algorithm: HashAlgorithm, prefix?: Uint8Array): Promise<Uint8Array>;
  /** Reads the bytes of each record again; the indexes of those whose CRC-32 does not agree. */
  verify(id: string, records: readonly ManifestRecord[]): Promise<number[]>;
}
