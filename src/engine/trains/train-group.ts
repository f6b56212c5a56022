/** A group: consecutive, verified chunks of a train that one commit stores. */
import { crc32Combine } from '../../protocol/crc32.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FreshExtent } from '../uploads/commit.ts';

/** A chunk of a train; `position` counts from 0. */
export interface TrainPosition {
  position: number;
  /** Absent when the header could not be parsed. */
  start?: number;
  end?: number;
}

/** What one commit added. */
export interface CommittedGroup {
  /** In train order, duplicates included. Adjacent chunks are merged into one extent. */
  committed: Extent[];
  chunks: number;
  /** Data bytes in these chunks. */
  bytes: number;
  /** Number of chunks committed so far, counted from the start of the train. */
  committedChunks: number;
  /** Number of stored bytes of the file. */
  received: number;
  /** Offset of the first byte that is not stored. */
  next: number;
}

export class Group {
  chunks = 0;
  bytes = 0;
  readonly #fresh: FreshExtent[] = [];
  readonly committed: Extent[] = [];
  readonly #releases: (() => void)[] = [];

  add({ start, end }: Extent, fresh: readonly FreshExtent[]): void {
    this.chunks += 1;
    this.bytes += end - start + 1;
    const last = this.committed.at(-1);
    if (last && last.end + 1 === start) last.end = end;
    else this.committed.push({ start, end });
    for (const extent of fresh) addFresh(this.#fresh, extent);
  }

  /** The new extents, disjoint and in ascending order. */
  get ascending(): FreshExtent[] {
    const merged: FreshExtent[] = [];
    for (const extent of this.#fresh.toSorted((a, b) => a.start - b.start)) addFresh(merged, { ...extent });
    return merged;
  }

  /** Registers functions to call when the group has been committed or has failed. */
  onEnd(...releases: (() => void)[]): void {
    this.#releases.push(...releases);
  }

  end(): void {
    for (const release of this.#releases.splice(0)) release();
  }
}

/** Appends an extent, or merges it into the last one if they are adjacent. */
function addFresh(extents: FreshExtent[], extent: FreshExtent): void {
  const last = extents.at(-1);
  if (last && last.end + 1 === extent.start) {
    last.crc32 = crc32Combine(last.crc32, extent.crc32, lengthOf(extent));
    last.end = extent.end;
  } else {
    extents.push(extent);
  }
}
