/** A local file as the source of an upload. All slices are read through one handle. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { Digest } from '../../protocol/http/digests.ts';
import type { UploadSource } from '../transfer/upload.ts';
import { SourceChangedError } from '../transport/failures.ts';

/** An open local file. Close it after the upload. */
export interface FileSource extends UploadSource {
  close(): Promise<void>;
}

const HASH_PIECE = 1024 * 1024;

/** Opens a regular file. Throws a system error, or a TypeError for a directory or device. */
export async function fileSource(path: string): Promise<FileSource> {
  const handle = await open(path, 'r');
  try {
    const { size, mtimeMs } = await regular(handle);
    const check = async () => {
      const now = await handle.stat();
      if (now.size === size && now.mtimeMs === mtimeMs) return;
      throw new SourceChangedError('The file changed during the upload. Upload it again after the changes.');
    };
    return {
      size,
      check,
      read: async (start, end, memory) => {
        const length = end - start + 1;
        const enough = memory !== undefined && memory.byteLength >= length;
        const bytes = new Uint8Array(enough ? memory : new ArrayBuffer(length), 0, length);
        await fill(handle, bytes, start, check);
        return bytes;
      },
      digest: async (signal) => sha256(handle, size, check, signal),
      close: async () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function regular(handle: FileHandle): Promise<{ size: number; mtimeMs: number }> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw new TypeError('only regular files can be uploaded');
  return stat;
}

async function fill(handle: FileHandle, bytes: Uint8Array, start: number, check: () => Promise<void>): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at);
    if (bytesRead === 0) {
      await check();
      throw new SourceChangedError('The file became shorter during the upload.');
    }
    at += bytesRead;
  }
}

async function sha256(
  handle: FileHandle,
  size: number,
  check: () => Promise<void>,
  signal: AbortSignal,
): Promise<Digest> {
  const hash = createHash('sha256');
  const piece = new Uint8Array(HASH_PIECE);
  for (let at = 0; at < size; at += HASH_PIECE) {
    signal.throwIfAborted();
    const bytes = piece.subarray(0, Math.min(HASH_PIECE, size - at));
    await fill(handle, bytes, at, check);
    hash.update(bytes);
  }
  await check();
  return { algorithm: 'sha-256', value: new Uint8Array(hash.digest()) };
}
