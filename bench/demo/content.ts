/** The file of the demo, with its checksums. */
import { createHash, randomFillSync } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { fastCrc32 } from '../../src/client/node.ts';
import { hex32 } from '../../src/protocol/crc32.ts';

const BLOCK = 4_000_000;

export interface Content {
  size: number;
  sha256: string;
  crc32: string;
}

/** Writes a file of random bytes and returns its checksums. */
export function makeFile(source: string, size: number): Content {
  const crcOf = fastCrc32();
  const hash = createHash('sha256');
  let crc = 0;
  const fd = openSync(source, 'w');
  for (let left = size; left > 0; left -= BLOCK) {
    const piece = randomFillSync(Buffer.alloc(Math.min(BLOCK, left)));
    writeSync(fd, piece);
    hash.update(piece);
    crc = crcOf(piece, crc);
  }
  closeSync(fd);
  return { size, sha256: hash.digest('hex'), crc32: hex32(crc) };
}

/** The bytes `first` to `last`, inclusive, of a local file. */
export function slice(path: string, first: number, last: number): Buffer {
  const bytes = Buffer.alloc(last - first + 1);
  const fd = openSync(path, 'r');
  readSync(fd, bytes, 0, bytes.length, first);
  closeSync(fd);
  return bytes;
}

export function sha256Of(path: string, size: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < size; at += BLOCK) hash.update(slice(path, at, Math.min(at + BLOCK, size) - 1));
  return hash.digest('hex');
}
