/** The loop of one upload: workers that send chunks, and what happens when one fails. */
import { LadingError } from '../../errors.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { isTransient, NetworkError, VerificationError } from '../transport/failures.ts';
import { Meter } from './meter.ts';
import { ChunkSize } from './plan.ts';
import { Backoff } from './retry.ts';
import { nameConflict, UploadState } from './upload-ledger.ts';
import type { RestartReason, UploadCalls, UploadOptions, UploadResult, UploadSource } from './upload-options.ts';

const DEFAULT_CHUNK = 8 * 1024 * 1024;
const DEFAULT_PARALLEL = 4;
/** Checksum failures in a row before the memory or the link is taken for broken. */
const MAX_CORRUPTIONS = 3;
/** Somebody who removes the upload again and again does not want it. */
const MAX_RESTARTS = 3;
/** The server reads the whole file before it answers the last chunk of one with a digest. */
const DIGEST_IDLE_MS = 15 * 60_000;

/** What a worker reads its chunks into, one after the other: a new buffer each would cost more than the rest of the work. */
interface Memory {
  buffer: ArrayBuffer | undefined;
}

export class UploadRun {
  readonly #client: UploadCalls;
  readonly #source: UploadSource;
  readonly #options: UploadOptions;
  readonly #stop = new AbortController();
  readonly #patience: Backoff;
  readonly #meter: Meter;
  readonly #stride: ChunkSize;
  readonly #ledger: UploadState;
  #resumed = 0;
  #digest: Promise<Digest> | null = null;
  #knownDigest: Digest | null = null;
  /** How often the upload started over; failures of chunks from before say nothing any more. */
  #restarts = 0;
  #corruptions = 0;
  #recovery: Promise<void> | null = null;

  constructor(client: UploadCalls, source: UploadSource, options: UploadOptions) {
    this.#client = client;
    this.#source = source;
    // Whoever names the version that is to go wants it replaced.
    this.#options = options.ifMatch === undefined ? options : { ...options, overwrite: true };
    this.#patience = new Backoff(options, this.#stop.signal, options.onRetry);
    this.#meter = new Meter(source.size);
    this.#stride = new ChunkSize(Math.max(1, options.chunkSize ?? DEFAULT_CHUNK));
    this.#ledger = new UploadState(source.size);
  }

  /** To be called once. */
  async run(): Promise<UploadResult> {
    const { signal } = this.#options;
    const abort = () => this.#stop.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await this.#run();
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#stop.abort();
      await this.#digest?.catch(() => {});
    }
  }

  async #run(): Promise<UploadResult> {
    const ledger = this.#ledger;
    const first = await this.#askStatus();
    if (await this.#begin(first)) return this.#result(first, true);
    for (;;) {
      // The chunk that starts a replacement goes alone: two could start two.
      while (ledger.replacing !== null && ledger.complete === null) await this.#next();
      await this.#sendAll();
      if (ledger.complete === null) ledger.adopt(await this.#askStatus());
      if (ledger.complete !== null) break;
      if (ledger.plan.empty && ledger.size > 0) {
        await this.#patience.wait(new NetworkError('The server has everything and is still checking it.'));
      }
    }
    await this.#source.check?.();
    await this.#verify(ledger.complete);
    return this.#result(ledger.complete, false);
  }

  #result(status: FileStatus, already: boolean): UploadResult {
    return { status, already, resumed: this.#resumed, sent: this.#ledger.sentBytes, digest: this.#knownDigest };
  }

  /** Decides what the first status means. True when the same content is there already. */
  async #begin(first: FileStatus): Promise<boolean> {
    const { size } = this.#source;
    let status = first;
    if (status.status === 'complete') {
      if (await this.#sameAs(status)) return true;
      if (!this.#options.overwrite) throw nameConflict(status, size);
      this.#ledger.replace(status.id);
    }
    if (status.status === 'partial' && status.total_bytes !== null && status.total_bytes > size) {
      await this.#cancel(nameConflict(status, size), status);
      status = await this.#askStatus();
    }
    this.#ledger.adopt(status);
    this.#resumed = this.#ledger.storedBytes;
    this.#meter.begin(this.#resumed);
    const mode = this.#options.digest ?? 'resume';
    if (mode === 'always' || (mode === 'resume' && this.#resumed > 0)) this.#startDigest();
    this.#report();
    return false;
  }

  async #sendAll(): Promise<void> {
    const worker = async () => {
      const memory: Memory = { buffer: undefined };
      try {
        while (this.#ledger.complete === null && (await this.#next(memory))) {
          // Each worker sends one chunk at a time until none is left.
        }
      } catch (error) {
        this.#stop.abort(error);
      }
    };
    await Promise.all(Array.from({ length: this.#options.parallel ?? DEFAULT_PARALLEL }, worker));
    this.#stop.signal.throwIfAborted();
  }

  /** Sends the next chunk, or finds out why that failed and plans anew. False when nothing is left to send. */
  async #next(memory: Memory = { buffer: undefined }): Promise<boolean> {
    this.#stop.signal.throwIfAborted();
    const { plan, inFlight: moving, size } = this.#ledger;
    if (size === 0) return this.#sendEmpty();
    const piece = plan.take(this.#stride.bytes);
    if (piece === null) return false;
    const restarts = this.#restarts;
    moving.add(piece);
    try {
      await this.#send(piece, memory);
    } catch (error) {
      moving.delete(piece);
      this.#stop.signal.throwIfAborted();
      plan.put(piece);
      // What happened to the upload before this one says nothing about this one.
      if (restarts !== this.#restarts) return true;
      // One for all workers: they fail together, and what is done about it must be done once.
      this.#recovery ??= this.#recover(error, piece).finally(() => {
        this.#recovery = null;
      });
      await this.#recovery;
    }
    return true;
  }

  async #send(piece: Extent, memory: Memory): Promise<void> {
    const data = await this.#source.read(piece.start, piece.end, memory.buffer);
    // After a failure the network may still be reading these bytes: then they are left to it.
    memory.buffer = undefined;
    await this.#source.check?.();
    const crc32 = this.#client.crc32(data);
    const reprDigest = await this.#digestToSend();
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
      this.#ledger.inFlight.delete(piece);
      this.#ledger.acknowledged(piece, crc32, status);
    } finally {
      this.#meter.moved(-sent);
      this.#meter.confirmed(this.#ledger.storedBytes);
    }
    this.#corruptions = 0;
    this.#patience.progress();
    this.#stride.succeeded();
    this.#report();
  }

  async #sendEmpty(): Promise<boolean> {
    const status = await this.#patience.retry(async () =>
      this.#client.uploadChunk(this.#options.name, { ...this.#declarations(), start: 0, data: new Uint8Array() }),
    );
    this.#ledger.adopt(status);
    return false;
  }

  #declarations() {
    return {
      totalSize: this.#source.size,
      contentType: this.#options.contentType,
      overwrite: this.#ledger.replacing !== null,
      ifMatch: this.#options.ifMatch,
      signal: this.#stop.signal,
      idleMs: this.#knownDigest === null ? undefined : DIGEST_IDLE_MS,
    };
  }

  /** Throws what is final; returns when the upload may go on. */
  async #recover(error: unknown, piece: Extent): Promise<void> {
    if (isTransient(error)) return this.#heal(error);
    if (!(error instanceof LadingError)) throw error;
    switch (error.code) {
      case 'chunk_too_large':
        if (!this.#stride.tooLarge(lengthOf(piece))) throw error;
        return;
      case 'checksum_mismatch':
      case 'length_mismatch':
        this.#corruptions += 1;
        if (this.#corruptions > MAX_CORRUPTIONS) throw error;
        return;
      case 'digest_mismatch':
        // The bytes of an earlier run were of another version of this file. Once may be chance, twice is not.
        if (this.#resumed === 0 || this.#restarts > 0) throw error;
        return this.#restart('other-version');
      case 'not_found':
        // Removed while this chunk was on its way. Had it come a moment later, it would simply have begun a new upload.
        if (this.#restarts >= MAX_RESTARTS) throw error;
        return this.#restart('removed');
      case 'file_complete':
      case 'size_conflict':
      case 'chunk_conflict':
        return this.#settle(error);
      default:
        throw error;
    }
  }

  /** Waits, finds out what did arrive, plans the rest. */
  async #heal(error: unknown): Promise<void> {
    if (this.#patience.failures > 0 && error instanceof NetworkError) this.#stride.failed();
    await this.#patience.wait(error);
    this.#ledger.adopt(await this.#askStatus());
    this.#meter.confirmed(this.#ledger.storedBytes);
    this.#report();
  }

  /** After a conflict: somebody else may have finished the same file, which is as good. */
  async #settle(error: LadingError): Promise<void> {
    const status = await this.#askStatus();
    if (status.status === 'complete' && (await this.#sameAs(status))) {
      this.#ledger.finish(status);
      return;
    }
    await this.#cancel(error, status);
    return this.#restart('removed');
  }

  /** With `overwrite`, cancels an unfinished upload that is in the way; a complete file of the name stays readable. */
  async #cancel(error: LadingError, status: FileStatus): Promise<void> {
    if (!this.#options.overwrite || this.#restarts > 0 || status.status !== 'partial') throw error;
    const { signal } = this.#stop;
    const { ifMatch } = this.#options;
    await this.#patience.retry(async () =>
      this.#client
        .cancel(this.#options.name, { signal, ifMatch, id: status.id ?? undefined })
        .catch((reason: unknown) => {
          // Somebody was faster, or the reply to an earlier try was lost.
          if (!(reason instanceof LadingError) || reason.code !== 'not_found') throw reason;
        }),
    );
  }

  async #restart(why: RestartReason): Promise<void> {
    this.#restarts += 1;
    this.#options.onRestart?.(why);
    this.#ledger.forget();
    const status = await this.#askStatus();
    if (status.status === 'complete') {
      if (!this.#options.overwrite) throw nameConflict(status, this.#source.size);
      this.#ledger.replace(status.id);
    }
    this.#ledger.adopt(status);
    this.#meter.begin(this.#ledger.storedBytes);
    this.#report();
  }

  #askStatus(): Promise<FileStatus> {
    const { signal } = this.#stop;
    return this.#patience.retry(async () => this.#client.status(this.#options.name, { signal }));
  }

  #startDigest(): void {
    this.#digest = this.#source.digest?.(this.#stop.signal) ?? null;
    this.#digest?.then(
      (digest) => {
        this.#knownDigest = digest;
      },
      (error: unknown) => this.#stop.abort(error),
    );
  }

  /** The digest when it is known; the chunk that ends the file waits for it. */
  async #digestToSend(): Promise<Digest | undefined> {
    if (this.#digest === null) return undefined;
    if (this.#knownDigest === null && this.#ledger.plan.empty) this.#knownDigest = await this.#digest;
    return this.#knownDigest ?? undefined;
  }

  /** Whether a complete file is this one: size and CRC-32. */
  async #sameAs(status: FileStatus): Promise<boolean> {
    if (status.total_bytes !== this.#source.size || status.crc32 === null) return false;
    return Number.parseInt(status.crc32, 16) === (await this.#crcOfSource());
  }

  /** The server checked every chunk, but bytes of earlier runs are this file's only if the whole agrees. */
  async #verify(status: FileStatus): Promise<void> {
    if (this.#knownDigest !== null || status.crc32 === null) return;
    const mine = this.#ledger.crc32() ?? (await this.#crcOfSource());
    if (Number.parseInt(status.crc32, 16) === mine) return;
    throw new VerificationError(
      'The file on the server is not the local one: bytes of an earlier version are in it. Upload it again with overwrite.',
    );
  }

  async #crcOfSource(): Promise<number> {
    let crc = 0;
    for (let at = 0; at < this.#source.size; at += DEFAULT_CHUNK) {
      this.#stop.signal.throwIfAborted();
      const end = Math.min(at + DEFAULT_CHUNK, this.#source.size) - 1;
      crc = this.#client.crc32(await this.#source.read(at, end), crc);
    }
    return crc;
  }

  #report(): void {
    this.#options.onProgress?.(this.#meter.progress());
  }
}
