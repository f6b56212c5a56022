/** PROTOCOL §4, line by line: what is sent again, and what contradicts. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { crc32, hex32 } from '../../../src/protocol/crc32.ts';
import {
  content,
  download,
  OWNER,
  progress,
  readRange,
  refused,
  send,
  sendAndTell,
  sendRaw,
  slowly,
  text,
} from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

async function rig(t: TestContext): Promise<{ run: EngineUnderTest; tap: Tap }> {
  const tap = new Tap();
  return { run: await startEngine(t, {}, { tap }), tap };
}

/** Extents that went to the workers to be written. */
function written(tap: Tap): [number, number][] {
  return tap.jobs.flatMap(({ pieces }) =>
    pieces.filter(({ action }) => action === 'write').map(({ extent }): [number, number] => [extent.start, extent.end]),
  );
}

test('the same range again, same bytes: 200, duplicate: true, nothing written', async (t) => {
  const { run, tap } = await rig(t);
  const first = await send(run.engine, 'f', 10, content(10, 20));
  assert.deepEqual(first.chunk, { start: 10, end: 29, crc32: hex32(crc32(content(10, 20))), duplicate: false });
  tap.reset();
  const again = await send(run.engine, 'f', 10, content(10, 20));
  assert.deepEqual(again.chunk, { start: 10, end: 29, crc32: hex32(crc32(content(10, 20))), duplicate: true });
  assert.deepEqual(progress(again), progress(first));
  assert.deepEqual(written(tap), []);
});

test('a range that overlaps stored bytes, equal where they overlap: 200; only the new bytes are added', async (t) => {
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

test('a range that overlaps, different where they overlap: 409 chunk_conflict; what is stored stays', async (t) => {
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

test('a damaged chunk over stored bytes is told about its checksum, not about a conflict', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10));
  const damaged = content(0, 10);
  damaged[3] = (damaged[3] ?? 0) ^ 1;
  await refused(send(run.engine, 'f', 0, damaged, { crc32: crc32(content(0, 10)) }), 'checksum_mismatch');
});

test('two requests for one range at the same time: the second waits for the first, then it is a duplicate', async (t) => {
  const { run, tap } = await rig(t);
  const first = slowly(run.engine, 'f', 0, content(0, 100));
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

test('two requests for one range at the same time, the first breaks: the second is stored', async (t) => {
  const { run } = await rig(t);
  const first = slowly(run.engine, 'f', 0, content(0, 100));
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

test('two requests for one range at the same time, other bytes: the second is refused', async (t) => {
  const { run } = await rig(t);
  const first = slowly(run.engine, 'f', 0, content(0, 100));
  first.push(50);
  await first.taken();
  await run.quiet();
  const second = send(run.engine, 'f', 50, content(50, 100, 7));
  first.push();
  first.end();
  await first.reply;
  await refused(second, 'chunk_conflict');
});

test('a request that waits for another one ends when its own client goes away', async (t) => {
  const { run } = await rig(t);
  const first = slowly(run.engine, 'f', 0, content(0, 100));
  first.push(50);
  await first.taken();
  await run.quiet();
  const second = slowly(run.engine, 'f', 0, content(0, 100));
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
  const first = slowly(run.engine, 'f', 10, content(10, 10));
  first.push(5);
  await first.taken();
  await run.quiet();
  assert.equal((await send(run.engine, 'f', 0, content(0, 10))).bytes_received, 10);
  assert.equal((await send(run.engine, 'f', 20, content(20, 10))).bytes_received, 20);
  first.push();
  first.end();
  assert.equal((await first.reply).bytes_received, 30);
});

test('the last range twice at the same time: both are told that the file is complete', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 50), { declaredSize: 100 });
  const pair = [50, 50].map((start) => sendAndTell(run.engine, 'f', start, content(start, 50)));
  const statuses = await Promise.all(pair.map(({ reply }) => reply));
  assert.deepEqual(
    statuses.map(({ status, readable, chunk }) => ({ status, readable, duplicate: chunk?.duplicate })),
    [
      { status: 'complete', readable: true, duplicate: false },
      { status: 'complete', readable: true, duplicate: true },
    ],
  );
});

test('a chunk past the declared size: 400 out_of_bounds', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  const error = await refused(send(run.engine, 'f', 15, content(15, 6)), 'out_of_bounds');
  assert.equal(error.status, 400);
  assert.deepEqual({ ...error.members }, { expected: 19, actual: 20 });
  await refused(send(run.engine, 'other', 0, content(0, 21), { declaredSize: 20 }), 'out_of_bounds');
  await refused(slowly(run.engine, 'f', 15, content(15, 6)).reply, 'out_of_bounds');
  assert.equal((await run.engine.status(OWNER, 'other')).status, 'pending');
  assert.equal((await send(run.engine, 'f', 15, content(15, 5))).bytes_received, 15);
});

test('a chunk past a size that was declared while it was on its way: 400 out_of_bounds', async (t) => {
  const { run } = await rig(t);
  const early = slowly(run.engine, 'f', 15, content(15, 10));
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

test('a new chunk for a complete file, equal bytes: 200 duplicate', async (t) => {
  const { run } = await rig(t);
  const complete = await send(run.engine, 'f', 0, content(0, 100), { declaredSize: 100 });
  for (const [start, length] of [
    [0, 100],
    [0, 1],
    [99, 1],
    [40, 20],
  ] as const) {
    const again = await send(run.engine, 'f', start, content(start, length));
    assert.equal(again.chunk?.duplicate, true);
    assert.deepEqual({ ...again, chunk: null }, { ...complete, chunk: null });
  }
  const declared = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 100 });
  assert.equal(declared.chunk?.duplicate, true);
});

test('a new chunk for a complete file, other bytes: 409 file_complete; the file stays', async (t) => {
  const { run } = await rig(t);
  const complete = await send(run.engine, 'f', 0, content(0, 100), { declaredSize: 100 });
  await refused(send(run.engine, 'f', 0, content(0, 100, 1)), 'file_complete');
  await refused(send(run.engine, 'f', 99, content(99, 1, 1)), 'file_complete');
  await refused(send(run.engine, 'f', 95, content(95, 10)), 'file_complete');
  await refused(send(run.engine, 'f', 100, content(100, 10)), 'file_complete');
  assert.deepEqual({ ...(await run.engine.status(OWNER, 'f')), chunk: null }, { ...complete, chunk: null });
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 100)));
  assert.deepEqual(await run.engine.verify(OWNER, 'f'), { ok: true, checked_bytes: 100, bad: [] });
});

test('a chunk that declares another size for a complete file: 409 size_conflict', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 100), { declaredSize: 100 });
  const error = await refused(send(run.engine, 'f', 0, content(0, 100), { declaredSize: 101 }), 'size_conflict');
  assert.deepEqual({ ...error.members }, { expected: 100, actual: 101 });
});

test('the connection breaks mid-chunk: nothing of that chunk counts', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10));
  const before = await run.engine.status(OWNER, 'f');
  const broken = slowly(run.engine, 'f', 10, content(10, 200_000));
  broken.push(150_000);
  await broken.taken();
  await run.quiet();
  broken.sever();
  await refused(broken.reply, 'length_mismatch');
  assert.deepEqual(await run.engine.status(OWNER, 'f'), before);
  assert.equal(await readRange(run.engine, 'f', 10, 10), null);
});

test('the connection breaks within the header: nothing happens', async (t) => {
  const { run } = await rig(t);
  const broken = slowly(run.engine, 'f', 0, content(0, 10));
  broken.sever();
  await refused(broken.reply, 'length_mismatch');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
});

test('a body with fewer or more bytes than its header says: 400 length_mismatch, and nothing of it counts', async (t) => {
  const { run } = await rig(t);
  for (const length of [10, 100_000, 3_000_000]) {
    const short = slowly(run.engine, 'f', 0, content(0, length));
    short.push(length - 1);
    short.end();
    const error = await refused(short.reply, 'length_mismatch');
    assert.deepEqual({ ...error.members }, { expected: length + 17, actual: length + 16 });
    const long = slowly(run.engine, 'f', 0, content(0, length));
    long.push();
    long.source.write('x');
    long.end();
    await refused(long.reply, 'length_mismatch');
  }
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
});

test('a wrong sum, a wrong CRC-32: 400 checksum_mismatch that says what was expected and what came', async (t) => {
  const { run } = await rig(t);
  const chunk = Buffer.concat([Buffer.alloc(17), text('abc')]);
  chunk.writeBigUInt64BE(2n, 8);
  chunk[16] = (97 + 98 + 99 + 1) & 0xff;
  const sum = await refused(sendRaw(run.engine, 'f', chunk), 'checksum_mismatch');
  assert.match(sum.message, /Checksum validation failed/);
  assert.deepEqual({ ...sum.members }, { expected: (97 + 98 + 99 + 1) & 0xff, actual: (97 + 98 + 99) & 0xff });
  const crc = await refused(send(run.engine, 'f', 0, text('abc'), { crc32: 0 }), 'checksum_mismatch');
  assert.match(crc.message, /Checksum validation failed/);
  assert.deepEqual({ ...crc.members }, { expected: '00000000', actual: '352441c2' });
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  await send(run.engine, 'f', 0, text('abc'), { crc32: 0x352441c2 });
});

test('a chunk of several segments has the sum and the CRC-32 of all its bytes', async (t) => {
  const { run } = await rig(t);
  const bytes = content(0, 5_000_000);
  const status = await send(run.engine, 'f', 0, bytes, { crc32: crc32(bytes), declaredSize: bytes.length });
  assert.equal(status.chunk?.crc32, hex32(crc32(bytes)));
  assert.equal(status.crc32, hex32(crc32(bytes)));
  const conflicting = content(0, 5_000_000);
  conflicting[4_999_999] = (conflicting[4_999_999] ?? 0) ^ 1;
  await refused(send(run.engine, 'f', 0, conflicting), 'file_complete');
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from(bytes));
});

test('header and query must agree: Content-Range says another range, a size that the range passes', async (t) => {
  const { run } = await rig(t);
  await refused(send(run.engine, 'f', 0, content(0, 10), { range: { start: 0, end: 10 } }), 'invalid_request');
  await refused(send(run.engine, 'f', 0, content(0, 10), { range: { start: 1, end: 9 } }), 'invalid_request');
  const far = { range: { start: 0, end: 9 }, declaredSize: 9 };
  await refused(send(run.engine, 'f', 0, content(0, 10), far), 'out_of_bounds');
  await refused(send(run.engine, 'f', 0, content(0, 10), { contentLength: 26 }), 'length_mismatch');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  const right = { range: { start: 0, end: 9 }, declaredSize: 10, contentLength: 27 };
  assert.equal((await send(run.engine, 'f', 0, content(0, 10), right)).status, 'complete');
});

test('a malformed header, or none: 400 malformed_header', async (t) => {
  const { run } = await rig(t);
  await refused(sendRaw(run.engine, 'f', text('abc')), 'malformed_header');
  await refused(sendRaw(run.engine, 'f', Buffer.alloc(17, 0xff)), 'malformed_header');
  await refused(sendRaw(run.engine, 'f', new Uint8Array()), 'malformed_header');
  await refused(sendRaw(run.engine, 'f', new Uint8Array(), { declaredSize: 5 }), 'malformed_header');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
});

test('the limits of a chunk and of a file: 413', async (t) => {
  const run = await startEngine(t, { maxChunkBytes: 100, maxFileBytes: 1000 });
  await refused(send(run.engine, 'f', 0, content(0, 101)), 'chunk_too_large');
  await refused(send(run.engine, 'f', 0, content(0, 10), { contentLength: 118 }), 'chunk_too_large');
  await refused(send(run.engine, 'f', 0, content(0, 10), { declaredSize: 1001 }), 'file_too_large');
  await refused(send(run.engine, 'f', 991, content(991, 10)), 'file_too_large');
  await refused(run.engine.admitChunk({ ...said, range: { start: 0, end: 100 } }), 'chunk_too_large');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  assert.equal((await send(run.engine, 'f', 900, content(900, 100), { declaredSize: 1000 })).bytes_received, 100);
});

const said = {
  owner: OWNER,
  name: 'f',
  declaredSize: null,
  range: null,
  crc32: null,
  contentDigest: null,
  reprDigest: null,
  overwrite: false,
  contentType: null,
  contentLength: null,
};

test('what the headers alone show to be wrong is refused before the body', async (t) => {
  const { run } = await rig(t);
  const { engine } = run;
  await send(engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  await send(engine, 'whole', 0, content(0, 10), { declaredSize: 10 });
  await engine.admitChunk({ ...said, declaredSize: 20 });
  await refused(engine.admitChunk({ ...said, declaredSize: 21 }), 'size_conflict');
  await refused(engine.admitChunk({ ...said, overwrite: true }), 'invalid_request');
  await refused(engine.admitChunk({ ...said, range: { start: 0, end: 9 }, contentLength: 10 }), 'length_mismatch');
  await refused(engine.admitChunk({ ...said, range: { start: 0, end: 9 }, declaredSize: 9 }), 'out_of_bounds');
  await refused(engine.admitChunk({ ...said, name: 'whole', declaredSize: 11 }), 'size_conflict');
  await engine.admitChunk({ ...said, name: 'whole', declaredSize: 11, overwrite: true });
  await engine.admitChunk({ ...said, name: 'whole', declaredSize: 10 });
  await engine.admitChunk({ ...said, name: 'unknown', declaredSize: 5 });
  assert.equal((await engine.status(OWNER, 'unknown')).status, 'pending', 'asking makes nothing');
});
