import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Block, BlockPool, SLAB_BYTES } from '../../src/http/blocks.ts';

const KIB = 1024;

test('blocks never share a byte, never exceed the budget, and put together again when given back', () => {
  const action = fc.oneof(
    fc.record({ take: fc.integer({ min: 1, max: 2 * SLAB_BYTES }) }, { noNullPrototype: true }),
    fc.record({ give: fc.nat() }, { noNullPrototype: true }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), fc.integer({ min: 1, max: 4 }), (actions, slabs) => {
      const pool = new BlockPool(slabs * SLAB_BYTES);
      const held: Block[] = [];
      for (const each of actions) {
        if ('take' in each) {
          const block = pool.take(each.take);
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
      // Whole again: half of the budget can be lent in the largest blocks there are.
      const whole = Array.from({ length: Math.floor(slabs / 2) }, () => pool.take(SLAB_BYTES));
      for (const block of whole) assert.equal(block?.bytes.length, SLAB_BYTES);
    }),
  );
});

function sum(blocks: Block[]): number {
  return blocks.reduce((total, { bytes }) => total + bytes.length, 0);
}

function assertApart(blocks: Block[]): void {
  const sorted = blocks
    .map(({ bytes, place }) => ({ from: place * 4 * KIB, to: place * 4 * KIB + bytes.length }))
    .sort((a, b) => a.from - b.from);
  for (const [index, { from }] of sorted.entries()) assert.ok((sorted[index - 1]?.to ?? 0) <= from);
  for (const [index, { bytes }] of blocks.entries()) bytes.fill(index & 0xff);
  for (const [index, { bytes }] of blocks.entries()) assert.ok(bytes.every((byte) => byte === (index & 0xff)));
}

test('a block is as large as asked for, rounded up, at most 1 MiB', () => {
  const pool = new BlockPool(8 * SLAB_BYTES);
  const sizes = [1, 4 * KIB, 4 * KIB + 1, 60 * KIB, SLAB_BYTES, 3 * SLAB_BYTES];
  assert.deepEqual(
    sizes.map((bytes) => pool.take(bytes)?.bytes.length),
    [4 * KIB, 4 * KIB, 8 * KIB, 64 * KIB, SLAB_BYTES, SLAB_BYTES],
  );
});

test('large blocks leave half of the budget, middle ones a quarter, and the smallest take all', () => {
  const pool = new BlockPool(4 * SLAB_BYTES);
  const taken = (bytes: number): number => {
    let count = 0;
    for (let size = bytes; size === bytes; count += 1) size = pool.take(bytes)?.bytes.length ?? 0;
    return count;
  };
  // The last of each kind was a smaller one.
  assert.equal(taken(SLAB_BYTES) - 1, 2);
  assert.equal(pool.lent, 2 * SLAB_BYTES + 64 * KIB);
  taken(64 * KIB);
  assert.equal(pool.lent, 3 * SLAB_BYTES + 4 * KIB);
  taken(4 * KIB);
  assert.equal(pool.lent, pool.budget);
  assert.equal(pool.take(1), null);
});

test('who waits is served in turn, and who leaves gets nothing', async () => {
  const pool = new BlockPool(SLAB_BYTES);
  const all: Block[] = [];
  for (let block = pool.take(1); block; block = pool.take(1)) all.push(block);
  const waits = [pool.wait(1), pool.wait(1), pool.wait(1)];
  assert.equal(pool.waiting, 3);
  waits[1]?.leave();
  assert.equal(await waits[1]?.block, null);
  pool.give(all.pop() as Block);
  assert.ok(await waits[0]?.block);
  assert.equal(pool.waiting, 1);
  assert.equal(pool.take(1), null, 'not past the queue');
  pool.give(all.pop() as Block);
  assert.ok(await waits[2]?.block);
  assert.equal(pool.waiting, 0);
  waits[0]?.leave();
  assert.equal(pool.lent, pool.budget);
});
