import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realDisk } from '../../src/storage/disk/io/disk.ts';
import { FaultyDisk } from '../support/disk/faulty-disk.ts';
import { clockOf } from '../support/product/clock.ts';
import { content, OWNER, refused, send, sendSlowly, text, turnsUntil } from '../support/product/device.ts';
import { startEngine } from '../support/product/engine.ts';
import { Tap } from '../support/wire/tap.ts';

const LONG = 2 ** 31 - 1;

test('a stop lets running chunks finish and accepts no new ones', async (t) => {
  const run = await startEngine(t);
  const running = sendSlowly(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  running.push(5);
  await running.taken();
  await run.quiet();
  let stopped = false;
  const stop = run.engine.stop(LONG).then(() => {
    stopped = true;
  });
  const error = await refused(send(run.engine, 'f', 10, content(10, 10)), 'shutting_down');
  assert.ok((error.members.retry_after ?? 0) > 0);
  await refused(run.engine.admitChunk({ ...said, name: 'g' }), 'shutting_down');
  await run.quiet();
  assert.ok(!stopped);
  running.push();
  running.end();
  assert.equal((await running.reply).bytes_received, 10);
  await stop;
  await run.restart();
  assert.equal((await run.engine.status(OWNER, 'f')).bytes_received, 10);
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

test('a stop without anything running resolves at once', async (t) => {
  const run = await startEngine(t);
  await run.engine.stop(LONG);
});

test('a stop refuses running chunks with shutting_down after its patience, and none of them counts', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, content(0, 10));
  const header = sendSlowly(run.engine, 'g', 0, content(0, 10));
  const middle = sendSlowly(run.engine, 'f', 10, content(10, 200_000));
  middle.push(100_000);
  const waiting = sendSlowly(run.engine, 'f', 10, content(10, 200_000));
  waiting.push();
  waiting.end();
  await middle.taken();
  await run.quiet();
  await header.taken();
  await run.quiet();
  await run.engine.stop(0);
  for (const { reply } of [header, middle, waiting]) await refused(reply, 'shutting_down');
  await run.restart();
  assert.equal((await run.engine.status(OWNER, 'f')).bytes_received, 10);
  assert.equal((await run.engine.status(OWNER, 'g')).status, 'pending');
});

test('a chunk that is being committed is finished after the patience of a stop', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap });
  const gate = tap.hold('part.sync');
  const reply = send(run.engine, 'f', 0, content(0, 10));
  await gate.reached;
  const stop = run.engine.stop(0);
  await run.quiet();
  gate.open();
  assert.equal((await reply).bytes_received, 10);
  await stop;
});

test('a stop waits for a running seal', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap });
  await send(run.engine, 'f', 0, text('abc'));
  const gate = tap.hold('blobs.seal');
  const completing = run.engine.complete(OWNER, 'f');
  await gate.reached;
  let stopped = false;
  const stop = run.engine.stop(0).then(() => {
    stopped = true;
  });
  await run.quiet();
  assert.ok(!stopped);
  gate.open();
  await stop;
  assert.equal((await completing).status, 'complete');
});

test('durability seal: a clean stop syncs the bytes that no seal has synced', async (t) => {
  const disk = new FaultyDisk(realDisk);
  const run = await startEngine(t, { durability: 'seal' }, { disk });
  const { id } = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  const synced: string[] = [];
  disk.arm(({ op, path }) => {
    if (op === 'datasync') synced.push(path);
    return null;
  });
  await run.restart();
  disk.disarm();
  for (const name of ['part', 'manifest']) {
    assert.ok(
      synced.some((path) => path.includes(id ?? '') && path.endsWith(name)),
      `${name} is synced`,
    );
  }
});

test('the timers of open-ended files end with the engine', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const tap = new Tap();
  const run = await startEngine(t, { openEndedSeconds: 900 }, { clock: clockOf(() => now), tap });
  await send(run.engine, 'f', 0, text('abc'));
  await run.engine.stop(LONG);
  now += 3_600_000;
  t.mock.timers.tick(3_600_000);
  await run.quiet();
  assert.equal(tap.count('blobs.seal'), 0);
});

test('the stall watch ends a silent request and releases its range', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setInterval'] });
  const run = await startEngine(t, { idleSeconds: 10 }, { clock: clockOf(() => now) });
  const silent = sendSlowly(run.engine, 'f', 0, content(0, 100));
  silent.push(50);
  await silent.taken();
  await run.quiet();
  now += 10_000;
  t.mock.timers.tick(1000);
  await refused(silent.reply, 'request_timeout');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  assert.equal((await send(run.engine, 'f', 0, content(0, 100))).bytes_received, 100);
});

test('a silent request ends long before the idle limit when another request waits for its bytes', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setInterval'] });
  const run = await startEngine(t, { idleSeconds: 120 }, { clock: clockOf(() => now) });
  const pass = async (seconds: number): Promise<void> => {
    now += seconds * 1000;
    t.mock.timers.tick(1000);
    await run.quiet();
  };
  const dead = sendSlowly(run.engine, 'f', 0, content(0, 100));
  dead.push(50);
  await dead.taken();
  await run.quiet();
  await pass(60);
  const again = send(run.engine, 'f', 0, content(0, 100));
  await run.quiet();
  await pass(1);
  await refused(dead.reply, 'request_timeout');
  const { bytes_received: received, chunk } = await again;
  assert.deepEqual([received, chunk?.duplicate], [100, false]);
});

test('a request that waits for the disk or for another request does not count as silent', async (t) => {
  let now = Date.now();
  t.mock.timers.enable({ apis: ['setInterval'] });
  const tap = new Tap();
  const run = await startEngine(t, { idleSeconds: 10 }, { clock: clockOf(() => now), tap });
  const gate = tap.hold('part.write');
  const first = sendSlowly(run.engine, 'f', 0, content(0, 100));
  first.push();
  first.end();
  await gate.reached;
  const second = sendSlowly(run.engine, 'f', 0, content(0, 100));
  second.push(50);
  await second.taken();
  await run.quiet();
  for (let i = 0; i < 100; i += 1) {
    now += 1000;
    t.mock.timers.tick(1000);
  }
  gate.open();
  assert.equal((await first.reply).bytes_received, 100);
  second.push();
  second.end();
  assert.equal((await second.reply).chunk?.duplicate, true);
  await turnsUntil(() => run.engine.gauges().receiving === 0);
});
