/**
 * Is the data directory still where it was, and still this server's?
 *
 * A person may move it, unmount what it lies on, or start another server in its place. A path then leads to nothing or to somebody else's
 * files, and "there is no such file" is not a fact about the file any more. The lock tells the difference: it carries a number of this
 * server's own. Once the directory is lost it stays lost for this process. No name is opened, made or removed from then on; files that
 * are open already go on, for they are still those of the directory that was moved.
 */
import { codeOf, type Disk, failureToWrite, freeBytes } from './disk.ts';

/** `full`: less room than an upload needs. `unwritable`: writes fail. `lost`: moved, unmounted or replaced. */
export type Condition = 'ok' | 'full' | 'unwritable' | 'lost';

/** Less than this, in bytes, is no room for an upload. */
const LEAST_ROOM = 4 * 1024 * 1024;

/** The system's codes for a disk, a quota or a file that can take no more. */
export const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Errors of a watched disk that say "no such file", and who can tell whether that is believable. */
const origins = new WeakMap<Error, Presence>();

export interface PresenceOptions {
  /** The folder whose free room counts. */
  root: string;
  /** Name of a file on it that nobody else uses: whether it can be made is looked at now and then. */
  probe: string;
  /** True while the lock at its path is this server's. Rejects when that cannot be found out. */
  isMine(): Promise<boolean>;
}

export class Presence {
  readonly #root: string;
  readonly #probe: string;
  readonly #isMine: () => Promise<boolean>;
  /** Bytes; null while unknown. */
  #free: number | null = null;
  #condition: Condition = 'ok';
  #looking: Promise<void> | null = null;
  #tellLost: () => void = () => {};
  /** Resolves when the directory is lost; else never. */
  readonly lost: Promise<void>;

  constructor({ root, probe, isMine }: PresenceOptions) {
    this.#root = root;
    this.#probe = probe;
    this.#isMine = isMine;
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
  }

  get condition(): Condition {
    return this.#condition;
  }

  /** Room on the disk in bytes, as the last beat found it; null while unknown. */
  get free(): number | null {
    return this.#free;
  }

  get isLost(): boolean {
    return this.#condition === 'lost';
  }

  /** Looks at the lock now; calls at the same time share one look. Throws ESTALE when the directory is lost. */
  async confirm(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
    if (this.isLost) throw stale();
  }

  /** After each beat of the lock. `failed`: the beat could not be written. */
  async beat(failed: boolean): Promise<void> {
    await this.confirm().catch(() => undefined);
    if (this.isLost) return;
    const free = await freeBytes(this.#root).catch(() => null);
    const failure = failed ? null : await failureToWrite(this.#probe);
    if (this.isLost) return;
    this.#free = free;
    if (failed || (failure !== null && !FULL.has(failure) && failure !== 'ENOENT')) this.#condition = 'unwritable';
    else if (failure !== null && FULL.has(failure)) this.#condition = 'full';
    else this.#condition = free !== null && free < LEAST_ROOM ? 'full' : 'ok';
  }

  async #look(): Promise<void> {
    if (this.isLost) return;
    // A look that fails proves nothing; the next one may succeed.
    const mine = await this.#isMine().catch(() => true);
    if (mine || this.isLost) return;
    this.#condition = 'lost';
    this.#tellLost();
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

/** The same disk, which touches no name once the directory is lost and makes no folder where the directory was. */
export function watchedDisk(disk: Disk, presence: Presence): Disk {
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
    // It makes the missing folders above, too: also those of a directory that is somewhere else now.
    mkdir: (path) => unlessLost(() => presence.confirm().then(() => disk.mkdir(path))),
    readdir: (path) => unlessLost(() => disk.readdir(path)),
    rename: (from, to) => change(() => disk.rename(from, to)),
    link: (from, to) => change(() => disk.link(from, to)),
    unlink: (path) => change(() => disk.unlink(path)),
    rm: (path) => unlessLost(() => disk.rm(path)),
    syncDir: (path) => change(() => disk.syncDir(path)),
  };
}
