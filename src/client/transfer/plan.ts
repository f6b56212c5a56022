/** What a transfer still has to move: which bytes, in pieces of which size. */
import type { Extent } from '../../protocol/extents.ts';

/** Disjoint extents, ascending; pieces are taken from the front and put back when they failed. */
export class Plan {
  #gaps: Extent[] = [];

  get empty(): boolean {
    return this.#gaps.length === 0;
  }

  /** Number of bytes that nobody has taken. */
  get bytes(): number {
    return this.#gaps.reduce((sum, gap) => sum + gap.end - gap.start + 1, 0);
  }

  /** Starts anew with what is missing, without what is being moved right now. */
  reset(missing: readonly Extent[], moving: Iterable<Extent>): void {
    this.#gaps = missing.map(({ start, end }) => ({ start, end }));
    for (const extent of moving) this.#remove(extent);
  }

  /** The next piece, of at most `most` bytes. */
  take(most: number): Extent | null {
    const gap = this.#gaps[0];
    if (gap === undefined) return null;
    const piece = { start: gap.start, end: Math.min(gap.end, gap.start + most - 1) };
    if (piece.end === gap.end) this.#gaps.shift();
    else gap.start = piece.end + 1;
    return piece;
  }

  /** Puts back a piece that was taken. */
  put(piece: Extent): void {
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

/** The smallest piece that a bad link is asked to carry: the price of a request is still small beside it. */
export const MIN_PIECE = 16 * 1024;

/** Successes in a row after which pieces grow again. */
const GROW_AFTER = 8;

/** The size of the next piece: halved when pieces fail again and again, doubled after a run of successes, up to what was asked for. */
export class ChunkSize {
  #most: number;
  #bytes: number;
  #successes = 0;

  constructor(bytes: number) {
    this.#most = bytes;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  succeeded(): void {
    this.#successes += 1;
    if (this.#successes < GROW_AFTER || this.#bytes === this.#most) return;
    this.#successes = 0;
    this.#bytes = Math.min(this.#most, this.#bytes * 2);
  }

  failed(): void {
    this.#successes = 0;
    this.#bytes = Math.max(Math.min(MIN_PIECE, this.#most), Math.floor(this.#bytes / 2));
  }

  /** A piece of this many bytes is refused for its size: none may be as large again. False when it cannot be smaller. */
  tooLarge(bytes: number): boolean {
    if (bytes <= 1) return false;
    this.#most = Math.min(this.#most, Math.max(1, Math.floor(bytes / 2)));
    this.#bytes = Math.min(this.#bytes, this.#most);
    return true;
  }
}
