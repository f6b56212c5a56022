/** Plans a transfer: which ranges remain, and how large the next request is. */
import type { Extent } from '../../protocol/extents.ts';

/** The remaining ranges, disjoint and ascending. Pieces are taken from the front, and put back after a failure. */
export class Plan {
  #gaps: Extent[] = [];

  get empty(): boolean {
    return this.#gaps.length === 0;
  }

  /** Number of bytes that are not taken. */
  get bytes(): number {
    return this.#gaps.reduce((sum, gap) => sum + gap.end - gap.start + 1, 0);
  }

  /** Replaces the plan by the missing ranges, except those in flight. */
  reset(missing: readonly Extent[], moving: Iterable<Extent>): void {
    this.#gaps = missing.map(({ start, end }) => ({ start, end }));
    for (const extent of moving) this.#remove(extent);
  }

  /** Takes the next piece of at most `maxBytes` bytes; null when none remain. */
  take(maxBytes: number): Extent | null {
    const gap = this.#gaps[0];
    if (gap === undefined) return null;
    const piece = { start: gap.start, end: Math.min(gap.end, gap.start + maxBytes - 1) };
    if (piece.end === gap.end) this.#gaps.shift();
    else gap.start = piece.end + 1;
    return piece;
  }

  /** Puts back a piece that was taken. */
  putBack(piece: Extent): void {
    const next = this.#gaps.findIndex((gap) => gap.start > piece.end);
    const at = next < 0 ? this.#gaps.length : next;
    const left = this.#gaps[at - 1];
    const right = this.#gaps[at];
    const start = left !== undefined && left.end + 1 === piece.start ? left.start : piece.start;
    const end = right !== undefined && right.start === piece.end + 1 ? right.end : piece.end;
    const first = start < piece.start ? at - 1 : at;
    this.#gaps.splice(first, at - first + (end > piece.end ? 1 : 0), { start, end });
  }

  #remove(extent: Extent): void {
    this.#gaps = this.#gaps.flatMap((gap) => {
      if (gap.end < extent.start || gap.start > extent.end) return [gap];
      const rest: Extent[] = [];
      if (gap.start < extent.start) rest.push({ start: gap.start, end: extent.start - 1 });
      if (gap.end > extent.end) rest.push({ start: extent.end + 1, end: gap.end });
      return rest;
    });
  }
}

/** The minimum piece on a bad link. The overhead of a request is still small beside it. */
export const MIN_PIECE = 16 * 1024;

/** Consecutive successes after which pieces grow again. */
const GROW_AFTER = 8;

/** The size of the next chunk: halved after repeated failures, doubled after a run of successes, up to the requested size. */
export class ChunkSize {
  #maxBytes: number;
  #bytes: number;
  #successes = 0;

  constructor(bytes: number) {
    this.#maxBytes = bytes;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  succeeded(): void {
    this.#successes += 1;
    if (this.#successes < GROW_AFTER || this.#bytes === this.#maxBytes) return;
    this.#successes = 0;
    this.#bytes = Math.min(this.#maxBytes, this.#bytes * 2);
  }

  failed(): void {
    this.#successes = 0;
    this.#bytes = Math.max(Math.min(MIN_PIECE, this.#maxBytes), Math.floor(this.#bytes / 2));
  }

  /** Makes later chunks smaller than a size that the server refused. Returns false when they cannot be smaller. */
  shrinkBelow(bytes: number): boolean {
    if (bytes <= 1) return false;
    this.#maxBytes = Math.min(this.#maxBytes, Math.max(1, Math.floor(bytes / 2)));
    this.#bytes = Math.min(this.#bytes, this.#maxBytes);
    return true;
  }
}
