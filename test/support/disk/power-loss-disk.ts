/**
 * A disk that can lose power. It works in a real folder, so that worker threads can write through its descriptors, and remembers
 * what stable storage would hold:
 *
 *     file content      as it was at its last datasync
 *     folder entries    as they were at the folder's last syncDir
 *
 * `crash(into)` creates a folder with exactly that state: a file that was never synced is empty, and a rename whose folder was
 * not synced did not happen. A real disk may have kept more; `crash(into, random)` chooses, for every folder, one of the states
 * it had since its last sync, and for each 512-byte sector of every file the synced or the current content.
 *
 *     const disk = await PowerLossDisk.over(dataDir);
 *     … openDiskStore({ dataDir, disk }) …
 *     await disk.crash(other);
 *     … openDiskStore({ dataDir: other }) …
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { Layout } from '../../../src/storage/disk/directory/layout.ts';
import { type Disk, type OpenMode, realDisk } from '../../../src/storage/disk/io/disk.ts';

const SECTOR = 512;

interface Entry {
  inode: bigint;
  folder: boolean;
}

type Entries = Map<string, Entry>;

export class PowerLossDisk implements Disk {
  readonly #root: string;
  /** Keeps deleted and replaced files, because a reused inode number would restore the content of a different file. */
  readonly #graveyard: string;
  #buried = 0;
  readonly #contents = new Map<bigint, Uint8Array>();
  /** The last synced state, followed by the states after each later change. */
  readonly #folders = new Map<bigint, Entries[]>();

  private constructor(root: string, graveyard: string) {
    this.#root = root;
    this.#graveyard = graveyard;
  }

  /** Creates a disk on `root`, whose current content counts as synced. */
  static async over(root: string): Promise<PowerLossDisk> {
    const graveyard = await fs.mkdtemp(`${root}-graveyard-`);
    const disk = new PowerLossDisk(root, graveyard);
    await disk.#trust(root);
    return disk;
  }

  /** Creates the folder `into` with the state after a loss of power now; `random` returns numbers from 0 to 1. */
  async crash(into: string, random: (() => number) | null = null): Promise<void> {
    await this.#materialise(await inodeOf(this.#root), into, random);
    // A loss of power ends the holder of the lock; in a test that is this process, which is alive.
    for (const format of ['v1', 'v2'] as const) await fs.rm(new Layout(into, format).lock, { force: true });
  }

  /** Deletes the copies that the disk keeps. */
  async dispose(): Promise<void> {
    await fs.rm(this.#graveyard, { recursive: true, force: true });
  }

  async open(file: string, mode: OpenMode, permissions?: number): Promise<number> {
    const fd = await realDisk.open(file, mode, permissions);
    if (mode === 'wx+') await this.#changed(file);
    return fd;
  }

  close(fd: number): Promise<void> {
    return realDisk.close(fd);
  }

  read(fd: number, into: Uint8Array, position: number): Promise<number> {
    return realDisk.read(fd, into, position);
  }

  write(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    return realDisk.write(fd, bytes, position);
  }

  size(fd: number): Promise<number> {
    return realDisk.size(fd);
  }

  truncate(fd: number, size: number): Promise<void> {
    return realDisk.truncate(fd, size);
  }

  async datasync(fd: number): Promise<void> {
    const { ino } = await fs.stat(`/proc/self/fd/${fd}`, { bigint: true });
    const bytes = new Uint8Array(await realDisk.size(fd));
    let done = 0;
    while (done < bytes.length) {
      const got = await realDisk.read(fd, bytes.subarray(done), done);
      if (got === 0) break;
      done += got;
    }
    this.#contents.set(ino, bytes.subarray(0, done));
  }

  async mkdir(folder: string): Promise<void> {
    const created = await fs.mkdir(folder, { recursive: true });
    for (let at = folder; created !== undefined && at.length >= created.length; at = path.dirname(at)) {
      await this.#changed(at);
    }
  }

  readdir(folder: string): Promise<string[]> {
    return realDisk.readdir(folder);
  }

  async rename(from: string, to: string): Promise<void> {
    await fs.link(to, this.#grave()).catch(() => undefined);
    await realDisk.rename(from, to);
    await this.#changed(to, from);
  }

  async link(from: string, to: string): Promise<void> {
    await realDisk.link(from, to);
    await this.#changed(to);
  }

  async unlink(file: string): Promise<void> {
    await realDisk.rename(file, this.#grave());
    await this.#changed(file);
  }

  async rm(target: string): Promise<void> {
    try {
      await realDisk.rename(target, this.#grave());
    } catch {
      return;
    }
    await this.#changed(target);
  }

  async syncDir(folder: string): Promise<void> {
    const inode = await inodeOf(folder);
    this.#folders.set(inode, [await entriesOf(folder)]);
  }

  #grave(): string {
    this.#buried += 1;
    return path.join(this.#graveyard, String(this.#buried));
  }

  /** Records created, changed or deleted entries; all of one folder as a single change. */
  async #changed(...entries: string[]): Promise<void> {
    const folders = new Set(entries.map((entry) => path.dirname(entry)));
    for (const folder of folders) {
      const inode = await inodeOf(folder);
      const states = this.#folders.get(inode) ?? [new Map()];
      this.#folders.set(inode, states);
      const present = new Map(states.at(-1));
      for (const entry of entries.filter((one) => path.dirname(one) === folder)) {
        const stat = await fs.stat(entry, { bigint: true }).catch(() => null);
        if (stat === null) present.delete(path.basename(entry));
        else present.set(path.basename(entry), { inode: stat.ino, folder: stat.isDirectory() });
      }
      states.push(present);
    }
  }

  async #trust(folder: string): Promise<void> {
    await this.syncDir(folder);
    for (const entry of await fs.readdir(folder, { withFileTypes: true })) {
      const at = path.join(folder, entry.name);
      if (entry.isDirectory()) await this.#trust(at);
      else this.#contents.set(await inodeOf(at), await fs.readFile(at));
    }
  }

  async #materialise(inode: bigint, into: string, random: (() => number) | null): Promise<void> {
    await fs.mkdir(into, { recursive: true, mode: 0o700 });
    const states = this.#folders.get(inode) ?? [];
    const entries = states[random === null ? 0 : Math.floor(random() * states.length)] ?? new Map<string, Entry>();
    for (const [name, entry] of entries) {
      const at = path.join(into, name);
      if (entry.folder) await this.#materialise(entry.inode, at, random);
      else await fs.writeFile(at, await this.#content(entry.inode, random), { mode: 0o600 });
    }
  }

  async #content(inode: bigint, random: (() => number) | null): Promise<Uint8Array> {
    const synced = this.#contents.get(inode) ?? new Uint8Array(0);
    const present = random === null ? null : await this.#present(inode);
    if (random === null || present === null) return synced;
    const size = random() < 0.5 ? synced.length : present.length;
    const mixed = new Uint8Array(size);
    for (let at = 0; at < size; at += SECTOR) {
      const from = random() < 0.5 ? synced : present;
      mixed.set(from.subarray(at, Math.min(at + SECTOR, size)), at);
    }
    return mixed;
  }

  /** The current content of the file with this inode number. */
  async #present(inode: bigint): Promise<Uint8Array | null> {
    for (const folder of [this.#root, this.#graveyard]) {
      for (const entry of await fs.readdir(folder, { recursive: true, withFileTypes: true })) {
        const at = path.join(entry.parentPath, entry.name);
        if (entry.isFile() && (await inodeOf(at)) === inode) return fs.readFile(at);
      }
    }
    return null;
  }
}

async function inodeOf(at: string): Promise<bigint> {
  return (await fs.stat(at, { bigint: true })).ino;
}

async function entriesOf(folder: string): Promise<Entries> {
  const entries: Entries = new Map();
  for (const entry of await fs.readdir(folder, { withFileTypes: true })) {
    const inode = await inodeOf(path.join(folder, entry.name)).catch(() => null);
    // A concurrent operation has deleted the file.
    if (inode !== null) entries.set(entry.name, { inode, folder: entry.isDirectory() });
  }
  return entries;
}
