/**
 * Uploads a stream whose size may be unknown before its end. Chunks are sent as they fill, several at a time, and stay in memory until the
 * server acknowledged them. The first chunk is sent last and declares the size: as long as byte 0 is missing, the server never takes the
 * upload for a complete file, even if this program is killed. A stream cannot be read again, so a failed upload is cancelled, not resumed.
 */
import { LadingError } from '../../errors.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { ChunkUpload } from '../calls/options.ts';
import { isTransient, VerificationError } from '../transport/failures.ts';
import { forwardAbort } from './abort.ts';
import { Meter } from './meter.ts';
import { Backoff } from './retry.ts';
import type { StreamProgress } from './stream-options.ts';
import {
  type CommonUploadOptions,
  DEFAULT_CHUNK_BYTES,
  DEFAULT_PARALLEL,
  DIGEST_IDLE_MS,
  MAX_CORRUPTIONS,
  type UploadCalls,
  type UploadResult,
} from './upload-options.ts';
import { nameConflict } from './upload-state.ts';

/** Options of an upload of a stream. */
export interface UploadStreamOptions extends CommonUploadOptions {
  /** Total size in bytes, if known. Required to replace a complete file with a stream of more than one chunk. */
  size?: number | undefined;
  /** Receives all bytes in order. The server verifies its result with the last chunk. */
  digest?: { update(bytes: Uint8Array): void; digest(): Digest } | undefined;
  onProgress?: ((progress: StreamProgress) => void) | undefined;
}

/** Time limit for the cancellation of a failed upload. */
const CANCEL_MS = 5_000;

interface Chunk {
  start: number;
  data: Uint8Array<ArrayBuffer>;
}

/** Uploads a stream. Throws `LadingError` (`file_complete`, `size_conflict` if the name is in use), `NetworkError`, `VerificationError`. */
export async function uploadStream(
  client: UploadCalls,
  source: AsyncIterable<Uint8Array>,
  options: UploadStreamOptions,
): Promise<UploadResult> {
  return new StreamUpload(client, options).run(source);
}

class StreamUpload {
  readonly #client: UploadCalls;
  readonly #options: UploadStreamOptions;
  readonly #stop = new AbortController();
  readonly #backoff: Backoff;
  readonly #meter: Meter;
  readonly #inFlight = new Set<Promise<void>>();
  #maxChunkBytes: number;
  #sent = 0;
  #crc = 0;
  #id: string | null = null;
  /** Id of the complete file that the first chunk is to replace. */
  #replaced: string | null = null;
  #lastStatus: FileStatus | null = null;

  constructor(client: UploadCalls, options: UploadStreamOptions) {
    this.#client = client;
    this.#options = options.ifMatch === undefined ? options : { ...options, overwrite: true };
    this.#backoff = new Backoff(options, this.#stop.signal, options.onRetry);
    this.#meter = new Meter(options.size ?? 0);
    this.#maxChunkBytes = options.chunkSize ?? DEFAULT_CHUNK_BYTES;
  }

  async run(source: AsyncIterable<Uint8Array>): Promise<UploadResult> {
    const stopForwarding = forwardAbort(this.#options.signal, this.#stop);
    try {
      await this.#begin();
      const status = await this.#sendAll(source);
      if (status.crc32 !== null && Number.parseInt(status.crc32, 16) !== this.#crc) {
        throw new VerificationError('The stored file does not match the checksum of the sent bytes. Upload it again.');
      }
      const digest = this.#options.digest?.digest() ?? null;
      return { status, already: false, resumed: 0, sent: this.#sent, digest };
    } catch (error) {
      this.#stop.abort(error);
      await Promise.allSettled(this.#inFlight);
      await this.#cancel();
      throw this.#stop.signal.reason;
    } finally {
      stopForwarding();
    }
  }

  /** Checks that the name is available before it reads anything. */
  async #begin(): Promise<void> {
    const { name, overwrite, size, ifMatch } = this.#options;
    const { signal } = this.#stop;
    const status = await this.#backoff.retry(async () => this.#client.status(name, { signal }));
    if (status.status === 'pending') return;
    if (!overwrite) throw nameConflict(status, null);
    if (status.status === 'partial') {
      await this.#backoff.retry(async () => this.#client.cancel(name, { signal, ifMatch, id: status.id ?? undefined }));
      const left = await this.#backoff.retry(async () => this.#client.status(name, { signal }));
      this.#replaced = left.status === 'complete' ? left.id : null;
    } else {
      this.#replaced = status.id;
    }
    this.#meter.begin(0);
    if (size !== undefined && size < 0) throw new RangeError('the size is negative');
  }

  async #sendAll(source: AsyncIterable<Uint8Array>): Promise<FileStatus> {
    const { parallel = DEFAULT_PARALLEL } = this.#options;
    let first: Chunk | null = null;
    let total = 0;
    for await (const chunk of chunks(source, this.#maxChunkBytes, this.#stop.signal)) {
      this.#stop.signal.throwIfAborted();
      total = chunk.start + chunk.data.length;
      this.#crc = this.#client.crc32(chunk.data, this.#crc);
      this.#options.digest?.update(chunk.data);
      if (first === null) first = chunk;
      else await this.#start(chunk, parallel);
    }
    await Promise.all(this.#inFlight);
    this.#stop.signal.throwIfAborted();
    const { size } = this.#options;
    if (size !== undefined && size !== total) {
      throw new LadingError('size_conflict', `The stream had ${total} bytes, but ${size} were declared.`, {
        expected: size,
        actual: total,
      });
    }
    await this.#sendReliably(first ?? { start: 0, data: new Uint8Array() }, {
      totalSize: total,
      reprDigest: this.#options.digest?.digest(),
    });
    const status = this.#lastStatus;
    if (status?.status === 'complete') return status;
    throw new LadingError('not_contiguous', 'The upload was removed on the server while it was being sent.');
  }

  /** Waits until fewer than `parallel` chunks are in flight, then sends without waiting. A failure stops the upload. */
  async #start(chunk: Chunk, parallel: number): Promise<void> {
    while (this.#inFlight.size >= parallel) await Promise.race(this.#inFlight);
    this.#stop.signal.throwIfAborted();
    const sending = this.#sendReliably(chunk, { totalSize: this.#options.size })
      .catch((error: unknown) => this.#stop.abort(error))
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
    // Send the chunk that creates the upload alone: two at once could create two uploads.
    if (this.#id === null) await sending;
  }

  /** Sends a chunk until the server acknowledges it, in smaller chunks if the server requires them. */
  async #sendReliably(chunk: Chunk, more: Pick<ChunkUpload, 'totalSize' | 'reprDigest'>): Promise<void> {
    let corruptions = 0;
    for (;;) {
      try {
        if (chunk.data.length > this.#maxChunkBytes) return await this.#split(chunk, more);
        return await this.#send(chunk, more);
      } catch (error) {
        this.#stop.signal.throwIfAborted();
        if (error instanceof LadingError && error.code === 'chunk_too_large' && chunk.data.length > 1) {
          this.#maxChunkBytes = Math.min(this.#maxChunkBytes, Math.ceil(chunk.data.length / 2));
        } else if (error instanceof LadingError && /^(checksum|length)_mismatch$/.test(error.code)) {
          corruptions += 1;
          if (corruptions > MAX_CORRUPTIONS) throw error;
        } else if (!(error instanceof LadingError && error.code === 'file_complete' && (await this.#isOurs(more)))) {
          if (!isTransient(error)) throw error;
          await this.#backoff.wait(error);
        } else {
          return;
        }
      }
    }
  }

  async #split({ start, data }: Chunk, more: Pick<ChunkUpload, 'totalSize' | 'reprDigest'>): Promise<void> {
    for (let at = 0; at < data.length; at += this.#maxChunkBytes) {
      const end = at + this.#maxChunkBytes >= data.length;
      const piece = { start: start + at, data: data.slice(at, at + this.#maxChunkBytes) };
      await this.#sendReliably(piece, end ? more : { totalSize: this.#options.size });
      if (end) return;
    }
  }

  async #send({ start, data }: Chunk, more: Pick<ChunkUpload, 'totalSize' | 'reprDigest'>): Promise<void> {
    const { name, contentType, ifMatch } = this.#options;
    const replacing = this.#replaced !== null && this.#id === null;
    if (replacing && more.totalSize === undefined) {
      throw new LadingError(
        'size_conflict',
        'To replace a complete file, declare the size of the stream, or delete the file first.',
      );
    }
    const declared = { ...more, contentType, overwrite: replacing, ifMatch };
    const idleMs = more.reprDigest === undefined ? undefined : DIGEST_IDLE_MS;
    const status = await this.#client.uploadChunk(name, {
      start,
      data,
      ...declared,
      signal: this.#stop.signal,
      idleMs,
    });
    if (this.#id !== null && status.id !== this.#id) {
      throw new LadingError('not_found', 'The upload was removed on the server while it was being sent.');
    }
    this.#id = status.id;
    this.#lastStatus = status;
    this.#sent += data.length;
    this.#backoff.progress();
    this.#meter.confirmed(this.#sent);
    this.#options.onProgress?.({ ...this.#meter.progress(), total: this.#options.size ?? null });
  }

  /** True if the file is complete and is this stream: the reply to the last chunk was lost. */
  async #isOurs({ totalSize }: Pick<ChunkUpload, 'totalSize'>): Promise<boolean> {
    const status = await this.#client.status(this.#options.name, { signal: this.#stop.signal });
    const isSameSize = status.status === 'complete' && status.total_bytes === totalSize && totalSize !== undefined;
    if (!isSameSize || status.crc32 === null || Number.parseInt(status.crc32, 16) !== this.#crc) return false;
    this.#lastStatus = status;
    return true;
  }

  async #cancel(): Promise<void> {
    if (this.#id === null || this.#lastStatus?.status === 'complete') return;
    // Cancel by id, because a different upload may have taken the name.
    const options = { id: this.#id, signal: AbortSignal.timeout(CANCEL_MS) };
    await this.#client.cancel(this.#options.name, options).catch(() => {});
  }
}

/** Splits the stream into chunks of `size` bytes; the last one may be shorter. Yields none for an empty stream. */
async function* chunks(source: AsyncIterable<Uint8Array>, size: number, signal: AbortSignal): AsyncGenerator<Chunk> {
  let start = 0;
  let data = new Uint8Array(0);
  let filled = 0;
  for await (const piece of until(signal, source)) {
    for (let at = 0; at < piece.length; ) {
      if (filled === 0) data = new Uint8Array(size);
      const part = piece.subarray(at, at + size - filled);
      data.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < size) continue;
      yield { start, data };
      start += filled;
      filled = 0;
    }
  }
  if (filled > 0) yield { start, data: data.slice(0, filled) };
}

/** Yields the stream. Throws as soon as the signal is aborted, even while the source waits for its next piece. */
async function* until<T>(signal: AbortSignal, source: AsyncIterable<T>): AsyncGenerator<T> {
  signal.throwIfAborted();
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
  });
  aborted.catch(() => {});
  signal.addEventListener('abort', abort, { once: true });
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    // Do not wait: the source may return only after its next piece.
    iterator.return?.()?.catch(() => {});
  }
}
