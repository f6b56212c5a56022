/** The bytes of files on the disk, in a directory per id: `part` while they arrive, `blob` once sealed. */
import { packJob, unpackOutcome } from '../../../workers/segment.ts';
import type { BlobStore, Part, Reader, SegmentJob, SegmentResult } from '../../contracts/blobs.ts';
import { guarded } from './directory/failures.ts';
import type { Layout } from './directory/layout.ts';
import { codeOf, nullIfAbsent } from './io/disk.ts';
import { readFully, temporaryName } from './io/durable.ts';
import { Handles, type Lease } from './io/handles.ts';
import { type PartSyncDeps, syncPart } from './part-sync.ts';
import type { Threads } from './pool.ts';
import { SharedRun, type WrittenExtent } from './states.ts';

export interface DiskBlobsOptions extends PartSyncDeps {
  layout: Layout;
  threads: Threads;
  /** Maximum number of unused descriptors that stay open, for parts and for blobs each. */
  idleHandles: number;
  /** Called when a file is removed, so that other caches close its descriptors. */
  onRemove(id: string): void;
}

/** Error codes of systems without hard links, or with a limit on their number. */
const LINKS_UNSUPPORTED = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']);

export class DiskBlobs implements BlobStore {
  readonly #options: DiskBlobsOptions;
  readonly #parts: Handles;
  readonly #blobs: Handles;
  /** Group commit: one sync per part at a time, shared by all waiting callers. */
  readonly #syncs = new Map<string, SharedRun>();

  constructor(options: DiskBlobsOptions) {
    const { disk, layout, idleHandles } = options;
    this.#options = options;
    this.#parts = new Handles(disk, idleHandles, (id) => disk.open(layout.file(id).part, 'r+'));
    this.#blobs = new Handles(disk, idleHandles, (id) => disk.open(layout.file(id).blob, 'r'));
  }

  async create(id: string): Promise<void> {
    const { disk, layout, directories } = this.#options;
    await guarded(async () => {
      await directories.make(id);
      this.#parts.adopt(id, await directories.change(id, () => disk.open(layout.file(id).part, 'wx+')));
    });
  }

  async openPart(id: string): Promise<Part> {
    // A missing part fails now, not at the first write.
    (await guarded(() => this.lease(id))).release();
    return {
      write: (job) => guarded(() => this.#write(id, job)),
      sync: () => guarded(() => this.sync(id)),
      read: (into, position) => guarded(() => this.#withHandle(this.lease(id), (fd) => this.#fill(fd, into, position))),
      truncate: (size) => guarded(() => this.#truncate(id, size)),
      // Each operation acquires its own descriptor.
      release: () => undefined,
    };
  }

  async openReader(id: string): Promise<Reader> {
    const lease = await guarded(() => this.lease(id));
    return {
      read: (into, position) => guarded(() => this.#fill(lease.fd, into, position)),
      release: () => lease.release(),
    };
  }

  async size(id: string): Promise<number | null> {
    const { disk } = this.#options;
    return await guarded(async () => {
      const lease = await nullIfAbsent(this.lease(id));
      return lease === null ? null : await this.#withHandle(Promise.resolve(lease), (fd) => disk.size(fd));
    });
  }

  async seal(id: string, size: number): Promise<void> {
    await guarded(async () => {
      const { disk, layout, directories, states } = this.#options;
      const { part, blob } = layout.file(id);
      const lease = await nullIfAbsent(this.#parts.acquire(id));
      if (lease !== null) {
        await this.#withHandle(Promise.resolve(lease), (fd) => this.#truncateAndSync(id, fd, size));
        await directories.change(id, () => disk.rename(part, blob));
        this.#parts.drop(id);
        states.recordSeal(id);
        this.#syncs.delete(id);
      } else {
        // An earlier seal has renamed it, perhaps without making that durable. Throws if the blob does not exist either.
        (await directories.change(id, () => this.#blobs.acquire(id))).release();
      }
      await directories.sync(id);
    });
  }

  async link(from: string, to: string): Promise<boolean> {
    return guarded(async () => {
      const { disk, layout, directories } = this.#options;
      // The part never changes again, so a hard link is as good as a copy.
      await this.sync(from);
      await directories.make(to);
      try {
        await directories.change(to, () => disk.link(layout.file(from).part, layout.file(to).blob));
      } catch (error) {
        await this.remove(to);
        if (LINKS_UNSUPPORTED.has(codeOf(error))) return false;
        throw error;
      }
      await directories.sync(to);
      return true;
    });
  }

  async remove(id: string): Promise<void> {
    await guarded(async () => {
      const { disk, layout, directories, states } = this.#options;
      const { directory } = layout.file(id);
      const trash = temporaryName(layout.tmp, directory);
      // The commit point: one rename removes everything. The rest only frees space.
      const renamed = await nullIfAbsent(directories.remove(id, () => disk.rename(directory, trash).then(() => true)));
      this.#parts.drop(id);
      this.#blobs.drop(id);
      this.#options.onRemove(id);
      states.forget(id);
      this.#syncs.delete(id);
      await directories.sync(id);
      // Best effort: the next start removes what is left.
      if (renamed !== null) await disk.rm(trash).catch(() => undefined);
    });
  }

  async list(): Promise<string[]> {
    return guarded(() => this.#options.directories.ids());
  }

  /** A descriptor of the part or of the blob, whichever exists. */
  async lease(id: string): Promise<Lease> {
    if (this.#blobs.has(id)) return this.#blobs.acquire(id);
    // The part first: a seal between the two attempts turns it into the blob.
    return (await nullIfAbsent(this.#parts.acquire(id))) ?? this.#blobs.acquire(id);
  }

  /** Makes all bytes written to the part durable. Callers during a sync share the next one. */
  sync(id: string): Promise<void> {
    let sync = this.#syncs.get(id);
    if (sync === undefined) {
      sync = new SharedRun(() =>
        this.#withHandle(this.#parts.acquire(id), (fd) => syncPart(this.#options, id, fd, false)),
      );
      this.#syncs.set(id, sync);
    }
    return sync.request();
  }

  async close(): Promise<void> {
    await this.#parts.close();
    await this.#blobs.close();
  }

  async #write(id: string, job: SegmentJob): Promise<SegmentResult> {
    const { states, threads } = this.#options;
    const writes = job.ranges.some((piece) => piece.action === 'write');
    // A failed append may have left a record for these bytes on the disk. It must be rolled back first.
    if (writes) await states.get(id)?.undo?.();
    const leased = writes ? this.#acquirePart(id) : this.lease(id);
    return this.#withHandle(leased, async (fd) => {
      const outcome = await threads.segment(packJob(fd, job));
      const result = unpackOutcome(outcome);
      const { failure } = outcome;
      if (writes) states.recordWrite(id, failure === null ? writtenExtents(job, result) : []);
      if (failure !== null) throw Object.assign(new Error(failure.message), { code: failure.code });
      return result;
    });
  }

  /** A descriptor of the part for writing. A blob whose seal was interrupted after the rename becomes a part again. */
  async #acquirePart(id: string): Promise<Lease> {
    const part = await nullIfAbsent(this.#parts.acquire(id));
    if (part !== null) return part;
    const { disk, layout, directories } = this.#options;
    const paths = layout.file(id);
    // If it is absent, another write has renamed it first, or the file does not exist and the last line throws.
    await nullIfAbsent(directories.change(id, () => disk.rename(paths.blob, paths.part)));
    this.#blobs.drop(id);
    return this.#parts.acquire(id);
  }

  async #truncate(id: string, size: number): Promise<void> {
    const { disk, states } = this.#options;
    await this.#withHandle(this.#parts.acquire(id), async (fd) => {
      if ((await disk.size(fd)) <= size) return;
      await disk.truncate(fd, size);
      states.recordTruncation(id, size);
    });
  }

  async #truncateAndSync(id: string, fd: number, size: number): Promise<void> {
    const { disk, states } = this.#options;
    const state = states.of(id);
    await state.undo?.();
    if ((await disk.size(fd)) !== size) {
      states.recordWrite(id, []);
      await disk.truncate(fd, size);
    }
    if (state.synced < state.written) await syncPart(this.#options, id, fd, true);
  }

  #fill(fd: number, into: Uint8Array, position: number): Promise<number> {
    return readFully(this.#options.disk, fd, into, position);
  }

  async #withHandle<T>(leased: Promise<Lease>, work: (fd: number) => Promise<T>): Promise<T> {
    const lease = await leased;
    try {
      return await work(lease.fd);
    } finally {
      lease.release();
    }
  }
}

function writtenExtents({ ranges }: SegmentJob, { rangeCrcs }: SegmentResult): WrittenExtent[] {
  const extents: WrittenExtent[] = [];
  for (const [index, { extent, action }] of ranges.entries()) {
    if (action === 'write') extents.push({ start: extent.start, end: extent.end, crc32: rangeCrcs[index] ?? 0 });
  }
  return extents;
}
