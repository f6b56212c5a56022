/** PROTOCOL §3: a chunk past its end continues a file of undeclared size that was sealed after a silence. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { clockOf } from '../../support/product/clock.ts';
import { content, download, OWNER, refused, send, text } from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

const SILENCE = 900_000;

/** A file `01234` that was sealed after a silence. */
async function sealedOne(t: TestContext, tap = new Tap()) {
  let now = Date.UTC(2030, 0, 1);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const run = await startEngine(t, {}, { clock: clockOf(() => now), tap });
  const pass = (ms: number): void => {
    now += ms;
  };
  await send(run.engine, 'f', 0, text('01234'));
  await silence(run, pass);
  const before = await run.engine.status(OWNER, 'f');
  return { run, pass, before };
}

async function silence(run: EngineUnderTest, pass: (ms: number) => void): Promise<void> {
  pass(SILENCE);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 1 });
}

test('a sealed file is continued at once or after restarts, and is sealed again', async (t) => {
  const { run, pass, before } = await sealedOne(t);
  await run.restart();
  assert.deepEqual(await run.engine.status(OWNER, 'f'), before);
  const more = await send(run.engine, 'f', 5, text('567'));
  assert.deepEqual([more.id, more.status, more.total_bytes, more.readable], [before.id, 'complete', 8, true]);
  assert.notEqual(more.etag, before.etag);
  assert.deepEqual(run.engine.usage(OWNER), { bytes: 8, openUploads: 1, dayBytes: 8 });
  await run.crash();
  assert.equal((await send(run.engine, 'f', 8, text('89'))).total_bytes, 10);
  assert.equal((await send(run.engine, 'f', 3, text('345'))).chunk?.duplicate, true);
  await silence(run, pass);
  const after = await run.engine.status(OWNER, 'f');
  assert.equal((await download(run.engine, 'f')).toString(), '0123456789');
  assert.ok(Date.parse(after.completed_at ?? '') > Date.parse(before.completed_at ?? ''));
  assert.deepEqual(run.engine.usage(OWNER), { bytes: 10, openUploads: 0, dayBytes: 10 });
  await run.crash();
  assert.equal((await send(run.engine, 'f', 10, text('a'))).total_bytes, 11, 'again');
  assert.equal((await run.engine.verify(OWNER, 'f')).checked_bytes, 11);
});

test('a duplicate, a conflict, a wrong size and a refused chunk do not change a sealed file', async (t) => {
  const { run, pass, before } = await sealedOne(t);
  assert.equal((await send(run.engine, 'f', 1, text('123'))).chunk?.duplicate, true);
  await refused(send(run.engine, 'f', 1, text('xxx')), 'file_complete');
  await refused(send(run.engine, 'f', 1, text('123'), { declaredSize: 9 }), 'size_conflict');
  await refused(send(run.engine, 'f', 5, text('567'), { crc32: 0 }), 'checksum_mismatch');
  await refused(send(run.engine, 'f', 3, text('xx5')), 'chunk_conflict');
  assert.equal((await download(run.engine, 'f')).toString(), '01234');
  assert.equal((await run.engine.status(OWNER, 'f')).etag, before.etag);
  await silence(run, pass);
  assert.equal((await send(run.engine, 'f', 5, text('567'), { declaredSize: 10 })).status, 'partial');
  assert.equal((await send(run.engine, 'f', 8, text('89'))).status, 'complete');
  await refused(send(run.engine, 'f', 10, text('a')), 'out_of_bounds').catch(async () =>
    refused(send(run.engine, 'f', 10, text('a')), 'file_complete'),
  );
});

test('a continuation with a gap leaves the complete file readable, and its cancellation restores the file', async (t) => {
  const { run, before } = await sealedOne(t);
  const gap = await send(run.engine, 'f', 8, text('89'));
  assert.deepEqual([gap.status, gap.missing, gap.readable], ['partial', [[5, 7]], true]);
  assert.equal((await download(run.engine, 'f')).toString(), '01234');
  await run.crash();
  assert.equal((await download(run.engine, 'f')).toString(), '01234');
  await run.engine.cancel(OWNER, 'f');
  const after = await run.engine.status(OWNER, 'f');
  assert.deepEqual(after, before);
  assert.deepEqual(run.engine.usage(OWNER).bytes, 5);
  await run.crash();
  assert.deepEqual(await run.engine.status(OWNER, 'f'), before);
  await send(run.engine, 'f', 8, text('89'));
  assert.equal((await send(run.engine, 'f', 5, text('567'))).status, 'complete');
  assert.equal((await download(run.engine, 'f')).toString(), '0123456789');
  await send(run.engine, 'f', 12, text('c'));
  assert.deepEqual(await run.engine.remove(OWNER, 'f'), ['file', 'upload']);
  assert.deepEqual(await run.deps.blobs.list(), []);
});

test('a continuation that was parked for a long time is removed, and the file stays', async (t) => {
  const { run, pass, before } = await sealedOne(t);
  await send(run.engine, 'f', 8, text('89'));
  pass(86_400_000);
  assert.equal((await run.engine.sweep()).parked, 1);
  pass(30 * 86_400_000);
  assert.equal((await run.engine.sweep()).removed, 1);
  assert.deepEqual(await run.engine.status(OWNER, 'f'), before);
  assert.equal((await download(run.engine, 'f')).toString(), '01234');
});

test('a file that was completed on request or has a declared size cannot be continued', async (t) => {
  const { run } = await sealedOne(t);
  await run.engine.complete(OWNER, 'f');
  await refused(send(run.engine, 'f', 5, text('5')), 'file_complete');
  await send(run.engine, 'd', 0, text('01234'), { declaredSize: 5 });
  await refused(send(run.engine, 'd', 5, text('5')), 'file_complete');
});

test('a wrong digest after a silence discards nothing', async (t) => {
  const { run, pass } = await sealedOne(t);
  const value = new Uint8Array(32);
  await send(run.engine, 'g', 0, text('abc'), { reprDigest: { algorithm: 'sha-256', value } });
  pass(SILENCE);
  await run.engine.sweep();
  assert.equal((await send(run.engine, 'g', 3, text('d'))).bytes_received, 4);
});

test('a crash at every step of a continuation never shortens the file', async (t) => {
  for (const operation of ['catalog.put', 'part.write', 'part.sync', 'manifest.append'] as const) {
    for (const moment of ['before', 'after'] as const) {
      const tap = new Tap();
      const { run, pass } = await sealedOne(t, tap);
      const gate = tap.hold(operation, moment);
      const next = send(run.engine, 'f', 5, content(5, 3));
      next.catch(() => {});
      await gate.reached;
      const crashed = run.crash();
      gate.open();
      await crashed;
      await next.catch(() => {});
      const where = `${moment} ${operation}`;
      const there = await download(run.engine, 'f');
      assert.equal(there.subarray(0, 5).toString(), '01234', where);
      const sent = await send(run.engine, 'f', 5, content(5, 3));
      assert.deepEqual([sent.status, sent.total_bytes], ['complete', 8], where);
      assert.deepEqual((await download(run.engine, 'f')).subarray(5), Buffer.from(content(5, 3)), where);
      await silence(run, pass);
      assert.equal((await run.deps.blobs.list()).length, 1, where);
      assert.equal((await run.engine.verify(OWNER, 'f')).ok, true, where);
      await run.close();
      t.mock.timers.reset();
    }
  }
});
