/**
 * A local file as the target of a download.
 *
 *     NAME                     appears when everything is there, checked and durable
 *     NAME.lading-part         the bytes, each at its own offset (from the first one that is wanted)
 *     NAME.lading-part.json    which version they are of, and which of them are there with which CRC-32
 *
 * After a kill or a power cut the state may name bytes that never reached the disk: they are read and compared before they count.
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
    // No more people may read it on its way than may read what it replaces.
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
    await syncFolder(dirname(this.#path));
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

/** What a state file must say for its bytes to be of this version: the ETag, of a part the file's id and which bytes. */
function keyOf({ etag, part }: Version): string | null {
  return part ? `${part.id} ${part.extent.start}-${part.extent.end}` : etag;
}

/** The runs of a state file as far as they make sense: ascending, disjoint, inside the file. */
function validRuns(runs: readonly unknown[], size: number): StoredRun[] {
  const sound: StoredRun[] = [];
  let from = 0;
  for (const run of runs) {
    if (!Array.isArray(run)) break;
    const [start, end, hex] = run;
    const crc32 = typeof hex === 'string' ? parseHex32(hex) : null;
    if (crc32 === null || !Number.isSafeInteger(start) || !Number.isSafeInteger(end)) break;
    if (start < from || end < start || end >= size) break;
    sound.push({ start, end, crc32 });
    from = end + 1;
  }
  return sound;
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

/** Owner and mode of the file that is replaced, as far as the system lets us: a new name is a new file to it. */
async function copyOwnership(handle: FileHandle, before: Stats | null): Promise<void> {
  if (before === null) return;
  const now = await handle.stat();
  if (now.uid !== before.uid || now.gid !== before.gid) await handle.chown(before.uid, before.gid).catch(() => {});
  // After the owner, for a change of that takes bits away.
  await handle.chmod(before.mode & 0o7777);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** The new name itself must survive a power cut. Some systems cannot open a folder; there it is as good as it gets. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => null);
  try {
    await folder?.sync().catch(() => {});
  } finally {
    await folder?.close();
  }
}
