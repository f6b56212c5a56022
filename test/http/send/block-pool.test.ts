import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Block, BlockPool, SLAB_BYTES } from '../../../src/http/send/block-pool.ts';

const KIB = 1024;

test('blocks never overlap, never exceed the budget, and merge when they are returned', () => {
  const action = fc.oneof(
    fc.record({ take: fc.integer({ min: 1, max: 2 * SLAB_BYTES }), proven: fc.boolean() }, { noNullPrototype: true }),
    fc.record({ give: fc.nat() }, { noNullPrototype: true }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), fc.integer({ min: 1, max: 4 }), (actions, slabs) => {
      const pool = new BlockPool(slabs * SLAB_BYTES);
      const held: Block[] = [];
      for (const each of actions) {
        if ('take' in each) {
          const block = pool.take(each.take, each.proven);
          if (block) held.push(block);
        } else if (held.length > 0) {
          pool.give(held.splice(each.give % held.length, 1)[0] as Block);
        }
        assert.equal(pool.lent, sum(held));
        assert.ok(pool.lent <= pool.budget);
      }
      assertApart(held);
      for (const block of held) pool.give(block);
      assert.equal(pool.lent, 0);
      // All blocks have merged: half of the budget is available in the largest blocks.
      const whole = Array.from({ length: Math.floor(slabs / 2) }, () => pool.take(SLAB_BYTES, true));
      for (const block of whole) assert.equal(block?.bytes.length, SLAB_BYTES);
    }),
  );
});

function sum(blocks: Block[]): number {
  return blocks.reduce((total, { bytes }) => total + bytes.length, 0);
}

function assertApart(blocks: Block[]): void {
  const sorted = blocks
    .map(({ bytes, unit }) => ({ from: unit * 4 * KIB, to: unit * 4 * KIB + bytes.length }))
    .sort((a, b) => a.from - b.from);
  for (const [index, { from }] of sorted.entries()) assert.ok((sorted[index - 1]?.to ?? 0) <= from);
  for (const [index, { bytes }] of blocks.entries()) bytes.fill(index & 0xff);
  for (const [index, { bytes }] of blocks.entries()) assert.ok(bytes.every((byte) => byte === (index & 0xff)));
}

test('a block has the requested size, rounded up, at most 1 MiB', () => {
  const pool = new BlockPool(8 * SLAB_BYTES);
  const sizes = [1, 4 * KIB, 4 * KIB + 1, 60 * KIB, SLAB_BYTES, 3 * SLAB_BYTES];
  assert.deepEqual(
    sizes.map((bytes) => pool.take(bytes, true)?.bytes.length),
    [4 * KIB, 4 * KIB, 8 * KIB, 64 * KIB, SLAB_BYTES, SLAB_BYTES],
  );
});

/** Takes blocks until none is left. Returns them by their size in KiB. */
function takeAll(pool: BlockPool, bytes: number, proven: boolean): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let block = pool.take(bytes, proven); block; block = pool.take(bytes, proven)) {
    const size = block.bytes.length / KIB;
    counts[size] = (counts[size] ?? 0) + 1;
  }
  return counts;
}

test('proven clients get half, blocks up to 64 KiB a quarter, and the smallest a quarter, in the order of arrival', () => {
  const one = new BlockPool(4 * SLAB_BYTES);
  assert.deepEqual(takeAll(one, 64 * KIB, false), { 64: 16, 4: 256 });
  assert.deepEqual(takeAll(one, SLAB_BYTES, true), { 1024: 2 });
  const two = new BlockPool(4 * SLAB_BYTES);
  assert.deepEqual(takeAll(two, SLAB_BYTES, true), { 1024: 2, 64: 16, 4: 256 });
  assert.deepEqual(takeAll(two, 64 * KIB, false), {});
  assert.equal(one.lent + two.lent, 2 * one.budget);
});

test('proven clients do not wait behind new ones', async () => {
  const pool = new BlockPool(4 * SLAB_BYTES);
  takeAll(pool, 64 * KIB, false);
  const newcomer = pool.wait(1, false);
  assert.equal(pool.waiting, 1);
  assert.equal(pool.take(SLAB_BYTES, true)?.bytes.length, SLAB_BYTES);
  assert.equal((await pool.wait(SLAB_BYTES, true).block)?.bytes.length, SLAB_BYTES);
  assert.equal(pool.waiting, 1);
  newcomer.leave();
});

test('waiters are served in turn, and one that leaves gets no block', async () => {
  const pool = new BlockPool(SLAB_BYTES);
  const all: Block[] = [];
  for (const proven of [true, false]) {
    for (let block = pool.take(1, proven); block; block = pool.take(1, proven)) all.push(block);
  }
  const waits = [pool.wait(1, false), pool.wait(1, false), pool.wait(1, false)];
  assert.equal(pool.waiting, 3);
  waits[1]?.leave();
  assert.equal(await waits[1]?.block, null);
  pool.give(all.pop() as Block);
  assert.ok(await waits[0]?.block);
  assert.equal(pool.waiting, 1);
  assert.equal(pool.take(1, false), null, 'not past the queue');
  pool.give(all.pop() as Block);
  assert.ok(await waits[2]?.block);
  assert.equal(pool.waiting, 0);
  waits[0]?.leave();
  assert.equal(pool.lent, pool.budget);
});
