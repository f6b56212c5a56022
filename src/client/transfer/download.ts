/**
 * A download that resumes after any interruption. It fetches ranges in parallel into a sink that records what it has. All bytes belong
 * to one version of the file (by its ETag, or for a part by the file id). If the file is replaced, the download starts over.
 */
import { type Extent, ExtentSet, lengthOf } from '../../protocol/extents.ts';
import type { FileCalls } from '../calls/files.ts';
import type { RangeRequest } from '../calls/options.ts';
import { isTransient, NetworkError, VerificationError } from '../transport/failures.ts';
import { forwardAbort } from './abort.ts';
import { Meter, type Progress } from './meter.ts';
import { Plan } from './plan.ts';
import { Backoff, type RetryNotice, type RetryOptions } from './retry.ts';
import {
  checksumMismatch,
  currentVersion,
  fileReplaced,
  isFromVersion,
  isReplaced,
  resolveRange,
  type Version,
  wrongRange,
} from './versions.ts';

/** A range of stored bytes with its CRC-32. */
export interface StoredRun extends Extent {
  crc32: number;
}

/** Receives the bytes. Calls of `write` may overlap in time, for different bytes. Positions count from the first requested byte. */
export interface DownloadSink {
  /** True when the target is complete and is this version. */
  has(version: Version): Promise<boolean>;
  /** Prepares for this version. Returns the intact bytes of an earlier run and discards all others. */
  open(version: Version): Promise<StoredRun[]>;
  write(pieces: readonly Uint8Array[], position: number): Promise<void>;
  /** Saves for a later run which bytes were written. */
  save(runs: readonly StoredRun[]): Promise<void>;
  /** Makes the complete file durable and moves it to its place. */
  finish(): Promise<void>;
  /** Discards all bytes. */
  discard(): Promise<void>;
  /** Closes open files and keeps the saved state. */
  close(): Promise<void>;
}

/** Options of a download. */
export interface DownloadOptions extends RetryOptions {
  /** Download only these bytes, even of an unfinished file. The target begins with the first of them. */
  range?: RangeRequest | undefined;
  /** Maximum bytes per request; default 32 MiB. */
  chunkSize?: number | undefined;
  /** Concurrent requests; default 4. */
  parallel?: number | undefined;
  owner?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  onRetry?: ((notice: RetryNotice) => void) | undefined;
  /** Called when the file was replaced on the server and the download starts over. */
  onRestart?: (() => void) | undefined;
}

/** The result of a download. */
export interface DownloadResult extends Version {
  /** The target was already complete; nothing was downloaded. */
  already: boolean;
  /** Bytes from earlier runs. */
  resumed: number;
  /** Bytes that this run downloaded. */
  received: number;
}

const MAX_PIECE = 32 * 1024 * 1024;
const MIN_PIECE = 1024 * 1024;
const DEFAULT_PARALLEL = 4;
/** Bytes to collect before each write. */
const BATCH = 1024 * 1024;
/** Interval between saves of the state: bounds the work that a kill loses. */
const SAVE_EVERY_MS = 1000;
/** Give up when the file was replaced this many times during the download. */
const MAX_VERSIONS = 10;

/** Throws `LadingError`, `NetworkError` (after `retryForMs` without progress), `VerificationError`. */
export async function downloadTo(
  client: FileCalls,
  name: string,
  sink: DownloadSink,
  options: DownloadOptions,
): Promise<DownloadResult> {
  const backoff = new Backoff(options, options.signal, options.onRetry);
  const { range } = options;
  try {
    for (let versions = 1; ; versions += 1) {
      const version = await backoff.retry(async () =>
        range ? resolveRange(client, name, range, options) : currentVersion(client, name, options),
      );
      if (await sink.has(version)) return { ...version, already: true, resumed: 0, received: 0 };
      try {
        return await new VersionDownload(client, name, sink, version, options).run();
      } catch (error) {
        if (!isReplaced(error) || versions >= MAX_VERSIONS) throw error;
        options.onRestart?.();
      }
    }
  } finally {
    await sink.close();
  }
}

class VersionDownload {
  readonly #client: FileCalls;
  readonly #name: string;
  readonly #sink: DownloadSink;
  readonly #version: Version;
  readonly #options: DownloadOptions;
  readonly #stop = new AbortController();
  readonly #backoff: Backoff;
  readonly #meter: Meter;
  readonly #plan = new Plan();
  readonly #stored = new ExtentSet();
  #resumed = 0;
  #savedBytes = 0;
  #saving: Promise<void> = Promise.resolve();

  constructor(client: FileCalls, name: string, sink: DownloadSink, version: Version, options: DownloadOptions) {
    this.#client = client;
    this.#name = name;
    this.#sink = sink;
    this.#version = version;
    this.#options = options;
    this.#backoff = new Backoff(options, this.#stop.signal, options.onRetry);
    this.#meter = new Meter(version.size);
  }

  async run(): Promise<DownloadResult> {
    const stopForwarding = forwardAbort(this.#options.signal, this.#stop);
    const saving = setInterval(() => void this.#save().catch((error) => this.#stop.abort(error)), SAVE_EVERY_MS);
    try {
      await this.#begin();
      const parallel = this.#options.parallel ?? DEFAULT_PARALLEL;
      await Promise.all(Array.from({ length: parallel }, async () => this.#work()));
      this.#stop.signal.throwIfAborted();
    } finally {
      stopForwarding();
      clearInterval(saving);
      await this.#save();
    }
    return this.#finish();
  }

  async #begin(): Promise<void> {
    for (const run of await this.#sink.open(this.#version)) this.#stored.add(run, run.crc32);
    const { size } = this.#version;
    const { gaps } = this.#stored.gaps(size, Number.MAX_SAFE_INTEGER);
    this.#plan.reset(
      gaps.map(([start, end]) => ({ start, end })),
      [],
    );
    this.#resumed = this.#stored.bytes;
    this.#meter.begin(this.#resumed);
    this.#report();
  }

  async #finish(): Promise<DownloadResult> {
    const { size, crc32 } = this.#version;
    const receivedCrc = this.#stored.crc32IfComplete(size);
    if (receivedCrc === null || (crc32 !== null && receivedCrc !== crc32)) {
      await this.#sink.discard();
      throw checksumMismatch();
    }
    await this.#sink.finish();
    return {
      ...this.#version,
      crc32: receivedCrc,
      already: false,
      resumed: this.#resumed,
      received: size - this.#resumed,
    };
  }

  async #work(): Promise<void> {
    const { size } = this.#version;
    const share = Math.ceil(size / (this.#options.parallel ?? DEFAULT_PARALLEL));
    const maxBytes = Math.max(1, this.#options.chunkSize ?? Math.min(MAX_PIECE, Math.max(MIN_PIECE, share)));
    try {
      for (;;) {
        this.#stop.signal.throwIfAborted();
        const piece = this.#plan.take(maxBytes);
        if (piece === null) return;
        const rest = { ...piece };
        try {
          await this.#fetch(rest);
        } catch (error) {
          if (rest.start <= rest.end) this.#plan.putBack(rest);
          this.#stop.signal.throwIfAborted();
          if (!isTransient(error)) throw error;
          await this.#backoff.wait(error);
        }
      }
    } catch (error) {
      this.#stop.abort(error);
    }
  }

  /** Fetches and writes `rest`. Also after a failure, `rest` is the range that remains to be fetched. */
  async #fetch(rest: Extent): Promise<void> {
    const { etag, part } = this.#version;
    const { owner } = this.#options;
    const offset = part?.extent.start ?? 0;
    const { signal } = this.#stop;
    const download = await this.#client.download(this.#name, {
      range: { start: rest.start + offset, end: rest.end + offset },
      // A weak ETag never matches (some proxies weaken it). In that case the ETag of the reply is compared below.
      ifMatch: part === undefined && etag?.startsWith('"') ? etag : undefined,
      owner,
      signal,
    });
    try {
      const isSameVersion = part
        ? await isFromVersion(this.#client, this.#name, part.id, download.etag, { owner, signal })
        : download.etag === etag;
      if (!isSameVersion) throw fileReplaced();
      const { extent } = download;
      if (extent === null || extent.start !== rest.start + offset || extent.end > rest.end + offset) throw wrongRange();
    } catch (error) {
      download.discard();
      throw error;
    }
    const batch = new Batch(this.#client.crc32);
    try {
      for await (const bytes of download.body) {
        batch.add(bytes);
        this.#meter.moved(bytes.length);
        this.#report();
        if (batch.bytes >= BATCH) await this.#write(batch, rest);
      }
    } finally {
      // Keep the bytes that arrived before a failure.
      await this.#write(batch, rest);
    }
    if (rest.start <= rest.end) throw new NetworkError('The reply ended early.');
  }

  async #write(batch: Batch, rest: Extent): Promise<void> {
    const { pieces, bytes, crc } = batch.take();
    if (bytes === 0) return;
    this.#meter.moved(-bytes);
    const extent = { start: rest.start, end: rest.start + bytes - 1 };
    if (lengthOf(rest) < bytes) throw new VerificationError('The server sent more bytes than were requested.');
    await this.#sink.write(pieces, extent.start);
    rest.start = extent.end + 1;
    this.#stored.add(extent, crc);
    this.#backoff.progress();
    this.#meter.confirmed(this.#stored.bytes);
    this.#report();
  }

  /** Saves the state if it changed. Calls run one after another. */
  #save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      if (this.#savedBytes === this.#stored.bytes) return;
      this.#savedBytes = this.#stored.bytes;
      await this.#sink.save([...this.#stored.entries()].map((run) => ({ ...run })));
    });
    return this.#saving;
  }

  #report(): void {
    this.#options.onProgress?.(this.#meter.progress());
  }
}

/** Collects received bytes until they are worth a write. */
class Batch {
  readonly #crc32: FileCalls['crc32'];
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #crc = 0;

  constructor(crc32: FileCalls['crc32']) {
    this.#crc32 = crc32;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    this.#crc = this.#crc32(piece, this.#crc);
  }

  take(): { pieces: Uint8Array[]; bytes: number; crc: number } {
    const taken = { pieces: this.#pieces, bytes: this.#bytes, crc: this.#crc };
    this.#pieces = [];
    this.#bytes = 0;
    this.#crc = 0;
    return taken;
  }
}
