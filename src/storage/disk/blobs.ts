/** The bytes on disk: `part` while they arrive, `blob` once sealed, in the folder of their id. */
import type { BlobStore, Part, Reader, SegmentJob, SegmentResult } from '../../contracts.ts';
import { LadingError } from '../../errors.ts';
import { codeOf, type Disk } from './disk.ts';
import { type FolderSync, readFully, temporaryName } from './durable.ts';
import { guarded, toLadingError } from './failures.ts';
import { Handles, type Lease } from './handles.ts';
import { isFileId, type Layout, SHARDS } from './layout.ts';
import type { Threads } from './pool.ts';
import { type FileStates, Shared } from './states.ts';

export interface DiskBlobsOptions {
  disk: Disk;
  layout: Layout;
  folders: FolderSync;
  states: FileStates;
  threads: Threads;
  /** Descriptors kept open unused, for parts and for blobs each. */
  idleHandles: number;
  /** Writes everything that the manifest lists again, after the system lost a sync. */
  rewriteAll(id: string, fd: number): Promise<void>;
  /** Called when a file is removed, so that other holders of descriptors let go. */
  onRemove(id: string): void;
}

export class DiskBlobs implements BlobStore {
  readonly #options: DiskBlobsOptions;
  readonly #parts: Handles;
  readonly #blobs: Handles;
  /** Group commit: one sync a part at a time, shared by all who wait. */
  readonly #syncs = new Map<string, Shared>();

  constructor(options: DiskBlobsOptions) {
    const { disk, layout, idleHandles } = options;
    this.#options = options;
    this.#parts = new Handles(disk, idleHandles, (id) => disk.open(layout.file(id).part, 'r+'));
    this.#blobs = new Handles(disk, idleHandles, (id) => disk.open(layout.file(id).blob, 'r'));
  }

  async create(id: string): Promise<void> {
    const { disk, layout, folders } = this.#options;
    await guarded(async () => {
      const { folder, part, shard } = layout.file(id);
      await disk.mkdir(folder);
      this.#parts.adopt(id, await disk.open(part, 'wx+'));
      folders.changed(folder);
      folders.changed(shard);
    });
  }

  async openPart(id: string): Promise<Part> {
    const { states } = this.#options;
    // A name that is not there is refused now, not at the first write.
    (await guarded(() => this.#parts.acquire(id))).release();
    const { epoch } = states.of(id);
    return {
      write: (job) => this.#write(id, job),
      sync: async () => {
        refuseOld(epoch, states.get(id)?.epoch);
        await guarded(() => this.#sync(id));
        refuseOld(epoch, states.get(id)?.epoch);
      },
      read: (into, position) =>
        guarded(async () => {
          const lease = await this.#acquire(id);
          try {
            return await readFully(this.#options.disk, lease.fd, into, position);
          } finally {
            lease.release();
          }
        }),
      // Descriptors are taken for each operation; there is nothing to let go.
      release: () => undefined,
    };
  }

  async openReader(id: string): Promise<Reader> {
    const lease = await guarded(() => this.#acquire(id));
    return {
      read: (into, position) => guarded(() => readFully(this.#options.disk, lease.fd, into, position)),
      release: () => lease.release(),
    };
  }

  /** A descriptor of the part or the blob, whichever there is. */
  lease(id: string): Promise<Lease> {
    return this.#acquire(id);
  }

  async seal(id: string, size: number): Promise<void> {
    await guarded(async () => {
      const { disk, layout, folders, states } = this.#options;
      const { folder, part, blob, shard } = layout.file(id);
      if (await this.#cutAndSync(id, size)) {
        await disk.rename(part, blob);
        this.#parts.drop(id);
        states.forget(id);
        this.#syncs.delete(id);
      } else {
        // Renamed before, perhaps without the sync that makes it last. Refuses when there is no blob either.
        (await this.#blobs.acquire(id)).release();
      }
      folders.changed(folder);
      await folders.settle(folder, shard);
    });
  }

  async remove(id: string): Promise<void> {
    await guarded(async () => {
      const { disk, layout, folders, states } = this.#options;
      const { folder, shard } = layout.file(id);
      const trash = temporaryName(layout.tmp, folder);
      // The commit point: one rename takes everything away, what follows only makes room.
      if (!(await renamed(disk, folder, trash))) return;
      this.#parts.drop(id);
      this.#blobs.drop(id);
      this.#options.onRemove(id);
      states.forget(id);
      this.#syncs.delete(id);
      folders.forget(folder);
      folders.changed(shard);
      await folders.settle(shard);
      // Best effort: what stays behind is removed at the next start.
      await disk.rm(trash).catch(() => undefined);
    });
  }

  async list(): Promise<string[]> {
    return guarded(async () => {
      const { disk, layout } = this.#options;
      const ids: string[] = [];
      for (const shard of SHARDS) {
        for (const name of await disk.readdir(layout.shard(shard))) if (isFileId(name)) ids.push(name);
      }
      return ids;
    });
  }

  /** Makes durable what was written to the part of `id`; nothing when there is none any more. */
  async syncPart(id: string): Promise<void> {
    await this.#sync(id);
  }

  async close(): Promise<void> {
    await this.#parts.close();
    await this.#blobs.close();
  }

  async #write(id: string, job: SegmentJob): Promise<SegmentResult> {
    return guarded(async () => {
      const { states, threads } = this.#options;
      // A record that should not be on the disk may claim these very bytes; first it must go.
      await states.get(id)?.undo?.();
      const lease = await this.#parts.acquire(id);
      const state = states.of(id);
      try {
        const { buffer, length, start, pieces } = job;
        const outcome = await threads.segment({ fd: lease.fd, buffer, length, start, pieces });
        const { failure, ...result } = outcome;
        if (failure !== null) throw toLadingError(Object.assign(new Error(failure.message), { code: failure.code }));
        return result;
      } finally {
        state.written += 1;
        lease.release();
      }
    });
  }

  #sync(id: string): Promise<void> {
    let sync = this.#syncs.get(id);
    if (sync === undefined) {
      sync = new Shared(() => this.#syncNow(id));
      this.#syncs.set(id, sync);
    }
    return sync.request();
  }

  async #syncNow(id: string): Promise<void> {
    const { disk, layout, folders, states } = this.#options;
    const { folder, shard } = layout.file(id);
    const lease = await this.#parts.acquire(id);
    const state = states.of(id);
    try {
      const { written } = state;
      await disk.datasync(lease.fd).catch((error: unknown) => {
        state.epoch += 1;
        state.doubtful = true;
        throw error;
      });
      await folders.settle(folder, shard);
      state.synced = written;
    } finally {
      lease.release();
    }
  }

  /** False when there is no part. */
  async #cutAndSync(id: string, size: number): Promise<boolean> {
    const { disk, states } = this.#options;
    const lease = await this.#parts.acquire(id).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    });
    if (lease === null) return false;
    const state = states.of(id);
    try {
      await state.undo?.();
      if (state.doubtful) await this.#options.rewriteAll(id, lease.fd);
      if ((await disk.size(lease.fd)) !== size) await disk.truncate(lease.fd, size);
      await disk.datasync(lease.fd).catch((error: unknown) => {
        state.doubtful = true;
        throw error;
      });
      return true;
    } finally {
      lease.release();
    }
  }

  async #acquire(id: string): Promise<Lease> {
    // The part first: a seal in between turns it into the blob, never the other way round.
    if (this.#blobs.has(id)) return this.#blobs.acquire(id);
    try {
      return await this.#parts.acquire(id);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      return this.#blobs.acquire(id);
    }
  }
}

/** False when there was nothing to rename. */
async function renamed(disk: Disk, from: string, to: string): Promise<boolean> {
  try {
    await disk.rename(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/**
 * After a failed sync the system counts bytes as stored that may not be, and the next sync says nothing about them. So whoever
 * wrote before it must write again, through a part opened after it.
 */
function refuseOld(mine: number, current: number | undefined): void {
  if (current === undefined || mine === current) return;
  throw new LadingError('internal', 'The server could not store these bytes safely. Send the chunk again.');
}
