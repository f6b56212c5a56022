/** The back ends under test, and how a test stops, kills and starts each of them. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Store } from '../../../src/contracts/store.ts';
import { BACKENDS, type StoreOptions } from '../../../src/storage/backends.ts';
import { realDisk } from '../../../src/storage/disk/io/disk.ts';
import { MemoryStorage } from '../../../src/storage/memory/storage.ts';
import { PowerLossDisk } from '../../support/disk/power-loss-disk.ts';
import { sharedThreads, temporaryFolder } from '../../support/disk/storage.ts';

/** A back end and its storage, which is empty at first. */
export interface StoreUnderTest {
  /** The store that is open now. */
  readonly store: Store;
  /** A clean stop, then a start on the same storage. */
  reopen(): Promise<Store>;
  /** A loss of power, then a start with what was synced. */
  losePower(): Promise<Store>;
}

export interface BackendUnderTest {
  /** The prefix of its test titles. */
  name: string;
  /** @param losesPower the test calls `losePower` */
  open(t: TestContext, losesPower?: boolean): Promise<StoreUnderTest>;
}

/** Closes the store that is open at the end of the test. @param start opens the storage again */
async function keptOpen(
  t: TestContext,
  start: () => Promise<Store>,
  losePower: () => Promise<void>,
): Promise<StoreUnderTest> {
  let store = await start();
  t.after(() => store.close().catch(() => undefined));
  return {
    get store() {
      return store;
    },
    reopen: async () => {
      await store.close({ clean: true });
      store = await start();
      return store;
    },
    losePower: async () => {
      await losePower();
      store = await start();
      return store;
    },
  };
}

function onDisk(
  name: string,
  options: Omit<StoreOptions, 'dataDir'>,
  backend: 'disk' | 'lmdb' = 'disk',
): BackendUnderTest {
  return {
    name,
    open: async (t, losesPower = false) => {
      const folder = await temporaryFolder(t);
      let dataDir = join(folder, 'data-0');
      await realDisk.mkdir(dataDir);
      let losses = 0;
      let disk = losesPower ? await PowerLossDisk.over(dataDir) : null;
      let last: Store | null = null;
      const start = async (): Promise<Store> => {
        const what = { dataDir, threads: sharedThreads(), ...(disk ? { disk } : {}), ...options };
        last = await BACKENDS[backend].open(what);
        return last;
      };
      const losePower = async (): Promise<void> => {
        if (!disk) throw new Error('this disk does not lose power');
        losses += 1;
        const before = dataDir;
        dataDir = join(folder, `data-${losses}`);
        await disk.crash(dataDir);
        // The database writes past the disk of the test. What it acknowledged is in its file; test/crash cuts its power.
        if (backend === 'lmdb') await cp(join(before, 'v2/ledger'), join(dataDir, 'v2/ledger'), { recursive: true });
        await last?.close();
        await disk.dispose();
        disk = await PowerLossDisk.over(dataDir);
      };
      const kept = await keptOpen(t, start, losePower);
      t.after(() => disk?.dispose());
      return kept;
    },
  };
}

export const DISK = onDisk('disk', {});

/** No descriptor stays open: every operation opens a new one. */
export const DISK_WITHOUT_IDLE_DESCRIPTORS = onDisk('disk without idle descriptors', { idleHandles: 0 });

export const LMDB = onDisk('lmdb', {}, 'lmdb');

export const MEMORY: BackendUnderTest = {
  name: 'memory',
  open: (t) => {
    const storage = new MemoryStorage();
    return keptOpen(
      t,
      () => storage.open(),
      async () => storage.crash(),
    );
  },
};
