import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Quota } from '../../../src/contracts/quota.ts';
import { LadingError } from '../../../src/errors.ts';
import { clockOf } from '../../support/product/clock.ts';
import { content, download, OWNER, refused, send, sendSlowly, text } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';
import { HOUR, timed } from './timed-engine.ts';

test('a silent upload is parked with its bytes, and removed a long time after', async (t) => {
  const { run, pass } = await timed(t);
  const { engine } = run;
  const status = await send(engine, 'f', 0, text('abc'), { declaredSize: 10 });
  assert.deepEqual([status.expires_at, status.stale], ['2030-02-01T00:00:00.000Z', undefined]);
  pass(24 * HOUR - 1);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
  assert.equal(
    (await send(engine, 'f', 3, text('d'))).expires_at,
    '2030-02-01T23:59:59.999Z',
    'a chunk restarts the time',
  );
  pass(24 * HOUR - 1);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
  let told = 0;
  engine.watch(OWNER, 'f', () => {
    told += 1;
  });
  pass(1);
  assert.equal(engine.usage(OWNER).openUploads, 1);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0, parked: 1 });
  assert.equal(told, 1);
  assert.deepEqual(engine.usage(OWNER), { bytes: 4, openUploads: 0, dayBytes: 0 });
  assert.deepEqual([engine.gauges().open_uploads, engine.gauges().parked_uploads], [0, 1]);
  const parked = await engine.status(OWNER, 'f');
  assert.deepEqual(
    [parked.status, parked.bytes_received, parked.stale, parked.expires_at],
    ['partial', 4, true, '2030-02-01T23:59:59.999Z'],
  );
  const { files } = await engine.list({ owner: OWNER, prefix: '', cursor: null, limit: 10, status: null });
  assert.deepEqual(files, [parked], 'it is listed');
  pass(30 * 24 * HOUR - 1);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
  assert.equal(told, 1, 'it is parked once');
  pass(1);
  assert.deepEqual(await engine.sweep(), { removed: 1, sealed: 0 });
  assert.equal(told, 2);
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  assert.deepEqual(await run.deps.blobs.list(), []);
  assert.deepEqual(engine.usage(OWNER), { bytes: 0, openUploads: 0, dayBytes: 0 });
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
});

test('an upload that is deleted while it is being parked is no failure of the sweep', async (t) => {
  const tap = new Tap();
  const { run, pass } = await timed(t, tap);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 10 });
  pass(25 * HOUR);
  const opening = tap.hold('blobs.openPart');
  const swept = run.engine.sweep();
  await opening.reached;
  await run.engine.remove(OWNER, 'f');
  opening.open();
  assert.deepEqual(await swept, { removed: 0, sealed: 0 });
  assert.deepEqual(run.warnings, []);
});

test('a parked upload resumes with the next chunk, even after restarts and crashes', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 10 });
  pass(25 * HOUR);
  assert.equal((await run.engine.sweep()).parked, 1);
  for (const again of [() => run.restart(), () => run.crash()]) {
    await again();
    const { stale, expires_at } = await run.engine.status(OWNER, 'f');
    assert.deepEqual([stale, expires_at], [true, '2030-02-01T01:00:00.000Z']);
    assert.deepEqual(run.engine.usage(OWNER), { bytes: 3, openUploads: 0, dayBytes: 0 });
  }
  pass(29 * 24 * HOUR);
  await refused(send(run.engine, 'f', 3, text('d'), { crc32: 0 }), 'checksum_mismatch');
  assert.equal((await run.engine.status(OWNER, 'f')).stale, true, 'what was refused changes nothing');
  assert.equal(run.engine.usage(OWNER).openUploads, 0);
  const next = await send(run.engine, 'f', 3, text('d'));
  assert.deepEqual([next.bytes_received, next.stale], [4, undefined]);
  assert.equal(run.engine.usage(OWNER).openUploads, 1);
  pass(23 * HOUR);
  await run.crash();
  pass(30 * 60_000);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 }, 'the time restarted');
  assert.equal((await send(run.engine, 'f', 4, text('efghij'))).status, 'complete');
  assert.equal((await download(run.engine, 'f')).toString(), 'abcdefghij');
  assert.equal(run.engine.usage(OWNER).openUploads, 0);
});

test('a duplicate chunk also resumes a parked upload', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 10 });
  pass(25 * HOUR);
  await run.engine.sweep();
  const again = await send(run.engine, 'f', 0, text('abc'));
  assert.deepEqual([again.chunk?.duplicate, again.stale], [true, undefined]);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  assert.equal(run.engine.usage(OWNER).openUploads, 1);
});

test('with 0 days no upload is removed, and the status has no expiry', async (t) => {
  const { run, pass } = await timed(t);
  await run.restart({ staleRemoveDays: 0 });
  assert.equal((await send(run.engine, 'f', 0, text('abc'), { declaredSize: 10 })).expires_at, null);
  pass(25 * HOUR);
  assert.equal((await run.engine.sweep()).parked, 1);
  pass(10_000 * 24 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  const { stale, expires_at } = await run.engine.status(OWNER, 'f');
  assert.deepEqual([stale, expires_at], [true, null]);
});

test('the first sweep after a long stop parks uploads and removes none', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 10 });
  await run.restart();
  pass(1000 * 24 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0, parked: 1 });
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
});

test('a chunk that arrives at any moment of the parking counts', async (t) => {
  for (const moment of ['before', 'after'] as const) {
    const tap = new Tap();
    const { run, pass } = await timed(t, tap);
    await send(run.engine, 'f', 0, text('abc'));
    await send(run.engine, 'f', 5, text('f'));
    pass(25 * HOUR);
    const gate = tap.hold('catalog.put', moment);
    const sweeping = run.engine.sweep();
    await gate.reached;
    const coming = send(run.engine, 'f', 6, text('g'), { declaredSize: 10 });
    await run.quiet();
    gate.open();
    await sweeping;
    const status = await coming;
    assert.deepEqual([status.bytes_received, status.total_bytes, status.stale], [5, 10, undefined], moment);
    assert.equal(run.engine.usage(OWNER).openUploads, 1);
    await run.crash();
    const after = await run.engine.status(OWNER, 'f');
    assert.deepEqual([after.bytes_received, after.total_bytes, after.stale], [5, 10, undefined], moment);
    await run.close();
    t.mock.timers.reset();
  }
});

test('a parked upload resumes only within the quota of open uploads', async (t) => {
  let now = Date.UTC(2030, 0, 1);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const limit = { bytes: 1000, openUploads: 1, dayBytes: 1000 };
  const quota: Quota = {
    groupOf: (owner) => owner,
    admit: (_, { own }, { openUploads = 0 }) => {
      if (openUploads > 0 && own.openUploads + openUploads > limit.openUploads)
        throw new LadingError('quota_exceeded', 'too many');
    },
  };
  const run = await startEngine(t, { staleSeconds: 3600 }, { clock: clockOf(() => now), quota });
  await send(run.engine, 'a', 0, text('a'), { declaredSize: 3 });
  await refused(send(run.engine, 'b', 0, text('b'), { declaredSize: 3 }), 'quota_exceeded');
  now += HOUR;
  await run.engine.sweep();
  await send(run.engine, 'b', 0, text('b'), { declaredSize: 3 });
  await refused(send(run.engine, 'a', 1, text('a')), 'quota_exceeded');
  assert.equal((await run.engine.status(OWNER, 'a')).stale, true);
  assert.equal((await send(run.engine, 'b', 1, text('bb'))).status, 'complete');
  assert.equal((await send(run.engine, 'a', 1, text('aa'))).status, 'complete');
});

test('a complete file never goes stale', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 3 });
  pass(1000 * 24 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  assert.equal((await download(run.engine, 'f')).toString(), 'abc');
});

test('a replacement that was parked for a long time is removed, and the complete file stays', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 3 });
  await send(run.engine, 'f', 0, text('x'), { declaredSize: 5, overwrite: true });
  pass(24 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0, parked: 1 });
  assert.equal((await download(run.engine, 'f')).toString(), 'abc');
  pass(30 * 24 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 1, sealed: 0 });
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'complete');
  assert.equal((await download(run.engine, 'f')).toString(), 'abc');
});

test('an upload that is receiving a chunk is never stale', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 100 });
  const slow = sendSlowly(run.engine, 'f', 10, content(10, 10));
  slow.push(5);
  await slow.taken();
  await run.quiet();
  pass(48 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  slow.push();
  slow.end();
  assert.equal((await slow.reply).bytes_received, 20);
});

test('a file of undeclared size is sealed after the silence and not removed', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'));
  pass(900_000 - 1);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  pass(1);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 1 });
  assert.equal((await send(run.engine, 'f', 3, text('d'))).total_bytes, 4, 'a later chunk continues it');
});

test('an upload of undeclared size with a gap becomes stale', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 3, text('abc'));
  pass(24 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0, parked: 1 });
});

test('the sweep warns of an upload that it cannot park or remove, continues with the others, and tries again', async (t) => {
  const tap = new Tap();
  const { run, pass } = await timed(t, tap);
  for (const name of ['a', 'b', 'c']) await send(run.engine, name, 1, text('x'));
  pass(24 * HOUR);
  tap.fail('catalog.put', new Error('EIO'));
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0, parked: 2 });
  assert.equal(run.warnings.length, 1);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0, parked: 1 });
  assert.equal(run.engine.usage(OWNER).openUploads, 0);
  pass(30 * 24 * HOUR);
  tap.fail('catalog.remove', new Error('EIO'));
  assert.deepEqual(await run.engine.sweep(), { removed: 2, sealed: 0 });
  assert.equal(run.warnings.length, 2);
  await run.restart();
  assert.equal((await run.engine.status(OWNER, 'a')).status, 'partial', 'the next start finds it again');
  assert.deepEqual(await run.engine.sweep(), { removed: 1, sealed: 0 });
  assert.deepEqual(await run.deps.blobs.list(), []);
});

test('staleness counts from the last chunk, even after a restart', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 10 });
  pass(20 * HOUR);
  await send(run.engine, 'f', 3, text('d'));
  await run.crash();
  pass(20 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  pass(4 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0, parked: 1 });
});
