/**
 * Files that a person names and that are read whole: settings, keys, certificates. What is no such file is refused by name, for a
 * named pipe that nobody writes to would be waited for without end, and a device has none.
 */
import { closeSync, constants, type Dirent, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { Socket } from 'node:net';

/** Far more than any of them needs, in bytes. */
const MAX_BYTES = 4 * 1024 * 1024;

/** On a named pipe, `open` waits for the other end without this. Windows has no such flag. */
export const NO_WAIT = constants.O_NONBLOCK ?? 0;

/** Why a file was not read. */
export class NotRead extends Error {
  override readonly name = 'NotRead';
  /** The system's code; `EISDIR` for a folder, `EFBIG` for a file that is too large, `EINVAL` for what is no file. */
  readonly code: string;

  /** @param message goes after the name of the file: `is a folder` */
  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/**
 * The content of a file.
 * @throws NotRead
 */
export function readSmallFile(path: string): Buffer {
  return withOpened(path, (fd, stats) => {
    if (!stats.isFile()) throw notFile(stats);
    return readWhole(fd);
  });
}

/**
 * As `readSmallFile`, and from a pipe too, as the shell makes one for `<(COMMAND)`.
 * @throws NotRead; the reason of `signal`
 */
export async function readSmallFileOrPipe(path: string, signal?: AbortSignal): Promise<Buffer> {
  let pipe: number | null = null;
  const bytes = withOpened(path, (fd, stats) => {
    if (stats.isFile()) return readWhole(fd);
    if (!stats.isFIFO()) throw notFile(stats);
    pipe = openSync(path, constants.O_RDONLY | NO_WAIT);
    return null;
  });
  return bytes ?? readPipe(pipe ?? -1, signal);
}

function withOpened<T>(path: string, read: (fd: number, stats: Stats) => T): T {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_RDONLY | NO_WAIT);
    return read(fd, fstatSync(fd));
  } catch (error) {
    if (error instanceof NotRead) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new NotRead(`cannot be read (${code})`, code);
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/** Not by the size that the system tells, which is 0 for files of /proc. */
function readWhole(fd: number): Buffer {
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

function tooLarge(): NotRead {
  return new NotRead(`is larger than ${MAX_BYTES / 1024 ** 2} MiB`, 'EFBIG');
}

function notFile(stats: Stats): NotRead {
  return new NotRead(`is ${kindOf(stats)}`, stats.isDirectory() ? 'EISDIR' : 'EINVAL');
}

/** What something is that is no file: `a folder`, `a named pipe`. */
export function kindOf(stats: Stats | Dirent): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return stats.isFile() ? 'a file' : 'a device';
}
