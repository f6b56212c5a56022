import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChunkSize, MIN_PIECE, Plan } from '../../../src/client/transfer/plan.ts';
import type { Extent } from '../../../src/protocol/extents.ts';

const SIZE = 64;

test('taking and putting back in any order keeps every byte exactly once', () => {
  const actions = fc.array(fc.record({ take: fc.boolean(), most: fc.integer({ min: 1, max: 9 }), pick: fc.nat(20) }));
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: SIZE, maxLength: SIZE }), actions, (cells, steps) => {
      const plan = new Plan();
      plan.reset(runsOf(cells), []);
      const taken: Extent[] = [];
      for (const { take, most, pick } of steps) {
        if (take) {
          const piece = plan.take(most);
          if (piece === null) continue;
          assert.ok(piece.end - piece.start < most && piece.end >= piece.start);
          taken.push(piece);
        } else if (taken.length > 0) {
          const [piece] = taken.splice(pick % taken.length, 1);
          if (piece) plan.put(piece);
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

test('pieces come from the front, and what was put back comes again as one with its neighbours', () => {
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
  plan.put({ start: 10, end: 19 });
  plan.put({ start: 0, end: 9 });
  assert.deepEqual(plan.take(100), { start: 0, end: 29 });
});

test('a reset leaves out what is being moved', () => {
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

test('the stride halves with failures down to a floor and doubles after a run of successes up to what was asked for', () => {
  const stride = new ChunkSize(1024 * 1024);
  stride.failed();
  assert.equal(stride.bytes, 512 * 1024);
  for (let i = 0; i < 20; i += 1) stride.failed();
  assert.equal(stride.bytes, MIN_PIECE);
  for (let i = 0; i < 7; i += 1) stride.succeeded();
  assert.equal(stride.bytes, MIN_PIECE);
  stride.succeeded();
  assert.equal(stride.bytes, 2 * MIN_PIECE);
  for (let i = 0; i < 200; i += 1) stride.succeeded();
  assert.equal(stride.bytes, 1024 * 1024);
});

test('a stride below the floor stays what was asked for', () => {
  const stride = new ChunkSize(1000);
  stride.failed();
  assert.equal(stride.bytes, 1000);
});

test('a refused size is never tried again, however well the rest goes', () => {
  const stride = new ChunkSize(1000);
  assert.ok(stride.tooLarge(1000));
  assert.equal(stride.bytes, 500);
  for (let i = 0; i < 50; i += 1) stride.succeeded();
  assert.equal(stride.bytes, 500);
  assert.ok(!stride.tooLarge(1));
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
