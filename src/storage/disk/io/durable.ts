/** Durable writes: after a crash, a file has either its old content or its new one. */
import { randomBytes } from 'node:crypto';
import * as path from 'node:path';
import { codeOf, type Disk } from './disk.ts';

/** Writes all of `bytes`. Continues after a short write. */
export async function writeFully(disk: Disk, fd: number, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const written = await disk.write(fd, done === 0 ? bytes : bytes.subarray(done), position + done);
    if (written === 0) throw Object.assign(new Error('the system wrote no bytes'), { code: 'EIO' });
    done += written;
  }
}

/** Fills `into`. Resolves with the number of bytes read, which is smaller only at the end of the file. */
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

/** A unique path in the temporary directory. */
export function temporaryName(tmp: string, of: string): string {
  return path.join(tmp, `${path.basename(of)}.${randomBytes(8).toString('hex')}`);
}

export interface DurableWrite {
  /** The temporary directory: on the same file system as the file, and emptied at every start. */
  tmp: string;
  permissions?: number;
}

/**
 * Creates or replaces a file, atomically and durably: write, sync, rename, sync the directory. Until the rename the file has its old
 * content. After the sync of the directory the new content is durable. A failure removes the temporary file.
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
    // Best effort: the next start removes what is left.
    await disk.rm(temporary).catch(() => undefined);
    throw error;
  }
  await disk.syncDir(path.dirname(file));
}
