/** Sends chunks to an engine, complete or damaged, and reads the stored bytes back. */
import { Readable } from 'node:stream';
import type { Engine } from '../../../src/engine/engine.ts';
import type { ChunkIntent } from '../../../src/engine/receive/chunk-intent.ts';
import { LadingError } from '../../../src/errors.ts';
import { CHUNK_HEADER_BYTES, encodeChunkHeader } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';

export interface ChunkToSend {
  owner: string;
  name: string;
  start: number;
  bytes: Uint8Array;
  checksum: number;
  crc32?: number;
  declaredSize?: number | null;
  overwrite?: boolean;
  /** The number of bytes missing at the end. */
  cut?: number;
  /** The number of extra bytes at the end. */
  extra?: number;
  /** The stream fails instead of ending. */
  breaks?: boolean;
}

export interface SendResult {
  status: FileStatus | null;
  /** The error code of a refused chunk. */
  code: string | null;
}

export function intentOf(chunk: ChunkToSend): ChunkIntent {
  return {
    owner: chunk.owner,
    name: chunk.name,
    declaredSize: chunk.declaredSize ?? null,
    range: null,
    crc32: chunk.crc32 === undefined ? null : chunk.crc32 >>> 0,
    contentDigest: null,
    reprDigest: null,
    overwrite: chunk.overwrite ?? false,
    contentType: null,
    contentLength: null,
  };
}

/** Header and data in a few uneven pieces, as sockets deliver them. */
async function* pieces(chunk: ChunkToSend): AsyncGenerator<Buffer> {
  const end = chunk.start + chunk.bytes.length - 1;
  const header = encodeChunkHeader({ start: chunk.start, end, checksum: chunk.checksum });
  const data = chunk.bytes.subarray(0, chunk.bytes.length - (chunk.cut ?? 0));
  const message = Buffer.concat([header, data, new Uint8Array(chunk.extra ?? 0)]);
  const cuts = [0, 5, CHUNK_HEADER_BYTES + 3, Math.ceil(message.length / 2), message.length];
  for (const [i, from] of cuts.sort((a, b) => a - b).entries()) {
    const piece = message.subarray(from, cuts[i + 1] ?? message.length);
    if (piece.length > 0) yield piece;
  }
  if (chunk.breaks) throw new Error('the connection broke');
}

export async function sendChunk(engine: Engine, chunk: ChunkToSend): Promise<SendResult> {
  const source = Readable.from(pieces(chunk), { objectMode: false });
  try {
    return { status: await engine.receiveChunk(source, intentOf(chunk)), code: null };
  } catch (error) {
    if (error instanceof LadingError) return { status: null, code: error.code };
    throw error;
  } finally {
    source.destroy();
  }
}

/** All bytes up to the last stored one, with null for missing bytes. Empty if the file does not exist. */
export async function readBack(engine: Engine, owner: string, name: string, upTo: number): Promise<(number | null)[]> {
  let file: Awaited<ReturnType<Engine['open']>>;
  try {
    file = await engine.open(owner, name);
  } catch (error) {
    if (error instanceof LadingError && error.code === 'not_found') return [];
    throw error;
  }
  try {
    const cells: (number | null)[] = [];
    while (cells.length < upTo) {
      const at = cells.length;
      const end = Math.min(file.committedUpTo(at), upTo);
      const bytes = new Uint8Array(end - at);
      if (end > at) await file.reader.read(bytes, at);
      if (bytes.some((_, i) => !file.covers({ start: at + i, end: at + i }))) throw new Error('covers disagrees');
      cells.push(...bytes);
      if (end < upTo) cells.push(null);
    }
    while (cells.length > 0 && cells.at(-1) === null) cells.pop();
    return cells;
  } finally {
    file.release();
  }
}
