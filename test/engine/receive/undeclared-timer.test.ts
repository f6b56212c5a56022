/** Files of undeclared size: the timer that seals them, and completion at the same moment. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { LadingError } from '../../../src/errors.ts';
import { Layout } from '../../../src/storage/disk/directory/layout.ts';
import { clockOf } from '../../support/product/clock.ts';
import { content, download, OWNER, refused, send, sendSlowly, text, turnsUntil } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';
import { folders } from './undeclared-setup.ts';

const MINUTE = 60_000;

test('a timer seals a silent file of undeclared size, and a later chunk continues it', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { engine, warnings, quiet } = await startEngine(t, { openEndedSeconds: 900 }, { clock: clockOf(() => now) });
  await send(engine, 'f', 0, text('01234'));
  now += 10 * MINUTE;
  t.mock.timers.tick(10 * MINUTE);
  await send(engine, 'f', 5, text('5'));
  now += 15 * MINUTE - 1;
  t.mock.timers.tick(15 * MINUTE - 1);
  await quiet();
  assert.equal((await send(engine, 'f', 6, text('6'))).total_bytes, 7, 'every chunk restarts the timer');
  let sealed = false;
  engine.watch(OWNER, 'f', () => {
    sealed = true;
  });
  now += 15 * MINUTE;
  t.mock.timers.tick(15 * MINUTE);
  await turnsUntil(() => sealed);
  assert.deepEqual(await download(engine, 'f'), Buffer.from('0123456'));
  assert.equal((await send(engine, 'f', 7, text('7'))).total_bytes, 8);
  assert.deepEqual(await download(engine, 'f'), Buffer.from('01234567'));
  assert.deepEqual(warnings, []);
});

test('an arriving chunk keeps a file of undeclared size open', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { engine, quiet } = await startEngine(t, { openEndedSeconds: 900 }, { clock: clockOf(() => now) });
  await send(engine, 'f', 0, text('01234'));
  const slow = sendSlowly(engine, 'f', 5, text('56789'));
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
  const { engine } = await startEngine(t, { openEndedSeconds: 900 }, { clock: clockOf(() => now) });
  await send(engine, 'f', 5, text('56789'));
  now += 60 * MINUTE;
  t.mock.timers.tick(60 * MINUTE);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 });
  assert.equal((await send(engine, 'f', 0, text('01234'))).total_bytes, 10);
});

test('a chunk after the silence but before the timer continues the file', async (t) => {
  let now = Date.now();
  const { engine } = await startEngine(t, { openEndedSeconds: 900 }, { clock: clockOf(() => now) });
  const { id } = await send(engine, 'f', 0, text('01234'));
  now += 15 * MINUTE;
  const more = await send(engine, 'f', 5, text('5'));
  assert.deepEqual([more.id, more.status, more.total_bytes], [id, 'complete', 6]);
  assert.equal((await send(engine, 'f', 0, text('0'))).chunk?.duplicate, true);
});

test('the silence counts on after a restart', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const run = await startEngine(t, { openEndedSeconds: 900 }, { clock: clockOf(() => now) });
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
  assert.notEqual((await run.deps.catalog.find(OWNER, 'f')).sealed, null);
});

test('two concurrent first chunks create one upload', async (t) => {
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

test('the reply to a chunk lists at most 16 gaps', async (t) => {
  const { engine } = await startEngine(t, { durability: 'seal' });
  for (let i = 0; i < 16; i += 1) await send(engine, 'f', i * 2 + 1, text('x'), { declaredSize: 40 });
  const reply = await send(engine, 'f', 38, text('x'), { declaredSize: 40 });
  assert.deepEqual([reply.missing.length, reply.missing_more, reply.missing.at(-1)], [16, true, [30, 30]]);
  const { missing, missing_more } = await engine.status(OWNER, 'f');
  assert.deepEqual([missing.length, missing_more, missing.at(-1)], [18, false, [39, 39]]);
});

test('a completion refuses an arriving chunk past the end, and the file stays as it was', async (t) => {
  const { engine, dataDir, quiet } = await startEngine(t);
  const { id } = await send(engine, 'f', 0, text('01234'));
  const slow = sendSlowly(engine, 'f', 5, content(5, 200_000));
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

test('a completion waits for the running write of a chunk past the end', async (t) => {
  const tap = new Tap();
  const { engine, dataDir, quiet } = await startEngine(t, {}, { tap });
  const { id } = await send(engine, 'f', 0, text('01234'));
  const gate = tap.hold('part.write');
  const past = send(engine, 'f', 5, text('56789'));
  past.catch(() => {});
  await gate.reached;
  const completing = engine.complete(OWNER, 'f');
  await quiet();
  assert.equal(tap.count('blobs.seal'), 0);
  gate.open();
  assert.equal((await completing).total_bytes, 5);
  await refused(past, 'file_complete');
  assert.deepEqual(await readFile(new Layout(dataDir).file(id ?? '').blob), Buffer.from('01234'));
});

test('a file can grow after a failed completion', async (t) => {
  for (const operation of ['manifest.sync', 'blobs.seal', 'catalog.put'] as const) {
    const tap = new Tap();
    const { engine } = await startEngine(t, {}, { tap });
    await send(engine, 'f', 0, text('01234'));
    tap.fail(operation, new LadingError('insufficient_storage', 'no room'));
    await refused(engine.complete(OWNER, 'f'), 'insufficient_storage');
    assert.equal((await send(engine, 'f', 5, text('56789'))).total_bytes, 10, operation);
    assert.deepEqual(await download(engine, 'f'), Buffer.from('0123456789'));
    assert.equal((await engine.complete(OWNER, 'f')).total_bytes, 10);
  }
});
