/** The loop of one upload: workers send chunks, and one recovery handles failures for all of them. */
import { LadingError } from '../../errors.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { isTransient, NetworkError } from '../transport/failures.ts';
import { forwardAbort } from './abort.ts';
import { Meter } from './meter.ts';
import { ChunkSize } from './plan.ts';
import { Backoff } from './retry.ts';
import { SourceChecksums } from './source-checksums.ts';
import {
  DEFAULT_CHUNK_BYTES,
  DEFAULT_PARALLEL,
  DIGEST_IDLE_MS,
  MAX_CORRUPTIONS,
  type RestartReason,
  type UploadCalls,
  type UploadOptions,
  type UploadResult,
  type UploadSource,
} from './upload-options.ts';
import { nameConflict, UploadState } from './upload-state.ts';

/** Give up after this many removals of the upload on the server. */
const MAX_RESTARTS = 3;
/** The buffer into which a worker reads its chunks. Reuse is much cheaper than a new buffer for each chunk. */
interface Memory {
  buffer: ArrayBuffer | undefined;
}

/** One upload of a source. */
export class UploadRun {
  readonly #client: UploadCalls;
  readonly #source: UploadSource;
  readonly #options: UploadOptions;
  readonly #stop = new AbortController();
  readonly #backoff: Backoff;
  readonly #meter: Meter;
  readonly #chunkSize: ChunkSize;
  readonly #state: UploadState;
  readonly #checksums: SourceChecksums;
  #resumed = 0;
  /** How often the upload started over. Failures of chunks from before a restart are ignored. */
  #restarts = 0;
  #corruptions = 0;
  #recovery: Promise<void> | null = null;

  constructor(client: UploadCalls, source: UploadSource, options: UploadOptions) {
    this.#client = client;
    this.#source = source;
    // `ifMatch` implies `overwrite`.
    this.#options = options.ifMatch === undefined ? options : { ...options, overwrite: true };
    this.#backoff = new Backoff(options, this.#stop.signal, options.onRetry);
    this.#meter = new Meter(source.size);
    this.#chunkSize = new ChunkSize(Math.max(1, options.chunkSize ?? DEFAULT_CHUNK_BYTES));
    this.#state = new UploadState(source.size);
    this.#checksums = new SourceChecksums(source, client.crc32, this.#stop);
  }

  /** Runs the upload. Call it once. */
  async run(): Promise<UploadResult> {
    const stopForwarding = forwardAbort(this.#options.signal, this.#stop);
    try {
      return await this.#run();
    } finally {
      stopForwarding();
      this.#stop.abort();
      await this.#checksums.settled();
    }
  }

  async #run(): Promise<UploadResult> {
    const state = this.#state;
    const first = await this.#fetchStatus();
    if (await this.#begin(first)) return this.#result(first, true);
    for (;;) {
      // Send the chunk that creates a replacement alone: two at once could create two.
      while (state.replacing !== null && state.complete === null) await this.#next();
      await this.#sendAll();
      if (state.complete === null) state.adopt(await this.#fetchStatus());
      if (state.complete !== null) break;
      if (state.plan.empty && state.size > 0) {
        await this.#backoff.wait(new NetworkError('The server has all bytes and is still verifying them.'));
      }
    }
    await this.#source.check?.();
    await this.#checksums.verify(state.complete, state.crc32());
    return this.#result(state.complete, false);
  }

  #result(status: FileStatus, already: boolean): UploadResult {
    return { status, already, resumed: this.#resumed, sent: this.#state.sentBytes, digest: this.#checksums.digest };
  }

  /** Handles the first status. Returns true when the same content is already stored. */
  async #begin(first: FileStatus): Promise<boolean> {
    const { size } = this.#source;
    let status = first;
    if (status.status === 'complete') {
      if (await this.#checksums.matches(status)) return true;
      if (!this.#options.overwrite) throw nameConflict(status, size);
      this.#state.replace(status.id);
    }
    if (status.status === 'partial' && status.total_bytes !== null && status.total_bytes > size) {
      await this.#cancel(nameConflict(status, size), status);
      status = await this.#fetchStatus();
    }
    this.#state.adopt(status);
    this.#resumed = this.#state.storedBytes;
    this.#meter.begin(this.#resumed);
    const mode = this.#options.digest ?? 'resume';
    if (mode === 'always' || (mode === 'resume' && this.#resumed > 0)) this.#checksums.startDigest();
    this.#report();
    return false;
  }

  async #sendAll(): Promise<void> {
    const worker = async () => {
      const memory: Memory = { buffer: undefined };
      try {
        while (this.#state.complete === null && (await this.#next(memory))) {
          // `#next` sends one chunk.
        }
      } catch (error) {
        this.#stop.abort(error);
      }
    };
    await Promise.all(Array.from({ length: this.#options.parallel ?? DEFAULT_PARALLEL }, worker));
    this.#stop.signal.throwIfAborted();
  }

  /** Sends the next chunk. After a failure, recovers and plans again. Returns false when no chunk remains. */
  async #next(memory: Memory = { buffer: undefined }): Promise<boolean> {
    this.#stop.signal.throwIfAborted();
    const { plan, inFlight, size } = this.#state;
    if (size === 0) return this.#sendEmpty();
    const piece = plan.take(this.#chunkSize.bytes);
    if (piece === null) return false;
    const restarts = this.#restarts;
    inFlight.add(piece);
    try {
      await this.#send(piece, memory);
    } catch (error) {
      inFlight.delete(piece);
      this.#stop.signal.throwIfAborted();
      plan.putBack(piece);
      // The upload has started over: ignore the failure.
      if (restarts !== this.#restarts) return true;
      // Workers fail together, so they share one recovery.
      this.#recovery ??= this.#recover(error, piece).finally(() => {
        this.#recovery = null;
      });
      await this.#recovery;
    }
    return true;
  }

  async #send(piece: Extent, memory: Memory): Promise<void> {
    const data = await this.#source.read(piece.start, piece.end, memory.buffer);
    // Reuse the buffer only after a success: after a failure, the network may still be reading it.
    memory.buffer = undefined;
    await this.#source.check?.();
    const crc32 = this.#client.crc32(data);
    const reprDigest = await this.#checksums.digestToSend(this.#state.plan.empty);
    let sent = 0;
    const onSent = (bytes: number) => {
      sent += bytes;
      this.#meter.moved(bytes);
      this.#report();
    };
    try {
      const chunk = { ...this.#declarations(), start: piece.start, data, crc32, reprDigest, onSent };
      const status = await this.#client.uploadChunk(this.#options.name, chunk);
      memory.buffer = data.buffer;
      this.#state.inFlight.delete(piece);
      this.#state.acknowledged(piece, crc32, status);
    } finally {
      this.#meter.moved(-sent);
      this.#meter.confirmed(this.#state.storedBytes);
    }
    this.#corruptions = 0;
    this.#backoff.progress();
    this.#chunkSize.succeeded();
    this.#report();
  }

  async #sendEmpty(): Promise<boolean> {
    const status = await this.#backoff.retry(async () =>
      this.#client.uploadChunk(this.#options.name, { ...this.#declarations(), start: 0, data: new Uint8Array() }),
    );
    this.#state.adopt(status);
    return false;
  }

  #declarations() {
    return {
      totalSize: this.#source.size,
      contentType: this.#options.contentType,
      overwrite: this.#state.replacing !== null,
      ifMatch: this.#options.ifMatch,
      signal: this.#stop.signal,
      idleMs: this.#checksums.digest === null ? undefined : DIGEST_IDLE_MS,
    };
  }

  /** Handles a failure. Returns when the upload can continue; throws a final error. */
  async #recover(error: unknown, piece: Extent): Promise<void> {
    if (isTransient(error)) return this.#waitAndReplan(error);
    if (!(error instanceof LadingError)) throw error;
    switch (error.code) {
      case 'chunk_too_large':
        if (!this.#chunkSize.shrinkBelow(lengthOf(piece))) throw error;
        return;
      case 'checksum_mismatch':
      case 'length_mismatch':
        this.#corruptions += 1;
        if (this.#corruptions > MAX_CORRUPTIONS) throw error;
        return;
      case 'digest_mismatch':
        // Bytes of an earlier run belong to another version of the file. Start over once.
        if (this.#resumed === 0 || this.#restarts > 0) throw error;
        return this.#restart('other-version');
      case 'not_found':
        // The upload was removed while the chunk was in flight. A moment later, the chunk would have created a new upload.
        if (this.#restarts >= MAX_RESTARTS) throw error;
        return this.#restart('removed');
      case 'file_complete':
      case 'size_conflict':
      case 'chunk_conflict':
        return this.#resolveConflict(error);
      default:
        throw error;
    }
  }

  /** Waits, requests the status, and plans the missing bytes. */
  async #waitAndReplan(error: unknown): Promise<void> {
    if (this.#backoff.failures > 0 && error instanceof NetworkError) this.#chunkSize.failed();
    await this.#backoff.wait(error);
    this.#state.adopt(await this.#fetchStatus());
    this.#meter.confirmed(this.#state.storedBytes);
    this.#report();
  }

  /** After a conflict: finishes if another client completed the same file, else cancels the upload and starts over. */
  async #resolveConflict(error: LadingError): Promise<void> {
    const status = await this.#fetchStatus();
    if (status.status === 'complete' && (await this.#checksums.matches(status))) {
      this.#state.finish(status);
      return;
    }
    await this.#cancel(error, status);
    return this.#restart('removed');
  }

  /** With `overwrite`, cancels a conflicting unfinished upload; a complete file stays readable. Otherwise throws `error`. */
  async #cancel(error: LadingError, status: FileStatus): Promise<void> {
    if (!this.#options.overwrite || this.#restarts > 0 || status.status !== 'partial') throw error;
    const { signal } = this.#stop;
    const { ifMatch } = this.#options;
    await this.#backoff.retry(async () =>
      this.#client
        .cancel(this.#options.name, { signal, ifMatch, id: status.id ?? undefined })
        .catch((reason: unknown) => {
          // Another client cancelled it first, or the reply to an earlier attempt was lost.
          if (!(reason instanceof LadingError) || reason.code !== 'not_found') throw reason;
        }),
    );
  }

  async #restart(why: RestartReason): Promise<void> {
    this.#restarts += 1;
    this.#options.onRestart?.(why);
    this.#state.forget();
    const status = await this.#fetchStatus();
    if (status.status === 'complete') {
      if (!this.#options.overwrite) throw nameConflict(status, this.#source.size);
      this.#state.replace(status.id);
    }
    this.#state.adopt(status);
    this.#meter.begin(this.#state.storedBytes);
    this.#report();
  }

  #fetchStatus(): Promise<FileStatus> {
    const { signal } = this.#stop;
    return this.#backoff.retry(async () => this.#client.status(this.#options.name, { signal }));
  }

  #report(): void {
    this.#options.onProgress?.(this.#meter.progress());
  }
}
