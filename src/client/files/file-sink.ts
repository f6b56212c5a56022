/**
 * A local file as the target of a download.
 *
 *     NAME                     appears when all bytes are stored, verified and durable
 *     NAME.lading-part         the bytes, each at its offset from the first requested byte
 *     NAME.lading-part.json    the version of the file, and the stored runs with their CRC-32
 *
 * After a crash, the state may list bytes that never reached the disk, so each run is read and compared before it counts.
 */
import type { Stats } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hex32, parseHex32 } from '../../protocol/crc32.ts';
import type { Crc32 } from '../calls/options.ts';
import type { DownloadSink, StoredRun } from '../transfer/download.ts';
import type { Version } from '../transfer/versions.ts';
import { parseObject } from '../transport/failures.ts';

const READ_PIECE = 1024 * 1024;

/** Stores a download in a local file. */
export class FileSink implements DownloadSink {
  readonly #path: string;
  readonly #part: string;
  readonly #state: string;
  readonly #crc32: Crc32;
  #version: Version | null = null;
  #handle: FileHandle | null = null;

  constructor(path: string, crc32: Crc32) {
    this.#path = path;
    this.#part = `${path}.lading-part`;
    this.#state = `${path}.lading-part.json`;
    this.#crc32 = crc32;
  }

  async has(version: Version): Promise<boolean> {
    if (version.crc32 === null) return false;
    const handle = await openIfExists(this.#path, 'r');
    try {
      if (handle === null || (await handle.stat()).size !== version.size) return false;
      return (await this.#crcOf(handle, 0, version.size)) === version.crc32;
    } finally {
      await handle?.close();
    }
  }

  async open(version: Version): Promise<StoredRun[]> {
    await this.close();
    this.#version = version;
    const runs = await this.#savedRuns(version);
    const part = runs.length > 0 ? await openIfExists(this.#part, 'r+') : null;
    const before = await statIfExists(this.#path);
    // While the download runs, give no wider access than the file that it replaces.
    const mode = before === null ? 0o666 : (before.mode & 0o777) | 0o200;
    this.#handle = part ?? (await open(this.#part, 'w+', mode));
    if (before !== null) await this.#handle.chmod(mode);
    if (part === null) {
      await rm(this.#state, { force: true });
      return [];
    }
    const intact: StoredRun[] = [];
    for (const run of runs) {
      if ((await this.#crcOf(part, run.start, run.end - run.start + 1)) === run.crc32) intact.push(run);
    }
    return intact;
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    let rest = [...pieces];
    while (rest.length > 0) {
      const { bytesWritten } = await this.#opened().writev(rest, at);
      at += bytesWritten;
      rest = skipBytes(rest, bytesWritten);
    }
  }

  async save(runs: readonly StoredRun[]): Promise<void> {
    if (this.#handle === null || this.#version === null) return;
    const { size } = this.#version;
    const state = {
      etag: keyOf(this.#version),
      size,
      runs: runs.map(({ start, end, crc32 }) => [start, end, hex32(crc32)]),
    };
    const next = `${this.#state}.new`;
    await writeFile(next, `${JSON.stringify(state)}\n`);
    await rename(next, this.#state);
  }

  async finish(): Promise<void> {
    const handle = this.#opened();
    await handle.truncate(this.#version?.size ?? 0);
    await copyOwnership(handle, await statIfExists(this.#path));
    await handle.sync();
    await this.close();
    await rename(this.#part, this.#path);
    await rm(this.#state, { force: true });
    await syncDirectory(dirname(this.#path));
  }

  async discard(): Promise<void> {
    await this.close();
    await rm(this.#part, { force: true });
    await rm(this.#state, { force: true });
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close();
  }

  #opened(): FileHandle {
    if (this.#handle === null) throw new Error('the download is not open');
    return this.#handle;
  }

  async #savedRuns(version: Version): Promise<StoredRun[]> {
    const text = await readFile(this.#state, 'utf8').catch((error: unknown) => {
      if (isMissing(error)) return '';
      throw error;
    });
    const { etag, size, runs } = parseObject(text);
    if (etag !== keyOf(version) || size !== version.size || !Array.isArray(runs)) return [];
    return validRuns(runs, version.size);
  }

  async #crcOf(handle: FileHandle, start: number, length: number): Promise<number | null> {
    const piece = new Uint8Array(Math.min(READ_PIECE, length));
    let crc = 0;
    for (let at = 0; at < length; ) {
      const { bytesRead } = await handle.read(piece, 0, Math.min(piece.length, length - at), start + at);
      if (bytesRead === 0) return null;
      crc = this.#crc32(piece.subarray(0, bytesRead), crc);
      at += bytesRead;
    }
    return crc;
  }
}

/** Identifies a version in the state file: the ETag; for a part, the file id and the range. */
function keyOf({ etag, part }: Version): string | null {
  return part ? `${part.id} ${part.extent.start}-${part.extent.end}` : etag;
}

/** The valid runs of a state file, up to the first invalid one: ascending, disjoint, within the file. */
function validRuns(runs: readonly unknown[], size: number): StoredRun[] {
  const valid: StoredRun[] = [];
  let from = 0;
  for (const run of runs) {
    if (!Array.isArray(run)) break;
    const [start, end, hex] = run;
    const crc32 = typeof hex === 'string' ? parseHex32(hex) : null;
    if (crc32 === null || !Number.isSafeInteger(start) || !Number.isSafeInteger(end)) break;
    if (start < from || end < start || end >= size) break;
    valid.push({ start, end, crc32 });
    from = end + 1;
  }
  return valid;
}

function skipBytes(pieces: Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  return pieces.flatMap((piece) => {
    const dropped = Math.min(skip, piece.length);
    skip -= dropped;
    return dropped === piece.length ? [] : [piece.subarray(dropped)];
  });
}

async function openIfExists(path: string, flags: string): Promise<FileHandle | null> {
  return open(path, flags).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
}

async function statIfExists(path: string): Promise<Stats | null> {
  return stat(path).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
}

/** Copies owner and mode of the replaced file, as far as the system permits. */
async function copyOwnership(handle: FileHandle, before: Stats | null): Promise<void> {
  if (before === null) return;
  const now = await handle.stat();
  if (now.uid !== before.uid || now.gid !== before.gid) await handle.chown(before.uid, before.gid).catch(() => {});
  // Set the mode last, because a change of the owner clears bits of it.
  await handle.chmod(before.mode & 0o7777);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Makes the new name durable. Does nothing where directories cannot be opened. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r').catch(() => null);
  try {
    await directory?.sync().catch(() => {});
  } finally {
    await directory?.close();
  }
}
