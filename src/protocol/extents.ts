/**
 * Which bytes of a file are stored.
 *
 *     buckets   [ 0-99 200-299 … ]  [ 5000-5099 … ]  [ … ]        each at most 512 runs, ascending
 *                                     ^ start end crc32            between two runs there is always a gap
 *
 * A lookup is a binary search over the buckets, then one inside a bucket. An addition moves the runs of one bucket at most, and a full
 * bucket splits in two. The cost hardly depends on the number of runs or on the order in which chunks arrive.
 */
import { crc32Combine } from './crc32.ts';

/** Bytes `start` to `end` of a file, both inclusive; `end >= start`. */
export interface Extent {
  start: number;
  end: number;
}

/** A part of an extent that is either all stored or all missing. */
export interface Slice {
  extent: Extent;
  stored: boolean;
}

interface Run {
  start: number;
  end: number;
  crc32: number;
}

/** A place in the set: bucket and index in it. */
interface Place {
  bucket: number;
  index: number;
}

const BUCKET_RUNS = 512;

/** Number of bytes in an extent. */
export function lengthOf(extent: Extent): number {
  return extent.end - extent.start + 1;
}

/** Disjoint runs of bytes; adjacent ones are merged, and each carries the CRC-32 of its bytes. */
export class ExtentSet {
  /** No bucket is ever empty. */
  readonly #buckets: Run[][] = [];
  #bytes = 0;
  #runs = 0;

  /** Number of bytes in the set. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Number of disjoint runs. */
  get runs(): number {
    return this.#runs;
  }

  /** Highest end + 1, 0 when empty. */
  get end(): number {
    const last = this.#buckets.at(-1)?.at(-1);
    return last === undefined ? 0 : last.end + 1;
  }

  /** Adds bytes that are not stored yet, with the CRC-32 of exactly these bytes. Throws RangeError if they overlap stored bytes. */
  add(extent: Extent, crc32: number): void {
    if (extent.end < extent.start) throw new RangeError('the extent is empty');
    const place = this.#placeOf(extent.start);
    const left = this.#at(place);
    const right = this.#at(this.#next(place));
    if ((left !== undefined && left.end >= extent.start) || (right !== undefined && right.start <= extent.end)) {
      throw new RangeError('the extent overlaps stored bytes');
    }
    const length = lengthOf(extent);
    const meetsRight = right !== undefined && right.start === extent.end + 1;
    if (left !== undefined && left.end + 1 === extent.start) {
      left.crc32 = crc32Combine(left.crc32, crc32, length);
      left.end = extent.end;
      if (meetsRight) {
        left.crc32 = crc32Combine(left.crc32, right.crc32, lengthOf(right));
        left.end = right.end;
        this.#remove(this.#next(place));
      }
    } else if (meetsRight) {
      right.crc32 = crc32Combine(crc32, right.crc32, lengthOf(right));
      right.start = extent.start;
    } else {
      this.#insertAfter(place, { start: extent.start, end: extent.end, crc32 });
    }
    this.#bytes += length;
  }

  /** True when every byte of the extent is stored. */
  covers(extent: Extent): boolean {
    const run = this.#at(this.#placeOf(extent.start));
    return run !== undefined && run.end >= extent.end;
  }

  /** True when at least one byte of the extent is stored. */
  overlaps(extent: Extent): boolean {
    const run = this.#at(this.#placeOf(extent.end));
    return run !== undefined && run.end >= extent.start;
  }

  /** The offset of the first byte that is not stored. */
  firstGap(): number {
    return this.runEnd(0);
  }

  /** The first byte at or after `position` that is not stored; `position` itself when it is in a gap. */
  runEnd(position: number): number {
    const run = this.#at(this.#placeOf(position));
    return run !== undefined && run.end >= position ? run.end + 1 : position;
  }

  /** Cuts the extent at every border between stored and missing bytes. The slices ascend and cover exactly the extent. */
  split(extent: Extent): Slice[] {
    const slices: Slice[] = [];
    let position = extent.start;
    let place = this.#placeOf(extent.start);
    if (place.index < 0) place = this.#next(place);
    const take = (last: number, stored: boolean) => {
      const end = Math.min(last, extent.end);
      if (end < position) return;
      slices.push({ extent: { start: position, end }, stored });
      position = end + 1;
    };
    while (position <= extent.end) {
      const run = this.#at(place);
      take(run === undefined ? extent.end : run.start - 1, false);
      if (run !== undefined) take(run.end, true);
      place = this.#next(place);
    }
    return slices;
  }

  /**
   * The first `limit` gaps below the offset `below`, as ascending inclusive pairs. `more` is true if more gaps exist. The work depends
   * on `limit`, not on the number of runs.
   */
  gaps(below: number, limit: number): { gaps: [number, number][]; more: boolean } {
    const gaps: [number, number][] = [];
    let position = 0;
    let place: Place = { bucket: 0, index: 0 };
    while (position < below) {
      const run = this.#at(place);
      const end = Math.min(run === undefined ? below : run.start, below);
      if (end > position) {
        if (gaps.length >= limit) return { gaps, more: true };
        gaps.push([position, end - 1]);
      }
      if (run === undefined) break;
      position = run.end + 1;
      place = this.#next(place);
    }
    return { gaps, more: false };
  }

  /** The CRC-32 of bytes 0 to `size` - 1 if the set consists of exactly these bytes (0 if `size` is 0). Otherwise null. */
  crc32IfComplete(size: number): number | null {
    if (this.#bytes !== size || this.#runs > 1) return null;
    const run = this.#buckets[0]?.[0];
    if (run === undefined) return 0;
    return run.start === 0 ? run.crc32 : null;
  }

  /** The runs in ascending order, each with the CRC-32 of its bytes. */
  *entries(): Generator<Readonly<Run>> {
    for (const runs of this.#buckets) yield* runs;
  }

  #at(place: Place): Run | undefined {
    return this.#buckets[place.bucket]?.[place.index];
  }

  /** Place of the last run that starts at or before `position`; index -1 in the first bucket if no run does. */
  #placeOf(position: number): Place {
    const bucket = Math.max(
      0,
      lastAtOrBefore(this.#buckets.length, (i) => this.#buckets[i]?.[0]?.start, position),
    );
    const runs = this.#buckets[bucket];
    return { bucket, index: lastAtOrBefore(runs?.length ?? 0, (i) => runs?.[i]?.start, position) };
  }

  #next({ bucket, index }: Place): Place {
    const runs = this.#buckets[bucket];
    return runs !== undefined && index + 1 < runs.length
      ? { bucket, index: index + 1 }
      : { bucket: bucket + 1, index: 0 };
  }

  #insertAfter({ bucket, index }: Place, run: Run): void {
    this.#runs += 1;
    const runs = this.#buckets[bucket];
    if (runs === undefined) {
      this.#buckets.push([run]);
      return;
    }
    runs.splice(index + 1, 0, run);
    if (runs.length <= BUCKET_RUNS) return;
    // In file order the last bucket grows at its end only: leave it full and open a new one instead of halving it.
    const ascending = bucket === this.#buckets.length - 1 && index + 2 === runs.length;
    this.#buckets.splice(bucket + 1, 0, runs.splice(ascending ? BUCKET_RUNS : BUCKET_RUNS / 2));
  }

  #remove({ bucket, index }: Place): void {
    this.#runs -= 1;
    const runs = this.#buckets[bucket];
    runs?.splice(index, 1);
    if (runs?.length === 0) this.#buckets.splice(bucket, 1);
  }
}

/** Index of the last of `count` ascending values that is at most `limit`; -1 if none is. */
function lastAtOrBefore(count: number, valueAt: (index: number) => number | undefined, limit: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const value = valueAt(middle);
    if (value !== undefined && value <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
