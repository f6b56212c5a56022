/** PROTOCOL §3, files whose size nobody declared, and the declarations that make it known. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Layout } from '../../src/storage/disk/layout.ts';
import {
  content,
  download,
  OWNER,
  progress,
  readRange,
  refused,
  send,
  sendRaw,
  slowly,
  text,
  turnsUntil,
} from '../support/device.ts';
import { startEngine } from '../support/engine.ts';

const MINUTE = 60_000;

async function folders(dataDir: string): Promise<string[]> {
  const files = join(dataDir, 'v1', 'files');
  return (await Promise.all((await readdir(files)).map((shard) => readdir(join(files, shard))))).flat();
}

test('0-4 then 5-9 is complete 5/5/5, then complete 10/10/10, and the download gives all ten bytes', async (t) => {
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

test('a gap makes it partial: total_bytes is the highest end seen, next_expected_byte the first gap', async (t) => {
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

test('complete goes back to partial when a later chunk leaves a gap', async (t) => {
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

test('status of an unknown name: pending, and asking makes nothing', async (t) => {
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

test('while the first chunk is on its way the name is pending; refused, it leaves no folder on disk', async (t) => {
  const { engine, dataDir, quiet } = await startEngine(t);
  const first = slowly(engine, 'f', 0, content(0, 100_000), { declaredSize: 200_000, contentType: 'text/plain' });
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

test('a refused chunk of an upload under way declares nothing', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('abc'));
  const declared = {
    declaredSize: 10,
    contentType: 'text/plain',
    reprDigest: { algorithm: 'sha-256' as const, value: new Uint8Array(32) },
  };
  await refused(send(engine, 'f', 3, text('def'), { ...declared, crc32: 0 }), 'checksum_mismatch');
  const status = await send(engine, 'f', 3, text('defg'), { declaredSize: 7 });
  assert.equal(status.status, 'complete');
  assert.equal(status.content_type, 'application/octet-stream');
});

test('complete seals at once: what goes on past the end is refused from then on, what is equal is a duplicate', async (t) => {
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

test('complete with gaps: 409 not_contiguous with what is missing, and the upload goes on', async (t) => {
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

test('a file of declared size can be completed: it is already', async (t) => {
  const { engine } = await startEngine(t);
  const status = await send(engine, 'f', 0, text('abc'), { declaredSize: 3 });
  const { chunk: _, ...rest } = status;
  assert.deepEqual(await engine.complete(OWNER, 'f'), rest);
});

test('sealed for good when nothing came for the set time, by its timer', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { engine, warnings, quiet } = await startEngine(t, { openEndedSeconds: 900 }, { clock: { now: () => now } });
  await send(engine, 'f', 0, text('01234'));
  now += 10 * MINUTE;
  t.mock.timers.tick(10 * MINUTE);
  await send(engine, 'f', 5, text('5'));
  now += 15 * MINUTE - 1;
  t.mock.timers.tick(15 * MINUTE - 1);
  await quiet();
  assert.equal((await send(engine, 'f', 6, text('6'))).total_bytes, 7, 'every chunk starts the time anew');
  let sealed = false;
  engine.watch(OWNER, 'f', () => {
    sealed = true;
  });
  now += 15 * MINUTE;
  t.mock.timers.tick(15 * MINUTE);
  await turnsUntil(() => sealed);
  await refused(send(engine, 'f', 7, text('7')), 'file_complete');
  assert.deepEqual(await download(engine, 'f'), Buffer.from('0123456'));
  assert.deepEqual(warnings, []);
});

test('a chunk on its way keeps an open-ended file open, however long it takes', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { engine, quiet } = await startEngine(t, { openEndedSeconds: 900 }, { clock: { now: () => now } });
  await send(engine, 'f', 0, text('01234'));
  const slow = slowly(engine, 'f', 5, text('56789'));
  slow.push(2);
  await slow.taken();
  await quiet();
  now += 60 * MINUTE;
  t.mock.timers.tick(60 * MINUTE);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
  slow.push();
  slow.end();
  assert.equal((await slow.reply).total_bytes, 10);
  assert.equal((await send(engine, 'f', 10, text('a'))).total_bytes, 11);
});

test('a file with a gap is not sealed by its timer', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { engine } = await startEngine(t, { openEndedSeconds: 900 }, { clock: { now: () => now } });
  await send(engine, 'f', 5, text('56789'));
  now += 60 * MINUTE;
  t.mock.timers.tick(60 * MINUTE);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
  assert.equal((await send(engine, 'f', 0, text('01234'))).total_bytes, 10);
});

test('a chunk that comes after the time, but before any timer looked, finds the file sealed', async (t) => {
  let now = Date.now();
  const { engine } = await startEngine(t, { openEndedSeconds: 900 }, { clock: { now: () => now } });
  await send(engine, 'f', 0, text('01234'));
  now += 15 * MINUTE;
  await refused(send(engine, 'f', 5, text('5')), 'file_complete');
  assert.equal((await send(engine, 'f', 0, text('0'))).chunk?.duplicate, true);
});

test('the time goes on over a restart', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const run = await startEngine(t, { openEndedSeconds: 900 }, { clock: { now: () => now } });
  await send(run.engine, 'f', 0, text('01234'));
  now += 10 * MINUTE;
  await run.restart();
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'complete');
  let sealed = false;
  run.engine.watch(OWNER, 'f', () => {
    sealed = true;
  });
  now += 5 * MINUTE;
  t.mock.timers.tick(5 * MINUTE);
  await turnsUntil(() => sealed);
  await refused(send(run.engine, 'f', 5, text('5')), 'file_complete');
});

test('a size declared late: fixed from then on, and complete when it is reached', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('01234'));
  const late = await send(engine, 'f', 5, text('56'), { declaredSize: 9 });
  assert.deepEqual(progress(late), {
    status: 'partial',
    bytes_received: 7,
    total_bytes: 9,
    next_expected_byte: 7,
    missing: [[7, 8]],
    readable: false,
  });
  const error = await refused(send(engine, 'f', 7, text('78'), { declaredSize: 10 }), 'size_conflict');
  assert.deepEqual({ ...error.members }, { expected: 9, actual: 10 });
  await refused(send(engine, 'f', 7, text('789')), 'out_of_bounds');
  assert.equal((await send(engine, 'f', 7, text('78'))).status, 'complete');
});

test('a size declared late by a repeat, exactly what is there: sealed at once', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('01234'));
  const status = await send(engine, 'f', 0, text('012'), { declaredSize: 5 });
  assert.equal(status.status, 'complete');
  assert.equal(status.chunk?.duplicate, true);
  await refused(send(engine, 'f', 5, text('5')), 'file_complete');
});

test('a size declared late that is less than what is stored: 409 size_conflict', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 5, text('56789'));
  const error = await refused(send(engine, 'f', 0, text('01'), { declaredSize: 9 }), 'size_conflict');
  assert.deepEqual({ ...error.members }, { expected: 10, actual: 9 });
  assert.equal((await engine.status(OWNER, 'f')).bytes_received, 5);
});

test('what was declared survives a restart and a crash', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('01'), { declaredSize: 4, contentType: 'text/x-log' });
  for (const again of [run.restart, run.crash]) {
    await again();
    const status = await run.engine.status(OWNER, 'f');
    assert.equal(status.total_bytes, 4);
    assert.equal(status.content_type, 'text/x-log');
    await refused(send(run.engine, 'f', 4, text('4')), 'out_of_bounds');
  }
});

test('an empty file: total_size=0 with an empty body', async (t) => {
  const run = await startEngine(t);
  const status = await sendRaw(run.engine, 'f', new Uint8Array(), { declaredSize: 0 });
  assert.deepEqual(progress(status), {
    status: 'complete',
    bytes_received: 0,
    total_bytes: 0,
    next_expected_byte: 0,
    missing: [],
    readable: true,
  });
  assert.equal(status.chunk, undefined);
  assert.equal(status.crc32, '00000000');
  assert.equal((await download(run.engine, 'f')).length, 0);
  assert.equal((await sendRaw(run.engine, 'f', new Uint8Array(), { declaredSize: 0 })).status, 'complete', 'again');
  await refused(send(run.engine, 'f', 0, text('a')), 'file_complete');
  await refused(send(run.engine, 'f', 0, text('a'), { declaredSize: 1 }), 'size_conflict');
  await run.crash();
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'complete');
  assert.equal((await download(run.engine, 'f')).length, 0);
});

test('an empty body for a file that has bytes: 409 size_conflict', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'open', 0, text('01234'));
  await refused(sendRaw(engine, 'open', new Uint8Array(), { declaredSize: 0 }), 'size_conflict');
  await send(engine, 'whole', 0, text('01234'), { declaredSize: 5 });
  await refused(sendRaw(engine, 'whole', new Uint8Array(), { declaredSize: 0 }), 'size_conflict');
  assert.equal((await engine.status(OWNER, 'open')).bytes_received, 5);
});

test('an empty file while a first chunk of that name is on its way: the chunk is refused', async (t) => {
  const { engine, quiet } = await startEngine(t);
  const slow = slowly(engine, 'f', 0, text('01234'));
  slow.push(2);
  await slow.taken();
  await quiet();
  assert.equal((await sendRaw(engine, 'f', new Uint8Array(), { declaredSize: 0 })).status, 'complete');
  slow.push();
  slow.end();
  const error = await slow.reply.catch((reason: { code: string }) => reason.code);
  assert.equal(error, 'file_complete');
  assert.equal((await download(engine, 'f')).length, 0);
});

test('two first chunks at the same time make one upload', async (t) => {
  const { engine, dataDir } = await startEngine(t);
  const statuses = await Promise.all([0, 1, 2, 3, 4].map((i) => send(engine, 'f', i * 2, content(i * 2, 2))));
  assert.equal(new Set(statuses.map(({ id }) => id)).size, 1);
  assert.equal((await engine.status(OWNER, 'f')).bytes_received, 10);
  assert.equal((await folders(dataDir)).length, 1);
});

test('missing lists at most 1000 gaps and says that there are more', async (t) => {
  const { engine } = await startEngine(t, { durability: 'seal' });
  await Promise.all(Array.from({ length: 1001 }, (_, i) => send(engine, 'f', i * 2 + 1, text('x'))));
  const last = await engine.status(OWNER, 'f');
  assert.equal(last.missing.length, 1000);
  assert.equal(last.missing_more, true);
  assert.deepEqual(last.missing[0], [0, 0]);
  assert.deepEqual(last.missing.at(-1), [1998, 1998]);
});

test('completing while a chunk past the end is on its way: the chunk is refused, the file is what it was', async (t) => {
  const { engine, dataDir, quiet } = await startEngine(t);
  const { id } = await send(engine, 'f', 0, text('01234'));
  const slow = slowly(engine, 'f', 5, content(5, 200_000));
  slow.push(100_000);
  await slow.taken();
  await quiet();
  assert.equal((await engine.complete(OWNER, 'f')).total_bytes, 5);
  slow.push();
  slow.end();
  await refused(slow.reply, 'file_complete');
  assert.deepEqual(await download(engine, 'f'), Buffer.from('01234'));
  const blob = new Layout(dataDir).file(id ?? '').blob;
  assert.deepEqual(await readFile(blob), Buffer.from('01234'), 'and nothing of the chunk lies behind its end');
});
