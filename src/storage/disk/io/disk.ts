/**
 * The operations that storage asks of a file system, few enough that a test can stand in for all of them: one that fails the
 * n-th, one that forgets what was never synced. Descriptors are plain numbers because worker threads use them too.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';

/** `r` read, `r+` read and write, `wx+` make new, read and write (EEXIST when there). */
export type OpenMode = 'r' | 'r+' | 'wx+';

/** Operations on an open file. */
export interface OpenFiles {
  open(path: string, mode: OpenMode, permissions?: number): Promise<number>;
  close(fd: number): Promise<void>;
  /** Bytes read, possibly fewer than asked; 0 at the end. */
  read(fd: number, into: Uint8Array, position: number): Promise<number>;
  /** Bytes written, possibly fewer than asked. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>;
  size(fd: number): Promise<number>;
  truncate(fd: number, size: number): Promise<void>;
  /** Content, and the metadata needed to read it again, are on stable storage when it resolves (fdatasync). */
  datasync(fd: number): Promise<void>;
}

/** Operations on names. */
export interface Names {
  /** With the missing directories above it; no error when it is there. */
  mkdir(path: string): Promise<void>;
  readdir(path: string): Promise<string[]>;
  rename(from: string, to: string): Promise<void>;
  /** A second name for a file; EEXIST when `to` is there: the atomic "make if absent". */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** A file or a whole directory; no error when there is nothing. */
  rm(path: string): Promise<void>;
  /** The entries of a directory (what was made, renamed, unlinked in it) are on stable storage when it resolves. */
  syncDir(path: string): Promise<void>;
}

export interface Disk extends OpenFiles, Names {}

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

function call<T>(call: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value)));
  });
}

function callVoid(call: (done: (error: NodeJS.ErrnoException | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error ? reject(error) : resolve()));
  });
}

/** With the missing directories above it. Node's own recursive way never ends where the system says "no such directory" of one that it has. */
async function makeDirectory(directory: string): Promise<void> {
  const make = (): Promise<void> =>
    callVoid((done) => fs.mkdir(directory, 0o700, done)).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error;
    });
  try {
    await make();
  } catch (error) {
    const above = path.dirname(directory);
    if (codeOf(error) !== 'ENOENT' || above === directory) throw error;
    await makeDirectory(above);
    await make();
  }
}

/** The real file system, through node:fs. */
export const realDisk: Disk = {
  open: (path, mode, permissions = 0o600) => call((done) => fs.open(path, mode, permissions, done)),
  close: (fd) => callVoid((done) => fs.close(fd, done)),
  read: (fd, into, position) => call((done) => fs.read(fd, into, 0, into.length, position, done)),
  write: (fd, bytes, position) => call((done) => fs.write(fd, bytes, 0, bytes.length, position, done)),
  size: async (fd) => (await call<fs.Stats>((done) => fs.fstat(fd, done))).size,
  truncate: (fd, size) => callVoid((done) => fs.ftruncate(fd, size, done)),
  datasync: (fd) => callVoid((done) => fs.fdatasync(fd, done)),
  mkdir: async (directory) => {
    await makeDirectory(directory);
  },
  readdir: (path) => call((done) => fs.readdir(path, done)),
  rename: (from, to) => callVoid((done) => fs.rename(from, to, done)),
  link: (from, to) => callVoid((done) => fs.link(from, to, done)),
  unlink: (path) => callVoid((done) => fs.unlink(path, done)),
  rm: (path) => callVoid((done) => fs.rm(path, { recursive: true, force: true }, done)),
  syncDir: syncDirectory,
};

/** Room for files of this server where `path` lies, in bytes. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await call<fs.StatsFs>((done) => fs.statfs(path, done));
  return bavail * bsize;
}

/**
 * Makes a small file and removes it again: some disks have free bytes and still take no file, for a quota or a lack of inodes.
 * @returns the system's code for why it could not; null when it could
 */
export async function probeWrite(file: string): Promise<string | null> {
  try {
    // One that a crash left, or a removal that failed, is simply used again.
    const fd = await call<number>((done) => fs.open(file, 'w', 0o600, done));
    try {
      await call<number>((done) => fs.write(fd, Buffer.from('probe'), done));
    } finally {
      await realDisk.close(fd);
    }
    await realDisk.unlink(file);
    return null;
  } catch (error) {
    return codeOf(error);
  }
}

/**
 * True when files can be made in every directory, as far as permissions and mounts say. One that is not there is another's business.
 */
export async function canWrite(directories: Iterable<string>): Promise<boolean> {
  const { R_OK, W_OK, X_OK } = fs.constants;
  const codes = [...directories].map((directory) =>
    callVoid((done) => fs.access(directory, R_OK | W_OK | X_OK, done)).then(() => null, codeOf),
  );
  return (await Promise.all(codes)).every((code) => code === null || code === 'ENOENT');
}

async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open a directory and orders its entries itself.
  if (process.platform === 'win32') return;
  const fd = await realDisk.open(path, 'r');
  try {
    await callVoid((done) => fs.fsync(fd, done));
  } catch (error) {
    // Some network file systems have no sync of directories; there is nothing that could be done better on them.
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw error;
  } finally {
    await realDisk.close(fd);
  }
}

/** The system's code of an error (`ENOENT`…); empty when it has none. */
export function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : '';
}

/** What was asked for; null when it is not there. */
export async function nullIfAbsent<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
