/**
 * The journal of an upload as bytes; all numbers big-endian.
 *
 *     0            8        12                       28           36       40
 *     +------------+--------+------------------------+------------+--------+
 *     | "LADINGMF" | version| id, 16 bytes           | zeros      | crc32  |   header; crc32 of bytes 0-35
 *     +------------+--------+--+----------------+----+--+---------+--------+
 *     | start      | end       | crc32 | flags  | time  | crc32  | zeros   |   record 0
 *     +------------+-----------+-------+--------+-------+--------+---------+
 *     | u64        | u64       | u32   | u32    | u64   | u32    | u32     |   record 1 …
 *     0            8           16      20       24      32       36       40
 *
 *     zeros up to the size of the file: appends fill them without changing the size
 *
 * The crc32 of a record covers its bytes 0-31 and continues the crc32 of the header. So a record from the journal of another upload,
 * left in a stale block of the disk, is invalid. Zeros are invalid, too.
 *
 * All records have one size, so a damaged record does not affect those after it. A single flipped bit is repaired: exactly one flip makes
 * the checksum match again. Records that cannot be repaired are counted. Bytes after the last intact record are an append that a crash
 * interrupted.
 *
 * The header depends only on the id. Its crc32 reveals damage, and it is then written again. The checksums of the records show whether
 * they belong to this upload.
 */
import type { ManifestRecord } from '../../contracts/manifests.ts';
import { crc32 } from '../../protocol/crc32.ts';

export const RECORD_BYTES = 40;
export const HEADER_BYTES = 40;
const VERSION = 1;
const MAGIC = 'LADINGMF';
const HEADER_CRC = 36;
const RECORD_CRC = 32;
const FLAG_SYNCED = 1;
/** Maximum number of damaged records of one journal that are repaired. A disk that damaged more is not trustworthy. */
const MAX_REPAIRS = 64;

/** A journal grows by one block first, then by its own size, by 64 KiB at most. */
const FIRST_STEP = 4096;
const LAST_STEP = 64 * 1024;

/** The header of the journal of an upload, 40 bytes. */
export function encodeHeader(id: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(Buffer.from(MAGIC, 'latin1'), 0);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, VERSION);
  bytes.set(Buffer.from(id, 'hex'), 12);
  view.setUint32(HEADER_CRC, crc32(bytes.subarray(0, HEADER_CRC)));
  return bytes;
}

/** The bytes of the records, followed by `padding` zeros. */
export function encodeRecords(id: string, records: readonly ManifestRecord[], padding = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(records.length * RECORD_BYTES + padding);
  const view = new DataView(bytes.buffer);
  const seed = headerCrc(id);
  for (const [index, record] of records.entries()) {
    const at = index * RECORD_BYTES;
    view.setBigUint64(at, BigInt(record.start));
    view.setBigUint64(at + 8, BigInt(record.end));
    view.setUint32(at + 16, record.crc32);
    view.setUint32(at + 20, record.synced ? FLAG_SYNCED : 0);
    view.setBigUint64(at + 24, BigInt(record.time));
    view.setUint32(at + RECORD_CRC, crc32(bytes.subarray(at, at + RECORD_CRC), seed));
  }
  return bytes;
}

/** The content of a journal. */
export interface DecodedJournal {
  records: ManifestRecord[];
  /** Number of records that are damaged beyond repair and followed by intact ones. */
  lost: number;
  /** Bytes of the header and of all records up to the last valid one. */
  length: number;
  /** The header must be written again. */
  headerDamaged: boolean;
  /** Bytes other than zeros follow the last valid record. They must be cut off before the next append. */
  trailing: boolean;
}

/** Decodes a journal. Throws an Error for an intact header of another upload or of an unknown version. */
export function decodeJournal(id: string, bytes: Uint8Array): DecodedJournal {
  const headerDamaged = !checkHeader(id, bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const seed = headerCrc(id);
  const records: ManifestRecord[] = [];
  let length = HEADER_BYTES;
  let lost = 0;
  let damaged = 0;
  let repairs = 0;
  for (let at = HEADER_BYTES; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    let record = isIntact(bytes, view, at, seed) ? decodeRecord(view, at) : null;
    if (record === null && repairs < MAX_REPAIRS && bytes.subarray(at, at + RECORD_BYTES).some((byte) => byte !== 0)) {
      repairs += 1;
      record = repairRecord(bytes.subarray(at, at + RECORD_BYTES), seed);
    }
    if (record === null) {
      damaged += 1;
      continue;
    }
    records.push(record);
    length = at + RECORD_BYTES;
    lost += damaged;
    damaged = 0;
  }
  return { records, lost, length, headerDamaged, trailing: bytes.subarray(length).some((byte) => byte !== 0) };
}

function isIntact(bytes: Uint8Array, view: DataView, at: number, seed: number): boolean {
  return view.getUint32(at + RECORD_CRC) === crc32(bytes.subarray(at, at + RECORD_CRC), seed);
}

/** Repairs a record with one flipped bit. Null when more than one bit is wrong. */
function repairRecord(damaged: Uint8Array, seed: number): ManifestRecord | null {
  const bytes = Uint8Array.from(damaged);
  const view = new DataView(bytes.buffer);
  for (let bit = 0; bit < RECORD_BYTES * 8; bit += 1) {
    const byte = bit >> 3;
    const mask = 1 << (bit & 7);
    bytes[byte] = (bytes[byte] ?? 0) ^ mask;
    const record = isIntact(bytes, view, 0, seed) ? decodeRecord(view, 0) : null;
    if (record !== null) return { ...record, repaired: true };
    bytes[byte] = (bytes[byte] ?? 0) ^ mask;
  }
  return null;
}

/** The file size that holds `length` bytes and leaves space for appends. */
export function roomFor(length: number, allocated: number): number {
  if (length <= allocated) return allocated;
  const step = Math.min(Math.max(allocated, FIRST_STEP), LAST_STEP);
  return Math.ceil(length / step) * step;
}

function decodeRecord(view: DataView, at: number): ManifestRecord | null {
  const start = Number(view.getBigUint64(at));
  const end = Number(view.getBigUint64(at + 8));
  const time = Number(view.getBigUint64(at + 24));
  if (start > end || !Number.isSafeInteger(end) || !Number.isSafeInteger(time)) return null;
  // The checksum does not cover the padding. Any other byte than zero in it is damage, too.
  if (view.getUint32(at + 36) !== 0) return null;
  return { start, end, crc32: view.getUint32(at + 16), synced: (view.getUint32(at + 20) & FLAG_SYNCED) !== 0, time };
}

/** False when the header is damaged or incomplete. */
function checkHeader(id: string, bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (view.getUint32(HEADER_CRC) !== crc32(bytes.subarray(0, HEADER_CRC))) return false;
  if (Buffer.compare(bytes.subarray(0, HEADER_BYTES), encodeHeader(id)) === 0) return true;
  throw new Error(`manifest of format version ${view.getUint32(8)} or of another upload: left as it is`);
}

function headerCrc(id: string): number {
  return new DataView(encodeHeader(id).buffer).getUint32(HEADER_CRC);
}
