/** Connects the parts of the engine. Each part declares the dependencies that it uses. */
import type { BlobStore, Inspector } from '../contracts/blobs.ts';
import type { Catalog } from '../contracts/catalog.ts';
import type { Clock } from '../contracts/clock.ts';
import type { FileEvent } from '../contracts/file-events.ts';
import type { ManifestStore } from '../contracts/manifests.ts';
import type { Quota } from '../contracts/quota.ts';
import { BufferPool } from './body/buffer-pool.ts';
import { StallWatch } from './body/stall-watch.ts';
import type { Announce } from './files/announce.ts';
import { LastModified } from './files/last-modified.ts';
import { Watchers } from './files/watchers.ts';
import { FileList } from './read/file-list.ts';
import { FileOpener } from './read/open-file.ts';
import { ChunkUploads } from './receive/chunk-upload.ts';
import { Completion } from './receive/completion.ts';
import { FileUploads } from './receive/file-upload.ts';
import { ResumableUploads } from './receive/resumable-uploads.ts';
import type { ActiveRequest } from './receive/upload-resource.ts';
import { TrainUploads } from './trains/train-uploads.ts';
import { DamagedFiles } from './upkeep/damage.ts';
import { Removal } from './upkeep/removal.ts';
import { AutoSeal } from './uploads/auto-seal.ts';
import { Committer, type Durability } from './uploads/commit.ts';
import type { Lifetime } from './uploads/lifetime.ts';
import { NameQueue } from './uploads/name-queue.ts';
import { CurrentFiles } from './uploads/preconditions.ts';
import { Sealer } from './uploads/seal.ts';
import { REPLY_GAPS } from './uploads/status.ts';
import { Succession } from './uploads/succession.ts';
import type { OpenUpload } from './uploads/upload.ts';
import { UploadTable } from './uploads/upload-table.ts';
import { NO_QUOTA, Usage } from './uploads/usage.ts';

/** Maximum time that a request waits for a buffer before it is refused with 503. */
const MAX_BUFFER_WAIT_MS = 10_000;
const DAY_MS = 24 * 3600 * 1000;

export interface EngineDeps {
  blobs: BlobStore;
  manifests: ManifestStore;
  catalog: Catalog;
  inspector: Inspector;
  clock: Clock;
  /** Limits of what owners may store. Default: unlimited. */
  quota?: Quota;
  /** Logs problems that no reply can report. */
  warn(message: string, details: object): void;
  /** Receives every event about files, synchronously with the change. Must neither throw nor take long. */
  emit?(event: FileEvent): void;
  /** Called before most changes. The change waits until the announcement is on stable storage, so that a crash loses no event. */
  announce?: Announce;
}

export interface EngineSettings {
  durability: Durability;
  bufferBytes: number;
  maxChunkBytes: number;
  maxFileBytes: number;
  staleSeconds: number;
  /** Days until a stale upload is removed; 0: never. Default: 30. */
  staleRemoveDays?: number;
  openEndedSeconds: number;
  idleSeconds: number;
  minBytesPerSecond: number;
}

/** State of the running engine that its parts need. */
export interface EngineState {
  isStopping(): boolean;
  /** Runs background work; a stop of the server waits for it. */
  track(work: () => Promise<void>): Promise<void>;
}

export type EngineParts = ReturnType<typeof buildParts>;

export function lifetimeOf({ staleSeconds, staleRemoveDays = 30 }: EngineSettings): Lifetime {
  return { staleMs: staleSeconds * 1000, removeMs: staleRemoveDays === 0 ? null : staleRemoveDays * DAY_MS };
}

/** Drops the events of partial uploads, which are parts of files and not files. */
function withoutPartials(deps: EngineDeps): { emit(event: FileEvent): void; announce: Announce } {
  return {
    emit: (event) => {
      if (!event.file.resource?.partial) deps.emit?.(event);
    },
    announce: (events) => {
      const files = events.filter(({ file }) => !file.resource?.partial);
      return files.length === 0 ? null : (deps.announce?.(files) ?? null);
    },
  };
}

/** The uploads, and how they become files or end. */
function buildUploads(deps: EngineDeps, settings: EngineSettings, { isStopping, track }: EngineState) {
  const { blobs, manifests, catalog, inspector, clock } = deps;
  const { emit, announce } = withoutPartials(deps);
  const watchers = new Watchers();
  const usage = new Usage({ catalog, clock, quota: deps.quota ?? NO_QUOTA });
  const uploads = new UploadTable({ blobs, manifests, catalog, clock, usage });
  const modified = new LastModified(clock);
  const committer = new Committer({ catalog, clock, usage, durability: settings.durability, emit, announce });
  const current = new CurrentFiles({ catalog, uploads, modified });
  const removal = new Removal({ blobs, catalog, uploads, committer, current, modified, watchers, emit, announce });
  const warn = (message: string, error: unknown): void => deps.warn(message, { error });
  const activeRequests = new Map<string, ActiveRequest>();
  const isIdle = (upload: OpenUpload): boolean =>
    upload.isVisible && upload.senders === 0 && !activeRequests.has(upload.id);
  const cancel = (upload: OpenUpload): Promise<boolean> => removal.cancelUpload(upload);
  const succession = new Succession({ blobs, uploads, committer, isIdle, cancel, warn, emit, announce });
  const sealer = new Sealer({
    ...{ blobs, manifests, catalog, inspector, clock },
    ...{ uploads, modified, committer, watchers, succession, warn, emit, announce },
  });
  const openEndedMs = settings.openEndedSeconds * 1000;
  const autoSeal = new AutoSeal({ clock, sealer, openEndedMs, isStopping, warn: deps.warn });
  const nameQueue = new NameQueue({ catalog, uploads, committer, watchers, track, warn });
  return {
    ...{ watchers, usage, uploads, modified, committer, current, removal, activeRequests, isIdle, cancel },
    ...{ succession, sealer, autoSeal, nameQueue, emit, announce, openEndedMs },
  };
}

/** @param state of the engine that the parts belong to */
export function buildParts(deps: EngineDeps, settings: EngineSettings, state: EngineState) {
  const { blobs, manifests, catalog, inspector, clock, warn } = deps;
  const { durability, bufferBytes, maxChunkBytes, maxFileBytes, idleSeconds, minBytesPerSecond } = settings;
  const parts = buildUploads(deps, settings, state);
  const { uploads, usage, committer, current, sealer, succession, watchers, modified } = parts;
  const { activeRequests, isIdle, cancel, autoSeal, emit, openEndedMs } = parts;
  const lifetime = lifetimeOf(settings);
  const buffers = new BufferPool(bufferBytes, MAX_BUFFER_WAIT_MS);
  const stallWatch = new StallWatch(clock, { idleSeconds, minBytesPerSecond });
  const damage = new DamagedFiles({ blobs, catalog, warn });
  const limits = { maxChunkBytes, maxFileBytes, openEndedMs, ...lifetime };
  const syncEarly = durability === 'chunk';
  const sealLater = (upload: OpenUpload): void => autoSeal.sealLater(upload);
  const receiving = { buffers, stallWatch, catalog, uploads, usage, committer, current, sealer, limits, syncEarly };
  const fileList = new FileList({ catalog, uploads, damage, lifetime });
  return {
    ...parts,
    ...{ buffers, stallWatch, damage, lifetime },
    chunkUploads: new ChunkUploads({
      ...receiving,
      ...{ blobs, manifests, inspector, clock, damage, watchers, sealLater, emit },
    }),
    trainUploads: new TrainUploads({
      ...receiving,
      ...{ blobs, clock, damage, watchers, sealLater, emit },
      status: (owner, name) => fileList.status(owner, name, REPLY_GAPS),
    }),
    fileUploads: new FileUploads({ ...receiving, isIdle }),
    resumableUploads: new ResumableUploads(
      {
        ...receiving,
        ...{ blobs, inspector, clock, succession, watchers, activeRequests, isIdle, sealLater, emit, warn },
      },
      cancel,
      state.track,
    ),
    completion: new Completion({ catalog, uploads, current, sealer }),
    opener: new FileOpener({ blobs, catalog, uploads, modified, damage }),
    fileList,
  };
}
