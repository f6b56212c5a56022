/**
 * The directories of stored files. Tracks which of their entries are on stable storage.
 *
 *     files/ → <aa>/ → <id>/ → part, manifest, …      a name is durable once its directory and all those above are synced
 */

import { forEachConcurrently } from '../../concurrent.ts';
import { isFileId } from '../names.ts';
import { isShard, type Layout } from './directory/layout.ts';
import { type Disk, nullIfAbsent } from './io/disk.ts';

/** Maximum number of concurrent syncs: twice the number of file system threads of Node, so that no thread is idle. */
export const MAX_SYNCS = 8;

/**
 * Tracks directories whose entries may not be on stable storage yet. Code that creates a name does so within `change`. Code that promises
 * durability calls `sync`, which syncs only changed directories. Concurrent callers share one sync.
 */
export class DirectorySync {
  readonly #disk: Disk;
  /** By directory. Null: changed, and no sync is running. A promise: the sync that covers all changes so far. */
  readonly #pending = new Map<string, Promise<void> | null>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Runs `work`, which changes entries of `directory`. */
  async change<T>(directory: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      // Set only afterwards: a sync that begins during the work may miss the change. Also set after a failure, which may follow the change.
      this.#pending.set(directory, null);
    }
  }

  async sync(...directories: string[]): Promise<void> {
    for (const directory of directories) await this.#syncOne(directory);
  }

  #syncOne(directory: string): Promise<void> | undefined {
    const pending = this.#pending.get(directory);
    if (pending === undefined) return undefined;
    if (pending !== null) return pending;
    const sync = nullIfAbsent(this.#disk.syncDir(directory)).then(
      () => {
        // A removed directory needs no sync. A change during this sync has put null here, and needs a sync of its own.
        if (this.#pending.get(directory) === sync) this.#pending.delete(directory);
      },
      (error: unknown) => {
        if (this.#pending.get(directory) === sync) this.#pending.set(directory, null);
        throw error;
      },
    );
    this.#pending.set(directory, sync);
    return sync;
  }
}

/** The directories of stored files: creates and removes them, and syncs their names. */
export class FileDirectories {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #directorySync: DirectorySync;
  /** Shards known to exist. Others are created when they are first needed. */
  readonly #shards = new Set<string>();

  constructor(disk: Disk, layout: Layout) {
    this.#disk = disk;
    this.#layout = layout;
    this.#directorySync = new DirectorySync(disk);
  }

  /** The ids of all stored files. */
  async ids(): Promise<string[]> {
    const ids: string[] = [];
    for (const shard of await this.#disk.readdir(this.#layout.files)) {
      if (!isShard(shard)) continue;
      for (const name of await this.#disk.readdir(this.#layout.shard(shard))) if (isFileId(name)) ids.push(name);
    }
    return ids;
  }

  /** Creates the directory of `id`. Succeeds if it exists. */
  async make(id: string): Promise<void> {
    const { directory, shard } = this.#layout.file(id);
    if (!this.#shards.has(shard)) {
      await this.#directorySync.change(this.#layout.files, () => this.#disk.mkdir(shard));
      this.#shards.add(shard);
    }
    await this.#directorySync.change(shard, () => this.#disk.mkdir(directory));
  }

  /** Runs `work`, which creates or changes a name in the directory of `id`. */
  change<T>(id: string, work: () => Promise<T>): Promise<T> {
    return this.#directorySync.change(this.#layout.file(id).directory, work);
  }

  /** Runs `work`, which moves the directory of `id` away. */
  remove<T>(id: string, work: () => Promise<T>): Promise<T> {
    return this.#directorySync.change(this.#layout.file(id).shard, work);
  }

  /** Resolves when every name that leads to the files of `id` is on stable storage. */
  async sync(id: string): Promise<void> {
    const { directory, shard } = this.#layout.file(id);
    await this.#directorySync.sync(directory, shard, this.#layout.files);
  }

  /**
   * Makes every name durable. After a crash of the process, the next one also sees names that were never synced. They must be durable
   * before the server relies on them, for example by removing a replaced file.
   */
  async syncAll(): Promise<void> {
    await forEachConcurrently(await this.ids(), MAX_SYNCS, (id) => this.#disk.syncDir(this.#layout.file(id).directory));
    const shards = (await this.#disk.readdir(this.#layout.files)).filter(isShard);
    await forEachConcurrently(shards, MAX_SYNCS, (shard) => this.#disk.syncDir(this.#layout.shard(shard)));
    await this.#disk.syncDir(this.#layout.files);
  }
}
