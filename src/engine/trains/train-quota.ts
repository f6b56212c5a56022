/** Reserves quota for the chunks of a train. */
import type { ChunkPack } from '../body/chunk-pack.ts';
import type { TrainPosition } from './train-group.ts';
import type { TrainTarget } from './train-target.ts';

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
