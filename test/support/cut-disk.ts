/**
 * A disk and threads that can be cut off from a process that is to look dead: from then on nothing it asks for happens, while what
 * is on the disk stays for its successor. Only the lock can still be let go, for the process that holds it is this one.
 */
import { sep } from 'node:path';
import type { Disk, OpenMode } from '../../src/storage/disk/disk.ts';
import type { Threads } from '../../src/storage/disk/pool.ts';

function dead(): Error {
  return Object.assign(new Error('the process is dead'), { code: 'EIO' });
}

const LOCK = `${sep}lock`;

export class CutDisk implements Disk {
  readonly #disk: Disk;
  readonly #threads: Threads;
  readonly #lockFds = new Set<number>();
  readonly #running = new Set<Promise<unknown>>();
  #cut = false;

  constructor(disk: Disk, threads: Threads) {
    this.#disk = disk;
    this.#threads = threads;
  }

  /** Refuses everything from now on; resolves when what ran already has ended. */
  async cut(): Promise<void> {
    this.#cut = true;
    await Promise.allSettled(this.#running);
  }

  /** The threads, cut off together with the disk. */
  get threads(): Threads {
    return {
      segment: (task) => this.#run(() => this.#threads.segment(task)),
      inspect: (task) => this.#run(() => this.#threads.inspect(task)),
      close: () => this.#threads.close(),
    };
  }

  async #run<T>(work: () => Promise<T>, always = false): Promise<T> {
    if (this.#cut && !always) throw dead();
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  #onFd<T>(fd: number, work: () => Promise<T>): Promise<T> {
    return this.#run(work, this.#lockFds.has(fd));
  }

  #onPath<T>(path: string, work: () => Promise<T>): Promise<T> {
    return this.#run(work, path.includes(LOCK));
  }

  async open(path: string, mode: OpenMode, permissions?: number): Promise<number> {
    const fd = await this.#onPath(path, () => this.#disk.open(path, mode, permissions));
    if (path.includes(LOCK)) this.#lockFds.add(fd);
    return fd;
  }

  close(fd: number): Promise<void> {
    this.#lockFds.delete(fd);
    return this.#run(() => this.#disk.close(fd), true);
  }

  read(fd: number, into: Uint8Array, position: number): Promise<number> {
    return this.#onFd(fd, () => this.#disk.read(fd, into, position));
  }

  write(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    return this.#onFd(fd, () => this.#disk.write(fd, bytes, position));
  }

  size(fd: number): Promise<number> {
    return this.#onFd(fd, () => this.#disk.size(fd));
  }

  truncate(fd: number, size: number): Promise<void> {
    return this.#onFd(fd, () => this.#disk.truncate(fd, size));
  }

  datasync(fd: number): Promise<void> {
    return this.#onFd(fd, () => this.#disk.datasync(fd));
  }

  mkdir(path: string): Promise<void> {
    return this.#onPath(path, () => this.#disk.mkdir(path));
  }

  readdir(path: string): Promise<string[]> {
    return this.#onPath(path, () => this.#disk.readdir(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#onPath(from, () => this.#disk.rename(from, to));
  }

  link(from: string, to: string): Promise<void> {
    return this.#onPath(from, () => this.#disk.link(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#onPath(path, () => this.#disk.unlink(path));
  }

  rm(path: string): Promise<void> {
    return this.#onPath(path, () => this.#disk.rm(path));
  }

  syncDir(path: string): Promise<void> {
    return this.#onPath(path, () => this.#disk.syncDir(path));
  }
}
