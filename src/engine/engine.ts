/**
 * The core behind its doors: receives chunks, keeps uploads, seals files, reads them back. `http` calls it, `compose` builds it;
 * it knows disks, databases and sockets only through `contracts.ts`.
 */
import type { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { BlobStore, Inspector } from '../contracts/blobs.ts';
import type { Catalog } from '../contracts/catalog.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Announcement, FileEvent } from '../contracts/file-events.ts';
import type { ManifestStore } from '../contracts/manifests.ts';
import type { Quota, Use } from '../contracts/quota.ts';
import { LadingError } from '../errors.ts';
import type { DigestAlgorithm } from '../protocol/http/digests.ts';
import type { FileStatus, Removed, UploadStatus } from '../protocol/schemas/files.ts';
import type { FileDocument } from '../records/file.ts';
import { BufferPool } from './body/buffer-pool.ts';
import { StallWatch, type Watch, type Watched } from './body/stall-watch.ts';
import type { Announce, AnnouncedEvent } from './files/announce.ts';
import { digestBytes } from './files/file-blobs.ts';
import { checkSealedSize } from './files/refusals.ts';
import { Watchers } from './files/watchers.ts';
import { FileOpener, type Representation } from './read/open-file.ts';
import { type Verified, verifyFile } from './read/verify.ts';
import { type ChunkIntent, ChunkUploads, type ReceiveDeps } from './receive/chunk-upload.ts';
import { type FileIntent, FileUploads, type Inspect } from './receive/file-upload.ts';
import { ResumableUploads } from './receive/resumable-uploads.ts';
import type {
  ActiveRequest,
  AppendIntent,
  ResourceAddress,
  ResourceIntent,
  ResourceState,
} from './receive/upload-resource.ts';
import { DamagedFiles } from './upkeep/damage.ts';
import { type Recovered, recover } from './upkeep/recover.ts';
import { Removal } from './upkeep/removal.ts';
import { isSealedBySilence, type Swept, sweep } from './upkeep/sweep.ts';
import { Committer, type Durability } from './uploads/commit.ts';
import { LastModified } from './uploads/last-modified.ts';
import type { Lifetime } from './uploads/parking.ts';
import { CurrentFiles, type Precondition } from './uploads/preconditions.ts';
import { Sealer } from './uploads/seal.ts';
import { MAX_GAPS, pendingStatus, sealedStatus, uploadStatus } from './uploads/status.ts';
import { Succession } from './uploads/succession.ts';
import type { OpenUpload } from './uploads/upload.ts';
import { UploadTable } from './uploads/upload-table.ts';
import { NO_QUOTA, Usage } from './uploads/usage.ts';
import { NameQueue } from './uploads/waiting.ts';

/** How long a chunk waits for a buffer before it is refused with 503. */
const BUFFER_PATIENCE_MS = 10_000;
/** After the patience of a stop: how long what was told to end may take to do so. */
const STOP_GRACE_MS = 5_000;
/** `setTimeout` takes no longer delay. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const DAY_MS = 24 * 3600 * 1000;

export interface EngineDeps {
  blobs: BlobStore;
  manifests: ManifestStore;
  catalog: Catalog;
  inspector: Inspector;
  clock: Clock;
  /** Who may use how much; default: everybody any. */
  quota?: Quota;
  /** The log, for what no request can be told. */
  warn(message: string, details: object): void;
  /** Told of whatever happens to files, in the step in which it does. Must neither throw nor take long. */
  emit?(happening: FileEvent): void;
  /** Asked before most of it happens; what it returns is on stable storage first, so that a crash in between loses no word of it. */
  announce?: Announce;
}

export interface EngineSettings {
  durability: Durability;
  bufferBytes: number;
  maxChunkBytes: number;
  maxFileBytes: number;
  staleSeconds: number;
  /** After that until a stale upload is removed; 0: never. */
  staleRemoveDays?: number;
  openEndedSeconds: number;
  idleSeconds: number;
  minBytesPerSecond: number;
}

export interface FileListQuery {
  owner: string;
  prefix: string;
  /** The last name of the page before; null for the first page. */
  cursor: string | null;
  limit: number;
  status: UploadStatus | null;
}

/** Names that a list looks at in one go, at least. */
const LIST_STEP = 100;

export class Engine {
  readonly #doors: EngineDeps;
  readonly #settings: EngineSettings;
  readonly #watchers = new Watchers();
  readonly #usage: Usage;
  readonly #uploads: UploadTable;
  readonly #committer: Committer;
  readonly #current: CurrentFiles;
  readonly #sealer: Sealer;
  readonly #buffers: BufferPool;
  readonly #stallWatch: StallWatch;
  readonly #chunkUploads: ChunkUploads;
  readonly #fileUploads: FileUploads;
  readonly #resumableUploads: ResumableUploads;
  readonly #downloads: FileOpener;
  readonly #damage: DamagedFiles;
  readonly #removal: Removal;
  readonly #waiting: NameQueue;
  #starting: Promise<Recovered> | null = null;
  #receiving = 0;
  #stopping = false;
  #drained: (() => void) | null = null;

  constructor(doors: EngineDeps, settings: EngineSettings) {
    this.#doors = doors;
    this.#settings = settings;
    const { durability, bufferBytes, maxChunkBytes, maxFileBytes } = settings;
    const watchers = this.#watchers;
    const happened = (happening: FileEvent): void => this.#emit(happening);
    const announce: Announce = (happenings) => this.#announce(happenings);
    const usage = new Usage({ ...doors, quota: doors.quota ?? NO_QUOTA });
    const uploads = new UploadTable({ ...doors, usage });
    const modified = new LastModified(doors.clock);
    const committer = new Committer({ ...doors, usage, durability, emit: happened, announce });
    const warn = (message: string, error: unknown): void => doors.warn(message, { error });
    const running = new Map<string, ActiveRequest>();
    const isIdle = (upload: OpenUpload): boolean => upload.visible && upload.senders === 0 && !running.has(upload.id);
    const cancel = (upload: OpenUpload): Promise<boolean> => this.#removal.cancelUpload(upload);
    const succession = new Succession({ ...doors, uploads, committer, isIdle, cancel, warn, emit: happened, announce });
    const sealer = new Sealer({
      ...doors,
      uploads,
      modified,
      committer,
      watchers,
      succession,
      warn,
      emit: happened,
      announce,
    });
    const segments = new BufferPool(bufferBytes, BUFFER_PATIENCE_MS);
    const watchdog = new StallWatch(doors.clock, settings);
    this.#usage = usage;
    this.#uploads = uploads;
    this.#committer = committer;
    this.#sealer = sealer;
    this.#buffers = segments;
    this.#stallWatch = watchdog;
    this.#damage = new DamagedFiles(doors);
    this.#downloads = new FileOpener({ ...doors, uploads, modified, damage: this.#damage });
    this.#current = new CurrentFiles({ ...doors, uploads, modified });
    this.#removal = new Removal({
      ...doors,
      uploads,
      committer,
      current: this.#current,
      modified,
      watchers,
      emit: happened,
      announce,
    });
    const track = (work: () => Promise<void>): Promise<void> => this.#receive(work);
    this.#waiting = new NameQueue({ ...doors, uploads, committer, watchers, track, warn });
    const deps: ReceiveDeps = {
      ...doors,
      uploads,
      usage,
      damage: this.#damage,
      committer,
      current: this.#current,
      sealer,
      succession,
      activeRequests: running,
      isIdle,
      buffers: segments,
      stallWatch: watchdog,
      watchers,
      limits: { maxChunkBytes, maxFileBytes, ...this.#lifetime, openEndedMs: this.#openEndedMs },
      syncEarly: durability === 'chunk',
      sealLater: (upload) => this.#settleLater(upload),
      emit: happened,
    };
    this.#chunkUploads = new ChunkUploads(deps);
    this.#fileUploads = new FileUploads(deps);
    this.#resumableUploads = new ResumableUploads(deps, cancel, track);
  }

  get #lifetime(): Lifetime {
    const { staleSeconds, staleRemoveDays = 30 } = this.#settings;
    return { staleMs: staleSeconds * 1000, removeMs: staleRemoveDays === 0 ? null : staleRemoveDays * DAY_MS };
  }

  /** Milliseconds that an upload is kept after its last byte; null: for ever. */
  get lifetimeMs(): number | null {
    const { staleMs, removeMs } = this.#lifetime;
    return removeMs === null ? null : staleMs + removeMs;
  }

  get #openEndedMs(): number {
    return this.#settings.openEndedSeconds * 1000;
  }

  /**
   * Replays what the last run left, then ends what it left half-done. Before this resolves nothing may be served. Rejects when `stop`
   * comes before it is done.
   */
  start(wasClean: boolean): Promise<Recovered> {
    const starting = this.#start(wasClean);
    this.#starting = starting;
    return starting;
  }

  async #start(wasClean: boolean): Promise<Recovered> {
    const assertGoing = (): void => {
      if (this.#stopping) throw shuttingDown();
    };
    const recovered = await recover({
      ...this.#doors,
      uploads: this.#uploads,
      usage: this.#usage,
      wasClean,
      assertGoing,
    });
    for (const upload of [...this.#uploads.all()]) {
      assertGoing();
      if (!upload.isComplete) {
        this.#settleLater(upload);
        continue;
      }
      const sealed = this.#sealer.seal(upload).catch((error: unknown) => {
        this.#doors.warn('an interrupted seal could not be finished; the sweep tries again', { id: upload.id, error });
      });
      // A digest over a large file takes its time; the upload shows as whole but not complete meanwhile.
      if (upload.document.reprDigest === null) await sealed;
    }
    await this.#waiting.resume();
    this.#resumableUploads.resume();
    this.#damage.begin();
    return recovered;
  }

  /** Refusals that the headers alone justify. Call it before the body is read; `receive` checks all of it again. */
  async admitChunk(intent: ChunkIntent): Promise<void> {
    if (this.#stopping) throw shuttingDown();
    this.#chunkUploads.checkIntent(intent);
    const upload = this.#uploads.find(intent.owner, intent.name);
    if (upload?.document.resource) {
      checkSealedSize(await this.#chunkUploads.besideAddress(intent), intent.declaredSize);
      return;
    }
    if (upload) {
      const replaced = upload.visible && upload.isContiguous && intent.overwrite;
      if (upload.parked) this.#usage.check(intent.owner, { openUploads: 1 });
      if (!replaced)
        upload.check({ size: intent.declaredSize, reprDigest: intent.reprDigest, contentType: null, byName: true });
      if (replaced || !upload.visible) await this.#chunkUploads.assertPrecondition(intent, upload);
      return;
    }
    const { sealed } = await this.#doors.catalog.find(intent.owner, intent.name);
    const more = sealed?.undeclared === true && (intent.declaredSize ?? 0) > (sealed.size ?? 0);
    if (sealed && !intent.overwrite && !more) checkSealedSize(sealed, intent.declaredSize);
    else this.#usage.check(intent.owner, { bytes: intent.declaredSize ?? 0, openUploads: 1 });
    // A chunk that may be a repeat is looked at first: a repeat changes nothing, whatever the precondition.
    const mayRepeat = sealed !== null && (!intent.overwrite || intent.declaredSize === sealed.size);
    if (!mayRepeat) await this.#chunkUploads.assertPrecondition(intent);
  }

  /** What an owner uses now; with `group` what all of its group do together. */
  usage(owner: string, group = false): Use {
    return this.#usage.of(owner, group);
  }

  /**
   * Reads one chunk (header and data, to the end of `source`), verifies, stores and commits it. What it resolves with is the
   * acknowledgement. Throws a LadingError of PROTOCOL §5; the caller then deals with what was not read.
   * @param beforeCommit awaited when all bytes are verified and before they count (the end of a multipart message, say)
   */
  receiveChunk(source: Readable, intent: ChunkIntent, beforeCommit?: () => Promise<void>): Promise<FileStatus> {
    return this.#receive(() => this.#chunkUploads.receive(source, intent, beforeCommit));
  }

  /** As `admit`, for `receiveWhole`. */
  async admitFile(intent: FileIntent): Promise<void> {
    if (this.#stopping) throw shuttingDown();
    await this.#fileUploads.admit(intent);
  }

  /**
   * Reads a whole file to the end of `source`, without a chunk header and of any length. Nothing of it counts before it is all there
   * and `inspect` has let it pass; what this resolves with promises that it is complete and on stable storage. Throws
   * `already_exists`, `file_too_large`, `quota_exceeded`, `digest_mismatch`, `insufficient_storage`, and what `inspect` throws.
   */
  receiveFile(source: Readable, intent: FileIntent, inspect: Inspect): Promise<FileStatus> {
    return this.#receive(() => this.#fileUploads.receive(source, intent, inspect));
  }

  /** Begins an upload with an address of its own; see `Appends.create`. */
  createResumable(intent: ResourceIntent): Promise<ResourceAddress> {
    return this.#receive(() => this.#resumableUploads.create(intent));
  }

  /** How far such an upload is. A request that still receives into it is ended first, unless `looks`. Throws `not_found`. */
  resumableState(address: ResourceAddress, looks = false): Promise<ResourceState> {
    return looks ? this.#resumableUploads.look(address) : this.#resumableUploads.state(address);
  }

  /** Digest of the first `length` bytes of such an upload. Throws `not_found`. */
  async resumableDigest(address: ResourceAddress, algorithm: DigestAlgorithm, length: number): Promise<Uint8Array> {
    await this.#resumableUploads.find(address);
    const document = (await this.#doors.catalog.get(address.id)) ?? address;
    return await digestBytes(this.#doors.inspector, document, algorithm, { start: 0, end: length - 1 });
  }

  /** Appends what `source` brings, of any length; see `Appends.append`. */
  append(source: Readable, address: ResourceAddress, intent: AppendIntent): Promise<ResourceState> {
    return this.#receive(() => this.#resumableUploads.append(source, address, intent));
  }

  /** Removes such an upload if it is unfinished, and its address in any case. Throws `not_found`, `precondition_failed`. */
  removeResumable(address: ResourceAddress, precondition?: Precondition): Promise<void> {
    return this.#resumableUploads.remove(address, precondition);
  }

  async #receive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#stopping) throw shuttingDown();
    this.#receiving += 1;
    try {
      return await work();
    } finally {
      this.#receiving -= 1;
      if (this.#receiving === 0) this.#drained?.();
    }
  }

  /** Has an eye on a client that sends what is not a chunk, as `receive` has on the chunks. */
  watchStalls(watched: Watched): Watch {
    return this.#stallWatch.watch(watched);
  }

  async status(owner: string, name: string): Promise<FileStatus> {
    const upload = this.#uploads.findVisible(owner, name);
    if (upload) return uploadStatus(upload, this.#lifetime);
    const { sealed } = await this.#doors.catalog.find(owner, name);
    return sealed ? sealedStatus(sealed, await this.#damage.now(sealed)) : pendingStatus(name);
  }

  /** Uploads on their way whose owner is wanted, those that changed last first. */
  transfers(
    wanted: (owner: string) => boolean,
  ): { owner: string; part: boolean; receiving: boolean; file: FileStatus }[] {
    const found: OpenUpload[] = [];
    for (const upload of this.#uploads.all()) {
      if (upload.visible && !upload.sealed && wanted(upload.document.owner)) found.push(upload);
    }
    found.sort((a, b) => b.lastCommitAt - a.lastCommitAt);
    return found.map((upload) => {
      const { owner, resource } = upload.document;
      const part = resource?.partial === true;
      const file = uploadStatus(upload, this.#lifetime);
      return { owner, part, receiving: upload.users > 0, file: part ? { ...file, filename: 'part' } : file };
    });
  }

  /** Calls `listener` after every change of this name (a chunk, the seal, the deletion); the returned function ends that. */
  watch(owner: string, name: string, listener: () => void): () => void {
    return this.#watchers.watch(owner, name, listener);
  }

  /** A page of an owner's files, by name. A status filter may look at many names for few results, so pages are filled in steps. */
  async list(query: FileListQuery): Promise<{ files: FileStatus[]; next_cursor: string | null }> {
    const { owner, prefix, limit, status } = query;
    const files: FileStatus[] = [];
    let after = query.cursor;
    for (;;) {
      const most = Math.max(limit + 1 - files.length, LIST_STEP);
      const page = await this.#doors.catalog.list({ owner, prefix, after, limit: most });
      for (const { name, slot } of page) {
        if (files.length === limit) return { files, next_cursor: after };
        after = name;
        const upload = this.#uploads.findVisible(owner, name);
        const found = upload
          ? uploadStatus(upload, this.#lifetime)
          : slot.sealed && sealedStatus(slot.sealed, this.#damage.known(slot.sealed));
        if (found && (status === null || found.status === status)) files.push(found);
      }
      if (page.length < most) return { files, next_cursor: null };
      // A filter that few files pass must not keep the thread from others.
      await turn();
    }
  }

  /** Deletes the file of a name and its upload; see `Removal.remove`. Throws `not_found`, `precondition_failed`. */
  remove(owner: string, name: string, precondition?: Precondition): Promise<Removed[]> {
    return this.#removal.remove(owner, name, precondition);
  }

  /** Ends the unfinished upload of a name and keeps its complete file; see `Removal.cancel`. Throws `not_found`, `precondition_failed`. */
  cancel(owner: string, name: string, precondition?: Precondition, id?: string): Promise<void> {
    return this.#removal.cancel(owner, name, precondition, id);
  }

  /** Ends an upload of undeclared size now. A file already complete stays so. Throws `not_found`, `not_contiguous`, `precondition_failed`. */
  async complete(owner: string, name: string, precondition?: Precondition): Promise<FileStatus> {
    const upload = this.#uploads.findVisible(owner, name);
    if (upload) {
      const { stored } = upload;
      if (!upload.isComplete && !isSealedBySilence(upload)) {
        const { gaps, more } = stored.gaps(upload.size ?? stored.end, MAX_GAPS);
        throw new LadingError(
          'not_contiguous',
          upload.document.resource
            ? 'The file is being uploaded by tus or as a resumable upload. Whoever sends it says when it is complete.'
            : 'Bytes are missing. Send what `missing` lists, then complete the file.',
          {
            missing: gaps,
            missing_more: more,
          },
        );
      }
      await this.#current.assert(precondition, owner, name);
      await this.#sealer.seal(upload);
    }
    const ended = await this.#uploads.holdName(owner, name, () =>
      this.#endSealed(owner, name, upload ? undefined : precondition),
    );
    return ended ?? (await this.complete(owner, name, precondition));
  }

  /** Of a file that silence ended, somebody says now that it is complete. Null when a chunk goes on at its end: it is an upload again. */
  async #endSealed(owner: string, name: string, precondition?: Precondition): Promise<FileStatus | null> {
    if (this.#uploads.find(owner, name)?.document.continues) return null;
    const { sealed } = await this.#doors.catalog.find(owner, name);
    if (!sealed) throw new LadingError('not_found', 'There is no file of this name.');
    await this.#current.assert(precondition, owner, name);
    if (sealed.undeclared) await this.#doors.catalog.amend(sealed.id, ({ undeclared: _, ...ended }) => ended);
    return sealedStatus(sealed);
  }

  /** Reads what is stored of a name again and compares it with its manifest. Throws `not_found`. */
  async verify(owner: string, name: string): Promise<Verified> {
    const upload = this.#uploads.findVisible(owner, name);
    const document = upload?.document ?? (await this.#doors.catalog.find(owner, name)).sealed;
    if (!document) throw new LadingError('not_found', 'There is no file of this name.');
    if (!upload) await this.#damage.look(document);
    return await verifyFile(this.#doors, document, upload?.stored ?? null);
  }

  /** Asks the disk whether all bytes of a complete file are there. @throws LadingError `file_damaged` */
  assertUndamaged(document: FileDocument): Promise<void> {
    return this.#damage.assertUndamaged(document);
  }

  /** The file of a name for reading, complete or not. Throws `not_found`; the caller must `release` it. */
  open(owner: string, name: string): Promise<Representation> {
    return this.#downloads.open(owner, name);
  }

  sweep(): Promise<Swept> {
    return sweep({
      ...this.#doors,
      uploads: this.#uploads,
      committer: this.#committer,
      sealer: this.#sealer,
      watchers: this.#watchers,
      emit: (happening) => this.#emit(happening),
      announce: (happenings) => this.#announce(happenings),
      ...this.#lifetime,
      openEndedMs: this.#openEndedMs,
    });
  }

  #announce(happenings: readonly AnnouncedEvent[]): Announcement | null {
    const files = happenings.filter(({ file }) => !file.resource?.partial);
    return files.length === 0 ? null : (this.#doors.announce?.(files) ?? null);
  }

  #emit(happening: FileEvent): void {
    // A piece of files to come is no file.
    if (!happening.file.resource?.partial) this.#doors.emit?.(happening);
  }

  /** An upload of undeclared size is sealed once nothing came for the set time. */
  #settleLater(upload: OpenUpload): void {
    if (upload.openEndedTimer) clearTimeout(upload.openEndedTimer);
    upload.openEndedTimer = null;
    if (this.#stopping || upload.sealed || upload.endReason || !isSealedBySilence(upload)) return;
    const left = Math.max(0, this.#openEndedMs - this.#doors.clock.since(upload.lastCommitAt));
    upload.openEndedTimer = setTimeout(() => this.#settle(upload), Math.min(left, MAX_TIMER_MS)).unref();
  }

  #settle(upload: OpenUpload): void {
    // A chunk on its way counts; its own end sets the timer anew.
    if (upload.users > 0 || upload.endReason || upload.sealed) return;
    if (this.#doors.clock.since(upload.lastCommitAt) < this.#openEndedMs) {
      this.#settleLater(upload);
      return;
    }
    this.#sealer.seal(upload, true).catch((error: unknown) => {
      if (upload.digestMismatchAt >= 0) return;
      this.#doors.warn('an upload of undeclared size could not be sealed; the sweep tries again', {
        id: upload.id,
        error,
      });
    });
  }

  /** Numbers for the metrics page. */
  gauges() {
    return {
      ...this.#uploads.gauges(),
      ...this.#buffers.gauges(),
      stored_bytes: this.#usage.storedBytes(),
      damaged_files: this.#damage.count,
    };
  }

  /**
   * Takes no new chunk, lets the running ones finish for up to `patienceMs` and ends the rest. Resolves with true when nothing is
   * written any more; with false when something could not be ended in time (a digest over a very large file, say): then the stop is
   * not clean, and the next start finishes or undoes it.
   */
  async stop(patienceMs: number): Promise<boolean> {
    this.#stopping = true;
    void this.#damage.stop();
    const over = setTimeout(() => this.#stallWatch.failAll(shuttingDown), patienceMs);
    let grace: NodeJS.Timeout | undefined;
    const tooLong = new Promise<false>((resolve) => {
      grace = setTimeout(() => resolve(false), Math.min(patienceMs + STOP_GRACE_MS, MAX_TIMER_MS));
    });
    const ended = await Promise.race([this.#ended().then(() => true), tooLong]);
    clearTimeout(over);
    clearTimeout(grace);
    return ended;
  }

  async #ended(): Promise<void> {
    await this.#starting?.catch(() => {});
    if (this.#receiving > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    for (const upload of [...this.#uploads.all()]) {
      if (upload.openEndedTimer) clearTimeout(upload.openEndedTimer);
      await upload.sealing?.catch(() => {});
    }
  }
}

function shuttingDown(): LadingError {
  return new LadingError('shutting_down', 'The server is stopping. Send the chunk again to the next one.', {
    retry_after: 5,
  });
}
