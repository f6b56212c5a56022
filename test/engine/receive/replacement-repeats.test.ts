/** Late duplicates of the last chunk of a replacement, and cancelled replacements. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf } from '../../support/product/clock.ts';
import { download, OWNER, refused, send, sendSlowly, text } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';
import { OVER } from './replacement-setup.ts';

test('a late repetition of the chunk that completed a replacement is a duplicate', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
  await send(run.engine, 'f', 0, text('the'), OVER);
  const complete = await send(run.engine, 'f', 3, text('new'), OVER);
  const again = await send(run.engine, 'f', 3, text('new'), OVER);
  assert.deepEqual(again, { ...complete, chunk: { ...complete.chunk, duplicate: true } });
  assert.deepEqual(await run.deps.blobs.list(), [complete.id], 'nothing is left of what was written to compare it');
  await run.restart();
  assert.equal((await send(run.engine, 'f', 3, text('new'), OVER)).chunk?.duplicate, true, 'after a restart too');
});

test('a late repetition of the chunk that completed a new file with overwrite=true is a duplicate too', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('the'), OVER);
  const complete = await send(run.engine, 'f', 3, text('new'), OVER);
  const again = await send(run.engine, 'f', 3, text('new'), OVER);
  assert.deepEqual(again, { ...complete, chunk: { ...complete.chunk, duplicate: true } });
  await run.restart();
  assert.equal((await send(run.engine, 'f', 3, text('new'), OVER)).chunk?.duplicate, true, 'after a restart too');
});

test('a chunk that is not exactly that duplicate begins the next replacement', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  await send(engine, 'f', 0, text('the'), OVER);
  await send(engine, 'f', 3, text('new'), OVER);
  const differing: [number, string, object][] = [
    [3, 'neW', OVER],
    [0, 'the', OVER],
    [2, 'enew', OVER],
    [3, 'new', { ...OVER, declaredSize: 7 }],
    [3, 'new', { ...OVER, contentType: 'text/plain' }],
    [3, 'new', { ...OVER, reprDigest: { algorithm: 'sha-256', value: new Uint8Array(32) } }],
  ];
  for (const [start, data, said] of differing) {
    const begun = await send(engine, 'f', start, text(data), said);
    assert.deepEqual([begun.status, begun.chunk?.duplicate], ['partial', false], `${start} ${data}`);
    await engine.remove(OWNER, 'f');
    await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
    await send(engine, 'f', 0, text('the'), OVER);
    await send(engine, 'f', 3, text('new'), OVER);
  }
});

test('a replacement is completed in a later second than the file that it replaces', async (t) => {
  let now = 1_700_000_000_400;
  const { engine } = await startEngine(t, {}, { clock: clockOf(() => now) });
  const times: (string | null)[] = [];
  for (const data of ['one', 'two', 'six']) {
    times.push((await send(engine, 'f', 0, text(data), { overwrite: true, declaredSize: 3 })).completed_at);
    now += 10;
  }
  assert.deepEqual(
    times.map((time) => Date.parse(time ?? '')),
    [1_700_000_000_400, 1_700_000_001_000, 1_700_000_002_000],
  );
});

test('a cancellation of a replacement keeps the file, and a deletion reports what it removed', async (t) => {
  const run = await startEngine(t);
  const { engine } = run;
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const old = await engine.status(OWNER, 'f');
  await refused(engine.cancel(OWNER, 'f'), 'not_found');
  await send(engine, 'f', 0, text('the'), OVER);
  await engine.cancel(OWNER, 'f');
  assert.deepEqual(await engine.status(OWNER, 'f'), old);
  assert.deepEqual(await download(engine, 'f'), Buffer.from('old'));
  assert.deepEqual(await run.deps.blobs.list(), [String(old.id)], 'the bytes of the replacement are gone');
  await refused(engine.cancel(OWNER, 'f'), 'not_found');
  await run.restart();
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from('old'));

  await send(run.engine, 'f', 0, text('the'), OVER);
  assert.deepEqual(await run.engine.remove(OWNER, 'f'), ['file', 'upload']);
  await send(run.engine, 'f', 0, text('the'), { declaredSize: 6 });
  assert.deepEqual(await run.engine.remove(OWNER, 'f'), ['upload']);
  assert.deepEqual(await run.deps.blobs.list(), []);
  await refused(run.engine.remove(OWNER, 'f'), 'not_found');
});

test('a cancellation does not affect a contiguous file of undeclared size', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('old'));
  await refused(engine.cancel(OWNER, 'f'), 'not_found');
  assert.deepEqual(await download(engine, 'f'), Buffer.from('old'));
  assert.deepEqual(await engine.remove(OWNER, 'f'), ['file']);
  // A gap makes it an upload again.
  assert.equal((await send(engine, 'f', 3, text('new'))).status, 'partial');
  await engine.cancel(OWNER, 'f');
  await refused(engine.cancel(OWNER, 'f'), 'not_found');
});

test('a cancellation at every moment of the seal leaves the old file or the new one', async (t) => {
  for (const operation of ['manifest.append', 'blobs.seal', 'catalog.put', 'blobs.remove'] as const) {
    for (const moment of ['before', 'after'] as const) {
      const tap = new Tap();
      const run = await startEngine(t, {}, { tap });
      await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
      await send(run.engine, 'f', 0, text('the'), OVER);
      const gate = tap.hold(operation, moment);
      const last = send(run.engine, 'f', 3, text('new'), OVER);
      last.catch(() => {});
      await gate.reached;
      const cancelled = run.engine.cancel(OWNER, 'f').then(
        () => true,
        () => false,
      );
      gate.open();
      const gone = await cancelled;
      await last.catch(() => {});
      const where = `${moment} ${operation}`;
      assert.equal((await download(run.engine, 'f')).toString(), gone ? 'old' : 'thenew', where);
      assert.equal((await run.engine.status(OWNER, 'f')).status, 'complete', where);
      assert.equal((await run.deps.blobs.list()).length, 1, where);
      await run.close();
    }
  }
});

test('a cancellation ends a replacement whose first chunk is arriving', async (t) => {
  const { engine, quiet } = await startEngine(t);
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const old = await engine.status(OWNER, 'f');
  const first = sendSlowly(engine, 'f', 0, text('the'), OVER);
  first.push(2);
  await first.taken();
  await quiet();
  await engine.cancel(OWNER, 'f');
  first.push();
  first.end();
  await refused(first.reply, 'not_found');
  assert.deepEqual(await engine.status(OWNER, 'f'), old);
});
