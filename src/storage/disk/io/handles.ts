/**
 * Open descriptors by key, shared by concurrent users and kept open for a while afterwards. Ten thousand open uploads need only one
 * descriptor per running operation, plus at most `idle` unused ones.
 *
 *     current: key → handle        what `acquire` finds
 *     idle:    handle, handle, …   the unused ones among them; the longest unused is first, and is closed first
 *
 * `acquire` no longer finds a dropped handle (its file was removed or renamed). Its users continue to use it, and the last release
 * closes it.
 */
import type { Disk } from './disk.ts';

interface Handle {
  key: string;
  fd: Promise<number>;
  users: number;
  dropped: boolean;
}

/** The right to use a shared descriptor. */
export interface Lease {
  readonly fd: number;
  /** Ends the use. The descriptor may then be closed at any time. */
  release(): void;
}

/** A cache of open descriptors. */
export class Handles {
  readonly #disk: Disk;
  readonly #limit: number;
  readonly #open: (key: string) => Promise<number>;
  readonly #current = new Map<string, Handle>();
  readonly #idle = new Set<Handle>();
  readonly #closing = new Set<Promise<void>>();

  /**
   * @param idle maximum number of unused descriptors that stay open
   * @param open opens the descriptor of a key
   */
  constructor(disk: Disk, idle: number, open: (key: string) => Promise<number>) {
    this.#disk = disk;
    this.#limit = idle;
    this.#open = open;
  }

  async acquire(key: string): Promise<Lease> {
    let handle = this.#current.get(key);
    if (handle === undefined) {
      handle = { key, fd: this.#open(key), users: 0, dropped: false };
      this.#current.set(key, handle);
    }
    this.#idle.delete(handle);
    handle.users += 1;
    return this.#lease(handle);
  }

  /** Adds a descriptor that is already open and not in use. */
  adopt(key: string, fd: number): void {
    this.drop(key);
    const handle = { key, fd: Promise.resolve(fd), users: 1, dropped: false };
    this.#current.set(key, handle);
    this.#release(handle);
  }

  async #lease(handle: Handle): Promise<Lease> {
    let fd: number;
    try {
      fd = await handle.fd;
    } catch (error) {
      if (this.#current.get(handle.key) === handle) this.#current.delete(handle.key);
      throw error;
    }
    let held = true;
    return {
      fd,
      release: () => {
        if (!held) return;
        held = false;
        this.#release(handle);
      },
    };
  }

  /** True when `acquire` needs no open. */
  has(key: string): boolean {
    return this.#current.has(key);
  }

  /** Makes the next `acquire` of the key open a new descriptor. */
  drop(key: string): void {
    const handle = this.#current.get(key);
    if (handle === undefined) return;
    this.#current.delete(key);
    handle.dropped = true;
    if (this.#idle.delete(handle)) this.#close(handle);
  }

  /** Number of open descriptors that are not in use. */
  get idle(): number {
    return this.#idle.size;
  }

  /** Closes unused descriptors, and every other one at its last release. */
  async close(): Promise<void> {
    for (const key of [...this.#current.keys()]) this.drop(key);
    await Promise.all(this.#closing);
  }

  #release(handle: Handle): void {
    handle.users -= 1;
    if (handle.users > 0) return;
    if (handle.dropped) {
      this.#close(handle);
      return;
    }
    this.#idle.add(handle);
    if (this.#idle.size <= this.#limit) return;
    const [oldest] = this.#idle;
    if (oldest !== undefined) this.drop(oldest.key);
  }

  #close(handle: Handle): void {
    // A failed close has no consequence: the bytes were synced before, or are not needed.
    const closing = handle.fd.then((fd) => this.#disk.close(fd)).catch(() => undefined);
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }
}
