/**
 * Detects that the data directory was moved, unmounted or replaced.
 *
 * After that, paths lead nowhere or to files of another server, and "no such file" says nothing about a file. The lock shows the
 * difference, because it contains a nonce of this server. The directories inside are watched, too: each can be moved or mounted over by
 * itself. A lost directory stays lost for this process. From then on no name is opened, created or removed. Files that are already open
 * remain usable, because they still belong to the directory that was moved.
 */
import type { StorageHealth } from '../../../contracts/store.ts';
import { canWrite, codeOf, type Disk, freeBytes, probeWrite } from '../io/disk.ts';
import { identityOf } from './lock.ts';

/** Free bytes below which the disk counts as full. */
const MIN_FREE_BYTES = 4 * 1024 * 1024;

/** Error codes of the system for a full disk, an exhausted disk quota, or a file of maximum size. */
export const OUT_OF_SPACE: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** ENOENT errors of a watched disk → the watch that can confirm that the file is absent. */
const origins = new WeakMap<Error, DirectoryWatch>();

export interface DirectoryWatchOptions {
  /** A path on the disk whose free space is measured. */
  root: string;
  /** Path of a file that is created and removed to check that the disk accepts writes. No other code uses it. */
  probe: string;
  /** True while this server holds the lock at its path. Rejects when the lock cannot be checked. */
  isMine(): Promise<boolean>;
}

export class DirectoryWatch {
  readonly #root: string;
  readonly #probe: string;
  readonly #isMine: () => Promise<boolean>;
  /** In bytes; null while unknown. */
  #free: number | null = null;
  #health: StorageHealth = 'ok';
  #checking: Promise<void> | null = null;
  /** Watched directories: path → identity. */
  readonly #directories = new Map<string, string>();
  #resolveLost: () => void = () => {};
  /** Resolves when the directory is lost. Otherwise it never resolves. */
  readonly lost: Promise<void>;

  constructor({ root, probe, isMine }: DirectoryWatchOptions) {
    this.#root = root;
    this.#probe = probe;
    this.#isMine = isMine;
    this.lost = new Promise((resolve) => {
      this.#resolveLost = resolve;
    });
  }

  get health(): StorageHealth {
    return this.#health;
  }

  /** Free space of the disk in bytes, as the last heartbeat measured it. Null while unknown. */
  get free(): number | null {
    return this.#free;
  }

  get isLost(): boolean {
    return this.#health === 'lost';
  }

  /** Watches more directories: from now on the data directory is lost when one of them is replaced. */
  async watch(directories: readonly string[]): Promise<void> {
    for (const directory of directories) {
      const identity = await identityOf(directory);
      if (identity !== null) this.#directories.set(directory, identity);
    }
  }

  /** Checks the lock and all watched directories now. Concurrent calls share one check. Throws ESTALE when the data directory is lost. */
  async confirm(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = null;
    });
    await this.#checking;
    if (this.isLost) throw stale();
  }

  /** As `confirm`, but checks only the lock and the directories above a path. For frequent calls. */
  async confirmAbove(path: string): Promise<void> {
    const above = [...this.#directories].filter(([directory]) => path.startsWith(`${directory}/`));
    if (!(await this.#areUnchanged(above))) this.#setLost();
    if (!this.isLost && !(await this.#isMine().catch(() => true))) this.#setLost();
    if (this.isLost) throw stale();
  }

  /** Measures the free space of the disk. */
  async measure(): Promise<void> {
    this.#free = await freeBytes(this.#root).catch(() => null);
  }

  /** Updates the health. To be called after each heartbeat of the lock. `failed`: the heartbeat could not be written. */
  async onHeartbeat(failed: boolean): Promise<void> {
    await this.confirm().catch(() => undefined);
    if (this.isLost) return;
    await this.measure();
    const free = this.#free;
    const failure = failed ? null : await probeWrite(this.#probe);
    const writable = await canWrite(this.#directories.keys());
    if (this.isLost) return;
    if (failed || !writable || (failure !== null && !OUT_OF_SPACE.has(failure) && failure !== 'ENOENT'))
      this.#health = 'unwritable';
    else if (failure !== null && OUT_OF_SPACE.has(failure)) this.#health = 'full';
    else this.#health = free !== null && free < MIN_FREE_BYTES ? 'full' : 'ok';
  }

  async #check(): Promise<void> {
    if (this.isLost) return;
    // A failed check proves nothing. The next one may succeed.
    const mine = await this.#isMine().catch(() => true);
    if (!mine || !(await this.#areUnchanged([...this.#directories]))) this.#setLost();
  }

  async #areUnchanged(directories: readonly (readonly [path: string, identity: string])[]): Promise<boolean> {
    const found = await Promise.all(
      directories.map(async ([path, identity]) => (await identityOf(path).catch(() => identity)) === identity),
    );
    return found.every((one) => one);
  }

  #setLost(): void {
    if (this.isLost) return;
    this.#health = 'lost';
    this.#resolveLost();
  }
}

/** The error of every operation on a lost directory. */
function stale(): Error {
  return Object.assign(new Error('the data directory was moved, replaced or unmounted'), { code: 'ESTALE' });
}

/** Throws ESTALE when `error` is an ENOENT of a watched disk whose data directory is lost. Otherwise does nothing. */
export async function confirmAbsence(error: unknown): Promise<void> {
  if (error instanceof Error) await origins.get(error)?.confirm();
}

/** Wraps a disk. Once the data directory is lost, every operation on a name fails with ESTALE, and nothing is created at its old path. */
export function watchedDisk(disk: Disk, watch: DirectoryWatch): Disk {
  const unlessLost = <T>(work: () => Promise<T>): Promise<T> => {
    if (watch.isLost) return Promise.reject(stale());
    return work().catch((error: unknown) => {
      if (error instanceof Error && codeOf(error) === 'ENOENT') origins.set(error, watch);
      throw error;
    });
  };
  /** For operations on names that should exist. A missing name is rare, so it is always confirmed. */
  const change = (work: () => Promise<void>): Promise<void> =>
    unlessLost(work).catch(async (error: unknown) => {
      await confirmAbsence(error);
      throw error;
    });
  return {
    open: (path, mode, permissions) => unlessLost(() => disk.open(path, mode, permissions)),
    close: (fd) => disk.close(fd),
    read: (fd, into, position) => disk.read(fd, into, position),
    write: (fd, bytes, position) => disk.write(fd, bytes, position),
    size: (fd) => disk.size(fd),
    truncate: (fd, size) => disk.truncate(fd, size),
    datasync: (fd) => disk.datasync(fd),
    // mkdir also creates missing parents. It must not recreate them where a moved data directory was.
    mkdir: (path) => unlessLost(() => watch.confirmAbove(path).then(() => disk.mkdir(path))),
    readdir: (path) => unlessLost(() => disk.readdir(path)),
    rename: (from, to) => change(() => disk.rename(from, to)),
    link: (from, to) => change(() => disk.link(from, to)),
    unlink: (path) => change(() => disk.unlink(path)),
    rm: (path) => unlessLost(() => disk.rm(path)),
    syncDir: (path) => change(() => disk.syncDir(path)),
  };
}
