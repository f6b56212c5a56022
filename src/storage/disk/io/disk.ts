/**
 * The operations that storage needs of a file system. They are few, so that tests can replace all of them: by a disk whose n-th operation
 * fails, or by one that forgets what was never synced. Descriptors are numbers because worker threads use them, too.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';

/** `r`: read. `r+`: read and write. `wx+`: create, read and write; EEXIST if the file exists. */
export type OpenMode = 'r' | 'r+' | 'wx+';

/** Operations on an open file. */
export interface OpenFiles {
  open(path: string, mode: OpenMode, permissions?: number): Promise<number>;
  close(fd: number): Promise<void>;
  /** Number of bytes read. May be less than requested; 0 only at the end of the file. */
  read(fd: number, into: Uint8Array, position: number): Promise<number>;
  /** Number of bytes written. May be less than requested. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>;
  size(fd: number): Promise<number>;
  truncate(fd: number, size: number): Promise<void>;
  /** Makes the content, and the metadata needed to read it, durable (fdatasync). */
  datasync(fd: number): Promise<void>;
}

/** Operations on names. */
export interface Names {
  /** Creates a directory and its parents. Succeeds if it exists. */
  mkdir(path: string): Promise<void>;
  readdir(path: string): Promise<string[]>;
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name, atomically. EEXIST if `to` exists. */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Removes a file, or a directory with its content. Succeeds if it does not exist. */
  rm(path: string): Promise<void>;
  /** Makes the entries of a directory durable: what was created, renamed and unlinked in it. */
  syncDir(path: string): Promise<void>;
}

/** A file system. */
export interface Disk extends OpenFiles, Names {}

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

function call<T>(start: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value)));
  });
}

function callVoid(start: (done: (error: NodeJS.ErrnoException | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}

/** Creates a directory and its parents. Node's recursive mkdir loops forever on systems that report ENOENT for an existing parent. */
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

/** Free bytes for this process on the file system of `path`. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await call<fs.StatsFs>((done) => fs.statfs(path, done));
  return bavail * bsize;
}

/**
 * Creates a small file and removes it again. Some disks have free bytes and accept no file, because of a quota or a lack of inodes.
 * @returns the error code of the system; null if it succeeded
 */
export async function probeWrite(file: string): Promise<string | null> {
  try {
    // The file may exist, left by a crash or by a failed removal.
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

/** True if permissions and mounts allow this process to create files in every directory. Ignores directories that do not exist. */
export async function canWrite(directories: Iterable<string>): Promise<boolean> {
  const { R_OK, W_OK, X_OK } = fs.constants;
  const codes = [...directories].map((directory) =>
    callVoid((done) => fs.access(directory, R_OK | W_OK | X_OK, done)).then(() => null, codeOf),
  );
  return (await Promise.all(codes)).every((code) => code === null || code === 'ENOENT');
}

async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open a directory, and makes its entries durable itself.
  if (process.platform === 'win32') return;
  const fd = await realDisk.open(path, 'r');
  try {
    await callVoid((done) => fs.fsync(fd, done));
  } catch (error) {
    // Some network file systems cannot sync directories. Nothing better can be done there.
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw error;
  } finally {
    await realDisk.close(fd);
  }
}

/** The code of a system error, such as `ENOENT`. Empty for other errors. */
export function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : '';
}

/** Resolves with the result of the operation, or with null if it fails with ENOENT. */
export async function nullIfAbsent<T>(operation: Promise<T>): Promise<T | null> {
  try {
    return await operation;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
