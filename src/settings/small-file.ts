/**
 * Reads small files that a user names: settings, keys, certificates. Other kinds of files are refused, because a pipe without a writer
 * would block forever and a device may have no end.
 */
import { closeSync, constants, type Dirent, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { Socket } from 'node:net';

/** Maximum size in bytes, far more than any such file needs. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Without this flag, `open` blocks on a named pipe until another process opens it. Windows has no such flag. */
export const NO_WAIT = constants.O_NONBLOCK ?? 0;

/** A file could not be read. */
export class FileReadError extends Error {
  override readonly name = 'FileReadError';
  /** The error code of the system. `EISDIR`: a directory; `EFBIG`: too large; `EINVAL`: a socket, pipe or device. */
  readonly code: string;

  /** @param message completes a sentence that begins with the name of the file: `is a directory` */
  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Reads a regular file of at most 4 MiB.
 * @throws FileReadError if it cannot be read, is too large or is not a regular file
 */
export function readSmallFile(path: string): Buffer {
  return withOpenFile(path, (fd, stats) => {
    if (!stats.isFile()) throw notFile(stats);
    return readAll(fd);
  });
}

/**
 * Like `readSmallFile`, but also reads pipes, such as those that shells create for `<(COMMAND)`.
 * @param signal aborts the wait for a pipe
 * @throws FileReadError as `readSmallFile` does; the reason of `signal` when it aborts
 */
export async function readSmallFileOrPipe(path: string, signal?: AbortSignal): Promise<Buffer> {
  let pipe: number | null = null;
  const bytes = withOpenFile(path, (fd, stats) => {
    if (stats.isFile()) return readAll(fd);
    if (!stats.isFIFO()) throw notFile(stats);
    pipe = openSync(path, constants.O_RDONLY | NO_WAIT);
    return null;
  });
  return bytes ?? readPipe(pipe ?? -1, signal);
}

function withOpenFile<T>(path: string, read: (fd: number, stats: Stats) => T): T {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_RDONLY | NO_WAIT);
    return read(fd, fstatSync(fd));
  } catch (error) {
    if (error instanceof FileReadError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new FileReadError(`cannot be read (${code})`, code);
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/** Reads to the end instead of trusting the reported size, which is 0 for files in /proc. */
function readAll(fd: number): Buffer {
  const pieces: Buffer[] = [];
  for (let total = 0; ; ) {
    const piece = Buffer.alloc(64 * 1024);
    const read = readSync(fd, piece);
    if (read === 0) return Buffer.concat(pieces);
    total += read;
    if (total > MAX_BYTES) throw tooLarge();
    pieces.push(piece.subarray(0, read));
  }
}

async function readPipe(fd: number, signal?: AbortSignal): Promise<Buffer> {
  const socket = new Socket({ fd, readable: true, writable: false, ...(signal ? { signal } : {}) });
  const pieces: Buffer[] = [];
  let total = 0;
  for await (const piece of socket as AsyncIterable<Buffer>) {
    total += piece.length;
    if (total > MAX_BYTES) throw tooLarge();
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function tooLarge(): FileReadError {
  return new FileReadError(`is larger than ${MAX_BYTES / 1024 ** 2} MiB`, 'EFBIG');
}

function notFile(stats: Stats): FileReadError {
  return new FileReadError(`is ${fileKind(stats)}`, stats.isDirectory() ? 'EISDIR' : 'EINVAL');
}

/** Describes the kind of a file: `a directory`, `a named pipe`. */
export function fileKind(stats: Stats | Dirent): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return stats.isFile() ? 'a file' : 'a device';
}
