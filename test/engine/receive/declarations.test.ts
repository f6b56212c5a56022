/** Declarations about a whole file: when they are fixed, and when they have no effect. Empty files. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { download, OWNER, progress, refused, send, sendRaw, sendSlowly, text } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';

test('the declaration of a refused chunk has no effect', async (t) => {
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

test('a size can be declared later, and is fixed from then on', async (t) => {
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

test('a duplicate that declares the stored size seals the upload', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('01234'));
  const status = await send(engine, 'f', 0, text('012'), { declaredSize: 5 });
  assert.equal(status.status, 'complete');
  assert.equal(status.chunk?.duplicate, true);
  await refused(send(engine, 'f', 5, text('5')), 'file_complete');
});

test('a declared size below the stored bytes is refused with 409 size_conflict', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 5, text('56789'));
  const error = await refused(send(engine, 'f', 0, text('01'), { declaredSize: 9 }), 'size_conflict');
  assert.deepEqual({ ...error.members }, { expected: 10, actual: 9 });
  assert.equal((await engine.status(OWNER, 'f')).bytes_received, 5);
});

test('a declaration survives a restart and a crash', async (t) => {
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

test('total_size=0 with an empty body creates an empty file', async (t) => {
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

test('an empty body for a file with bytes is refused with 409 size_conflict', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'open', 0, text('01234'));
  await refused(sendRaw(engine, 'open', new Uint8Array(), { declaredSize: 0 }), 'size_conflict');
  await send(engine, 'whole', 0, text('01234'), { declaredSize: 5 });
  await refused(sendRaw(engine, 'whole', new Uint8Array(), { declaredSize: 0 }), 'size_conflict');
  assert.equal((await engine.status(OWNER, 'open')).bytes_received, 5);
});

test('an empty file refuses a first chunk of its name that is arriving', async (t) => {
  const { engine, quiet } = await startEngine(t);
  const slow = sendSlowly(engine, 'f', 0, text('01234'));
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
