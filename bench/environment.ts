import { existsSync, mkdirSync, mkdtempSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';

const FILE_SYSTEMS: Record<number, string> = {
  16914836: 'tmpfs',
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlay',
  801189825: 'zfs',
};

/** The type of the file system of a path, such as `tmpfs`; its number in hexadecimal if it is unknown. */
export function fileSystem(path: string): string {
  const { type } = statfsSync(path);
  return FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`;
}

/** Creates a directory in memory. The caller deletes it. */
export function createMemoryDirectory(parentOption: string | null): string {
  const parent = parentOption ?? (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(resolve(parent), 'lading-bench-'));
}

/** Creates a directory on the disk of the results. The caller deletes it. */
export function createDiskDirectory(out: string): string {
  mkdirSync(out, { recursive: true });
  return mkdtempSync(join(resolve(out), 'disk-'));
}

/** The machine on which the benchmarks ran. */
export interface Environment {
  cpu: string;
  cores: number;
  memoryGiB: number;
  node: string;
  kernel: string;
  memoryFileSystem: string;
  diskFileSystem: string;
  /** Load average of the minute before the run. */
  load: number;
}

export function environment(memory: string, disk: string): Environment {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    kernel: `${process.platform} ${release()}`,
    memoryFileSystem: fileSystem(memory),
    diskFileSystem: fileSystem(disk),
    load: loadavg()[0] ?? 0,
  };
}

export function describeEnvironment(e: Environment): string {
  return `${e.cpu}, ${e.cores} cores, ${e.memoryGiB} GiB; ${e.kernel}; node ${e.node}; memory: ${e.memoryFileSystem}, disk: ${e.diskFileSystem}`;
}
