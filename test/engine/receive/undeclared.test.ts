/** PROTOCOL §3: files of undeclared size. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  content,
  download,
  OWNER,
  progress,
  readRange,
  refused,
  send,
  sendSlowly,
  text,
} from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { folders } from './undeclared-setup.ts';

test('0-4 then 5-9 reads as complete 5/5/5, then 10/10/10, and the download has all ten bytes', async (t) => {
  const { engine } = await startEngine(t);
  const five = await send(engine, 'f', 0, text('01234'));
  assert.deepEqual(progress(five), {
    status: 'complete',
    bytes_received: 5,
    total_bytes: 5,
    next_expected_byte: 5,
    missing: [],
    readable: true,
  });
  assert.deepEqual(await download(engine, 'f'), Buffer.from('01234'));
  const ten = await send(engine, 'f', 5, text('56789'));
  assert.deepEqual(progress(ten), {
    status: 'complete',
    bytes_received: 10,
    total_bytes: 10,
    next_expected_byte: 10,
    missing: [],
    readable: true,
  });
  assert.deepEqual(await download(engine, 'f'), Buffer.from('0123456789'));
});

test('a file with a gap is partial: total_bytes is the highest end, next_expected_byte the first gap', async (t) => {
  const { engine } = await startEngine(t);
  assert.deepEqual(progress(await send(engine, 'f', 5, text('56789'))), {
    status: 'partial',
    bytes_received: 5,
    total_bytes: 10,
    next_expected_byte: 0,
    missing: [[0, 4]],
    readable: false,
  });
  await send(engine, 'f', 0, text('01'));
  assert.deepEqual(progress(await send(engine, 'f', 12, text('cd'))), {
    status: 'partial',
    bytes_received: 9,
    total_bytes: 14,
    next_expected_byte: 2,
    missing: [
      [2, 4],
      [10, 11],
    ],
    readable: false,
  });
  await assert.rejects(download(engine, 'f'), /not readable/);
  assert.deepEqual(await readRange(engine, 'f', 5, 9), Buffer.from('56789'));
  assert.equal(await readRange(engine, 'f', 4, 5), null);
});

test('a complete file becomes partial when a later chunk leaves a gap', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('01234'));
  const partial = await send(engine, 'f', 6, text('6'));
  assert.equal(partial.status, 'partial');
  assert.deepEqual([partial.crc32, partial.etag, partial.completed_at], [null, null, null]);
  assert.notEqual(partial.expires_at, null);
});

test('each state of a growing file has an entity tag of its own', async (t) => {
  const { engine } = await startEngine(t);
  const first = await send(engine, 'f', 0, text('01234'));
  const second = await send(engine, 'f', 5, text('5'));
  assert.match(first.etag ?? '', new RegExp(`^"${first.id}-5-[0-9a-f]{8}"$`));
  assert.notEqual(first.etag, second.etag);
  await engine.complete(OWNER, 'f');
  assert.equal((await engine.status(OWNER, 'f')).etag, second.etag, 'the seal changes no byte and no tag');
});

test('the status of an unknown name is pending and creates nothing', async (t) => {
  const { engine, dataDir } = await startEngine(t);
  assert.deepEqual(await engine.status(OWNER, 'nobody'), {
    filename: 'nobody',
    status: 'pending',
    bytes_received: 0,
    total_bytes: null,
    next_expected_byte: 0,
    id: null,
    readable: false,
    missing: [],
    missing_more: false,
    crc32: null,
    etag: null,
    content_type: null,
    created_at: null,
    updated_at: null,
    completed_at: null,
    expires_at: null,
  });
  assert.deepEqual(await folders(dataDir), []);
});

test('the name is pending while its first chunk arrives, and a refused one leaves no directory', async (t) => {
  const { engine, dataDir, quiet } = await startEngine(t);
  const first = sendSlowly(engine, 'f', 0, content(0, 100_000), { declaredSize: 200_000, contentType: 'text/plain' });
  first.push(70_000);
  await first.taken();
  await quiet();
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  await refused(engine.open(OWNER, 'f'), 'not_found');
  await refused(engine.complete(OWNER, 'f'), 'not_found');
  await refused(engine.remove(OWNER, 'f'), 'not_found');
  assert.deepEqual((await engine.list({ owner: OWNER, prefix: '', cursor: null, limit: 10, status: null })).files, []);
  first.sever();
  await refused(first.reply, 'length_mismatch');
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  assert.deepEqual(await folders(dataDir), []);
  const status = await send(engine, 'f', 0, text('abc'));
  assert.equal(status.total_bytes, 3);
  assert.equal(status.content_type, 'application/octet-stream', 'nothing that the refused chunk declared sticks');
});

test('complete seals at once: later bytes are refused, and equal ones are duplicates', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('01234'));
  const sealed = await run.engine.complete(OWNER, 'f');
  assert.equal(sealed.status, 'complete');
  assert.equal(sealed.expires_at, null);
  await refused(send(run.engine, 'f', 5, text('56789')), 'file_complete');
  assert.equal((await send(run.engine, 'f', 1, text('123'))).chunk?.duplicate, true);
  assert.deepEqual(await run.engine.complete(OWNER, 'f'), sealed, 'again: the same answer');
  await run.restart();
  await refused(send(run.engine, 'f', 5, text('5')), 'file_complete');
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from('01234'));
});

test('complete with gaps is refused with 409 not_contiguous and the missing ranges, and the upload continues', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 2, text('234'));
  await send(engine, 'f', 7, text('7'));
  const error = await refused(engine.complete(OWNER, 'f'), 'not_contiguous');
  assert.deepEqual(error.members.missing, [
    [0, 1],
    [5, 6],
  ]);
  await send(engine, 'd', 0, text('0'), { declaredSize: 3 });
  assert.deepEqual((await refused(engine.complete(OWNER, 'd'), 'not_contiguous')).members.missing, [[1, 2]]);
  await refused(engine.complete(OWNER, 'nobody'), 'not_found');
  await send(engine, 'f', 0, text('0123456'));
  assert.equal((await engine.complete(OWNER, 'f')).total_bytes, 8);
});

test('complete succeeds for a file of declared size that is complete', async (t) => {
  const { engine } = await startEngine(t);
  const status = await send(engine, 'f', 0, text('abc'), { declaredSize: 3 });
  const { chunk: _, ...rest } = status;
  assert.deepEqual(await engine.complete(OWNER, 'f'), rest);
});
