import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool, LARGE_SEGMENT_BYTES, SMALL_SEGMENT_BYTES } from '../../../src/engine/body/buffer-pool.ts';
import { refused } from '../../support/product/device.ts';

const MIB = 1024 ** 2;
/** A pool with two large segments. */
const TWO_LARGE = 4 * LARGE_SEGMENT_BYTES;
const FOREVER_MS = 2 ** 31 - 1;

/** Takes all segments of a size, so that the next request has to wait. */
function exhaust(pool: BufferPool, size: 'small' | 'large', count: number): ArrayBuffer[] {
  return Array.from({ length: count }, () => {
    const taken = pool.take(size);
    assert.ok(taken instanceof ArrayBuffer, 'a free segment is had at once');
    return taken;
  });
}

test('half of the buffer memory is large segments, a quarter small ones', () => {
  const pool = new BufferPool(8 * LARGE_SEGMENT_BYTES, FOREVER_MS);
  const large = exhaust(pool, 'large', 4);
  const small = exhaust(pool, 'small', (2 * LARGE_SEGMENT_BYTES) / SMALL_SEGMENT_BYTES);
  assert.ok(large.every((buffer) => buffer.byteLength === LARGE_SEGMENT_BYTES));
  assert.ok(small.every((buffer) => buffer.byteLength === SMALL_SEGMENT_BYTES));
  const waiting = [pool.take('large'), pool.take('small')];
  assert.ok(waiting.every((taken) => taken instanceof Promise));
  assert.equal(pool.gauges().segments_large_in_use, 4);
  assert.equal(pool.gauges().segments_small_in_use, small.length);
  assert.equal(pool.gauges().segments_waiting, 2);
  for (const buffer of large) pool.give(buffer, 'large');
  for (const buffer of small) pool.give(buffer, 'small');
});

test('a request without a free segment is refused as overloaded, with a time to retry', async () => {
  const pool = new BufferPool(TWO_LARGE, 1);
  exhaust(pool, 'large', 2);
  const error = await refused(Promise.resolve(pool.take('large')), 'overloaded');
  assert.equal(error.members.retry_after, 1);
  assert.equal(error.status, 503);
  assert.equal(pool.gauges().segments_waiting, 0, 'who was refused waits no more');
});

test('retry_after is the patience in whole seconds', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const pool = new BufferPool(TWO_LARGE, 9_500);
  exhaust(pool, 'large', 2);
  const request = refused(Promise.resolve(pool.take('large')), 'overloaded');
  t.mock.timers.tick(9_499);
  assert.equal(pool.gauges().segments_waiting, 1);
  t.mock.timers.tick(1);
  assert.equal((await request).members.retry_after, 10);
});

test('the longest waiting request gets the next segment', async () => {
  const pool = new BufferPool(TWO_LARGE, FOREVER_MS);
  const taken = exhaust(pool, 'large', 2);
  const order: string[] = [];
  const waiting = ['first', 'second', 'third'].map(async (name) => {
    const buffer = await pool.take('large');
    order.push(name);
    return buffer;
  });
  const [a, b] = taken as [ArrayBuffer, ArrayBuffer];
  pool.give(a, 'large');
  pool.give(b, 'large');
  const third = await waiting[1];
  assert.deepEqual(order, ['first', 'second']);
  pool.give(third as ArrayBuffer, 'large');
  await waiting[2];
  assert.deepEqual(order, ['first', 'second', 'third']);
});

test('large and small segments have separate limits', () => {
  const pool = new BufferPool(TWO_LARGE, FOREVER_MS);
  exhaust(pool, 'small', TWO_LARGE / 4 / SMALL_SEGMENT_BYTES);
  assert.ok(pool.take('large') instanceof ArrayBuffer);
});

test('a returned segment is used again', () => {
  const pool = new BufferPool(TWO_LARGE, FOREVER_MS);
  const [first] = exhaust(pool, 'large', 1) as [ArrayBuffer];
  pool.give(first, 'large');
  assert.equal(pool.take('large'), first);
});

test('a buffer that is returned detached is replaced', async () => {
  for (const size of ['small', 'large'] as const) {
    const pool = new BufferPool(TWO_LARGE, FOREVER_MS);
    const bytes = size === 'large' ? LARGE_SEGMENT_BYTES : SMALL_SEGMENT_BYTES;
    const count = size === 'large' ? 2 : TWO_LARGE / 4 / SMALL_SEGMENT_BYTES;
    const [lost] = exhaust(pool, size, count) as [ArrayBuffer];
    const waiting = pool.take(size);
    structuredClone(lost, { transfer: [lost] });
    assert.equal(lost.byteLength, 0);
    pool.give(lost, size);
    assert.equal((await waiting).byteLength, bytes);
  }
});

test('the buffer limit of a request falls with the number of requests, and the sum stays within the memory', () => {
  const pool = new BufferPool(64 * MIB, FOREVER_MS);
  const quarter = 16 * MIB;
  assert.equal(pool.holdLimit(), SMALL_SEGMENT_BYTES);
  for (let receivers = 1; receivers <= 10_000; receivers += 1) {
    pool.addReceiver();
    assert.ok(pool.holdLimit() * receivers <= Math.max(quarter, SMALL_SEGMENT_BYTES), `${receivers} receivers`);
  }
  assert.ok(pool.holdLimit() >= 1024, 'and stays worth a job');
  for (let receivers = 10_000; receivers > 0; receivers -= 1) pool.removeReceiver();
  assert.equal(pool.holdLimit(), SMALL_SEGMENT_BYTES);
});
