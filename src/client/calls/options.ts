/** Options and results of the calls about files. */

import type { Extent } from '../../protocol/extents.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { EventType } from '../../protocol/schemas/event.ts';
import type { UploadStatus } from '../../protocol/schemas/files.ts';

/** CRC-32 (IETF) of `bytes`; `seed` is that of the bytes before them. */
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Whose file it is: for administrators, and to read what was granted. */
  owner?: string | undefined;
}

export interface RemoveOptions extends CallOptions {
  /** Throw `precondition_failed` unless the file has this ETag, and remove nothing. */
  ifMatch?: string | undefined;
}

export interface ChunkUpload {
  /** Offset of the first byte of `data`; without data (an empty file) 0. */
  start: number;
  data: Uint8Array<ArrayBuffer>;
  totalSize?: number | undefined;
  /** CRC-32 of the data when it is known already. */
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

export interface DownloadRequest extends CallOptions {
  range?: RangeRequest | undefined;
  /** Answer `precondition_failed` unless the file still has this ETag. */
  ifMatch?: string | undefined;
  /** Stream from the first byte while the file is still arriving. */
  follow?: boolean | undefined;
}

/** What the headers of a download say. */
export interface DownloadInfo {
  /** Size of the whole file, null while nobody knows. */
  size: number | null;
  etag: string | null;
  contentType: string | null;
  lastModified: string | null;
  reprDigest: Digest | null;
}

export interface Download extends DownloadInfo {
  /** Which bytes come; null for the whole file. */
  extent: Extent | null;
  body: AsyncIterable<Uint8Array>;
  discard(): void;
}

export interface ListOptions extends CallOptions {
  prefix?: string | undefined;
  status?: UploadStatus | undefined;
  /** Files a page (default 100). */
  limit?: number | undefined;
}

export interface EventOptions {
  /** Only events of these types. */
  types?: readonly EventType[] | undefined;
  /** Only of files whose names begin so. */
  prefix?: string | undefined;
  /** Id of the last event that came. */
  lastId?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface VerifyResult {
  ok: boolean;
  checked_bytes: number;
  bad: [number, number][];
}
