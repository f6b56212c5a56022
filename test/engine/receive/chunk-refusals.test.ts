/** Refused chunks: for complete files, from broken connections, and invalid ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, hex32 } from '../../../src/protocol/crc32.ts';
import {
  content,
  download,
  OWNER,
  readRange,
  refused,
  send,
  sendRaw,
  sendSlowly,
  text,
} from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { rig } from './duplicates-setup.ts';

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

test('a chunk with the bytes of a complete file is a duplicate with 200', async (t) => {
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

test('a chunk with other bytes than a complete file is refused with 409 file_complete', async (t) => {
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

test('a chunk that declares another size for a complete file is refused with 409 size_conflict', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 100), { declaredSize: 100 });
  const error = await refused(send(run.engine, 'f', 0, content(0, 100), { declaredSize: 101 }), 'size_conflict');
  assert.deepEqual({ ...error.members }, { expected: 100, actual: 101 });
});

test('no byte of a chunk counts when its connection breaks', async (t) => {
  const { run } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10));
  const before = await run.engine.status(OWNER, 'f');
  const broken = sendSlowly(run.engine, 'f', 10, content(10, 200_000));
  broken.push(150_000);
  await broken.taken();
  await run.quiet();
  broken.sever();
  await refused(broken.reply, 'length_mismatch');
  assert.deepEqual(await run.engine.status(OWNER, 'f'), before);
  assert.equal(await readRange(run.engine, 'f', 10, 10), null);
});

test('a connection that breaks within the header changes nothing', async (t) => {
  const { run } = await rig(t);
  const broken = sendSlowly(run.engine, 'f', 0, content(0, 10));
  broken.sever();
  await refused(broken.reply, 'length_mismatch');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
});

test('a body with fewer or more bytes than its header says is refused with 400 length_mismatch', async (t) => {
  const { run } = await rig(t);
  for (const length of [10, 100_000, 3_000_000]) {
    const short = sendSlowly(run.engine, 'f', 0, content(0, length));
    short.push(length - 1);
    short.end();
    const error = await refused(short.reply, 'length_mismatch');
    assert.deepEqual({ ...error.members }, { expected: length + 17, actual: length + 16 });
    const long = sendSlowly(run.engine, 'f', 0, content(0, length));
    long.push();
    long.source.write('x');
    long.end();
    await refused(long.reply, 'length_mismatch');
  }
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
});

test('a wrong sum or CRC-32 is refused with 400 checksum_mismatch and both values', async (t) => {
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

test('a Content-Range that differs from the chunk header or the size is refused', async (t) => {
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

test('a malformed or missing header is refused with 400 malformed_header', async (t) => {
  const { run } = await rig(t);
  await refused(sendRaw(run.engine, 'f', text('abc')), 'malformed_header');
  await refused(sendRaw(run.engine, 'f', Buffer.alloc(17, 0xff)), 'malformed_header');
  await refused(sendRaw(run.engine, 'f', new Uint8Array()), 'malformed_header');
  await refused(sendRaw(run.engine, 'f', new Uint8Array(), { declaredSize: 5 }), 'malformed_header');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
});

test('a chunk or a file over its limit is refused with 413', async (t) => {
  const run = await startEngine(t, { maxChunkBytes: 100, maxFileBytes: 1000 });
  await refused(send(run.engine, 'f', 0, content(0, 101)), 'chunk_too_large');
  await refused(send(run.engine, 'f', 0, content(0, 10), { contentLength: 118 }), 'chunk_too_large');
  await refused(send(run.engine, 'f', 0, content(0, 10), { declaredSize: 1001 }), 'file_too_large');
  await refused(send(run.engine, 'f', 991, content(991, 10)), 'file_too_large');
  await refused(run.engine.admitChunk({ ...said, range: { start: 0, end: 100 } }), 'chunk_too_large');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  assert.equal((await send(run.engine, 'f', 900, content(900, 100), { declaredSize: 1000 })).bytes_received, 100);
});

test('an error that the headers show is refused before the body', async (t) => {
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
