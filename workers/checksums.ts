/**
 * The fastest checksums this machine has, picked once per thread. Values are those of `src/protocol`: nobody may compute them
 * differently, only sooner.
 */
import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';
import { crc32 as portableCrc32 } from '../src/protocol/crc32.ts';
import { loadSum256 } from './sum256.ts';

/** CRC-32 (IETF) of `bytes`; `seed` is the CRC-32 of what comes before them. */
export type Crc32 = (bytes: Uint8Array, seed: number) => number;

/** Sum of `bytes` modulo 256. */
export type Sum256 = (bytes: Uint8Array) => number;

/** Bytes are summed in slices that stay in a core's cache between one checksum and the other. */
const SLICE = 256 * 1024;

export const crc32: Crc32 = pickCrc32();
export const sum256: Sum256 = loadSum256();

/** Both checksums in one walk over the bytes: each slice is in the cache when the second one reads it. */
export function checksum(bytes: Uint8Array, seed = 0): { crc32: number; sum: number } {
  let crc = seed;
  let sum = 0;
  for (let at = 0; at < bytes.length; at += SLICE) {
    const slice = bytes.subarray(at, at + SLICE);
    crc = crc32(slice, crc);
    sum += sum256(slice);
  }
  return { crc32: crc, sum: sum & 0xff };
}

/** Every candidate that is present here, fastest first. Exported so that tests compare all of them. */
export function crc32Candidates(): { name: string; crc32: Crc32 }[] {
  const found: { name: string; crc32: Crc32 }[] = [];
  const native = loadNative();
  if (native !== null) found.push({ name: '@node-rs/crc32', crc32: native });
  // Absent before Node 20.15 and in other runtimes.
  const builtIn: unknown = Reflect.get(zlib, 'crc32');
  if (typeof builtIn === 'function') {
    // zlib takes no bytes for a question about the initial value, and answers 0.
    found.push({ name: 'zlib', crc32: (bytes, seed) => (bytes.length === 0 ? seed : zlib.crc32(bytes, seed)) });
  }
  found.push({ name: 'crc-32', crc32: portableCrc32 });
  return found;
}

function pickCrc32(): Crc32 {
  return crc32Candidates()[0]?.crc32 ?? portableCrc32;
}

/** The prebuilt module is an optional dependency: a platform without it must still work. */
function loadNative(): Crc32 | null {
  try {
    const native: typeof import('@node-rs/crc32') = createRequire(import.meta.url)('@node-rs/crc32');
    return (bytes, seed) => native.crc32(bytes, seed);
  } catch {
    return null;
  }
}
