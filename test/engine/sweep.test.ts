import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf } from '../support/clock.ts';
import { content, download, OWNER, refused, send, slowly, text } from '../support/device.ts';
import { type EngineUnderTest, startEngine } from '../support/engine.ts';
import { Tap } from '../support/tap.ts';

const HOUR = 3_600_000;

interface Timed {
  run: EngineUnderTest;
  pass(ms: number): void;
}

async function timed(t: Parameters<typeof startEngine>[0], tap?: Tap): Promise<Timed> {
  let now = Date.UTC(2030, 0, 1);
  // The engine's own timers stand still: here only the sweep ends anything.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const rigging = { clock: clockOf(() => now), ...(tap ? { tap } : {}) };
  const run = await startEngine(t, { staleSeconds: 86_400, openEndedSeconds: 900 }, rigging);
  return {
    run,
    pass: (ms) => {
      now += ms;
    },
  };
}

test('an upload for which nothing came for the set time is removed with its bytes, and not before', async (t) => {
  const { run, pass } = await timed(t);
  const { engine } = run;
  const status = await send(engine, 'f', 0, text('abc'), { declaredSize: 10 });
  assert.equal(status.expires_at, '2030-01-02T00:00:00.000Z');
  pass(24 * HOUR - 1);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
  assert.equal(
    (await send(engine, 'f', 3, text('d'))).expires_at,
    '2030-01-02T23:59:59.999Z',
    'a chunk starts the time anew',
  );
  pass(24 * HOUR - 1);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
  let told = 0;
  engine.watch(OWNER, 'f', () => {
    told += 1;
  });
  pass(1);
  assert.deepEqual(await engine.sweep(), { removed: 1, sealed: 0 });
  assert.equal(told, 1);
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  assert.deepEqual(await run.doors.blobs.list(), []);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
});

test('a complete file never goes stale', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 3 });
  pass(1000 * 24 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  assert.equal((await download(run.engine, 'f')).toString(), 'abc');
});

test('a stale replacement goes, the complete file stays', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 3 });
  await send(run.engine, 'f', 0, text('x'), { declaredSize: 5, overwrite: true });
  pass(24 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 1, sealed: 0 });
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'complete');
  assert.equal((await download(run.engine, 'f')).toString(), 'abc');
});

test('an upload with a chunk on its way is not stale, however long that takes', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 100 });
  const slow = slowly(run.engine, 'f', 10, content(10, 10));
  slow.push(5);
  await slow.taken();
  await run.quiet();
  pass(48 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  slow.push();
  slow.end();
  assert.equal((await slow.reply).bytes_received, 20);
});

test('an open-ended file is sealed after its time, not removed', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'));
  pass(900_000 - 1);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  pass(1);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 1 });
  await refused(send(run.engine, 'f', 3, text('d')), 'file_complete');
});

test('an upload of undeclared size with a gap goes stale like any other', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 3, text('abc'));
  pass(24 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 1, sealed: 0 });
});

test('what cannot be removed is warned of, does not stop the others, and is tried again', async (t) => {
  const tap = new Tap();
  const { run, pass } = await timed(t, tap);
  for (const name of ['a', 'b', 'c']) await send(run.engine, name, 1, text('x'));
  pass(24 * HOUR);
  tap.fail('catalog.remove', new Error('EIO'));
  assert.deepEqual(await run.engine.sweep(), { removed: 2, sealed: 0 });
  assert.equal(run.warnings.length, 1);
  await run.restart();
  assert.equal((await run.engine.status(OWNER, 'a')).status, 'partial', 'the next start finds it again');
  assert.deepEqual(await run.engine.sweep(), { removed: 1, sealed: 0 });
  assert.deepEqual(await run.doors.blobs.list(), []);
});

test('staleness counts from the last chunk also over a restart', async (t) => {
  const { run, pass } = await timed(t);
  await send(run.engine, 'f', 0, text('abc'), { declaredSize: 10 });
  pass(20 * HOUR);
  await send(run.engine, 'f', 3, text('d'));
  await run.crash();
  pass(20 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 0, sealed: 0 });
  pass(4 * HOUR);
  assert.deepEqual(await run.engine.sweep(), { removed: 1, sealed: 0 });
});
