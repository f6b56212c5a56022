/** Options and results of calls on files. */

import type { Extent } from '../../protocol/extents.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { EventType } from '../../protocol/schemas/event.ts';
import type { UploadStatus } from '../../protocol/schemas/files.ts';

/** CRC-32 (IETF) of `bytes`; `seed` is the CRC-32 of the bytes before them. */
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** Options of every call on a file. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Owner of the file: for administrators, and for files that were granted to the caller. */
  owner?: string | undefined;
}

/** Options of calls that delete a file or cancel an upload. */
export interface RemoveOptions extends CallOptions {
  /** Remove nothing and throw `precondition_failed` unless the file has this ETag. */
  ifMatch?: string | undefined;
}

/** One chunk and what it declares about its file. */
export interface ChunkUpload {
  /** Offset of the first byte of `data`; 0 for an empty file. */
  start: number;
  data: Uint8Array<ArrayBuffer>;
  totalSize?: number | undefined;
  /** CRC-32 of the data, if it is already known. */
  crc32?: number | undefined;
  reprDigest?: Digest | undefined;
  overwrite?: boolean | undefined;
  /** Throw `precondition_failed` unless the complete file of this name has this ETag. */
  ifMatch?: string | undefined;
  contentType?: string | undefined;
  onSent?: ((bytes: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  idleMs?: number | undefined;
}

/** Bytes `start` to `end` (inclusive, or to the end of the file), or the last `suffix` bytes. */
export type RangeRequest = { start: number; end?: number | undefined } | { suffix: number };

/** Which bytes of which version to download. */
export interface DownloadRequest extends CallOptions {
  range?: RangeRequest | undefined;
  /** Throw `precondition_failed` unless the file still has this ETag. */
  ifMatch?: string | undefined;
  /** Stream from the first byte, even while the file is still arriving. */
  follow?: boolean | undefined;
}

/** The headers of a download. */
export interface DownloadInfo {
  /** Size of the whole file; null while it is unknown. */
  size: number | null;
  etag: string | null;
  contentType: string | null;
  lastModified: string | null;
  reprDigest: Digest | null;
}

/** A running download. */
export interface Download extends DownloadInfo {
  /** The range of the bytes in `body`; null for the whole file. */
  extent: Extent | null;
  body: AsyncIterable<Uint8Array>;
  discard(): void;
}

/** Filters for the list of files. */
export interface ListOptions extends CallOptions {
  prefix?: string | undefined;
  status?: UploadStatus | undefined;
  /** Files per page; default 100. */
  limit?: number | undefined;
}

/** Filters for events, and where to continue. */
export interface EventOptions {
  /** Only events of these types. */
  types?: readonly EventType[] | undefined;
  /** Only events about files whose names begin with this. */
  prefix?: string | undefined;
  /** Id of the last event that was received. */
  lastId?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** The result of a verification: `bad` lists the damaged ranges, inclusive. */
export interface VerifyResult {
  ok: boolean;
  checked_bytes: number;
  bad: [number, number][];
}
