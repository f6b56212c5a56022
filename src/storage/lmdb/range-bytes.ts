/** Reads the bytes of ranges in the ledger by offset. The rows of a file never overlap. */
import { fileKey, idOf, keyAfter, rangeKey, startOf } from './keys.ts';
import type { Ledger } from './ledger.ts';

export interface Row {
  key: Uint8Array;
  start: number;
  bytes: Uint8Array;
}

export class RangeBytes {
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** The rows of a file with bytes from offset `from` up to `to`, in ascending order. */
  *rows(id: string, from = 0, to = Number.MAX_SAFE_INTEGER): Iterable<Row> {
    const { bytes: table } = this.#ledger;
    const below = from > 0 ? this.#rowAtOrBefore(id, from) : null;
    if (below && below.start + below.bytes.length > from) yield below;
    const first = rangeKey(id, below?.start === from ? from + 1 : from);
    for (const { key, value } of table.getRange({ start: first, end: keyAfter(id), snapshot: false })) {
      const start = startOf(key);
      if (start === null) continue;
      if (start >= to) return;
      yield { key, start, bytes: value };
    }
  }

  /** The rows of a file in groups of adjacent ones, of at most `maxBytes` each. */
  *runs(id: string, maxBytes: number): Iterable<Row[]> {
    let [run, length, end] = [[] as Row[], 0, 0];
    for (const row of this.rows(id)) {
      if (run.length > 0 && (row.start !== end || length + row.bytes.length > maxBytes)) {
        yield run;
        [run, length] = [[], 0];
      }
      run.push(row);
      length += row.bytes.length;
      end = row.start + row.bytes.length;
    }
    if (run.length > 0) yield run;
  }

  /** Offset after the last byte; 0 if the file has no rows. */
  end(id: string): number {
    const last = this.#rowAtOrBefore(id, Number.MAX_SAFE_INTEGER);
    return last ? last.start + last.bytes.length : 0;
  }

  total(id: string): number {
    let total = 0;
    for (const { bytes } of this.rows(id)) total += bytes.length;
    return total;
  }

  /** True if the rows contain every byte below `size`. */
  covers(id: string, size: number): boolean {
    let end = 0;
    for (const { start, bytes } of this.rows(id)) {
      if (start > end) break;
      end = start + bytes.length;
    }
    return end >= size;
  }

  /** All bytes of a file that is entirely in the ledger; null if there are gaps, or more than `limit` bytes. */
  whole(id: string, limit: number): Uint8Array | null {
    const ranges: Uint8Array[] = [];
    let end = 0;
    for (const { start, bytes } of this.rows(id)) {
      if (start !== end || end + bytes.length > limit) return null;
      ranges.push(bytes);
      end += bytes.length;
    }
    return Buffer.concat(ranges);
  }

  /** Fills `into` from the rows. Returns the number of bytes; null if the rows do not contain all of the range. */
  readWhole(id: string, into: Uint8Array, position: number): number | null {
    let done = 0;
    for (const { start, bytes } of this.rows(id, position, position + into.length)) {
      if (start > position + done) return null;
      const slice = bytes.subarray(position + done - start, position + into.length - start);
      into.set(slice, done);
      done += slice.length;
    }
    return done === into.length ? done : null;
  }

  /** The ids of all files with rows in the ledger. */
  *ids(): Iterable<string> {
    let from: Uint8Array = new Uint8Array(0);
    for (;;) {
      const [key] = this.#ledger.records.getKeys({ start: from, limit: 1 });
      if (!key) return;
      const id = idOf(key);
      yield id;
      from = keyAfter(id);
    }
  }

  #rowAtOrBefore(id: string, offset: number): Row | null {
    const range = { start: rangeKey(id, offset), end: fileKey(id), reverse: true, limit: 1 };
    for (const { key, value } of this.#ledger.bytes.getRange(range)) {
      const start = startOf(key);
      if (start !== null && idOf(key) === id) return { key, start, bytes: value };
    }
    return null;
  }
}
