/**
 * The chunk on the wire (PROTOCOL.md §1): 17 bytes of header, then the data.
 *
 *      0                8                16  17
 *     +----------------+----------------+---+------------------------+
 *     | start, u64 BE  | end, u64 BE    |sum| data, end - start + 1  |
 *     +----------------+----------------+---+------------------------+
 */
import { LadingError } from '../errors.ts';

export const CHUNK_HEADER_BYTES = 17;

/** The highest offset a byte can have: 2^53 - 1, the last integer that a JSON number and a JavaScript number carry exactly. */
export const MAX_OFFSET = Number.MAX_SAFE_INTEGER;

/** The upper 32 bits of `MAX_OFFSET`. */
const MAX_HIGH = 0x1fffff;
const TWO_32 = 2 ** 32;

export interface ChunkHeader {
  /** Offset of the first data byte in the file. */
  start: number;
  /** Offset of the last data byte, inclusive. */
  end: number;
  /** Sum of the data bytes modulo 256. */
  checksum: number;
}

/** Parses a header of exactly 17 bytes. Throws `malformed_header`. */
export function parseChunkHeader(bytes: Uint8Array): ChunkHeader {
  if (bytes.length !== CHUNK_HEADER_BYTES) {
    throw new LadingError(
      'malformed_header',
      `A chunk starts with a header of ${CHUNK_HEADER_BYTES} bytes, but the body has ${bytes.length} bytes. For an empty file, send total_size=0 and an empty body.`,
      { expected: CHUNK_HEADER_BYTES, actual: bytes.length },
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, CHUNK_HEADER_BYTES);
  const start = readOffset(view, 0);
  const end = readOffset(view, 8);
  const header = { start, end, checksum: view.getUint8(16) };
  checkOrder(header);
  return header;
}

/** Encodes a header as 17 bytes. Throws `malformed_header` for a header that no server accepts. */
export function encodeChunkHeader(header: ChunkHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES);
  writeHeader(bytes, header);
  return bytes;
}

/** Encodes a chunk: the header, then `data` (at least one byte), which begins at offset `start` of the file. */
export function encodeChunk(start: number, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES + data.length);
  writeHeader(bytes, { start, end: start + data.length - 1, checksum: sum256(data) });
  bytes.set(data, CHUNK_HEADER_BYTES);
  return bytes;
}

/** Sum of the bytes modulo 256; `seed` is the sum of the bytes before them. */
export function sum256(bytes: Uint8Array, seed = 0): number {
  const head = Math.min(bytes.length, -bytes.byteOffset & 3);
  const words = (bytes.length - head) >>> 2;
  const tail = head + words * 4;
  let sum = seed;
  for (let i = 0; i < head; i += 1) sum += bytes[i] ?? 0;
  if (words > 0) sum += sumWords(new Uint32Array(bytes.buffer, bytes.byteOffset + head, words));
  for (let i = tail; i < bytes.length; i += 1) sum += bytes[i] ?? 0;
  return sum & 0xff;
}

/**
 * Adds four bytes at a time. The two halves of `even` and of `odd` are separate 16-bit sums. 256 bytes of at most 255 just fit into
 * 16 bits, so the halves are added up after every 256 words, before one overflows into the other.
 */
function sumWords(words: Uint32Array): number {
  let sum = 0;
  for (let block = 0; block < words.length; block += 256) {
    const stop = Math.min(block + 256, words.length);
    let even = 0;
    let odd = 0;
    for (let i = block; i < stop; i += 1) {
      const word = words[i] ?? 0;
      even = (even + (word & 0x00ff00ff)) | 0;
      odd = (odd + ((word >>> 8) & 0x00ff00ff)) | 0;
    }
    sum = (sum + even + (even >>> 16) + odd + (odd >>> 16)) & 0xff;
  }
  return sum;
}

function readOffset(view: DataView, at: number): number {
  const high = view.getUint32(at);
  if (high > MAX_HIGH) {
    throw new LadingError(
      'malformed_header',
      `The chunk header names an offset above ${MAX_OFFSET}; offsets are unsigned 64-bit big-endian.`,
      {
        expected: MAX_OFFSET,
      },
    );
  }
  return high * TWO_32 + view.getUint32(at + 4);
}

function writeHeader(bytes: Uint8Array<ArrayBuffer>, header: ChunkHeader): void {
  const { start, end, checksum } = header;
  if (!isOffset(start) || !isOffset(end)) {
    throw new LadingError('malformed_header', `The offsets of a chunk are whole numbers from 0 to ${MAX_OFFSET}.`);
  }
  checkOrder(header);
  const view = new DataView(bytes.buffer, bytes.byteOffset, CHUNK_HEADER_BYTES);
  view.setUint32(0, Math.floor(start / TWO_32));
  view.setUint32(4, start % TWO_32);
  view.setUint32(8, Math.floor(end / TWO_32));
  view.setUint32(12, end % TWO_32);
  view.setUint8(16, checksum);
}

function isOffset(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function checkOrder({ start, end }: ChunkHeader): void {
  if (end < start) {
    throw new LadingError(
      'malformed_header',
      `The chunk header ends at ${end}, before its start ${start}; the end is the offset of the last data byte.`,
    );
  }
}
