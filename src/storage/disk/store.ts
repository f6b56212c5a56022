/** Opens a data directory: takes the lock, repairs what a crash left, and builds the stores. */
import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import * as path from 'node:path';
import { forEachConcurrently } from '../../concurrent.ts';
import type { SecretBox } from '../../contracts/collection.ts';
import type { JournalDamage, ManifestRecord } from '../../contracts/manifests.ts';
import { COLLECTIONS, type CollectionName, type Store } from '../../contracts/store.ts';
import { DiskAuditLog } from './audit-log.ts';
import { DiskBlobs } from './blobs.ts';
import { FileDirectories, MAX_SYNCS } from './directories.ts';
import { dateBox } from './directory/date-box.ts';
import { guarded } from './directory/failures.ts';
import { documentIdOf, type Format, Layout } from './directory/layout.ts';
import { acquireLock, isLockLeftover, type Lock } from './directory/lock.ts';
import { DirectoryWatch, OUT_OF_SPACE, watchedDisk } from './directory/watch.ts';
import { DiskDocuments } from './documents.ts';
import { DiskInspector, rewriteExtents } from './inspector.ts';
import { codeOf, type Disk, nullIfAbsent, realDisk } from './io/disk.ts';
import { readWhole, writeFileDurably } from './io/durable.ts';
import { DiskManifests } from './manifests.ts';
import { startThreads, type Threads } from './pool.ts';
import { FileStates } from './states.ts';

export interface DiskStoreOptions {
  dataDir: string;
  /** Threads for segments. Default: one per core. */
  workers?: number;
  /** Unused descriptors kept open for parts, for blobs and for manifests. Default: 256 of each. */
  idleHandles?: number;
  /** Default: the real file system. */
  disk?: Disk;
  /** Default: its own threads. A caller that passes threads also closes them. */
  threads?: Threads;
  /** The version of the directory. Default `v1`. */
  format?: Format;
  /** Reads the records of an upload from where they are stored. Default: the journals of the disk. */
  recordsOf?(id: string): Promise<ManifestRecord[]>;
}

/** An open data directory. It stores documents as text; `storage/lowdb` builds the catalog and the collections from them. */
export interface DiskStore extends Omit<Store, 'openCatalog' | 'openCollection'> {
  /** The documents of the catalog, by file id. */
  fileDocuments: DiskDocuments;
  /** The small documents of a collection, by id. */
  documents(collection: CollectionName): DiskDocuments;
  layout: Layout;
  /** True when bytes were written to the part of this upload since its last sync. */
  isUnsynced(id: string): boolean;
}

const IDLE_HANDLES = 256;

/** True if the directory contains data of a server. */
export async function hasData(dataDir: string, format: Format = 'v1'): Promise<boolean> {
  const found = await nullIfAbsent(realDisk.readdir(new Layout(dataDir, format).files));
  return found !== null;
}

/** The user id that the data belongs to; null when there is no data. */
export async function ownerOf(dataDir: string, format: Format = 'v1'): Promise<number | null> {
  const found = await nullIfAbsent(stat(new Layout(dataDir, format).root));
  return found?.uid ?? null;
}

/**
 * Locks and opens a data directory, and repairs what a crash left.
 * @throws DirectoryInUse while another server uses it; Error with a message for the operator when it cannot be used
 */
export async function openDiskStore(options: DiskStoreOptions): Promise<DiskStore> {
  const plainDisk = options.disk ?? realDisk;
  const layout = new Layout(options.dataDir, options.format);
  await plainDisk.mkdir(layout.root).catch((error: unknown) => {
    const where = JSON.stringify(options.dataDir);
    throw new Error(`the data directory ${where} cannot be used (${codeOf(error)}); choose another LADING_DATA_DIR`, {
      cause: error,
    });
  });
  const lock = await lockEvenWhenFull(plainDisk, layout);
  const watch = new DirectoryWatch({ root: layout.root, probe: path.join(layout.tmp, PROBE), isMine: lock.isMine });
  await watch.measure();
  lock.onHeartbeat((failed) => void watch.onHeartbeat(failed));
  const disk = watchedDisk(plainDisk, watch);
  try {
    const directories = new FileDirectories(disk, layout);
    const wasClean = await prepare(disk, layout, directories);
    await watch.watch(directoriesOf(layout));
    await reserveSpare(disk, layout);
    const auditLog = await DiskAuditLog.open(disk, layout);
    return assemble({ ...options, disk }, layout, directories, { lock, watch, wasClean, auditLog });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** A file in the temporary directory, which every start empties. */
const PROBE = 'probe';

/** Size of the reserve: enough for the files that a start writes, such as the lock and journals that recovery rewrites. */
const SPARE_BYTES = 64 * 1024;

/**
 * Locks the directory, even on a full disk: if the server could not start, nobody could delete files. Every start reserves a little space for
 * this, and this function releases it when the disk is full.
 */
async function lockEvenWhenFull(disk: Disk, layout: Layout): Promise<Lock> {
  try {
    return await acquireLock(disk, layout.lock);
  } catch (error) {
    if (!OUT_OF_SPACE.has(codeOf(error))) throw error;
    await disk.rm(layout.spare);
    return await acquireLock(disk, layout.lock);
  }
}

/** Best effort: on a full disk the reserve is missing until the next start. The bytes are random because file systems may compress zeros. */
async function reserveSpare(disk: Disk, layout: Layout): Promise<void> {
  if ((await readWhole(disk, layout.spare).catch(() => null))?.length === SPARE_BYTES) return;
  await writeFileDurably(disk, layout.spare, randomBytes(SPARE_BYTES), { tmp: layout.tmp }).catch(() => undefined);
}

/** The directories that must exist while the server runs. */
function directoriesOf(layout: Layout): string[] {
  const collections = COLLECTIONS.map((name) => layout.collection(name));
  return [layout.tmp, ...collections, layout.audit, layout.secrets, layout.files];
}

/** Creates missing directories and removes leftovers of a crash. Resolves with true when the last stop was clean. */
async function prepare(disk: Disk, layout: Layout, directories: FileDirectories): Promise<boolean> {
  const known = new Set(await disk.readdir(layout.root));
  const wasClean = !known.has('files') || known.has('clean');
  for (const directory of directoriesOf(layout)) await disk.mkdir(directory);
  if (!known.has('clean')) {
    for (const directory of [layout.root, layout.dataDir, path.dirname(layout.dataDir)]) await disk.syncDir(directory);
  }
  if (!wasClean) {
    await directories.syncAll();
    const collections = COLLECTIONS.map((name) => layout.collection(name));
    for (const directory of [...collections, layout.audit]) await disk.syncDir(directory);
  }
  if (known.has('clean')) {
    // Removed durably before the directory is used, so that a crash before the next clean stop is noticed.
    await disk.unlink(layout.clean);
    await disk.syncDir(layout.root);
  }
  for (const name of known) if (isLockLeftover(name)) await disk.rm(path.join(layout.root, name));
  for (const name of await disk.readdir(layout.tmp)) await disk.rm(path.join(layout.tmp, name));
  return wasClean;
}

function assemble(
  options: DiskStoreOptions & { disk: Disk },
  layout: Layout,
  directories: FileDirectories,
  opened: { lock: Lock; watch: DirectoryWatch; wasClean: boolean; auditLog: DiskAuditLog },
): DiskStore {
  const { lock, watch, wasClean, auditLog } = opened;
  const { disk } = options;
  const idleHandles = options.idleHandles ?? IDLE_HANDLES;
  const states = new FileStates(!wasClean);
  const threads = options.threads ?? startThreads(options.workers === undefined ? {} : { workers: options.workers });
  const damage = { repaired: 0, lost: 0 };
  let damageListener: (id: string, found: JournalDamage) => void = () => {};
  const manifests = new DiskManifests({
    ...{ disk, layout, directories, states, idleHandles, afterUncleanStop: !wasClean },
    onDamage: (id, found) => {
      damage.repaired += found.repaired;
      damage.lost += found.lost;
      damageListener(id, found);
    },
  });
  const recordsOf = options.recordsOf ?? ((id: string) => manifests.read(id));
  const blobs = new DiskBlobs({
    ...{ disk, layout, directories, states, threads, idleHandles },
    rewrite: async (id, fd, extents) => rewriteExtents(threads, fd, extents ?? (await recordsOf(id))),
    onRemove: (id) => manifests.forget(id),
  });

  async function close({ clean = false }: { clean?: boolean } = {}): Promise<void> {
    if (options.threads === undefined) await threads.close();
    try {
      if (clean) {
        await forEachConcurrently(states.unsynced(), MAX_SYNCS, async (id) => {
          await nullIfAbsent(blobs.sync(id));
          await nullIfAbsent(manifests.sync(id));
        });
        await writeFileDurably(disk, layout.clean, new Uint8Array(0), { tmp: layout.tmp });
      }
    } finally {
      await blobs.close();
      await manifests.close();
      await auditLog.close();
      await lock.release();
    }
  }

  return {
    blobs,
    manifests,
    inspector: new DiskInspector(threads, (id) => blobs.lease(id)),
    fileDocuments: fileDocuments(disk, layout, directories),
    auditLog,
    documents: (collection) => collectionDocuments(disk, layout, collection),
    layout,
    isUnsynced: (id) => states.isUnsynced(id),
    wasClean,
    dateBox: dateBox(disk, layout),
    gauges: () => ({
      journal_records_repaired_total: damage.repaired,
      journal_records_lost_total: damage.lost,
      disk_free_bytes: watch.free ?? Number.NaN,
    }),
    onJournalDamage: (listener) => {
      damageListener = listener;
    },
    health: () => watch.health,
    lost: watch.lost,
    secret: (name, make) => secret(disk, layout, name, make),
    secretBox: (name) => secretBox(disk, layout, name),
    close,
  };
}

function fileDocuments(disk: Disk, layout: Layout, directories: FileDirectories): DiskDocuments {
  return new DiskDocuments({
    disk,
    tmp: layout.tmp,
    pathOf: (id) => layout.file(id).document,
    keys: () => directories.ids(),
    directories,
  });
}

function collectionDocuments(disk: Disk, layout: Layout, collection: CollectionName): DiskDocuments {
  return new DiskDocuments({
    disk,
    tmp: layout.tmp,
    pathOf: (id) => layout.document(collection, id),
    keys: async () => {
      const names = await disk.readdir(layout.collection(collection));
      return names.map(documentIdOf).filter((id) => id !== null);
    },
    directories: null,
  });
}

function secretBox(disk: Disk, layout: Layout, name: string): SecretBox {
  const file = layout.secret(name);
  return {
    read: () => guarded(() => readWhole(disk, file)),
    write: (bytes) => guarded(() => writeFileDurably(disk, file, bytes, { tmp: layout.tmp, permissions: 0o600 })),
  };
}

async function secret(disk: Disk, layout: Layout, name: string, make: () => Uint8Array): Promise<Uint8Array> {
  const file = layout.secret(name);
  const stored = await readWhole(disk, file);
  if (stored !== null && stored.length > 0) {
    // The process that made the secret may have ended before this sync. Signatures must survive a power failure.
    await disk.syncDir(layout.secrets);
    return stored;
  }
  const made = make();
  await writeFileDurably(disk, file, made, { tmp: layout.tmp, permissions: 0o600 });
  return made;
}
