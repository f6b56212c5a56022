/** What a commit of a train makes count: chunks that follow one another in the train, all of them verified. */
import { crc32Combine } from '../../protocol/crc32.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FreshExtent } from '../uploads/commit.ts';

/** A chunk of a train; `position` counts from 0. */
export interface TrainPosition {
  position: number;
  /** Absent when its header cannot be read. */
  start?: number;
  end?: number;
}

/** What one commit added. */
export interface CommittedGroup {
  /** In the order of the train; chunks that follow each other are one extent. Duplicates are among them. */
  committed: Extent[];
  chunks: number;
  /** Data bytes of these chunks. */
  bytes: number;
  /** Chunks of the train that count so far; they are its first ones. */
  committedChunks: number;
  /** Stored bytes of the file. */
  received: number;
  /** The first byte that is not stored. */
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

  /** Its new extents, disjoint and in the order of the file. */
  get ascending(): FreshExtent[] {
    const merged: FreshExtent[] = [];
    for (const extent of this.#fresh.toSorted((a, b) => a.start - b.start)) addFresh(merged, { ...extent });
    return merged;
  }

  /** Adds functions to be called once the group is committed or failed. */
  onEnd(...releases: (() => void)[]): void {
    this.#releases.push(...releases);
  }

  end(): void {
    for (const release of this.#releases.splice(0)) release();
  }
}

/** Adds an extent; one that follows the last extends it. */
function addFresh(extents: FreshExtent[], extent: FreshExtent): void {
  const last = extents.at(-1);
  if (last && last.end + 1 === extent.start) {
    last.crc32 = crc32Combine(last.crc32, extent.crc32, lengthOf(extent));
    last.end = extent.end;
  } else {
    extents.push(extent);
  }
}
