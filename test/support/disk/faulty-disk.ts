/**
 * A disk that fails at chosen operations. Every operation has a number, so that a test can interrupt a change at each of
 * its commit points.
 *
 *     const disk = new FaultyDisk(realDisk);
 *     disk.arm((step) => (step.n === 3 ? { code: 'EIO' } : null));   // fails the fourth operation
 *     disk.arm(deadFrom(3));                                         // fails this and all later ones, as a crash
 *     disk.disarm();
 */
import type { Disk, OpenMode } from '../../../src/storage/disk/io/disk.ts';
import type { Threads } from '../../../src/storage/disk/pool.ts';

export interface Step {
  /** The number of the operation since `arm`, from 0. */
  n: number;
  op: keyof Disk | 'segment' | 'inspect';
  path: string;
}

export interface Fault {
  /** The errno name. */
  code: string;
  /** `before` (default): the operation has no effect. `half`: half of a write is done. `after`: the operation is done, but fails. */
  when?: 'before' | 'half' | 'after';
}

export type Plan = (step: Step) => Fault | null;

/** Fails the n-th operation only. */
export function failAt(n: number, fault: Fault): Plan {
  return (step) => (step.n === n ? fault : null);
}

/** Fails the n-th and all later operations, except closing descriptors. */
export function deadFrom(n: number): Plan {
  return (step) => (step.n >= n && step.op !== 'close' ? { code: 'EIO' } : null);
}

export class FaultyDisk implements Disk {
  readonly #disk: Disk;
  readonly #paths = new Map<number, string>();
  #plan: Plan | null = null;
  #count = 0;
  #fired = 0;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Sets a plan and counts operations from 0. */
  arm(plan: Plan): void {
    this.#plan = plan;
    this.#count = 0;
    this.#fired = 0;
  }

  /** Ends all faults; returns their number. */
  disarm(): number {
    this.#plan = null;
    return this.#fired;
  }

  /** Wraps worker threads with the same plan and count. */
  threads(threads: Threads): Threads {
    return {
      segment: async (task) => {
        const fault = this.#next('segment', this.#paths.get(task.fd) ?? '');
        const outcome =
          fault !== null && fault.when !== 'after' ? zeroOutcome(task.buffer) : await threads.segment(task);
        return fault === null ? outcome : { ...outcome, failure: { code: fault.code, message: 'injected' } };
      },
      inspect: async (task) => {
        const fd = task.kind === 'digest' ? task.parts[0]?.fd : task.fd;
        const fault = this.#next('inspect', this.#paths.get(fd ?? -1) ?? '');
        if (fault !== null) return { kind: 'failure', failure: { code: fault.code, message: 'injected' } };
        return threads.inspect(task);
      },
      close: () => threads.close(),
    };
  }

  async open(path: string, mode: OpenMode, permissions?: number): Promise<number> {
    // A file that was opened in spite of the fault must be closed again.
    const fd = await this.#step('open', path, () => this.#disk.open(path, mode, permissions), { never: 'after' });
    this.#paths.set(fd, path);
    return fd;
  }

  async close(fd: number): Promise<void> {
    await this.#onFd('close', fd, () => this.#disk.close(fd), { never: 'before' });
  }

  read(fd: number, into: Uint8Array, position: number): Promise<number> {
    return this.#onFd('read', fd, () => this.#disk.read(fd, into, position));
  }

  write(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    const half = (): Promise<number> => this.#disk.write(fd, bytes.subarray(0, bytes.length >> 1), position);
    return this.#onFd('write', fd, () => this.#disk.write(fd, bytes, position), { half });
  }

  size(fd: number): Promise<number> {
    return this.#onFd('size', fd, () => this.#disk.size(fd));
  }

  truncate(fd: number, size: number): Promise<void> {
    return this.#onFd('truncate', fd, () => this.#disk.truncate(fd, size));
  }

  datasync(fd: number): Promise<void> {
    return this.#onFd('datasync', fd, () => this.#disk.datasync(fd));
  }

  mkdir(path: string): Promise<void> {
    return this.#step('mkdir', path, () => this.#disk.mkdir(path));
  }

  readdir(path: string): Promise<string[]> {
    return this.#step('readdir', path, () => this.#disk.readdir(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step('rename', from, () => this.#disk.rename(from, to));
  }

  link(from: string, to: string): Promise<void> {
    return this.#step('link', from, () => this.#disk.link(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#step('unlink', path, () => this.#disk.unlink(path));
  }

  rm(path: string): Promise<void> {
    return this.#step('rm', path, () => this.#disk.rm(path));
  }

  syncDir(path: string): Promise<void> {
    return this.#step('syncDir', path, () => this.#disk.syncDir(path));
  }

  #next(op: Step['op'], path: string): Fault | null {
    if (this.#plan === null) return null;
    const fault = this.#plan({ n: this.#count, op, path });
    this.#count += 1;
    if (fault !== null) this.#fired += 1;
    return fault;
  }

  #onFd<T>(op: Step['op'], fd: number, work: () => Promise<T>, how: How<T> = {}): Promise<T> {
    return this.#step(op, this.#paths.get(fd) ?? '', work, how);
  }

  async #step<T>(op: Step['op'], path: string, work: () => Promise<T>, how: How<T> = {}): Promise<T> {
    const fault = this.#next(op, path);
    if (fault === null) return work();
    const when = fault.when ?? 'before';
    if (when === 'half' && how.half !== undefined) await how.half();
    if ((when === 'after' && how.never !== 'after') || how.never === 'before') await work();
    throw Object.assign(new Error(`injected fault in ${op}`), { code: fault.code });
  }
}

interface How<T> {
  half?: () => Promise<T>;
  never?: 'before' | 'after';
}

function zeroOutcome(buffer: ArrayBuffer): { buffer: ArrayBuffer; sums: number[]; failure: null } {
  return { buffer, sums: [0, 0, 0], failure: null };
}
