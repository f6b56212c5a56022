/** The storage back ends, one line for each. Each is implemented in a folder beside this file. */
import type { Store } from '../contracts/store.ts';
import { type DiskStoreOptions, hasData, openDiskStore, ownerOf } from './disk/store.ts';
import { openLowdbCatalog } from './lowdb/catalog.ts';
import { openLowdbCollection } from './lowdb/collection.ts';
import { MemoryStorage } from './memory/storage.ts';

/** Options of a server for its storage. A back end ignores those that it does not need. */
export type StoreOptions = Pick<DiskStoreOptions, 'dataDir' | 'workers' | 'idleHandles' | 'disk' | 'threads'>;

/** Stores all data of a server. */
export interface Backend {
  /** Opens the storage for one server. @throws DirectoryInUse, Error with a message for the operator */
  open(options: StoreOptions): Promise<Store>;
  /** True when a server has stored its data there. */
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
} satisfies Record<string, Backend>;

/** Stores bytes, journals and the audit log in separate files, and documents through lowdb. */
async function openDisk(options: StoreOptions): Promise<Store> {
  const { fileDocuments, documents, ...store } = await openDiskStore(options);
  return {
    ...store,
    openCatalog: ({ onDamaged }) => openLowdbCatalog({ files: fileDocuments, onDamaged }),
    openCollection: ({ name, check, idOf }, reports) =>
      openLowdbCollection({ files: documents(name), check, idOf, ...reports }),
  };
}
