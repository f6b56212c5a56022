/** Replacements of a complete file (overwrite=true) during other reads and writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { content, download, OWNER, refused, send, sendRaw, text } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';
import { OVER } from './replacement-setup.ts';

test('overwrite without a total_size is refused with 400 invalid_request', async (t) => {
  const { engine } = await startEngine(t);
  await refused(send(engine, 'f', 0, text('abc'), { overwrite: true }), 'invalid_request');
});

test('readers get the old file until the new one is complete; the switch is atomic', async (t) => {
  const run = await startEngine(t);
  const { engine } = run;
  const old = await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const partial = await send(engine, 'f', 3, text('new'), OVER);
  assert.notEqual(partial.id, old.id);
  assert.equal(partial.status, 'partial');
  assert.equal(partial.readable, true, 'the old file is readable');
  assert.deepEqual([partial.bytes_received, partial.total_bytes, partial.missing], [3, 6, [[0, 2]]]);
  assert.deepEqual(await download(engine, 'f'), Buffer.from('old'));
  const reading = await engine.open(OWNER, 'f');
  assert.equal(reading.etag, old.etag);
  const complete = await send(engine, 'f', 0, text('the'), OVER);
  assert.equal(complete.status, 'complete');
  assert.deepEqual(await download(engine, 'f'), Buffer.from('thenew'));
  const bytes = Buffer.alloc(3);
  await reading.reader.read(bytes, 0);
  assert.equal(bytes.toString(), 'old', 'a download of the old file continues to its end');
  reading.release();
  assert.deepEqual(await run.deps.blobs.list(), [complete.id], 'the bytes of the old one are gone');
});

test('a reader gets the whole old file or the whole new one at every moment of a replacement', async (t) => {
  for (const operation of ['blobs.seal', 'catalog.put', 'blobs.remove'] as const) {
    for (const moment of ['before', 'after'] as const) {
      const tap = new Tap();
      const { engine } = await startEngine(t, {}, { tap });
      await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
      await send(engine, 'f', 0, text('the'), OVER);
      const gate = tap.hold(operation, moment);
      const last = send(engine, 'f', 3, text('new'), OVER);
      await gate.reached;
      const seen = (await download(engine, 'f')).toString();
      const switched = operation === 'blobs.remove' || (operation === 'catalog.put' && moment === 'after');
      assert.equal(seen, switched ? 'thenew' : 'old', `${moment} ${operation}`);
      assert.equal((await engine.status(OWNER, 'f')).readable, true);
      gate.open();
      await last;
      assert.equal((await download(engine, 'f')).toString(), 'thenew');
    }
  }
});

test('a crash at every moment of a replacement leaves the whole old file or the whole new one', async (t) => {
  for (const operation of ['manifest.append', 'blobs.seal', 'catalog.put', 'blobs.remove'] as const) {
    for (const moment of ['before', 'after'] as const) {
      const tap = new Tap();
      const run = await startEngine(t, {}, { tap });
      const old = await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
      const { id } = await send(run.engine, 'f', 0, text('the'), OVER);
      const gate = tap.hold(operation, moment);
      const last = send(run.engine, 'f', 3, text('new'), OVER);
      last.catch(() => {});
      await gate.reached;
      const crashed = run.crash();
      gate.open();
      await crashed;
      await last.catch(() => {});
      const where = `${moment} ${operation}`;
      const begun = await run.engine.status(OWNER, 'f');
      if (begun.status === 'partial') {
        assert.deepEqual([begun.id, begun.readable, begun.missing], [id, true, [[3, 5]]], where);
        assert.equal((await download(run.engine, 'f')).toString(), 'old', where);
        assert.deepEqual(new Set(await run.deps.blobs.list()), new Set([old.id, id]), where);
      } else {
        assert.deepEqual(await run.deps.blobs.list(), [id], where);
      }
      await send(run.engine, 'f', 3, text('new'), begun.status === 'partial' ? OVER : {});
      assert.equal((await download(run.engine, 'f')).toString(), 'thenew', where);
      assert.deepEqual(await run.deps.blobs.list(), [id], where);
      await run.close();
    }
  }
});

test('an empty file replaces a file and is replaced', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const empty = await sendRaw(engine, 'f', new Uint8Array(), { overwrite: true, declaredSize: 0 });
  assert.equal(empty.status, 'complete');
  assert.equal((await download(engine, 'f')).length, 0);
  await send(engine, 'f', 0, text('thenew'), OVER);
  assert.equal((await download(engine, 'f')).toString(), 'thenew');
});

test('a replacement of an upload of undeclared size seals the upload first', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('old'));
  const partial = await send(engine, 'f', 0, text('the'), OVER);
  assert.equal(partial.status, 'partial');
  assert.equal((await download(engine, 'f')).toString(), 'old');
  await send(engine, 'f', 3, text('new'), OVER);
  assert.equal((await download(engine, 'f')).toString(), 'thenew');
});

test('overwrite of a name that has no complete file is an ordinary upload', async (t) => {
  const { engine } = await startEngine(t);
  const first = await send(engine, 'f', 0, text('the'), OVER);
  assert.equal(first.readable, false);
  assert.equal((await send(engine, 'f', 3, text('new'), OVER)).id, first.id);
  assert.equal((await download(engine, 'f')).toString(), 'thenew');
});

test('a refused first chunk of a replacement leaves the old file and no upload', async (t) => {
  const run = await startEngine(t);
  const old = await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
  await refused(send(run.engine, 'f', 0, text('the'), { ...OVER, crc32: 0 }), 'checksum_mismatch');
  const status = await run.engine.status(OWNER, 'f');
  assert.deepEqual([status.id, status.status], [old.id, 'complete']);
  assert.deepEqual(await run.deps.blobs.list(), [old.id]);
});

test('a second replacement can follow the first', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
  for (const seed of [1, 2, 3]) {
    await send(run.engine, 'f', 0, content(0, 3, seed), OVER);
    await send(run.engine, 'f', 3, content(3, 3, seed), OVER);
    assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 6, seed)));
  }
  assert.equal((await run.deps.blobs.list()).length, 1);
});
