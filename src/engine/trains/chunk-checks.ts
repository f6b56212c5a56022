/** Checks on the chunks of a train: checksums and quota. */
import type { LadingError } from '../../errors.ts';
import { hex32 } from '../../protocol/crc32.ts';
import type { TrainHeader } from '../../protocol/train.ts';
import type { ChunkPack } from '../body/chunk-pack.ts';
import { checksumMismatch } from '../files/refusals.ts';
import type { TrainPosition } from './train-group.ts';
import type { TrainTarget } from './train-target.ts';

/** The error for a chunk whose checksums do not match its data; null when they match. */
export function mismatch(chunk: TrainHeader, sum: number, crc32: number): LadingError | null {
  if (sum !== chunk.checksum) {
    const what = 'The sum of the data bytes modulo 256 differs from the chunk header.';
    return checksumMismatch(what, chunk.checksum, sum);
  }
  if (chunk.crc32 === null || chunk.crc32 === crc32) return null;
  return checksumMismatch(
    'The CRC-32 of the data differs from the one that follows the chunk header.',
    hex32(chunk.crc32),
    hex32(crc32),
  );
}

/** The quota reserved for a pack. */
export interface Quota {
  release(): void;
  /** The first chunk that exceeds the quota, with the error; null when all chunks fit. */
  refusal: { error: unknown; chunk: TrainPosition } | null;
}

/** Reserves quota for a pack. Drops the first chunk that exceeds the quota and all chunks after it from the pack. */
export function reserveQuota(target: TrainTarget, pack: ChunkPack): Quota {
  try {
    return { release: target.reserveQuota(pack.ranges), refusal: null };
  } catch {
    return reserveByChunk(target, pack);
  }
}

function reserveByChunk(target: TrainTarget, pack: ChunkPack): Quota {
  const releases: (() => void)[] = [];
  const release = (): void => {
    for (const each of releases) each();
  };
  for (const [index, range] of pack.ranges.entries()) {
    try {
      releases.push(target.reserveQuota([range]));
    } catch (error) {
      const { start, end } = range.extent;
      pack.cutTo(index);
      return { release, refusal: { error, chunk: { position: pack.first + index, start, end } } };
    }
  }
  return { release, refusal: null };
}
