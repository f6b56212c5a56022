import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { type Extent, ExtentSet, lengthOf } from '../../src/protocol/extents.ts';

const FILE = 400;
/** Byte n of the file that every model test uploads. */
const CONTENT = Uint8Array.from({ length: FILE }, (_, n) => (n * 167 + (n >> 3)) & 0xff);
const crcOf = ({ start, end }: Extent) => zlib.crc32(CONTENT.subarray(start, end + 1));

/** A model of the set with one flag per byte. */
class Model {
  readonly flags: boolean[] = new Array(FILE).fill(false);

  parts(extent: Extent, of: boolean | 'both'): { extent: Extent; stored: boolean }[] {
    const parts: { extent: Extent; stored: boolean }[] = [];
    for (let at = extent.start; at <= extent.end; at += 1) {
      const stored = this.flags[at] === true;
      const last = parts.at(-1);
      if (last !== undefined && last.stored === stored) last.extent.end = at;
      else parts.push({ extent: { start: at, end: at }, stored });
    }
    return of === 'both' ? parts : parts.filter((part) => part.stored === of);
  }

  end(position: number): number {
    let at = position;
    while (this.flags[at] === true) at += 1;
    return at;
  }
}

const extentIn = (longest: number) =>
  fc
    .tuple(fc.nat(FILE - 1), fc.nat(longest - 1))
    .map(([start, more]) => ({ start, end: Math.min(start + more, FILE - 1) }));

/** Adds the bytes of the extent that are not stored yet, as an upload does. */
function addNew(set: ExtentSet, model: Model, extent: Extent): void {
  for (const { extent: part, stored } of set.split(extent)) {
    if (stored) continue;
    set.add(part, crcOf(part));
    model.flags.fill(true, part.start, part.end + 1);
  }
}

function compare(set: ExtentSet, model: Model): void {
  const runs = model.parts({ start: 0, end: FILE - 1 }, true);
  assert.equal(set.bytes, model.flags.filter(Boolean).length);
  assert.equal(set.runs, runs.length);
  assert.equal(set.end, model.flags.lastIndexOf(true) + 1);
  assert.equal(set.firstGap(), model.end(0));
  const listed = runs.map(({ extent }) => ({ ...extent, crc32: crcOf(extent) }));
  assert.deepEqual([...set.entries()], listed);
  for (const size of [0, set.bytes, set.end, FILE]) {
    const exactly = runs.length === 1 && runs[0]?.extent.start === 0 && runs[0].extent.end === size - 1;
    const expected = exactly ? zlib.crc32(CONTENT.subarray(0, size)) : size === 0 && runs.length === 0 ? 0 : null;
    assert.equal(set.crc32IfComplete(size), expected);
  }
}

test('any additions in any order agree with a model of one flag per byte', () => {
  const adds = fc.array(extentIn(40), { maxLength: 60 });
  fc.assert(
    fc.property(
      adds,
      fc.array(extentIn(FILE), { maxLength: 10 }),
      fc.nat(FILE),
      fc.nat(20),
      (extents, asked, below, most) => {
        const set = new ExtentSet();
        const model = new Model();
        for (const extent of extents) {
          addNew(set, model, extent);
          compare(set, model);
        }
        for (const extent of asked) {
          assert.equal(set.covers(extent), model.parts(extent, false).length === 0);
          assert.equal(set.overlaps(extent), model.parts(extent, true).length > 0);
          assert.equal(set.runEnd(extent.start), model.end(extent.start));
          assert.deepEqual(set.split(extent), model.parts(extent, 'both'));
        }
        const gaps = model
          .parts({ start: 0, end: below - 1 }, false)
          .map((part) => [part.extent.start, part.extent.end]);
        assert.deepEqual(set.gaps(below, most), { gaps: gaps.slice(0, most), more: gaps.length > most });
      },
    ),
  );
});

test('chunks of a file in any order and of any size become one run with the CRC-32 of the file', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: FILE - 1 }), { maxLength: 80 }),
      fc.infiniteStream(fc.nat()),
      (cuts, keys) => {
        const borders = [0, ...cuts.sort((a, b) => a - b), FILE];
        const chunks = borders.slice(1).map((border, i) => ({ start: borders[i] ?? 0, end: border - 1 }));
        const shuffled = chunks.map((chunk) => ({ chunk, key: keys.next().value ?? 0 })).sort((a, b) => a.key - b.key);
        const set = new ExtentSet();
        for (const { chunk } of shuffled) set.add(chunk, crcOf(chunk));
        assert.equal(set.runs, 1);
        assert.equal(set.crc32IfComplete(FILE), zlib.crc32(CONTENT));
      },
    ),
  );
});

/** A fixed, non-sequential order of 0 to count-1. `step` must be coprime to `count`. */
function permutation(count: number, step: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * step) % count);
}

test('thousands of runs span many buckets and merge into one when the gaps are filled', () => {
  for (const step of [1, 4999, 7]) {
    const count = 5000;
    const set = new ExtentSet();
    const zero = zlib.crc32(new Uint8Array(1));
    for (const i of permutation(count, step)) set.add({ start: 2 * i, end: 2 * i }, zero);
    assert.equal(set.runs, count);
    assert.equal(set.bytes, count);
    assert.equal(set.end, 2 * count - 1);
    assert.equal(set.split({ start: 0, end: 2 * count - 1 }).length, 2 * count);
    for (let i = 0; i < count; i += 1) {
      assert.equal(set.covers({ start: 2 * i, end: 2 * i }), true);
      assert.equal(set.overlaps({ start: 2 * i + 1, end: 2 * i + 1 }), false);
      assert.equal(set.runEnd(2 * i), 2 * i + 1);
    }
    const { gaps, more } = set.gaps(2 * count, 1000);
    assert.deepEqual([gaps.length, gaps[0], gaps[999], more], [1000, [1, 1], [1999, 1999], true]);
    for (const i of permutation(count, 3)) set.add({ start: 2 * i + 1, end: 2 * i + 1 }, zero);
    assert.equal(set.runs, 1);
    assert.equal(set.crc32IfComplete(2 * count), zlib.crc32(new Uint8Array(2 * count)));
    assert.deepEqual(set.gaps(2 * count, 1), { gaps: [], more: false });
  }
});

test('an extent that is empty or overlaps stored bytes is refused and changes nothing', () => {
  const set = new ExtentSet();
  set.add({ start: 10, end: 19 }, 1);
  set.add({ start: 30, end: 39 }, 2);
  for (const [start, end] of [
    [10, 19],
    [0, 10],
    [19, 25],
    [12, 13],
    [0, 100],
    [25, 30],
    [39, 39],
    [5, 4],
  ] as const) {
    assert.throws(() => set.add({ start, end }, 3), RangeError, `${start}-${end}`);
  }
  assert.deepEqual([set.bytes, set.runs, set.end], [20, 2, 40]);
});

test('offsets up to 2^53 - 1 are supported', () => {
  const top = Number.MAX_SAFE_INTEGER;
  const set = new ExtentSet();
  set.add({ start: top, end: top }, 7);
  set.add({ start: 2 ** 40, end: 2 ** 40 + 9 }, 8);
  assert.equal(set.end, 2 ** 53);
  assert.equal(set.runEnd(top), 2 ** 53);
  assert.deepEqual(set.gaps(2 ** 53, 5).gaps, [
    [0, 2 ** 40 - 1],
    [2 ** 40 + 10, top - 1],
  ]);
  set.add({ start: 2 ** 40 + 10, end: top - 1 }, 9);
  set.add({ start: 0, end: 2 ** 40 - 1 }, 10);
  assert.equal(set.bytes, 2 ** 53);
  assert.equal(set.runs, 1);
  assert.equal(lengthOf({ start: 0, end: top }), 2 ** 53);
  assert.notEqual(set.crc32IfComplete(2 ** 53), null);
});

test('an empty set covers nothing and is one gap', () => {
  const set = new ExtentSet();
  assert.deepEqual([set.bytes, set.runs, set.end, set.firstGap(), set.runEnd(5)], [0, 0, 0, 0, 5]);
  assert.equal(set.covers({ start: 0, end: 0 }), false);
  assert.equal(set.overlaps({ start: 0, end: 99 }), false);
  assert.deepEqual(set.split({ start: 3, end: 5 }), [{ extent: { start: 3, end: 5 }, stored: false }]);
  assert.deepEqual(set.gaps(10, 0), { gaps: [], more: true });
  assert.deepEqual(set.gaps(0, 10), { gaps: [], more: false });
  assert.deepEqual(set.gaps(10, 1), { gaps: [[0, 9]], more: false });
});
