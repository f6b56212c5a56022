/**
 * Is the data directory still where it was, and still this server's?
 *
 * A person may move it, unmount what it lies on, or start another server in its place. A path then leads to nothing or to somebody else's
 * files, and "there is no such file" is not a fact about the file any more. The lock tells the difference: it carries a number of this
 * server's own. The directories in it are watched too: one of them may be moved by itself, or something be mounted over it. Once the directory is lost it stays lost for this process. No name is opened, made or removed from then on; files that
 * are open already go on, for they are still those of the directory that was moved.
 */
import type { StorageHealth } from '../../../contracts/store.ts';
import { canWrite, codeOf, type Disk, freeBytes, probeWrite } from '../io/disk.ts';
import { identityOf } from './lock.ts';

/** Less than this, in bytes, is no room for an upload. */
const MIN_FREE_BYTES = 4 * 1024 * 1024;

/** The system's codes for a disk, a quota or a file that can take no more. */
export const OUT_OF_SPACE: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Errors of a watched disk that say "no such file", and who can tell whether that is believable. */
const origins = new WeakMap<Error, DirectoryWatch>();

export interface DirectoryWatchOptions {
  /** The directory whose free room counts. */
  root: string;
  /** Name of a file on it that nobody else uses: whether it can be made is looked at now and then. */
  probe: string;
  /** True while the lock at its path is this server's. Rejects when that cannot be found out. */
  isMine(): Promise<boolean>;
}

export class DirectoryWatch {
  readonly #root: string;
  readonly #probe: string;
  readonly #isMine: () => Promise<boolean>;
  /** Bytes; null while unknown. */
  #free: number | null = null;
  #health: StorageHealth = 'ok';
  #checking: Promise<void> | null = null;
  /** Directories that must stay the ones they are: the path → which one it is. */
  readonly #directories = new Map<string, string>();
  #resolveLost: () => void = () => {};
  /** Resolves when the directory is lost; else never. */
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

  /** Room on the disk in bytes, as the last beat found it; null while unknown. */
  get free(): number | null {
    return this.#free;
  }

  get isLost(): boolean {
    return this.#health === 'lost';
  }

  /** From now on the directories must stay the ones that they are. */
  async watch(directories: readonly string[]): Promise<void> {
    for (const directory of directories) {
      const identity = await identityOf(directory);
      if (identity !== null) this.#directories.set(directory, identity);
    }
  }

  /** Looks at the lock and the directories now; calls at the same time share one look. Throws ESTALE when the directory is lost. */
  async confirm(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = null;
    });
    await this.#checking;
    if (this.isLost) throw stale();
  }

  /** The same for the lock and the directories above a path alone, for what is asked often. */
  async confirmAbove(path: string): Promise<void> {
    const above = [...this.#directories].filter(([directory]) => path.startsWith(`${directory}/`));
    if (!(await this.#areUnchanged(above))) this.#setLost();
    if (!this.isLost && !(await this.#isMine().catch(() => true))) this.#setLost();
    if (this.isLost) throw stale();
  }

  /** Looks how much room there is. */
  async measure(): Promise<void> {
    this.#free = await freeBytes(this.#root).catch(() => null);
  }

  /** After each beat of the lock. `failed`: the beat could not be written. */
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
    // A look that fails proves nothing; the next one may succeed.
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

/** Fails, and says so by its code. */
function stale(): Error {
  return Object.assign(new Error('the data directory was moved, replaced or unmounted'), { code: 'ESTALE' });
}

/** Throws ESTALE when `error` says "no such file" and the whole directory is lost; else does nothing. */
export async function confirmAbsence(error: unknown): Promise<void> {
  if (error instanceof Error) await origins.get(error)?.confirm();
}

/** The same disk, which touches no name once the directory is lost and makes no directory where the directory was. */
export function watchedDisk(disk: Disk, presence: DirectoryWatch): Disk {
  const unlessLost = <T>(work: () => Promise<T>): Promise<T> => {
    if (presence.isLost) return Promise.reject(stale());
    return work().catch((error: unknown) => {
      if (error instanceof Error && codeOf(error) === 'ENOENT') origins.set(error, presence);
      throw error;
    });
  };
  /** For names that were there a moment ago: that one is missing is rare, and must not pass for its removal. */
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
    // It makes the missing directories above, too: also those of a directory that is somewhere else now.
    mkdir: (path) => unlessLost(() => presence.confirmAbove(path).then(() => disk.mkdir(path))),
    readdir: (path) => unlessLost(() => disk.readdir(path)),
    rename: (from, to) => change(() => disk.rename(from, to)),
    link: (from, to) => change(() => disk.link(from, to)),
    unlink: (path) => change(() => disk.unlink(path)),
    rm: (path) => unlessLost(() => disk.rm(path)),
    syncDir: (path) => change(() => disk.syncDir(path)),
  };
}
