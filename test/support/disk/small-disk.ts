/** A small file system in memory that tests can fill. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** The reason to skip a test that needs a small disk. */
export const NO_SMALL_DISK = 'needs root, to mount a small file system';

export interface SmallDisk {
  folder: string;
  /** Registers a function that runs before the disk is unmounted. */
  beforeUnmount(end: () => Promise<void>): void;
}

/**
 * Mounts a file system of this size and unmounts it after the test; null if mounting is not allowed.
 * @param options more options of tmpfs, such as `nr_inodes=100`
 */
export async function smallDisk(t: TestContext, bytes: number, options = ''): Promise<SmallDisk | null> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null;
  const folder = await mkdtemp(join(tmpdir(), 'lading-full-'));
  try {
    const all = `size=${bytes}${options && `,${options}`}`;
    execFileSync('mount', ['-t', 'tmpfs', '-o', all, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    await rm(folder, { recursive: true });
    return null;
  }
  const endings: (() => Promise<void>)[] = [];
  t.after(async () => {
    await Promise.all(endings.map((end) => end()));
    execFileSync('umount', [folder]);
    await rm(folder, { recursive: true });
  });
  return { folder, beforeUnmount: (end) => void endings.push(end) };
}

/** Writes a file that leaves `bytes` of free space. */
export async function fill(disk: string, bytes: number): Promise<{ path: string; size: number }> {
  const { bavail, bsize } = await statfs(disk);
  const path = join(disk, 'ballast');
  const size = bavail * bsize - bytes;
  await writeFile(path, new Uint8Array(size));
  return { path, size };
}

/** Writes a file that uses all free space. */
export async function fillUp(disk: string, name = 'last'): Promise<void> {
  const { bavail, bsize } = await statfs(disk);
  await writeFile(join(disk, name), new Uint8Array(bavail * bsize + bsize)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOSPC') throw error;
  });
}
