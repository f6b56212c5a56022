/** What an upload is told, and what it results in. */
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { FileCalls } from '../calls/files.ts';
import type { Progress } from './meter.ts';
import type { RetryNotice, RetryOptions } from './retry.ts';

/** Where the bytes come from. */
export interface UploadSource {
  size: number;
  /**
   * The bytes `start` to `end`, inclusive; always all of them. They may be put into `memory` when that is large enough: nobody else
   * uses it until the next read.
   */
  read(start: number, end: number, memory?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer>>;
  /** Digest of the whole content, when it can be had without holding it in memory. */
  digest?(signal: AbortSignal): Promise<Digest>;
  /** Throws `SourceChangedError` when the content is no longer what it was at the start. */
  check?(): Promise<void>;
}

export interface UploadOptions extends RetryOptions {
  name: string;
  /** Bytes of data a chunk; smaller while the link or the server refuses them. Default 8 MiB. */
  chunkSize?: number | undefined;
  /** Chunks on their way at once; default 4. */
  parallel?: number | undefined;
  /**
   * Whether the server is told the digest of the whole file, and so checks it before the file counts as complete. By default only
   * when an earlier upload goes on: it tells whether the file is still the one that was begun.
   */
  digest?: 'always' | 'resume' | 'never' | undefined;
  /** Replace a complete file of that name that has other content. */
  overwrite?: boolean | undefined;
  /**
   * Replace the complete file of that name only while it has this ETag; else `precondition_failed`, and nothing is changed. The same content
   * under another ETag is there already.
   */
  ifMatch?: string | undefined;
  contentType?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  onRetry?: ((notice: RetryNotice) => void) | undefined;
  /** The upload starts over with the first byte. */
  onRestart?: ((why: RestartReason) => void) | undefined;
}

/** The server held bytes of another version of the file; or what it held was removed. */
export type RestartReason = 'other-version' | 'removed';

export interface UploadResult {
  status: FileStatus;
  /** The same content was there already; nothing was sent. */
  already: boolean;
  /** Bytes that earlier runs had brought. */
  resumed: number;
  /** Bytes that this run brought. */
  sent: number;
  digest: Digest | null;
}

/** The calls of a client that an upload makes. */
export type UploadCalls = Pick<FileCalls, 'crc32' | 'status' | 'uploadChunk' | 'cancel'>;
