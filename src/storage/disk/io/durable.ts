/** Ways to put bytes and names on stable storage so that after a crash there is either the old state or the new one. */
import { randomBytes } from 'node:crypto';
import * as path from 'node:path';
import { codeOf, type Disk } from './disk.ts';

/** Writes all of `bytes`; a short write goes on where it stopped. */
export async function writeFully(disk: Disk, fd: number, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const written = await disk.write(fd, done === 0 ? bytes : bytes.subarray(done), position + done);
    if (written === 0) throw Object.assign(new Error('the system wrote nothing'), { code: 'EIO' });
    done += written;
  }
}

/** Fills `into`; the number of bytes read is less only at the end of the file. */
export async function readFully(disk: Disk, fd: number, into: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const got = await disk.read(fd, done === 0 ? into : into.subarray(done), position + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}

/** The content of a small file; null if it does not exist. */
export async function readWhole(disk: Disk, file: string): Promise<Uint8Array | null> {
  let fd: number;
  try {
    fd = await disk.open(file, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    const bytes = new Uint8Array(await disk.size(fd));
    return bytes.subarray(0, await readFully(disk, fd, bytes, 0));
  } finally {
    await disk.close(fd);
  }
}

/** A name in the temporary directory that nobody else has. */
export function temporaryName(tmp: string, of: string): string {
  return path.join(tmp, `${path.basename(of)}.${randomBytes(8).toString('hex')}`);
}

export interface DurableWrite {
  /** On the same file system as the file; emptied at every start. */
  tmp: string;
  permissions?: number;
}

/**
 * Makes or replaces a file, atomically and durably. The commit points in order: write, sync, rename, sync directory. Up to the
 * rename the old content stays; after the last one the new content is certain. The temporary file is gone after a failure.
 */
export async function writeFileDurably(
  disk: Disk,
  file: string,
  bytes: Uint8Array,
  options: DurableWrite,
): Promise<void> {
  const temporary = temporaryName(options.tmp, file);
  try {
    const fd = await disk.open(temporary, 'wx+', options.permissions ?? 0o600);
    try {
      await writeFully(disk, fd, bytes, 0);
      await disk.datasync(fd);
    } finally {
      await disk.close(fd);
    }
    await disk.rename(temporary, file);
  } catch (error) {
    // Best effort: what stays behind is removed at the next start.
    await disk.rm(temporary).catch(() => undefined);
    throw error;
  }
  await disk.syncDir(path.dirname(file));
}
