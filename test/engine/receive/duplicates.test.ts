/** PROTOCOL §4: duplicates and conflicts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, hex32 } from '../../../src/protocol/crc32.ts';
import {
  content,
  download,
  OWNER,
  progress,
  readRange,
  refused,
  send,
  sendAndNotify,
  sendSlowly,
} from '../../support/product/device.ts';
import type { Tap } from '../../support/wire/tap.ts';
import { rig } from './duplicates-setup.ts';

/** Extents that workers wrote. */
function written(tap: Tap): [number, number][] {
  return tap.jobs.flatMap(({ ranges }) =>
    ranges.filter(({ action }) => action === 'write').map(({ extent }): [number, number] => [extent.start, extent.end]),
  );
}

test('a chunk with stored bytes is a duplicate with 200, and nothing is written', async (t) => {
  const { run, tap } = await rig(t);
  const first = await send(run.engine, 'f', 10, content(10, 20));
  assert.deepEqual(first.chunk, { start: 10, end: 29, crc32: hex32(crc32(content(10, 20))), duplicate: false });
  tap.reset();
  const again = await send(run.engine, 'f', 10, content(10, 20));
  assert.deepEqual(again.chunk, { start: 10, end: 29, crc32: hex32(crc32(content(10, 20))), duplicate: true });
  assert.deepEqual(progress(again), progress(first));
  assert.deepEqual(written(tap), []);
});

test('a range that overlaps equal stored bytes is accepted, and only the new bytes are added', async (t) => {
  const { run, tap } = await rig(t);
  await send(run.engine, 'f', 10, content(10, 10));
  await send(run.engine, 'f', 30, content(30, 10));
  tap.reset();
  const status = await send(run.engine, 'f', 0, content(0, 50));
  assert.equal(status.chunk?.duplicate, false);
  assert.equal(status.bytes_received, 50);
  assert.deepEqual(written(tap), [
    [0, 9],
    [20, 29],
    [40, 49],
  ]);
  assert.deepEqual(
    tap.appended[0]?.map(({ start, end, crc32: sum }) => [start, end, sum]),
    [
      [0, 10],
      [20, 10],
      [40, 10],
    ].map(([start = 0, length = 0]) => [start, start + length - 1, crc32(content(start, length))]),
  );
  assert.deepEqual(await readRange(run.engine, 'f', 0, 49), Buffer.from(content(0, 50)));
  const verified = await run.engine.verify(OWNER, 'f');
  assert.deepEqual(verified, { ok: true, checked_bytes: 50, bad: [] });
});

test('a range that overlaps different stored bytes is refused with 409 chunk_conflict', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 10, content(10, 10));
  const before = await run.engine.status(OWNER, 'f');
  const other = content(0, 30);
  other[19] = (other[19] ?? 0) ^ 1;
  const error = await refused(send(run.engine, 'f', 0, other), 'chunk_conflict');
  assert.equal(error.status, 409);
  assert.deepEqual(await run.engine.status(OWNER, 'f'), before);
  assert.deepEqual(await readRange(run.engine, 'f', 10, 19), Buffer.from(content(10, 10)));
  assert.equal(await readRange(run.engine, 'f', 0, 0), null);
  assert.equal((await send(run.engine, 'f', 0, content(0, 30))).bytes_received, 30, 'the range is free again');
});

test('a damaged chunk over stored bytes is refused for its checksum and not for a conflict', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10));
  const damaged = content(0, 10);
  damaged[3] = (damaged[3] ?? 0) ^ 1;
  await refused(send(run.engine, 'f', 0, damaged, { crc32: crc32(content(0, 10)) }), 'checksum_mismatch');
});

test('the second of two requests for one range waits for the first, then is a duplicate', async (t) => {
  const { run, tap } = await rig(t);
  const first = sendSlowly(run.engine, 'f', 0, content(0, 100));
  first.push(50);
  await first.taken();
  await run.quiet();
  let secondDone = false;
  const second = send(run.engine, 'f', 0, content(0, 100)).finally(() => {
    secondDone = true;
  });
  await run.quiet();
  assert.ok(!secondDone, 'it waits');
  first.push();
  first.end();
  assert.equal((await first.reply).chunk?.duplicate, false);
  assert.equal((await second).chunk?.duplicate, true);
  assert.deepEqual(
    written(tap).reduce((sum, [start, end]) => sum + end - start + 1, 0),
    100,
  );
});

test('the second of two requests for one range is stored when the first breaks', async (t) => {
  const { run } = await rig(t);
  const first = sendSlowly(run.engine, 'f', 0, content(0, 100));
  first.push(50);
  await first.taken();
  await run.quiet();
  const second = send(run.engine, 'f', 50, content(50, 100));
  first.sever();
  await refused(first.reply, 'length_mismatch');
  const status = await second;
  assert.equal(status.chunk?.duplicate, false);
  assert.deepEqual(status.missing, [[0, 49]]);
});

test('the second of two requests for one range is refused when its bytes differ', async (t) => {
  const { run } = await rig(t);
  const first = sendSlowly(run.engine, 'f', 0, content(0, 100));
  first.push(50);
  await first.taken();
  await run.quiet();
  const second = send(run.engine, 'f', 50, content(50, 100, 7));
  first.push();
  first.end();
  await first.reply;
  await refused(second, 'chunk_conflict');
});

test('a request that waits for another one ends with its own connection', async (t) => {
  const { run } = await rig(t);
  const first = sendSlowly(run.engine, 'f', 0, content(0, 100));
  first.push(50);
  await first.taken();
  await run.quiet();
  const second = sendSlowly(run.engine, 'f', 0, content(0, 100));
  await second.taken();
  await run.quiet();
  second.sever();
  await refused(second.reply, 'length_mismatch');
  first.push();
  first.end();
  assert.equal((await first.reply).bytes_received, 100);
});

test('requests for other ranges do not wait', async (t) => {
  const { run } = await rig(t);
  const first = sendSlowly(run.engine, 'f', 10, content(10, 10));
  first.push(5);
  await first.taken();
  await run.quiet();
  assert.equal((await send(run.engine, 'f', 0, content(0, 10))).bytes_received, 10);
  assert.equal((await send(run.engine, 'f', 20, content(20, 10))).bytes_received, 20);
  first.push();
  first.end();
  assert.equal((await first.reply).bytes_received, 30);
});

test('two concurrent requests for the last range both get the complete file', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 50), { declaredSize: 100 });
  const pair = [50, 50].map((start) => sendAndNotify(run.engine, 'f', start, content(start, 50)));
  const statuses = await Promise.all(pair.map(({ reply }) => reply));
  assert.deepEqual(
    statuses.map(({ status, readable, chunk }) => ({ status, readable, duplicate: chunk?.duplicate })),
    [
      { status: 'complete', readable: true, duplicate: false },
      { status: 'complete', readable: true, duplicate: true },
    ],
  );
});

test('a chunk past the declared size is refused with 400 out_of_bounds', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  const error = await refused(send(run.engine, 'f', 15, content(15, 6)), 'out_of_bounds');
  assert.equal(error.status, 400);
  assert.deepEqual({ ...error.members }, { expected: 19, actual: 20 });
  await refused(send(run.engine, 'other', 0, content(0, 21), { declaredSize: 20 }), 'out_of_bounds');
  await refused(sendSlowly(run.engine, 'f', 15, content(15, 6)).reply, 'out_of_bounds');
  assert.equal((await run.engine.status(OWNER, 'other')).status, 'pending');
  assert.equal((await send(run.engine, 'f', 15, content(15, 5))).bytes_received, 15);
});

test('a chunk past a size that was declared during its transfer is refused with 400 out_of_bounds', async (t) => {
  const { run } = await rig(t);
  const early = sendSlowly(run.engine, 'f', 15, content(15, 10));
  early.push(5);
  await early.taken();
  await run.quiet();
  await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  early.push();
  early.end();
  await refused(early.reply, 'out_of_bounds');
  assert.deepEqual((await run.engine.status(OWNER, 'f')).missing, [[10, 19]]);
  assert.equal((await send(run.engine, 'f', 10, content(10, 10))).status, 'complete');
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 20)));
});
