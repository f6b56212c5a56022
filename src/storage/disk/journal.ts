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
 *     zeros up to the file's size: room that appends fill without changing the size
 *
 * A record's own crc32 covers its bytes 0-31 and starts from the header's crc32, so that a record of another upload's journal,
 * come here with a stale block of the disk, is invalid. So are zeros.
 *
 * A record that the disk damaged costs none behind it: all are of one size. One flipped bit is put right, for exactly one flip makes the
 * checksum fit again. What cannot be put right is counted. What follows the last intact record is an append that a crash cut off.
 *
 * Everything in the header follows from the id: a damaged header is known by its crc32 and written again, and the records, which
 * are bound to it, tell whether they belong to this upload.
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
/** Damaged records of one journal that are looked at bit by bit; a disk that damaged more is not to be trusted with them. */
const MAX_REPAIRS = 64;

/** Room is made in steps: a block first, then as much again as there is, up to 64 KiB at a time. */
const FIRST_STEP = 4096;
const LAST_STEP = 64 * 1024;

export function encodeHeader(id: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(Buffer.from(MAGIC, 'latin1'), 0);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, VERSION);
  bytes.set(Buffer.from(id, 'hex'), 12);
  view.setUint32(HEADER_CRC, crc32(bytes.subarray(0, HEADER_CRC)));
  return bytes;
}

/** The records one after the other, followed by `padding` zeros. */
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

export interface DecodedJournal {
  records: ManifestRecord[];
  /** Records that are damaged beyond repair, with intact ones behind them. */
  lost: number;
  /** Bytes of the header and the records up to the last that counts. */
  length: number;
  /** The header must be written again. */
  headerDamaged: boolean;
  /** Something other than zeros follows the last record that counts: it must be cut before anything is appended. */
  trailing: boolean;
}

/** What can be read of a journal. Throws for an intact header that is not this upload's or of a version unknown here. */
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

/** The record that one flipped bit made of this; null when it is more than one. */
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

/** The size that a file should have to hold `length` bytes with room for more. */
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
  // The pad is not under the checksum; anything else than zeros in it is damage all the same.
  if (view.getUint32(at + 36) !== 0) return null;
  return { start, end, crc32: view.getUint32(at + 16), synced: (view.getUint32(at + 20) & FLAG_SYNCED) !== 0, time };
}

/** False when the header is damaged or not whole. */
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
