import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChunkSize, MIN_PIECE, Plan } from '../../../src/client/transfer/plan.ts';
import type { Extent } from '../../../src/protocol/extents.ts';

const SIZE = 64;

test('pieces that are taken and put back in any order contain every byte exactly once', () => {
  const actions = fc.array(fc.record({ take: fc.boolean(), max: fc.integer({ min: 1, max: 9 }), pick: fc.nat(20) }));
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: SIZE, maxLength: SIZE }), actions, (cells, steps) => {
      const plan = new Plan();
      plan.reset(runsOf(cells), []);
      const taken: Extent[] = [];
      for (const { take, max, pick } of steps) {
        if (take) {
          const piece = plan.take(max);
          if (piece === null) continue;
          assert.ok(piece.end - piece.start < max && piece.end >= piece.start);
          taken.push(piece);
        } else if (taken.length > 0) {
          const [piece] = taken.splice(pick % taken.length, 1);
          if (piece) plan.putBack(piece);
        }
      }
      assert.equal(plan.bytes, cells.filter(Boolean).length - bytesOf(taken).length);
      for (let piece = plan.take(SIZE); piece !== null; piece = plan.take(SIZE)) taken.push(piece);
      assert.deepEqual(
        bytesOf(taken).sort((a, b) => a - b),
        cells.flatMap((cell, at) => (cell ? [at] : [])),
      );
      assert.ok(plan.empty);
    }),
  );
});

test('pieces are taken from the front, and pieces that are put back merge with their neighbours', () => {
  const plan = new Plan();
  plan.reset([{ start: 0, end: 29 }], []);
  const first = plan.take(10);
  const second = plan.take(10);
  assert.deepEqual(
    [first, second],
    [
      { start: 0, end: 9 },
      { start: 10, end: 19 },
    ],
  );
  plan.putBack({ start: 10, end: 19 });
  plan.putBack({ start: 0, end: 9 });
  assert.deepEqual(plan.take(100), { start: 0, end: 29 });
});

test('a reset excludes ranges in flight', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { minLength: SIZE, maxLength: SIZE }),
      fc.array(fc.boolean(), { minLength: SIZE, maxLength: SIZE }),
      (missing, moving) => {
        const plan = new Plan();
        plan.reset(runsOf(missing), runsOf(moving));
        const left: number[] = [];
        for (let piece = plan.take(7); piece !== null; piece = plan.take(7)) left.push(...bytesOf([piece]));
        assert.deepEqual(
          left,
          missing.flatMap((cell, at) => (cell && !moving[at] ? [at] : [])),
        );
      },
    ),
  );
});

test('the chunk size halves with each failure down to a minimum, and doubles after a run of successes up to the requested size', () => {
  const chunkSize = new ChunkSize(1024 * 1024);
  chunkSize.failed();
  assert.equal(chunkSize.bytes, 512 * 1024);
  for (let i = 0; i < 20; i += 1) chunkSize.failed();
  assert.equal(chunkSize.bytes, MIN_PIECE);
  for (let i = 0; i < 7; i += 1) chunkSize.succeeded();
  assert.equal(chunkSize.bytes, MIN_PIECE);
  chunkSize.succeeded();
  assert.equal(chunkSize.bytes, 2 * MIN_PIECE);
  for (let i = 0; i < 200; i += 1) chunkSize.succeeded();
  assert.equal(chunkSize.bytes, 1024 * 1024);
});

test('a requested size below the minimum does not change', () => {
  const chunkSize = new ChunkSize(1000);
  chunkSize.failed();
  assert.equal(chunkSize.bytes, 1000);
});

test('a refused size is never used again, even after many successes', () => {
  const chunkSize = new ChunkSize(1000);
  assert.ok(chunkSize.shrinkBelow(1000));
  assert.equal(chunkSize.bytes, 500);
  for (let i = 0; i < 50; i += 1) chunkSize.succeeded();
  assert.equal(chunkSize.bytes, 500);
  assert.ok(!chunkSize.shrinkBelow(1));
});

function runsOf(cells: readonly boolean[]): Extent[] {
  const runs: Extent[] = [];
  cells.forEach((cell, at) => {
    const last = runs.at(-1);
    if (!cell) return;
    if (last !== undefined && last.end === at - 1) last.end = at;
    else runs.push({ start: at, end: at });
  });
  return runs;
}

function bytesOf(extents: readonly Extent[]): number[] {
  return extents.flatMap(({ start, end }) => Array.from({ length: end - start + 1 }, (_, i) => start + i));
}
