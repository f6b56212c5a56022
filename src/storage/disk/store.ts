/** Opens a data directory: the lock first, then what a crash left is put in order, then the doors. */
import * as path from 'node:path';
import type { BlobStore, Inspector, ManifestStore } from '../../contracts.ts';
import { DiskBlobs } from './blobs.ts';
import { codeOf, type Disk, realDisk } from './disk.ts';
import { DiskDocuments } from './documents.ts';
import { FolderSync, readWhole, writeFileDurably } from './durable.ts';
import { DiskInspector, rewriteExtents } from './inspector.ts';
import { clientIdOf, isFileId, Layout, SHARDS } from './layout.ts';
import { acquireLock, isLockLeftover, type Lock } from './lock.ts';
import { DiskManifests } from './manifests.ts';
import { startThreads, type Threads } from './pool.ts';
import { FileStates } from './states.ts';

export interface DiskStoreOptions {
  dataDir: string;
  /** Threads for segments; default one a core. */
  workers?: number;
  /** Descriptors kept open unused, for parts, blobs and manifests each. Default 256. */
  idleHandles?: number;
  /** Default: the real file system. */
  disk?: Disk;
  /** Default: threads of its own; whoever hands some in closes them too. */
  threads?: Threads;
}

export interface DiskStore {
  blobs: BlobStore;
  manifests: ManifestStore;
  inspector: Inspector;
  /** Where the catalog keeps its documents, by file id. */
  fileDocuments: DiskDocuments;
  /** Where the credential store keeps its documents, by client id. */
  clientDocuments: DiskDocuments;
  /** False: the last process did not stop cleanly, or the directory is new and there is nothing to distrust. */
  wasClean: boolean;
  /** The secret of that name (small letters); made by `make` and kept with mode 0600 when there is none. */
  secret(name: string, make: () => Uint8Array): Promise<Uint8Array>;
  /**
   * Lets go of everything. With `clean`, first makes durable what is not yet and leaves word for the next start; callers have
   * finished all their writes by then.
   */
  close(options?: { clean?: boolean }): Promise<void>;
}

const IDLE_HANDLES = 256;

/** Throws a plain Error when another server uses the directory; the message is for whoever started this one. */
export async function openDiskStore(options: DiskStoreOptions): Promise<DiskStore> {
  const disk = options.disk ?? realDisk;
  const layout = new Layout(options.dataDir);
  await disk.mkdir(layout.root);
  const lock = await acquireLock(disk, layout.lock);
  try {
    const wasClean = await prepare(disk, layout);
    return assemble({ ...options, disk }, layout, lock, wasClean);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Makes the folders that are missing and removes what a crash left behind; true when there was no crash. */
async function prepare(disk: Disk, layout: Layout): Promise<boolean> {
  const known = new Set(await disk.readdir(layout.root));
  const fresh = !known.has('files');
  const wasClean = fresh || known.has('clean');
  for (const folder of [layout.tmp, layout.clients, layout.secrets, layout.files]) await disk.mkdir(folder);
  const shards = new Set(await disk.readdir(layout.files));
  for (const shard of SHARDS) if (!shards.has(shard)) await disk.mkdir(layout.shard(shard));
  if (!known.has('clean') || shards.size < SHARDS.length) {
    for (const folder of [layout.files, layout.root, layout.dataDir, path.dirname(layout.dataDir)])
      await disk.syncDir(folder);
  }
  if (!wasClean) await settleNames(disk, layout);
  if (known.has('clean')) {
    // From here on the directory is in use: a crash before the next clean stop must show.
    await disk.unlink(layout.clean);
    await disk.syncDir(layout.root);
  }
  for (const name of known) if (isLockLeftover(name)) await disk.rm(path.join(layout.root, name));
  for (const name of await disk.readdir(layout.tmp)) await disk.rm(path.join(layout.tmp, name));
  return wasClean;
}

/**
 * After a crash of the process alone everything it did is visible, also what was never synced. Before anybody builds on what
 * he sees (removes a replaced file, say), it must be there to stay.
 */
async function settleNames(disk: Disk, layout: Layout): Promise<void> {
  await inParallel(SHARDS, async (name) => {
    const shard = layout.shard(name);
    for (const id of await disk.readdir(shard)) if (isFileId(id)) await disk.syncDir(layout.file(id).folder);
    await disk.syncDir(shard);
  });
  await disk.syncDir(layout.clients);
}

function assemble(
  options: DiskStoreOptions & { disk: Disk },
  layout: Layout,
  lock: Lock,
  wasClean: boolean,
): DiskStore {
  const { disk } = options;
  const idleHandles = options.idleHandles ?? IDLE_HANDLES;
  const folders = new FolderSync(disk);
  const states = new FileStates(!wasClean);
  const threads = options.threads ?? startThreads(options.workers === undefined ? {} : { workers: options.workers });
  const manifests = new DiskManifests({ disk, layout, folders, states, idleHandles, distrust: !wasClean });
  const blobs = new DiskBlobs({
    disk,
    layout,
    folders,
    states,
    threads,
    idleHandles,
    rewrite: async (id, fd, extents) => rewriteExtents(threads, fd, extents ?? (await manifests.read(id))),
    onRemove: (id) => manifests.forget(id),
  });

  async function close({ clean = false }: { clean?: boolean } = {}): Promise<void> {
    if (options.threads === undefined) await threads.close();
    try {
      if (clean) {
        await inParallel(states.unsynced(), async (id) => {
          await ignoringAbsent(() => blobs.sync(id));
          await ignoringAbsent(() => manifests.sync(id));
        });
        await writeFileDurably(disk, layout.clean, new Uint8Array(0), { tmp: layout.tmp });
      }
    } finally {
      await blobs.close();
      await manifests.close();
      await lock.release();
    }
  }

  return {
    blobs,
    manifests,
    inspector: new DiskInspector(threads, (id) => blobs.lease(id)),
    fileDocuments: fileDocuments(disk, layout, folders, blobs),
    clientDocuments: clientDocuments(disk, layout),
    wasClean,
    secret: (name, make) => secret(disk, layout, name, make),
    close,
  };
}

function fileDocuments(disk: Disk, layout: Layout, folders: FolderSync, blobs: DiskBlobs): DiskDocuments {
  return new DiskDocuments({
    disk,
    tmp: layout.tmp,
    pathOf: (id) => layout.file(id).document,
    keys: () => blobs.list(),
    makeFolder: async (id) => {
      const { folder, shard } = layout.file(id);
      await disk.mkdir(folder);
      folders.changed(shard);
    },
    settle: (id) => folders.settle(layout.file(id).shard),
  });
}

function clientDocuments(disk: Disk, layout: Layout): DiskDocuments {
  return new DiskDocuments({
    disk,
    tmp: layout.tmp,
    pathOf: (clientId) => layout.client(clientId),
    keys: async () => {
      const names = await disk.readdir(layout.clients);
      return names.map(clientIdOf).filter((id) => id !== null);
    },
    makeFolder: null,
    settle: () => Promise.resolve(),
  });
}

async function secret(disk: Disk, layout: Layout, name: string, make: () => Uint8Array): Promise<Uint8Array> {
  const file = layout.secret(name);
  const stored = await readWhole(disk, file);
  if (stored !== null && stored.length > 0) return stored;
  const made = make();
  await writeFileDurably(disk, file, made, { tmp: layout.tmp, permissions: 0o600 });
  return made;
}

/** Eight at a time: twice what Node's own threads can do, so that none of them waits. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items].reverse();
  const worker = async (): Promise<void> => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

async function ignoringAbsent(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
