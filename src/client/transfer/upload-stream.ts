/**
 * An upload from a stream, whose size nobody knows before its end: chunks as they fill, several on their way at once, each kept in memory
 * until the server has it. The first one is held back until the end and then declares the size: as long as byte 0 is missing, what is there
 * never passes for a whole file, whatever ends this program. What was read is not there again, so a later run cannot go on: an upload that
 * fails is cancelled.
 */
import { LadingError } from '../../errors.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { ChunkUpload } from '../calls/options.ts';
import { isTransient, VerificationError } from '../transport/failures.ts';
import { Meter } from './meter.ts';
import { Backoff, type RetryNotice, type RetryOptions } from './retry.ts';
import type { StreamProgress } from './stream.ts';
import type { UploadCalls, UploadResult } from './upload.ts';

export interface UploadStreamOptions extends RetryOptions {
  name: string;
  /** Bytes a chunk; default 8 MiB. Two more than `parallel` of them are in memory. */
  chunkSize?: number | undefined;
  /** Chunks on their way at once; default 4. */
  parallel?: number | undefined;
  /** The size, where it is known: then a complete file can be replaced by more than one chunk. */
  size?: number | undefined;
  overwrite?: boolean | undefined;
  /** Replace the file only while it has this ETag; means `overwrite` too. */
  ifMatch?: string | undefined;
  contentType?: string | undefined;
  /** Told all bytes in order; its result travels with the last chunk, and the server compares it. */
  digest?: { update(bytes: Uint8Array): void; digest(): Digest } | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: StreamProgress) => void) | undefined;
  onRetry?: ((notice: RetryNotice) => void) | undefined;
}

const DEFAULT_CHUNK = 8 * 1024 * 1024;
const DEFAULT_PARALLEL = 4;
const MAX_CORRUPTIONS = 3;
const CANCEL_MS = 5_000;
/** The server reads the whole file before it answers the last chunk of one with a digest. */
const DIGEST_IDLE_MS = 15 * 60_000;

interface Chunk {
  start: number;
  data: Uint8Array<ArrayBuffer>;
}

/** Throws `LadingError` (`file_complete`, `size_conflict` where the name is taken), `NetworkError`, `VerificationError`. */
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
  readonly #patience: Backoff;
  readonly #meter: Meter;
  readonly #moving = new Set<Promise<void>>();
  #largest: number;
  #sent = 0;
  #crc = 0;
  #id: string | null = null;
  /** Id of the complete file that the first chunk is to replace. */
  #replaced: string | null = null;
  #last: FileStatus | null = null;

  constructor(client: UploadCalls, options: UploadStreamOptions) {
    this.#client = client;
    this.#options = options.ifMatch === undefined ? options : { ...options, overwrite: true };
    this.#patience = new Backoff(options, this.#stop.signal, options.onRetry);
    this.#meter = new Meter(options.size ?? 0);
    this.#largest = options.chunkSize ?? DEFAULT_CHUNK;
  }

  async run(source: AsyncIterable<Uint8Array>): Promise<UploadResult> {
    const { signal } = this.#options;
    const abort = () => this.#stop.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await this.#begin();
      const status = await this.#sendAll(source);
      if (status.crc32 !== null && Number.parseInt(status.crc32, 16) !== this.#crc) {
        throw new VerificationError(
          'What the server stored does not have the checksum of what was sent. Send it again.',
        );
      }
      const digest = this.#options.digest?.digest() ?? null;
      return { status, already: false, resumed: 0, sent: this.#sent, digest };
    } catch (error) {
      this.#stop.abort(error);
      await Promise.allSettled(this.#moving);
      await this.#cancel();
      throw this.#stop.signal.reason;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Refuses a name that is taken before anything is read. */
  async #begin(): Promise<void> {
    const { name, overwrite, size, ifMatch } = this.#options;
    const { signal } = this.#stop;
    const status = await this.#patience.retry(async () => this.#client.status(name, { signal }));
    if (status.status === 'pending') return;
    if (!overwrite) {
      throw status.status === 'complete'
        ? new LadingError(
            'file_complete',
            'A complete file of that name is there. Upload with overwrite to replace it.',
          )
        : new LadingError(
            'size_conflict',
            'An unfinished upload of that name is there. Cancel it, or upload with overwrite.',
          );
    }
    if (status.status === 'partial') {
      await this.#patience.retry(async () =>
        this.#client.cancel(name, { signal, ifMatch, id: status.id ?? undefined }),
      );
      const left = await this.#patience.retry(async () => this.#client.status(name, { signal }));
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
    for await (const chunk of chunks(source, this.#largest, this.#stop.signal)) {
      this.#stop.signal.throwIfAborted();
      total = chunk.start + chunk.data.length;
      this.#crc = this.#client.crc32(chunk.data, this.#crc);
      this.#options.digest?.update(chunk.data);
      if (first === null) first = chunk;
      else await this.#start(chunk, parallel);
    }
    await Promise.all(this.#moving);
    this.#stop.signal.throwIfAborted();
    const { size } = this.#options;
    if (size !== undefined && size !== total) {
      throw new LadingError('size_conflict', `There were ${total} bytes to read, not ${size}.`, {
        expected: size,
        actual: total,
      });
    }
    await this.#persist(first ?? { start: 0, data: new Uint8Array() }, {
      totalSize: total,
      reprDigest: this.#options.digest?.digest(),
    });
    const status = this.#last;
    if (status?.status === 'complete') return status;
    throw new LadingError('not_contiguous', 'The upload was removed on the server while it was being sent.');
  }

  /** Waits for a place among those on their way, then sends without waiting; a failure stops everything. */
  async #start(chunk: Chunk, parallel: number): Promise<void> {
    while (this.#moving.size >= parallel) await Promise.race(this.#moving);
    this.#stop.signal.throwIfAborted();
    const sending = this.#persist(chunk, { totalSize: this.#options.size })
      .catch((error: unknown) => this.#stop.abort(error))
      .finally(() => this.#moving.delete(sending));
    this.#moving.add(sending);
    // The chunk that begins the upload goes alone: two could begin two.
    if (this.#id === null) await sending;
  }

  /** Sends a chunk until the server has it, in smaller ones where it wants them. */
  async #persist(chunk: Chunk, more: Pick<ChunkUpload, 'totalSize' | 'reprDigest'>): Promise<void> {
    let corruptions = 0;
    for (;;) {
      try {
        if (chunk.data.length > this.#largest) return await this.#split(chunk, more);
        return await this.#send(chunk, more);
      } catch (error) {
        this.#stop.signal.throwIfAborted();
        if (error instanceof LadingError && error.code === 'chunk_too_large' && chunk.data.length > 1) {
          this.#largest = Math.min(this.#largest, Math.ceil(chunk.data.length / 2));
        } else if (error instanceof LadingError && /^(checksum|length)_mismatch$/.test(error.code)) {
          corruptions += 1;
          if (corruptions > MAX_CORRUPTIONS) throw error;
        } else if (!(error instanceof LadingError && error.code === 'file_complete' && (await this.#isOurs(more)))) {
          if (!isTransient(error)) throw error;
          await this.#patience.wait(error);
        } else {
          return;
        }
      }
    }
  }

  async #split({ start, data }: Chunk, more: Pick<ChunkUpload, 'totalSize' | 'reprDigest'>): Promise<void> {
    for (let at = 0; at < data.length; at += this.#largest) {
      const end = at + this.#largest >= data.length;
      const piece = { start: start + at, data: data.slice(at, at + this.#largest) };
      await this.#persist(piece, end ? more : { totalSize: this.#options.size });
      if (end) return;
    }
  }

  async #send({ start, data }: Chunk, more: Pick<ChunkUpload, 'totalSize' | 'reprDigest'>): Promise<void> {
    const { name, contentType, ifMatch } = this.#options;
    const replacing = this.#replaced !== null && this.#id === null;
    if (replacing && more.totalSize === undefined) {
      throw new LadingError(
        'size_conflict',
        'To replace a complete file, its new size must be known. Say it, or delete the file first.',
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
    this.#last = status;
    this.#sent += data.length;
    this.#patience.progress();
    this.#meter.confirmed(this.#sent);
    this.#options.onProgress?.({ ...this.#meter.progress(), total: this.#options.size ?? null });
  }

  /** After the reply to the last chunk was lost: the file is complete, and it is this one. */
  async #isOurs({ totalSize }: Pick<ChunkUpload, 'totalSize'>): Promise<boolean> {
    const status = await this.#client.status(this.#options.name, { signal: this.#stop.signal });
    const ours = status.status === 'complete' && status.total_bytes === totalSize && totalSize !== undefined;
    if (!ours || status.crc32 === null || Number.parseInt(status.crc32, 16) !== this.#crc) return false;
    this.#last = status;
    return true;
  }

  async #cancel(): Promise<void> {
    if (this.#id === null || this.#last?.status === 'complete') return;
    // By its id: another upload may have the name by now.
    const options = { id: this.#id, signal: AbortSignal.timeout(CANCEL_MS) };
    await this.#client.cancel(this.#options.name, options).catch(() => {});
  }
}

/** The stream in pieces of `size` bytes, the last one shorter; none for an empty stream. */
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

/** The stream until its end or that of the signal, whose reason is thrown at once: nobody knows when the next piece comes. */
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
    // Not waited for: it may end only with the next piece.
    iterator.return?.()?.catch(() => {});
  }
}
