/** Limited concurrency. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forEachConcurrently } from '../src/concurrent.ts';

test('forEachConcurrently runs every item, never exceeds its limit, and throws the first error', async () => {
  let running = 0;
  let peak = 0;
  const seen: number[] = [];
  const items = Array.from({ length: 100 }, (_, i) => i);
  await forEachConcurrently(items, 7, async (item) => {
    running += 1;
    peak = Math.max(peak, running);
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(item);
    running -= 1;
  });
  assert.equal(peak, 7);
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    items,
  );
  await assert.rejects(
    forEachConcurrently([1], 4, () => Promise.reject(new Error('no'))),
    /no/,
  );
  await forEachConcurrently([], 4, () => Promise.reject(new Error('no')));
});
