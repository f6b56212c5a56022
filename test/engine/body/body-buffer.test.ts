import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BodyBuffer } from '../../../src/engine/body/body-buffer.ts';
import { LadingError } from '../../../src/errors.ts';
import { content, settle, turnsUntil } from '../../support/product/device.ts';

interface Rig {
  source: PassThrough;
  inbox: BodyBuffer;
  /** Every reported number of bytes. */
  seen: number[];
  limit: { bytes: number };
}

function rig(limitBytes: number): Rig {
  const source = new PassThrough({ highWaterMark: 1 });
  const limit = { bytes: limitBytes };
  const seen: number[] = [];
  const inbox = new BodyBuffer(
    source,
    () => limit.bytes,
    (count) => seen.push(count),
  );
  return { source, inbox, seen, limit };
}

function drain(inbox: BodyBuffer, most: number): Buffer {
  const into = Buffer.alloc(most);
  return into.subarray(0, inbox.drainInto(into));
}

test('bytes leave the buffer in the order in which they arrived', async () => {
  const { source, inbox } = rig(1000);
  const bytes = content(0, 300);
  for (const [from, to] of [
    [0, 1],
    [1, 100],
    [100, 102],
    [102, 300],
  ] as const)
    source.write(bytes.subarray(from, to));
  source.end();
  await inbox.waitFor(300, null);
  const out: Buffer[] = [];
  for (const most of [3, 97, 1, 150, 200]) out.push(drain(inbox, most));
  assert.deepEqual(
    out.map((piece) => piece.length),
    [3, 97, 1, 150, 49],
  );
  assert.deepEqual(Buffer.concat(out), Buffer.from(bytes));
  assert.equal(inbox.bytes, 0);
  assert.equal(inbox.arrived, 300);
});

test('every arrival is reported with its size', async () => {
  const { source, inbox, seen } = rig(1000);
  source.write(content(0, 5));
  await inbox.waitFor(5, null);
  source.write(content(5, 7));
  await inbox.waitFor(12, null);
  assert.deepEqual(seen, [5, 7]);
});

test('the buffer pauses the source at its limit, and resumes it when drained', async () => {
  const { source, inbox } = rig(100);
  for (let i = 0; i < 50; i += 1) source.write(content(i * 10, 10));
  await inbox.waitFor(1000, null);
  await settle();
  assert.equal(inbox.bytes, 100, 'it holds its limit and no more');
  assert.ok(inbox.isPaused);
  assert.ok(source.isPaused());
  assert.equal(drain(inbox, 30).length, 30);
  assert.ok(!inbox.isPaused);
  await turnsUntil(() => inbox.isPaused);
  assert.equal(inbox.bytes, 100, 'it filled up again, up to the limit');
});

test('a reader that waits for more than the limit is served at the limit', async () => {
  const { source, inbox } = rig(64);
  source.write(content(0, 64));
  await inbox.waitFor(10_000, null);
  assert.equal(inbox.bytes, 64);
});

test('a limit that rises resumes a paused source', async () => {
  const { source, inbox, limit } = rig(10);
  source.write(content(0, 10));
  await turnsUntil(() => inbox.isPaused);
  limit.bytes = 40;
  source.write(content(10, 30));
  await inbox.waitFor(40, null);
  assert.deepEqual(drain(inbox, 40), Buffer.from(content(0, 40)));
});

test('a limit that falls serves the waiting reader at the next check', async () => {
  const { source, inbox, limit } = rig(100);
  source.write(content(0, 50));
  const served = inbox.waitFor(100, null).then(() => inbox.bytes);
  await turnsUntil(() => inbox.bytes === 50);
  limit.bytes = 40;
  inbox.adjust();
  assert.equal(await served, 50);
});

test('a check resumes a paused source when the limit has risen', async () => {
  const { source, inbox, limit } = rig(10);
  const served = inbox.waitFor(5, null);
  source.write(content(0, 10));
  await served;
  await turnsUntil(() => inbox.isPaused);
  inbox.adjust();
  assert.ok(inbox.isPaused, 'not while it holds its limit');
  limit.bytes = 40;
  inbox.adjust();
  assert.ok(!inbox.isPaused);
});

test('small blocks are joined, so that a sender of single bytes does not cost an object for each', () => {
  const { source, inbox } = rig(200_000);
  const bytes = content(0, 100_000);
  const pieces: Buffer[] = [];
  for (const byte of bytes) {
    const piece = Buffer.from([byte]);
    pieces.push(piece);
    source.emit('data', piece);
  }
  // The joined block is a copy, so the pieces can be freed.
  for (const piece of pieces.slice(0, -65)) piece.fill(0);
  assert.equal(inbox.bytes, bytes.length);
  assert.deepEqual(drain(inbox, bytes.length), Buffer.from(bytes));
});

test('a wait ends with the body and its last bytes', async () => {
  const { source, inbox } = rig(100);
  source.end(content(0, 3));
  await inbox.waitFor(17, null);
  await turnsUntil(() => inbox.ended);
  assert.equal(inbox.bytes, 3);
  assert.equal(inbox.failure, null);
});

test('a wait ends after the quiet time without a failure', async () => {
  const { source, inbox } = rig(100);
  source.write(content(0, 3));
  await inbox.waitFor(17, 1);
  assert.equal(inbox.bytes, 3);
  assert.ok(!inbox.ended);
});

test('a broken connection fails current and later waits with length_mismatch', async () => {
  const { source, inbox } = rig(100);
  const waiting = inbox.waitFor(17, null);
  const gone = assert.rejects(inbox.failed, { code: 'length_mismatch' });
  source.destroy(new Error('ECONNRESET'));
  await assert.rejects(waiting, { code: 'length_mismatch' });
  await assert.rejects(inbox.waitFor(1, null), { code: 'length_mismatch' });
  await gone;
});

test('a source that closes without an end or an error counts as broken', async () => {
  const { source, inbox } = rig(100);
  source.destroy();
  await assert.rejects(inbox.waitFor(1, null), { code: 'length_mismatch' });
});

test('a source that broke before the buffer listened counts as broken', async () => {
  const source = new PassThrough();
  source.destroy();
  await settle();
  const inbox = new BodyBuffer(
    source,
    () => 100,
    () => {},
  );
  await assert.rejects(inbox.waitFor(17, null), { code: 'length_mismatch' });
});

test('the first failure stays', async () => {
  const { source, inbox } = rig(100);
  inbox.fail(new LadingError('request_timeout', 'too slow'));
  source.destroy(new Error('ECONNRESET'));
  await settle();
  await assert.rejects(inbox.waitFor(1, null), { code: 'request_timeout' });
});

test('a close after the end is not a failure', async () => {
  const { source, inbox } = rig(100);
  source.end(content(0, 3));
  await turnsUntil(() => source.closed);
  await inbox.waitFor(3, null);
  assert.equal(inbox.failure, null);
});

test('a detached buffer leaves the source paused with its unread bytes', async () => {
  const { source, inbox } = rig(10);
  source.write(content(0, 10));
  await turnsUntil(() => inbox.isPaused);
  source.write(content(10, 5));
  inbox.detach();
  assert.ok(source.isPaused());
  await settle();
  assert.equal(inbox.arrived, 10);
  // Without a listener of its own this would be an uncaught error.
  source.destroy(new Error('ECONNRESET'));
  await settle();
  assert.equal(inbox.failure, null);
});

test('single bytes in the buffer take little more memory than their number', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const rigs = Array.from({ length: 500 }, () => rig(64 * 1024));
  // The memory of the source itself does not count.
  for (const { source } of rigs) source.write(content(0, 1));
  await settle();
  const before = used();
  for (let at = 1; at < 64; at++) {
    for (const { source } of rigs) source.write(content(at, 1));
    await settle();
  }
  for (const { inbox } of rigs) assert.equal(inbox.bytes, 64);
  const each = (used() - before) / rigs.length;
  assert.ok(each < 2048, `${each} bytes for each`);
  for (const { inbox } of rigs) assert.deepEqual(drain(inbox, 64), Buffer.from(content(0, 64)));
});
