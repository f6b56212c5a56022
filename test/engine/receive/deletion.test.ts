/** Deletions of files and uploads during other requests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  content,
  download,
  OWNER,
  refused,
  send,
  sendAndNotify,
  sendSlowly,
  text,
} from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';
import { OVER } from './replacement-setup.ts';

test('deleting a complete file: removed at once, running downloads continue, the name is free', async (t) => {
  const run = await startEngine(t);
  const { engine } = run;
  await send(engine, 'f', 0, content(0, 100_000), { declaredSize: 100_000 });
  const reading = await engine.open(OWNER, 'f');
  const half = Buffer.alloc(50_000);
  await reading.reader.read(half, 0);
  await engine.remove(OWNER, 'f');
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  await refused(engine.open(OWNER, 'f'), 'not_found');
  await refused(engine.remove(OWNER, 'f'), 'not_found');
  const rest = Buffer.alloc(50_000);
  assert.equal(await reading.reader.read(rest, 50_000), 50_000);
  assert.deepEqual(Buffer.concat([half, rest]), Buffer.from(content(0, 100_000)));
  reading.release();
  assert.deepEqual(await run.deps.blobs.list(), []);
  assert.equal((await send(engine, 'f', 0, text('new'))).bytes_received, 3);
});

test('deleting an upload refuses its running chunks with not_found, and leaves nothing', async (t) => {
  const run = await startEngine(t);
  const { engine } = run;
  await send(engine, 'f', 0, content(0, 10), { declaredSize: 300_000 });
  const slow = sendSlowly(engine, 'f', 10, content(10, 200_000));
  slow.push(100_000);
  await slow.taken();
  await run.quiet();
  const reading = await engine.open(OWNER, 'f');
  assert.equal(reading.state(), 'open');
  await engine.remove(OWNER, 'f');
  assert.equal(reading.state(), 'discarded');
  const first = Buffer.alloc(10);
  assert.equal(await reading.reader.read(first, 0), 10);
  assert.deepEqual(first, Buffer.from(content(0, 10)), 'a running download continues');
  reading.release();
  slow.push();
  slow.end();
  await refused(slow.reply, 'not_found');
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  assert.deepEqual(await run.deps.blobs.list(), []);
  await run.crash();
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
});

test('deleting while a request waits for the range of another: both are refused', async (t) => {
  const { engine, quiet } = await startEngine(t);
  await send(engine, 'f', 0, content(0, 10));
  const slow = sendSlowly(engine, 'f', 10, content(10, 10));
  slow.push(5);
  await slow.taken();
  await quiet();
  const waiting = send(engine, 'f', 10, content(10, 10));
  waiting.catch(() => {});
  await quiet();
  await engine.remove(OWNER, 'f');
  slow.push();
  slow.end();
  await refused(slow.reply, 'not_found');
  await refused(waiting, 'not_found');
});

for (const operation of ['part.write', 'part.sync', 'manifest.append', 'catalog.put'] as const) {
  for (const moment of ['before', 'after'] as const) {
    test(`deleting while a chunk is held ${moment} ${operation} never restores the document`, async (t) => {
      const tap = new Tap();
      const run = await startEngine(t, {}, { tap });
      await send(run.engine, 'f', 0, content(0, 10));
      const gate = tap.hold(operation, moment);
      // The chunk declares its size, so that its commit writes the document.
      const late = sendAndNotify(run.engine, 'f', 10, content(10, 10), { declaredSize: 30 });
      await gate.reached;
      const removed = run.engine.remove(OWNER, 'f');
      await run.quiet();
      gate.open();
      await removed;
      // Either the chunk counted before the deletion, or the deletion refused it.
      await late.reply.catch((error: { code: string }) => assert.equal(error.code, 'not_found'));
      assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
      assert.deepEqual(await run.deps.blobs.list(), []);
      await run.crash();
      assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
      assert.deepEqual(await run.deps.blobs.list(), []);
      assert.equal(run.recovered.leftovers, 0);
    });
  }
}

for (const operation of ['manifest.sync', 'blobs.seal', 'catalog.put'] as const) {
  for (const moment of ['before', 'after'] as const) {
    test(`deleting while the seal is held ${moment} ${operation} deletes the complete file`, async (t) => {
      const tap = new Tap();
      const run = await startEngine(t, {}, { tap });
      await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
      const gate = tap.hold(operation, moment);
      const last = send(run.engine, 'f', 10, content(10, 10));
      await gate.reached;
      const removed = run.engine.remove(OWNER, 'f');
      await run.quiet();
      gate.open();
      await removed;
      assert.equal((await last).status, 'complete');
      assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
      assert.deepEqual(await run.deps.blobs.list(), []);
    });
  }
}

test('deleting a file also deletes its unfinished replacement', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
  await send(run.engine, 'f', 0, text('the'), OVER);
  await run.engine.remove(OWNER, 'f');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  assert.deepEqual(await run.deps.blobs.list(), []);
});

test('deleting a file discards a replacement whose first chunk is arriving', async (t) => {
  const run = await startEngine(t);
  const { engine } = run;
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const slow = sendSlowly(engine, 'f', 0, text('the'), OVER);
  slow.push(1);
  await slow.taken();
  await run.quiet();
  await engine.remove(OWNER, 'f');
  slow.push();
  slow.end();
  await refused(slow.reply, 'not_found');
  const status = await engine.status(OWNER, 'f');
  assert.deepEqual([status.status, status.readable], ['pending', false]);
  assert.deepEqual(await run.deps.blobs.list(), []);
  assert.equal((await send(engine, 'f', 0, text('thenew'), OVER)).status, 'complete');
});

test('deleting a file discards a replacement that is being created', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap });
  await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
  const gate = tap.hold('blobs.create');
  const first = send(run.engine, 'f', 0, text('the'), OVER);
  first.catch(() => {});
  await gate.reached;
  const removed = run.engine.remove(OWNER, 'f');
  await run.quiet();
  gate.open();
  await removed;
  const status = await first.catch((error: { code: string }) => error.code);
  if (typeof status === 'string') {
    assert.equal(status, 'not_found');
    assert.deepEqual(await run.deps.blobs.list(), []);
  } else {
    assert.equal(status.readable, false, 'there is no old file any more that could be read');
  }
});

test('a deletion that fails on the disk leaves the file', async (t) => {
  const tap = new Tap();
  const { engine } = await startEngine(t, {}, { tap });
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  tap.fail('catalog.remove', new Error('EIO'));
  await assert.rejects(engine.remove(OWNER, 'f'), /EIO/);
  assert.equal((await download(engine, 'f')).toString(), 'old');
  await engine.remove(OWNER, 'f');
});
