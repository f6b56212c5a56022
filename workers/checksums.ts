/**
 * The fastest implementations of the checksums on this machine, selected once per thread. Their values equal those of the portable
 * implementations in `src/protocol`.
 */
import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';
import { crc32 as portableCrc32 } from '../src/protocol/crc32.ts';
import { loadSum256 } from './sum256.ts';

/** CRC-32 (IETF) of `bytes`; `seed` is the CRC-32 of the preceding bytes. */
export type Crc32 = (bytes: Uint8Array, seed: number) => number;

/** Sum of `bytes` modulo 256. */
export type Sum256 = (bytes: Uint8Array) => number;

/** Size of a slice, small enough to stay in the cache of a core between the two checksums. */
const SLICE = 256 * 1024;

export const crc32: Crc32 = pickCrc32();
export const sum256: Sum256 = loadSum256();

/** Computes both checksums in one pass. Each slice is still in the cache when the second checksum reads it. */
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

/** The implementations that are available on this machine, fastest first. Exported so that tests compare all of them. */
export function crc32Candidates(): { name: string; crc32: Crc32 }[] {
  const found: { name: string; crc32: Crc32 }[] = [];
  const native = loadNative();
  if (native !== null) found.push({ name: '@node-rs/crc32', crc32: native });
  // Absent before Node 20.15 and in other runtimes.
  const builtIn: unknown = Reflect.get(zlib, 'crc32');
  if (typeof builtIn === 'function') {
    // For an empty input zlib ignores the seed and returns 0.
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
