/**
 * The upload that goes on after any interruption: ask what is missing, send that, ask again. Several chunks are on their way at once;
 * one whose reply was lost is simply sent again, which is harmless (PROTOCOL §4). Nothing is remembered on this side between runs.
 */
import { LadingError } from '../errors.ts';
import type { Digest } from '../protocol/digests.ts';
import { type Extent, ExtentSet, lengthOf } from '../protocol/extents.ts';
import type { FileStatus } from '../protocol/schemas.ts';
import type { LadingClient } from './client.ts';
import { isTransient, NetworkError, VerificationError } from './failures.ts';
import { Meter, type Progress } from './meter.ts';
import { Patience, type RetryNotice, type RetryOptions } from './patience.ts';
import { Plan, Stride } from './plan.ts';

/** Where the bytes come from. */
export interface UploadSource {
  size: number;
  /** The bytes `start` to `end`, inclusive; always all of them. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
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
  contentType?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  onRetry?: ((notice: RetryNotice) => void) | undefined;
  /** The server held bytes of another version of the file, and the upload starts over. */
  onRestart?: (() => void) | undefined;
}

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

const DEFAULT_CHUNK = 8 * 1024 * 1024;
const DEFAULT_PARALLEL = 4;
/** Checksum failures in a row before the memory or the link is taken for broken. */
const MOST_CORRUPTIONS = 3;
/** The server reads the whole file before it answers the last chunk of one with a digest. */
const DIGEST_IDLE_MS = 15 * 60_000;

/** Throws `LadingError`, `NetworkError` (after `retryForMs` without progress), `SourceChangedError`, `VerificationError`. */
export async function upload(
  client: LadingClient,
  source: UploadSource,
  options: UploadOptions,
): Promise<UploadResult> {
  return new Upload(client, source, options).run();
}

class Upload {
  readonly #client: LadingClient;
  readonly #source: UploadSource;
  readonly #options: UploadOptions;
  readonly #stop = new AbortController();
  readonly #patience: Patience;
  readonly #meter: Meter;
  readonly #plan = new Plan();
  readonly #stride: Stride;
  readonly #moving = new Set<Extent>();
  /** What this run sent, for the CRC-32 of the whole. */
  #sent = new ExtentSet();
  #sentBytes = 0;
  #done = 0;
  #resumed = 0;
  #id: string | null = null;
  /** Id of the complete file to be replaced, until the replacement exists: only until then chunks say `overwrite`. */
  #replacing: string | null = null;
  #complete: FileStatus | null = null;
  #digest: Promise<Digest> | null = null;
  #knownDigest: Digest | null = null;
  #restarted = false;
  #corruptions = 0;
  #recovery: Promise<void> | null = null;

  constructor(client: LadingClient, source: UploadSource, options: UploadOptions) {
    this.#client = client;
    this.#source = source;
    this.#options = options;
    this.#patience = new Patience(options, this.#stop.signal, options.onRetry);
    this.#meter = new Meter(source.size);
    this.#stride = new Stride(Math.max(1, options.chunkSize ?? DEFAULT_CHUNK));
  }

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
    const first = await this.#askStatus();
    const already = await this.#begin(first);
    if (already) return this.#result(first, true);
    for (;;) {
      while (this.#replacing !== null && this.#complete === null) await this.#next();
      await this.#sendAll();
      if (this.#complete !== null) break;
      this.#adopt(await this.#askStatus());
      if (this.#complete !== null) break;
      if (this.#plan.empty && this.#source.size > 0) {
        await this.#patience.wait(new NetworkError('The server has everything and is still checking it.'));
      }
    }
    await this.#source.check?.();
    await this.#verify(this.#complete);
    return this.#result(this.#complete, false);
  }

  #result(status: FileStatus, already: boolean): UploadResult {
    return { status, already, resumed: this.#resumed, sent: this.#sentBytes, digest: this.#knownDigest };
  }

  /** Decides what the first status means. True when the same content is there already. */
  async #begin(status: FileStatus): Promise<boolean> {
    const { size } = this.#source;
    if (status.status === 'complete') {
      if (await this.#sameAs(status)) return true;
      if (!this.#options.overwrite) throw this.#occupied(status);
      this.#replacing = status.id;
    }
    if (status.status === 'partial' && status.total_bytes !== null && status.total_bytes > size) {
      await this.#discardUpload(this.#occupied(status), status);
      status = await this.#askStatus();
    }
    this.#adopt(status);
    this.#resumed = this.#replacing === null ? status.bytes_received : 0;
    this.#done = this.#resumed;
    this.#meter.begin(this.#done);
    const mode = this.#options.digest ?? 'resume';
    if (mode === 'always' || (mode === 'resume' && this.#resumed > 0)) this.#startDigest();
    this.#report();
    return false;
  }

  /** Takes over what the server says it has: what is missing is planned, a finished file ends the upload. */
  #adopt(status: FileStatus): void {
    const { size } = this.#source;
    if (this.#replacing !== null && status.id !== this.#replacing) this.#replacing = null;
    if (status.id !== this.#id && this.#id !== null) this.#sent = new ExtentSet();
    this.#id = this.#replacing === null ? status.id : null;
    if (status.status === 'complete' && this.#replacing === null) {
      if (status.total_bytes !== size) throw this.#occupied(status);
      this.#complete = status;
      this.#plan.reset([], []);
      return;
    }
    const known = this.#replacing === null ? (status.total_bytes ?? 0) : 0;
    const missing = this.#replacing === null ? status.missing.map(([start, end]) => ({ start, end })) : [];
    if (known < size) missing.push({ start: known, end: size - 1 });
    this.#plan.reset(missing, this.#moving);
    this.#done = this.#replacing === null ? status.bytes_received : 0;
    this.#meter.confirmed(this.#done);
  }

  async #sendAll(): Promise<void> {
    if (this.#source.size === 0 && this.#complete === null) await this.#sendEmpty();
    const worker = async () => {
      try {
        while (this.#complete === null && (await this.#next())) {
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
  async #next(): Promise<boolean> {
    this.#stop.signal.throwIfAborted();
    const piece = this.#plan.take(this.#stride.bytes);
    if (piece === null) return this.#source.size === 0 && this.#replacing !== null ? this.#sendEmpty() : false;
    let sent = 0;
    const onSent = (bytes: number) => {
      sent += bytes;
      this.#meter.moved(bytes);
      this.#report();
    };
    this.#moving.add(piece);
    try {
      const data = await this.#source.read(piece.start, piece.end);
      await this.#source.check?.();
      const crc32 = this.#client.crc32(data);
      const reprDigest = await this.#digestToSend();
      const status = await this.#client.uploadChunk(this.#options.name, {
        ...this.#declarations(),
        start: piece.start,
        data,
        crc32,
        reprDigest,
        onSent,
      });
      this.#meter.moved(-sent);
      this.#moving.delete(piece);
      this.#acknowledged(piece, crc32, status);
    } catch (error) {
      this.#meter.moved(-sent);
      this.#moving.delete(piece);
      this.#plan.put(piece);
      this.#stop.signal.throwIfAborted();
      await this.#recover(error, piece);
    }
    return true;
  }

  async #sendEmpty(): Promise<boolean> {
    const status = await this.#patience.persist(async () =>
      this.#client.uploadChunk(this.#options.name, { ...this.#declarations(), start: 0, data: new Uint8Array() }),
    );
    this.#replacing = null;
    if (status.status === 'complete') this.#complete = status;
    return false;
  }

  #declarations() {
    return {
      totalSize: this.#source.size,
      contentType: this.#options.contentType,
      overwrite: this.#replacing !== null,
      signal: this.#stop.signal,
      idleMs: this.#knownDigest === null ? undefined : DIGEST_IDLE_MS,
    };
  }

  #acknowledged(piece: Extent, crc32: number, status: FileStatus): void {
    const length = lengthOf(piece);
    if (status.id !== this.#id && this.#id !== null) this.#sent = new ExtentSet();
    this.#id = status.id;
    if (status.id !== this.#replacing) this.#replacing = null;
    if (!this.#sent.overlaps(piece)) this.#sent.add(piece, crc32);
    this.#sentBytes += length;
    this.#done += length;
    this.#corruptions = 0;
    this.#patience.progress();
    this.#stride.succeeded();
    this.#meter.confirmed(this.#done);
    if (status.status === 'complete' && status.total_bytes === this.#source.size) this.#complete = status;
    this.#report();
  }

  /** Throws what is final; returns when the upload may go on. */
  async #recover(error: unknown, piece: Extent): Promise<void> {
    if (isTransient(error)) {
      this.#recovery ??= this.#heal(error).finally(() => {
        this.#recovery = null;
      });
      return this.#recovery;
    }
    if (!(error instanceof LadingError)) throw error;
    switch (error.code) {
      case 'chunk_too_large':
        if (!this.#stride.tooLarge(lengthOf(piece))) throw error;
        return;
      case 'checksum_mismatch':
      case 'length_mismatch':
        this.#corruptions += 1;
        if (this.#corruptions > MOST_CORRUPTIONS) throw error;
        return;
      case 'digest_mismatch':
        // The bytes of an earlier run were of another version of this file. Once may be chance, twice is not.
        if (this.#resumed === 0 || this.#restarted) throw error;
        return this.#restart();
      case 'file_complete':
      case 'size_conflict':
      case 'chunk_conflict':
        return this.#settle(error);
      default:
        throw error;
    }
  }

  /** One for all workers: waits, finds out what did arrive, plans the rest. */
  async #heal(error: unknown): Promise<void> {
    if (this.#patience.failures > 0 && error instanceof NetworkError) this.#stride.failed();
    await this.#patience.wait(error);
    this.#adopt(await this.#askStatus());
    this.#report();
  }

  /** After a conflict: somebody else may have finished the same file, which is as good. */
  async #settle(error: LadingError): Promise<void> {
    const status = await this.#askStatus();
    if (status.status === 'complete' && status.id !== this.#replacing && (await this.#sameAs(status))) {
      this.#complete = status;
      this.#plan.reset([], []);
      return;
    }
    await this.#discardUpload(error, status);
    return this.#restart();
  }

  /** With `overwrite`, removes an unfinished upload that is in the way, unless a readable file would go with it. */
  async #discardUpload(error: LadingError, status: FileStatus): Promise<void> {
    if (!this.#options.overwrite || this.#restarted || status.status !== 'partial' || status.readable) throw error;
    await this.#patience.persist(async () => this.#client.remove(this.#options.name, { signal: this.#stop.signal }));
  }

  async #restart(): Promise<void> {
    this.#restarted = true;
    this.#options.onRestart?.();
    this.#sent = new ExtentSet();
    const status = await this.#askStatus();
    if (status.status === 'complete') {
      if (!this.#options.overwrite) throw this.#occupied(status);
      this.#replacing = status.id;
    }
    this.#adopt(status);
    this.#meter.begin(this.#done);
    this.#report();
  }

  #askStatus(): Promise<FileStatus> {
    const { signal } = this.#stop;
    return this.#patience.persist(async () => this.#client.status(this.#options.name, { signal }));
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
    if (this.#knownDigest === null && this.#plan.empty) this.#knownDigest = await this.#digest;
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
    const mine = this.#sent.whole(this.#source.size) ?? (await this.#crcOfSource());
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

  #occupied(status: FileStatus): LadingError {
    if (status.status !== 'complete') {
      const detail = `An unfinished upload of that name has ${status.total_bytes} bytes, this file ${this.#source.size}. Delete it, or upload with overwrite.`;
      return new LadingError('size_conflict', detail);
    }
    return new LadingError(
      'file_complete',
      'A complete file of that name has other content. Upload with overwrite to replace it.',
    );
  }

  #report(): void {
    this.#options.onProgress?.(this.#meter.progress());
  }
}
