/** Options and result of an upload. */
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { FileCalls } from '../calls/files.ts';
import type { Progress } from './meter.ts';
import type { RetryNotice, RetryOptions } from './retry.ts';

/** Provides the bytes of an upload. */
export interface UploadSource {
  size: number;
  /**
   * Reads all bytes from `start` to `end`, inclusive. May store them in `memory` if it is large enough; nothing else uses it until
   * the next read.
   */
  read(start: number, end: number, memory?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer>>;
  /** Computes the digest of the whole content. Optional, because the content need not be readable without holding it in memory. */
  digest?(signal: AbortSignal): Promise<Digest>;
  /** Throws `SourceChangedError` if the content changed since the start. */
  check?(): Promise<void>;
}

/** Options that uploads of files and of streams share. */
export interface CommonUploadOptions extends RetryOptions {
  /** Name on the server. */
  name: string;
  /** Bytes per chunk; default 8 MiB. Chunks become smaller when the server refuses them as too large. */
  chunkSize?: number | undefined;
  /** Chunks in flight; default 4. */
  parallel?: number | undefined;
  /** Replace a complete file of this name. */
  overwrite?: boolean | undefined;
  /** Replace the complete file only while it has this ETag, else throw `precondition_failed`. Implies `overwrite`. */
  ifMatch?: string | undefined;
  contentType?: string | undefined;
  signal?: AbortSignal | undefined;
  onRetry?: ((notice: RetryNotice) => void) | undefined;
}

export const DEFAULT_CHUNK_BYTES = 8 * 1024 * 1024;
export const DEFAULT_PARALLEL = 4;
/** Give up after this many consecutive checksum failures: the memory or the link is faulty. */
export const MAX_CORRUPTIONS = 3;
/** Idle limit for the last chunk of a file with a digest: the server reads the whole file before it replies. */
export const DIGEST_IDLE_MS = 15 * 60_000;

/** Options of an upload. */
export interface UploadOptions extends CommonUploadOptions {
  /**
   * When to send a digest of the whole file, which the server verifies before the file is complete. By default only when an earlier
   * upload is resumed, because the local file may have changed since.
   */
  digest?: 'always' | 'resume' | 'never' | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Called when the upload starts over with the first byte. */
  onRestart?: ((why: RestartReason) => void) | undefined;
}

/** Why an upload starts over: the server had bytes of another version of the file, or the upload was removed. */
export type RestartReason = 'other-version' | 'removed';

/** The result of an upload. */
export interface UploadResult {
  status: FileStatus;
  /** The same content was already stored; nothing was sent. */
  already: boolean;
  /** Bytes from earlier runs. */
  resumed: number;
  /** Bytes that this run sent. */
  sent: number;
  digest: Digest | null;
}

/** The calls that an upload makes. */
export type UploadCalls = Pick<FileCalls, 'crc32' | 'status' | 'uploadChunk' | 'cancel'>;
