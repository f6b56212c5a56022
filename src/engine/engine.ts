/**
 * The engine receives chunks, manages uploads, seals files and reads them. `http` calls it, and `compose` builds it. It reaches disks,
 * databases and sockets only through the interfaces in `contracts`. This class handles start and stop, and delegates everything else.
 */
import type { Readable } from 'node:stream';
import type { UsageTotals } from '../contracts/quota.ts';
import { LadingError } from '../errors.ts';
import type { DigestAlgorithm } from '../protocol/http/digests.ts';
import type { FileStatus, Removed } from '../protocol/schemas/files.ts';
import type { FileDocument } from '../records/file.ts';
import type { Watch, Watched } from './body/stall-watch.ts';
import { digestBytes } from './files/file-blobs.ts';
import { buildParts, type EngineDeps, type EngineParts, type EngineSettings } from './parts.ts';
import type { FileListQuery, TransferStatus } from './read/file-list.ts';
import type { Representation } from './read/open-file.ts';
import { type Verified, verifyFile } from './read/verify.ts';
import type { ChunkIntent } from './receive/chunk-intent.ts';
import type { FileIntent, Inspect } from './receive/file-upload.ts';
import type { AppendIntent, ResourceAddress, ResourceIntent, ResourceState } from './receive/upload-resource.ts';
import type { TrainIntent } from './trains/train.ts';
import type { CommittedGroup } from './trains/train-group.ts';
import { type Recovered, recover } from './upkeep/recover.ts';
import { type Swept, sweep } from './upkeep/sweep.ts';
import type { Precondition } from './uploads/preconditions.ts';

/** How long a stop waits for the requests that it has ended. */
const STOP_GRACE_MS = 5_000;
/** Maximum delay of `setTimeout`. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Engine {
  readonly #deps: EngineDeps;
  readonly #parts: EngineParts;
  #starting: Promise<Recovered> | null = null;
  #receiving = 0;
  #stopping = false;
  #onDrained: (() => void) | null = null;

  constructor(deps: EngineDeps, settings: EngineSettings) {
    this.#deps = deps;
    this.#parts = buildParts(deps, settings, {
      isStopping: () => this.#stopping,
      track: (work) => this.#track(work),
    });
  }

  /** How long an upload is kept after its last byte, in milliseconds; null: forever. */
  get lifetimeMs(): number | null {
    const { staleMs, removeMs } = this.#parts.lifetime;
    return removeMs === null ? null : staleMs + removeMs;
  }

  /**
   * Recovers the uploads of the last run, then finishes interrupted seals. No request may be served until this resolves. Rejects if `stop` is
   * called first.
   */
  start(wasClean: boolean): Promise<Recovered> {
    const starting = this.#start(wasClean);
    this.#starting = starting;
    return starting;
  }

  async #start(wasClean: boolean): Promise<Recovered> {
    const { autoSeal, damage, nameQueue, resumableUploads, sealer, uploads, usage } = this.#parts;
    const { blobs, manifests, catalog, inspector, warn } = this.#deps;
    const assertNotStopping = (): void => {
      if (this.#stopping) throw shuttingDown();
    };
    const recovered = await recover({
      ...{ blobs, manifests, catalog, inspector, warn, uploads, usage, wasClean, assertNotStopping },
    });
    for (const upload of [...uploads.all()]) {
      assertNotStopping();
      if (!upload.isComplete) {
        autoSeal.sealLater(upload);
        continue;
      }
      const sealing = sealer.seal(upload).catch((error: unknown) => {
        warn('an interrupted seal could not be finished; the sweep tries again', { id: upload.id, error });
      });
      // Do not wait for digests, which take long for large files. Until then the status shows all bytes, but not a complete file.
      if (upload.document.reprDigest === null) await sealing;
    }
    await nameQueue.resume();
    resumableUploads.resume();
    damage.startChecks();
    return recovered;
  }

  /** Checks the headers of a chunk before the body is read. `receiveChunk` repeats all checks. */
  async admitChunk(intent: ChunkIntent): Promise<void> {
    if (this.#stopping) throw shuttingDown();
    await this.#parts.chunkUploads.admit(intent);
  }

  /**
   * Reads one chunk (header and data, to the end of `source`), verifies, stores and commits it. The returned status is the
   * acknowledgement. If this throws, part of the body may be unread.
   * @param beforeCommit awaited when all bytes are verified, before they are committed (to read the end of a multipart message, for example)
   * @throws LadingError a code of PROTOCOL §5
   */
  receiveChunk(source: Readable, intent: ChunkIntent, beforeCommit?: () => Promise<void>): Promise<FileStatus> {
    return this.#track(() => this.#parts.chunkUploads.receive(source, intent, beforeCommit));
  }

  /** As `admitChunk`, for `receiveTrain`. */
  async admitTrain(intent: TrainIntent): Promise<void> {
    if (this.#stopping) throw shuttingDown();
    await this.#parts.trainUploads.admit(intent);
  }

  /**
   * Reads a train of chunks to the end of `source`; see `TrainUploads.receive`. Committed chunks are kept even if this throws.
   * @throws LadingError a code of PROTOCOL §5, with `committed_chunks` and `failed_chunk` (§8)
   */
  receiveTrain(source: Readable, intent: TrainIntent, onGroup?: (group: CommittedGroup) => void): Promise<FileStatus> {
    return this.#track(() => this.#parts.trainUploads.receive(source, intent, onGroup));
  }

  /** As `admitChunk`, for `receiveFile`. */
  async admitFile(intent: FileIntent): Promise<void> {
    if (this.#stopping) throw shuttingDown();
    await this.#parts.fileUploads.admit(intent);
  }

  /**
   * Reads a whole file of any length to the end of `source`, without a chunk header. Nothing is committed until all bytes have arrived and
   * `inspect` has accepted them. When this resolves, the file is complete and on stable storage.
   * @throws LadingError `already_exists`, `file_too_large`, `quota_exceeded`, `digest_mismatch`, `insufficient_storage`, and whatever
   * `inspect` throws
   */
  receiveFile(source: Readable, intent: FileIntent, inspect: Inspect): Promise<FileStatus> {
    return this.#track(() => this.#parts.fileUploads.receive(source, intent, inspect));
  }

  /** Creates an upload with a URL of its own; see `ResumableUploads.create`. */
  createResumable(intent: ResourceIntent): Promise<ResourceAddress> {
    return this.#track(() => this.#parts.resumableUploads.create(intent));
  }

  /**
   * The state of an upload with its own URL.
   * @param keepsSender a request that sends to the upload continues; otherwise it is ended first
   * @throws LadingError `not_found`
   */
  resumableState(address: ResourceAddress, keepsSender = false): Promise<ResourceState> {
    const { resumableUploads } = this.#parts;
    return keepsSender ? resumableUploads.peek(address) : resumableUploads.state(address);
  }

  /** Digest of the first `length` bytes of an upload with its own URL. @throws LadingError `not_found` */
  async resumableDigest(address: ResourceAddress, algorithm: DigestAlgorithm, length: number): Promise<Uint8Array> {
    await this.#parts.resumableUploads.find(address);
    const document = (await this.#deps.catalog.get(address.id)) ?? address;
    return await digestBytes(this.#deps.inspector, document, algorithm, { start: 0, end: length - 1 });
  }

  /** Appends the bytes of `source`, of any length; see `ResumableUploads.append`. */
  append(source: Readable, address: ResourceAddress, intent: AppendIntent): Promise<ResourceState> {
    return this.#track(() => this.#parts.resumableUploads.append(source, address, intent));
  }

  /** Discards the upload if it is unfinished, and invalidates its URL in any case. @throws LadingError `not_found`, `precondition_failed` */
  removeResumable(address: ResourceAddress, precondition?: Precondition): Promise<void> {
    return this.#parts.resumableUploads.remove(address, precondition);
  }

  /** Watches a body that the engine does not receive itself, and ends it when it is too slow. */
  watchStalls(watched: Watched): Watch {
    return this.#parts.stallWatch.watch(watched);
  }

  /** See `Completion.complete`. @throws LadingError `not_found`, `not_contiguous`, `precondition_failed` */
  complete(owner: string, name: string, precondition?: Precondition): Promise<FileStatus> {
    return this.#parts.completion.complete(owner, name, precondition);
  }

  /** The status object of PROTOCOL §3. */
  status(owner: string, name: string): Promise<FileStatus> {
    return this.#parts.fileList.status(owner, name);
  }

  /** Uploads in progress of the owners that `wanted` accepts, most recently changed first. */
  transfers(wanted: (owner: string) => boolean): TransferStatus[] {
    return this.#parts.fileList.transfers(wanted);
  }

  /** A page of an owner's files, by name. */
  list(query: FileListQuery): Promise<{ files: FileStatus[]; next_cursor: string | null }> {
    return this.#parts.fileList.list(query);
  }

  /** Calls `listener` after every change of this name (a chunk, the seal, the deletion) until the returned function is called. */
  watch(owner: string, name: string, listener: () => void): () => void {
    return this.#parts.watchers.watch(owner, name, listener);
  }

  /** Current usage of an owner; with `group`, of its whole group. */
  usage(owner: string, group = false): UsageTotals {
    return this.#parts.usage.of(owner, group);
  }

  /** Deletes the file of a name and its upload; see `Removal.remove`. @throws LadingError `not_found`, `precondition_failed` */
  remove(owner: string, name: string, precondition?: Precondition): Promise<Removed[]> {
    return this.#parts.removal.remove(owner, name, precondition);
  }

  /** Discards the unfinished upload of a name and keeps its complete file; see `Removal.cancel`. @throws LadingError `not_found`, `precondition_failed` */
  cancel(owner: string, name: string, precondition?: Precondition, id?: string): Promise<void> {
    return this.#parts.removal.cancel(owner, name, precondition, id);
  }

  /** Reads the stored bytes of a name again and compares them with the manifest. @throws LadingError `not_found` */
  async verify(owner: string, name: string): Promise<Verified> {
    const { damage, uploads } = this.#parts;
    const upload = uploads.findVisible(owner, name);
    const document = upload?.document ?? (await this.#deps.catalog.find(owner, name)).sealed;
    if (!document) throw new LadingError('not_found', 'There is no file of this name.');
    if (!upload) await damage.check(document);
    return await verifyFile(this.#deps, document, upload?.stored ?? null);
  }

  /** Checks that all bytes of a complete file are on the disk. @throws LadingError `file_damaged` */
  assertUndamaged(document: FileDocument): Promise<void> {
    return this.#parts.damage.assertUndamaged(document);
  }

  /** Opens the file of a name for reading, complete or not. The caller must `release` it. @throws LadingError `not_found` */
  open(owner: string, name: string): Promise<Representation> {
    return this.#parts.opener.open(owner, name);
  }

  /** Parks silent uploads, removes uploads that were parked for a long time, and seals uploads that are due; see `sweep`. */
  sweep(): Promise<Swept> {
    const { uploads, committer, sealer, watchers, emit, announce, lifetime, openEndedMs } = this.#parts;
    const { clock, warn } = this.#deps;
    return sweep({ clock, warn, uploads, committer, sealer, watchers, emit, announce, ...lifetime, openEndedMs });
  }

  /** Numbers for the metrics page. */
  gauges() {
    const { uploads, buffers, usage, damage } = this.#parts;
    return {
      ...uploads.gauges(),
      ...buffers.gauges(),
      stored_bytes: usage.storedBytes(),
      damaged_files: damage.count,
    };
  }

  /** Runs work that `stop` waits for. */
  async #track<T>(work: () => Promise<T>): Promise<T> {
    if (this.#stopping) throw shuttingDown();
    this.#receiving += 1;
    try {
      return await work();
    } finally {
      this.#receiving -= 1;
      if (this.#receiving === 0) this.#onDrained?.();
    }
  }

  /**
   * Accepts no new requests, gives running ones up to `drainMs` to finish, and ends the rest. Resolves with true when no write is in progress.
   * Resolves with false if an operation did not end in time (the digest of a very large file, for example). The stop is then not clean, and
   * the next start finishes or undoes the operation.
   */
  async stop(drainMs: number): Promise<boolean> {
    this.#stopping = true;
    void this.#parts.damage.stop();
    const drain = setTimeout(() => this.#parts.stallWatch.failAll(shuttingDown), drainMs);
    let grace: NodeJS.Timeout | undefined;
    const timeout = new Promise<false>((resolve) => {
      grace = setTimeout(() => resolve(false), Math.min(drainMs + STOP_GRACE_MS, MAX_TIMER_MS));
    });
    const ended = await Promise.race([this.#drain().then(() => true), timeout]);
    clearTimeout(drain);
    clearTimeout(grace);
    return ended;
  }

  async #drain(): Promise<void> {
    await this.#starting?.catch(() => {});
    if (this.#receiving > 0) {
      await new Promise<void>((resolve) => {
        this.#onDrained = resolve;
      });
    }
    for (const upload of [...this.#parts.uploads.all()]) {
      if (upload.openEndedTimer) clearTimeout(upload.openEndedTimer);
      await upload.phase.sealing?.catch(() => {});
    }
  }
}

function shuttingDown(): LadingError {
  return new LadingError('shutting_down', 'The server is stopping. Send the request again when it has restarted.', {
    retry_after: 5,
  });
}
