/**
 * A chunk train on the wire (PROTOCOL.md §8): several chunks in one request body, without separators.
 *
 *     application/vnd.lading.chunks           header (17) data   header (17) data   …
 *     application/vnd.lading.chunks+crc32     header (17) CRC-32 (4, big-endian, of the data) data   …
 */
import { CHUNK_HEADER_BYTES, type ChunkHeader, encodeChunkHeader, parseChunkHeader, sum256 } from './chunk.ts';
import { crc32 } from './crc32.ts';

export const TRAIN_TYPE = 'application/vnd.lading.chunks';
export const TRAIN_CRC32_TYPE = 'application/vnd.lading.chunks+crc32';
/** The media type of a reply with one JSON document per line. */
export const LINES_TYPE = 'application/x-ndjson';

const CRC32_BYTES = 4;

/** What precedes the data of a chunk in a train. */
export interface TrainHeader extends ChunkHeader {
  /** CRC-32 of the data; null in a train of the type without CRC-32. */
  crc32: number | null;
}

/** Number of bytes that precede the data of each chunk. */
export function trainHeaderBytes(hasCrc32: boolean): number {
  return CHUNK_HEADER_BYTES + (hasCrc32 ? CRC32_BYTES : 0);
}

/**
 * Parses what precedes the data of a chunk.
 * @param bytes as many as `trainHeaderBytes` returns
 * @throws LadingError `malformed_header`
 */
export function parseTrainHeader(bytes: Uint8Array): TrainHeader {
  const header = parseChunkHeader(bytes.subarray(0, CHUNK_HEADER_BYTES));
  if (bytes.length === CHUNK_HEADER_BYTES) return { ...header, crc32: null };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { ...header, crc32: view.getUint32(CHUNK_HEADER_BYTES) };
}

/** Encodes one chunk of a train: the header, then `data` (at least one byte), which begins at offset `start` of the file. */
export function encodeTrainChunk(start: number, data: Uint8Array, hasCrc32 = false): Uint8Array<ArrayBuffer> {
  const headerBytes = trainHeaderBytes(hasCrc32);
  const bytes = new Uint8Array(headerBytes + data.length);
  bytes.set(encodeChunkHeader({ start, end: start + data.length - 1, checksum: sum256(data) }));
  if (hasCrc32) new DataView(bytes.buffer).setUint32(CHUNK_HEADER_BYTES, crc32(data));
  bytes.set(data, headerBytes);
  return bytes;
}
