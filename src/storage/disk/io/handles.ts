/**
 * Open descriptors by key, shared while in use and kept for a while after: ten thousand open uploads need as many descriptors
 * as there are jobs running now, plus `idle` at most.
 *
 *     current: key → handle        what `acquire` finds
 *     idle:    handle, handle, …   of those, nobody's now; the one unused longest is first and is closed first
 *
 * A handle that was dropped (its file was removed or changed its name) is found no more; who holds it goes on using it, and the
 * last release closes it.
 */
import type { Disk } from './disk.ts';

interface Handle {
  key: string;
  fd: Promise<number>;
  users: number;
  dropped: boolean;
}

export interface Lease {
  readonly fd: number;
  /** Once; the descriptor may be closed from then on. */
  release(): void;
}

export class Handles {
  readonly #disk: Disk;
  readonly #limit: number;
  readonly #open: (key: string) => Promise<number>;
  readonly #current = new Map<string, Handle>();
  readonly #idle = new Set<Handle>();
  readonly #closing = new Set<Promise<void>>();

  /** `open` makes the descriptor of a key that is not open; `idle` is how many stay open unused. */
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

  /** Takes over a descriptor that is open already, unused for now. */
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

  /** The next `acquire` opens anew. */
  drop(key: string): void {
    const handle = this.#current.get(key);
    if (handle === undefined) return;
    this.#current.delete(key);
    handle.dropped = true;
    if (this.#idle.delete(handle)) this.#close(handle);
  }

  /** Descriptors that nobody uses now. */
  get idle(): number {
    return this.#idle.size;
  }

  /** Closes what nobody uses and keeps nothing idle from now on. */
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
    // A failed close of a descriptor whose bytes were synced before, or are not needed, changes nothing.
    const closing = handle.fd.then((fd) => this.#disk.close(fd)).catch(() => undefined);
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }
}
