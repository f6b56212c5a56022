/** The storage back ends, one line for each. Each is implemented in a folder beside this file. */
import type { CollectionName, Store } from '../contracts/store.ts';
import { type DiskStoreOptions, hasData, openDiskStore, ownerOf } from './disk/store.ts';
import { migrateToLedger } from './lmdb/migrate.ts';
import { openLedgerStore } from './lmdb/store.ts';
import { openLowdbCatalog } from './lowdb/catalog.ts';
import { openLowdbCollection } from './lowdb/collection.ts';
import type { DocumentFiles } from './lowdb/documents.ts';
import { MemoryStorage } from './memory/storage.ts';

/** Options of a server for its storage. A back end ignores those that it does not need. */
export type StoreOptions = Pick<DiskStoreOptions, 'dataDir' | 'workers' | 'idleHandles' | 'disk' | 'threads'>;

/** Stores all data of a server. */
export interface Backend {
  /** Opens the storage for one server. @throws DirectoryInUse, Error with a message for the operator */
  open(options: StoreOptions): Promise<Store>;
  /** True if the directory contains data of a server. */
  hasData(dataDir: string): Promise<boolean>;
  /** The user id that the data belongs to; null when there is no data. */
  ownerOf(dataDir: string): Promise<number | null>;
}

export const BACKENDS = {
  disk: { open: openDisk, hasData, ownerOf },
  // For tests. No setting selects it, because a server would lose acknowledged bytes when it stops.
  memory: {
    open: () => new MemoryStorage().open(),
    hasData: () => Promise.resolve(false),
    ownerOf: () => Promise.resolve(null),
  },
  lmdb: {
    open: openLmdb,
    hasData: (dataDir) => hasData(dataDir, 'v2'),
    ownerOf: (dataDir) => ownerOf(dataDir, 'v2'),
  },
} satisfies Record<string, Backend>;

/** A store whose documents are texts. */
type Documented = Omit<Store, 'openCatalog' | 'openCollection'> & {
  fileDocuments: DocumentFiles;
  documents(name: CollectionName): DocumentFiles;
};

/** Stores bytes, journals and the audit log in separate files, and documents through lowdb. */
async function openDisk(options: StoreOptions): Promise<Store> {
  if (await hasData(options.dataDir, 'v2')) {
    const where = JSON.stringify(options.dataDir);
    throw new Error(`the data directory ${where} has version 2, with a database; start with LADING_STORAGE=lmdb`);
  }
  return withLowdb(await openDiskStore(options));
}

/** Documents of files, records and small bytes in LMDB; large bytes in files; small documents behind lowdb. */
async function openLmdb(options: StoreOptions): Promise<Store> {
  await migrateToLedger(options.dataDir);
  return withLowdb(await openLedgerStore(options));
}

function withLowdb({ fileDocuments, documents, ...store }: Documented): Store {
  return {
    ...store,
    openCatalog: ({ onDamaged }) => openLowdbCatalog({ files: fileDocuments, onDamaged }),
    openCollection: ({ name, check, idOf }, reports) =>
      openLowdbCollection({ files: documents(name), check, idOf, ...reports }),
  };
}

/** The back end that has stored data in this directory; `disk` if the directory has no data. */
export async function backendOf(dataDir: string): Promise<Backend> {
  return (await BACKENDS.lmdb.hasData(dataDir)) ? BACKENDS.lmdb : BACKENDS.disk;
}
