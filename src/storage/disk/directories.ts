/**
 * The directories of stored files, and which of their entries are on stable storage.
 *
 *     files/ → <aa>/ → <id>/ → part, manifest, …      a name lasts when the directory it is in was synced, all the way up
 */

import { isFileId } from '../names.ts';
import { isShard, type Layout } from './directory/layout.ts';
import { type Disk, nullIfAbsent } from './io/disk.ts';

/**
 * Directories whose entries may not be on stable storage yet. Code that creates a name does it within `change`; code that promises
 * durability calls `settle`, which syncs only what needs it and lets callers that come at the same time share one sync.
 */
export class DirectorySync {
  readonly #disk: Disk;
  /** Null: changed and no sync on its way. A promise: the sync that covers everything up to now. */
  readonly #pending = new Map<string, Promise<void> | null>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Runs `work`, which changes entries of `directory`. */
  async change<T>(directory: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      // Not before: a sync that somebody else begins meanwhile may miss it. Also after a failure: that may come after the fact.
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
        // A directory that is gone has nothing to lose. A change that came meanwhile has put null here and needs a sync of its own.
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

export class FileDirectories {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #directorySync: DirectorySync;
  /** Those that are there; the others are made when they are needed first. */
  readonly #shards = new Set<string>();

  constructor(disk: Disk, layout: Layout) {
    this.#disk = disk;
    this.#layout = layout;
    this.#directorySync = new DirectorySync(disk);
  }

  /** The ids of all directories. */
  async ids(): Promise<string[]> {
    const ids: string[] = [];
    for (const shard of await this.#disk.readdir(this.#layout.files)) {
      if (!isShard(shard)) continue;
      for (const name of await this.#disk.readdir(this.#layout.shard(shard))) if (isFileId(name)) ids.push(name);
    }
    return ids;
  }

  /** Makes the directory of `id` if need be. */
  async make(id: string): Promise<void> {
    const { directory, shard } = this.#layout.file(id);
    if (!this.#shards.has(shard)) {
      await this.#directorySync.change(this.#layout.files, () => this.#disk.mkdir(shard));
      this.#shards.add(shard);
    }
    await this.#directorySync.change(shard, () => this.#disk.mkdir(directory));
  }

  /** Runs `work`, which makes or changes a name in the directory of `id`. */
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
   * After a crash of the process alone everything it did is visible, also what was never synced. Before anybody builds on what he
   * sees (removes a replaced file, say), it must be there to stay.
   */
  async syncAll(): Promise<void> {
    await inParallel(await this.ids(), (id) => this.#disk.syncDir(this.#layout.file(id).directory));
    const shards = (await this.#disk.readdir(this.#layout.files)).filter(isShard);
    await inParallel(shards, (shard) => this.#disk.syncDir(this.#layout.shard(shard)));
    await this.#disk.syncDir(this.#layout.files);
  }
}

/** Eight at a time: twice what Node's own threads can do, so that none of them waits. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}
