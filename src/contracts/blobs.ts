/** The interfaces to stored bytes. Sizes and offsets are bytes; extents are inclusive `[start, end]`. Implementation: `storage/disk`. */
import type { Extent } from '../protocol/extents.ts';
import type { HashAlgorithm } from '../protocol/http/digests.ts';
import type { ManifestRecord } from './manifests.ts';

/** What to do with a range of a segment: new bytes are written, stored bytes are compared. */
export interface SegmentRange {
  extent: Extent;
  action: 'write' | 'compare';
}

/** Bytes on their way to a worker and back. The buffer is transferred: the caller must not use it until `write` resolves. */
export interface SegmentJob {
  buffer: ArrayBuffer;
  /** Bytes of `buffer` in use, from 0. */
  length: number;
  /** Offset of the first byte in the file. */
  start: number;
  /** Disjoint. Their bytes follow one another in the buffer, but in the file they may lie anywhere, in any order. */
  ranges: SegmentRange[];
  /** These are all bytes of their chunk. The store may then keep them with the record of the chunk instead of writing them. */
  isWholeChunk?: boolean;
}

export interface SegmentResult {
  buffer: ArrayBuffer;
  /** Sum of the segment's bytes modulo 256. */
  sum: number;
  /** CRC-32 of the whole segment. */
  crc32: number;
  /** CRC-32 of each range, in the order of the job. */
  rangeCrcs: number[];
  /** Sum of the bytes of each range modulo 256. */
  rangeSums: number[];
  /** A compared range differs from the stored bytes. */
  conflict: boolean;
  /** Index of the first such range; it and the ranges after it were not written. Null: no range differs. */
  conflictAt: number | null;
  /** For each range: its bytes, if they were not written. The caller passes them on with the record. */
  kept?: (Uint8Array | null)[];
}

/** The growing bytes of one open upload. Several users may share it; it is closed by the last `release`. */
export interface Part {
  /** Checksums, compares and writes one segment off the main thread. Throws `insufficient_storage` for ENOSPC and EDQUOT. */
  write(job: SegmentJob): Promise<SegmentResult>;
  /** Makes everything written so far durable. Kept bytes become durable with their record. */
  sync(): Promise<void>;
  /** Fills `into` from `position`. Resolves with the number of bytes read, which is smaller than `into` only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Frees the space past `size`. The caller makes sure that no committed byte lies there and that no request writes there. */
  truncate(size: number): Promise<void>;
  release(): void;
}

/** Bytes of a file, open or sealed, for reading. */
export interface Reader {
  read(into: Uint8Array, position: number): Promise<number>;
  release(): void;
}

/** Stores the bytes of files by file id. */
export interface BlobStore {
  /** Creates an empty part. It need not be durable, because a part without a catalog document is removed at the next start. */
  create(id: string): Promise<void>;
  /**
   * Opens the part of an upload. Also opens sealed files, to compare. A write re-opens a file whose seal was interrupted before its
   * document was written. Throws `not_found`.
   */
  openPart(id: string): Promise<Part>;
  /**
   * The commit point of the bytes: cut to `size`, sync, rename part → blob, sync directory. Idempotent: a sealed blob does not change.
   * If an earlier sync failed, everything that the manifest lists is written again, because the system may have dropped it although
   * a second sync succeeds.
   */
  seal(id: string, size: number): Promise<void>;
  /** Opens the part or the sealed blob; throws `not_found` if neither exists. The reader keeps working after `remove`. */
  openReader(id: string): Promise<Reader>;
  /** Size of the part or the sealed blob in bytes; null if neither exists. */
  size(id: string): Promise<number | null>;
  /**
   * Makes the bytes of a part available as a sealed blob under a second id, without copying them. The caller ensures that no request
   * writes to the part any more. Durable when it resolves. Returns false and does nothing if the disk does not support it.
   */
  link(from: string, to: string): Promise<boolean>;
  /** Removes everything stored under the id, including the manifest. Succeeds if nothing is stored. */
  remove(id: string): Promise<void>;
  /** Lists the ids under which anything is stored. */
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
  /** The same for bytes that lie in several blobs, in this order. */
  digestParts(parts: readonly BlobExtent[], algorithm: HashAlgorithm, prefix?: Uint8Array): Promise<Uint8Array>;
  /** Reads the bytes of each record again. Resolves with the indexes of the records whose CRC-32 does not match. */
  verify(id: string, records: readonly ManifestRecord[]): Promise<number[]>;
}
