/** Whole lists are sent as fast as they are read, and only while the principal may see them. */
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { JSON_ARRAY, pagesOf, WHOLE_LIST_STEP, wholeList } from '../../../src/http/send/whole-lists.ts';

/** A list of numbers in pages, and the number of pages that were requested. */
function numbers(count: number) {
  const seen = { pages: 0, over: false };
  async function* all(): AsyncGenerator<readonly number[], void> {
    try {
      for await (const page of pagesOf(async (at: number | null) => {
        seen.pages += 1;
        const start = at ?? 0;
        const items = Array.from({ length: Math.min(WHOLE_LIST_STEP, count - start) }, (_, n) => start + n);
        const next = start + items.length;
        return { items, next: next < count ? next : null };
      }, null)) {
        yield page;
      }
    } finally {
      seen.over = true;
    }
  }
  return { all, seen };
}

const isAuthorized = (): boolean => true;

test('every entry is sent once, in order', async () => {
  for (const count of [0, 1, WHOLE_LIST_STEP, WHOLE_LIST_STEP + 1, 100_000]) {
    const { all, seen } = numbers(count);
    const whole = JSON.parse(await text(await wholeList(all(), { ...JSON_ARRAY, isAuthorized }))) as number[];
    assert.equal(whole.length, count);
    assert.ok(whole.every((value, n) => value === n));
    assert.ok(seen.over);
  }
});

test('pages are read only on demand, and the list ends when its client leaves', async () => {
  const { all, seen } = numbers(1_000_000);
  const stream = await wholeList(all(), {
    ...JSON_ARRAY,
    entry: (n) => `"${n}${'.'.repeat(500)}"`,
    isAuthorized,
  });
  stream.once('data', () => stream.pause());
  for (let turns = 0; turns < 200; turns += 1) await turn();
  assert.ok(seen.pages < 10, `${seen.pages} pages`);
  stream.destroy();
  for (let turns = 0; turns < 20; turns += 1) await turn();
  assert.ok(seen.over);
});

test('the event loop is free between two pages', async () => {
  const { all, seen } = numbers(100_000);
  let turns = 0;
  let done = false;
  const counting = (async () => {
    for (; !done; turns += 1) await turn();
  })();
  await text(await wholeList(all(), { ...JSON_ARRAY, isAuthorized }));
  done = true;
  await counting;
  assert.ok(turns >= seen.pages / 2, `${turns} turns for ${seen.pages} pages`);
});

test('a list is cut off when its authorization ends, and fails as a request before its first page', async () => {
  let asked = 0;
  const { all } = numbers(1000);
  const stream = await wholeList(all(), { ...JSON_ARRAY, isAuthorized: () => ++asked < 3 });
  await assert.rejects(text(stream), /revoked/);
  const failing = pagesOf(async () => Promise.reject(new Error('no list')), null);
  await assert.rejects(wholeList(failing, { ...JSON_ARRAY, isAuthorized }), /no list/);
});
