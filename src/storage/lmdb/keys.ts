/** Keys and values of the ledger as bytes. Keys sort by file id, then by offset. */
import type { ManifestRecord } from '../../contracts/manifests.ts';
import { isFileId } from '../names.ts';

const ID_BYTES = 16;
const KEY_BYTES = ID_BYTES + 8;
const RECORD_BYTES = 8 + 8 + 4 + 1 + 8;

/** The key of a file: its id, 32 hexadecimal digits. @throws RangeError for an invalid id */
export function fileKey(id: string): Uint8Array {
  if (!isFileId(id)) throw new RangeError('a file id is 32 lower-case hexadecimal digits');
  return Buffer.from(id, 'hex');
}

/** The key of a range of a file that starts at this offset. */
export function rangeKey(id: string, start: number): Uint8Array {
  const key = Buffer.allocUnsafe(KEY_BYTES);
  key.write(id, 0, 'hex');
  key.writeUInt32BE(Math.floor(start / 2 ** 32), ID_BYTES);
  key.writeUInt32BE(start >>> 0, ID_BYTES + 4);
  return key;
}

/** The first key after those of the file. */
export function keyAfter(id: string): Uint8Array {
  const key = Buffer.alloc(KEY_BYTES + 1, 0xff);
  key.write(id, 0, 'hex');
  return key;
}

/** The file id of a key. */
export function idOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, ID_BYTES).toString('hex');
}

/** The offset of a range key; null for the key of a file. */
export function startOf(key: Uint8Array): number | null {
  if (key.length < KEY_BYTES) return null;
  const view = new DataView(key.buffer, key.byteOffset, KEY_BYTES);
  return view.getUint32(ID_BYTES) * 2 ** 32 + view.getUint32(ID_BYTES + 4);
}

/** A record as bytes; its key is a range key with the number of the record in place of an offset. */
export function encodeRecord({ start, end, crc32, synced, time }: ManifestRecord): Uint8Array {
  const value = Buffer.allocUnsafe(RECORD_BYTES);
  value.writeDoubleBE(start, 0);
  value.writeDoubleBE(end, 8);
  value.writeUInt32BE(crc32 >>> 0, 16);
  value.writeUInt8(synced ? 1 : 0, 20);
  value.writeDoubleBE(time, 21);
  return value;
}

/** Decodes a record; null if the value is not a record of this version. */
export function decodeRecord(value: Uint8Array): ManifestRecord | null {
  if (value.length !== RECORD_BYTES) return null;
  const view = new DataView(value.buffer, value.byteOffset, RECORD_BYTES);
  const [start, end] = [view.getFloat64(0), view.getFloat64(8)];
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || end < start) return null;
  return { start, end, crc32: view.getUint32(16), synced: view.getUint8(20) === 1, time: view.getFloat64(21) };
}
