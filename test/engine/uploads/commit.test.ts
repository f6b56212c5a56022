import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { EngineSettings } from '../../../src/engine/parts.ts';
import { LadingError } from '../../../src/errors.ts';
import { crc32 } from '../../../src/protocol/crc32.ts';
import {
  content,
  OWNER,
  progress,
  readRange,
  refused,
  send,
  sendAndNotify,
  sendSlowly,
} from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

const FULL = (): LadingError => new LadingError('insufficient_storage', 'no room');

async function rig(
  t: TestContext,
  settings: Partial<EngineSettings> = {},
): Promise<{ run: EngineUnderTest; tap: Tap }> {
  const tap = new Tap();
  return { run: await startEngine(t, settings, { tap }), tap };
}

/** Ids of all blobs on the disk. */
async function stored(dataDir: string): Promise<string[]> {
  const files = join(dataDir, 'v1', 'files');
  const shards = await readdir(files);
  return (await Promise.all(shards.map((shard) => readdir(join(files, shard))))).flat();
}

test('chunks that finish while a sync runs share the next one: ten chunks, two syncs, two journal writes', async (t) => {
  const { run, tap } = await rig(t);
  const gate = tap.hold('part.sync');
  const first = sendAndNotify(run.engine, 'f', 0, content(0, 10));
  await gate.reached;
  const others = Array.from({ length: 9 }, (_, i) => {
    const start = (i + 1) * 10;
    return sendAndNotify(run.engine, 'f', start, content(start, 10));
  });
  await Promise.all(others.map((other) => other.verified));
  await run.quiet();
  gate.open();
  const last = (await Promise.all([first.reply, ...others.map((other) => other.reply)])).at(-1);
  assert.equal(last?.bytes_received, 100);
  assert.equal(tap.count('part.sync'), 2);
  assert.deepEqual(
    tap.appended.map((records) => records.length),
    [1, 9],
  );
  assert.equal(tap.count('catalog.put'), 1, 'the document is written once for an upload, not for a chunk');
  assert.deepEqual(await readRange(run.engine, 'f', 0, 99), Buffer.from(content(0, 100)));
});

test('durability chunk: data synced, then the record appended and synced, then the document, then the reply', async (t) => {
  const { run, tap } = await rig(t);
  tap.reset();
  await send(run.engine, 'f', 0, content(0, 10));
  const commit = tap.calls.filter((call) => /sync|append|put/.test(call));
  assert.deepEqual(commit, ['part.sync', 'manifest.append', 'catalog.put']);
  const [record] = tap.appended[0] ?? [];
  assert.deepEqual({ ...record, time: 0 }, { start: 0, end: 9, crc32: crc32(content(0, 10)), synced: true, time: 0 });
});

test('durability chunk: the bytes of a large chunk go to stable storage while the rest arrives', async (t) => {
  const { run, tap } = await rig(t);
  const bytes = content(0, 5 * 1024 ** 2);
  const sending = sendSlowly(run.engine, 'f', 0, bytes, { declaredSize: bytes.length });
  const early = tap.hold('part.sync');
  sending.push(4 * 1024 ** 2);
  await early.reached;
  early.open(new Error('a failure that the sync of the commit makes good'));
  sending.push();
  sending.end();
  const status = await sending.reply;
  assert.equal(status.status, 'complete');
  assert.ok(
    tap.calls.lastIndexOf('part.sync') > tap.calls.lastIndexOf('part.write'),
    'the commit still syncs all of it',
  );
});

test('durability seal: not even a large chunk is synced', async (t) => {
  const { run, tap } = await rig(t, { durability: 'seal' });
  await send(run.engine, 'f', 0, content(0, 5 * 1024 ** 2), { declaredSize: 6 * 1024 ** 2 });
  assert.equal(tap.count('part.sync'), 0);
});

test('durability seal: a chunk is not synced, and its record says so', async (t) => {
  const { run, tap } = await rig(t, { durability: 'seal' });
  tap.reset();
  await send(run.engine, 'f', 10, content(10, 10));
  assert.equal(tap.count('part.sync') + tap.count('manifest.sync'), 0);
  assert.equal(tap.appended[0]?.[0]?.synced, false);
});

test('durability seal: a chunk that makes a file of undeclared size readable as complete is synced first', async (t) => {
  const { run, tap } = await rig(t, { durability: 'seal' });
  await send(run.engine, 'f', 10, content(10, 10));
  tap.reset();
  const gate = tap.hold('part.sync');
  const closing = send(run.engine, 'f', 0, content(0, 10));
  await gate.reached;
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'partial');
  gate.open();
  assert.equal((await closing).status, 'complete');
  assert.equal(tap.appended[0]?.[0]?.synced, true);
  tap.reset();
  await send(run.engine, 'f', 30, content(30, 10));
  assert.equal(tap.count('part.sync'), 0, 'a chunk behind a gap is left to the seal');
});

test('a duplicate costs no sync, no record and no document', async (t) => {
  const { run, tap } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10));
  tap.reset();
  const status = await send(run.engine, 'f', 0, content(0, 10));
  assert.equal(status.chunk?.duplicate, true);
  assert.deepEqual(
    tap.calls.filter((call) => /sync|append|put/.test(call)),
    [],
  );
});

test('a failed sync refuses every chunk of its round, and none of them counts', async (t) => {
  const { run, tap } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10));
  const gate = tap.hold('part.sync');
  const first = sendAndNotify(run.engine, 'f', 10, content(10, 10));
  await gate.reached;
  tap.fail('part.sync', FULL());
  const others = [20, 30].map((start) => sendAndNotify(run.engine, 'f', start, content(start, 10)));
  await Promise.all(others.map((other) => other.verified));
  await run.quiet();
  gate.open();
  await first.reply;
  for (const other of others) await refused(other.reply, 'insufficient_storage');
  assert.equal((await run.engine.status(OWNER, 'f')).bytes_received, 20);
  assert.equal(await readRange(run.engine, 'f', 20, 20), null);
  assert.equal((await send(run.engine, 'f', 20, content(20, 20))).bytes_received, 40);
});

test('a failed journal write refuses the chunk, and it does not count', async (t) => {
  const { run, tap } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10));
  tap.fail('manifest.append', FULL());
  await refused(send(run.engine, 'f', 10, content(10, 10)), 'insufficient_storage');
  assert.equal((await run.engine.status(OWNER, 'f')).bytes_received, 10);
  await run.crash();
  assert.equal((await run.engine.status(OWNER, 'f')).bytes_received, 10);
  assert.equal((await send(run.engine, 'f', 10, content(10, 10))).chunk?.duplicate, false);
});

for (const operation of [
  'part.write',
  'part.sync',
  'manifest.append',
  'catalog.put',
  'blobs.create',
  'manifests.create',
  'blobs.openPart',
] as const) {
  test(`a first chunk refused because ${operation} failed leaves the name pending and nothing on disk`, async (t) => {
    const { run, tap } = await rig(t);
    tap.fail(operation, FULL());
    await refused(send(run.engine, 'f', 0, content(0, 10), { declaredSize: 10 }), 'insufficient_storage');
    assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
    assert.deepEqual(await stored(run.dataDir), []);
    const status = await send(run.engine, 'f', 0, content(0, 5), { declaredSize: 5 });
    assert.equal(status.status, 'complete', 'what the refused chunk declared does not stick');
  });
}

test('a chunk is refused if its declaration cannot be stored, and the declaration has no effect', async (t) => {
  const { run, tap } = await rig(t);
  await send(run.engine, 'f', 0, content(0, 10));
  tap.fail('catalog.put', FULL());
  await refused(send(run.engine, 'f', 10, content(10, 10), { declaredSize: 50 }), 'insufficient_storage');
  const status = await send(run.engine, 'f', 10, content(10, 10), { declaredSize: 20 });
  assert.equal(status.status, 'complete');
  assert.equal(status.total_bytes, 20);
});

test('chunks of one round are checked in order: the size that one declares applies to the next', async (t) => {
  const { run, tap } = await rig(t);
  const gate = tap.hold('part.sync');
  const first = sendAndNotify(run.engine, 'f', 0, content(0, 10));
  await gate.reached;
  const declares = sendAndNotify(run.engine, 'f', 10, content(10, 10), { declaredSize: 40 });
  await declares.verified;
  const past = sendAndNotify(run.engine, 'f', 50, content(50, 10));
  await past.verified;
  const contradicts = sendAndNotify(run.engine, 'f', 20, content(20, 10), { declaredSize: 41 });
  await contradicts.verified;
  const fits = sendAndNotify(run.engine, 'f', 30, content(30, 10), { declaredSize: 40 });
  await fits.verified;
  await run.quiet();
  gate.open();
  await Promise.all([first.reply, declares.reply, fits.reply]);
  await refused(past.reply, 'out_of_bounds');
  await refused(contradicts.reply, 'size_conflict');
  assert.deepEqual(progress(await run.engine.status(OWNER, 'f')), {
    status: 'partial',
    bytes_received: 30,
    total_bytes: 40,
    next_expected_byte: 20,
    missing: [[20, 29]],
    readable: false,
  });
});

test('a declared size smaller than what another chunk of the round stores is refused', async (t) => {
  const { run, tap } = await rig(t);
  const gate = tap.hold('part.sync');
  const first = sendAndNotify(run.engine, 'f', 0, content(0, 10));
  await gate.reached;
  const far = sendAndNotify(run.engine, 'f', 90, content(90, 10));
  await far.verified;
  const small = sendAndNotify(run.engine, 'f', 10, content(10, 10), { declaredSize: 50 });
  await small.verified;
  await run.quiet();
  gate.open();
  await Promise.all([first.reply, far.reply]);
  await refused(small.reply, 'size_conflict');
});
