/** Replacing a complete file (overwrite=true) and deleting, while others read and write. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf } from '../../support/product/clock.ts';
import {
  content,
  download,
  OWNER,
  refused,
  send,
  sendAndTell,
  sendRaw,
  slowly,
  text,
} from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

const OVER = { overwrite: true, declaredSize: 6 };

test('overwrite without a total_size: 400 invalid_request', async (t) => {
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
  assert.deepEqual(await run.doors.blobs.list(), [complete.id], 'the bytes of the old one are gone');
});

test('every moment of a replacement: a reader finds either the old file or the new one, whole', async (t) => {
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

test('a crash at every moment of a replacement: the old file or the new one, whole, and nothing left over', async (t) => {
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
        assert.deepEqual(new Set(await run.doors.blobs.list()), new Set([old.id, id]), where);
      } else {
        assert.deepEqual(await run.doors.blobs.list(), [id], where);
      }
      await send(run.engine, 'f', 3, text('new'), begun.status === 'partial' ? OVER : {});
      assert.equal((await download(run.engine, 'f')).toString(), 'thenew', where);
      assert.deepEqual(await run.doors.blobs.list(), [id], where);
      await run.close();
    }
  }
});

test('a replacement by an empty file, and of an empty file', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const empty = await sendRaw(engine, 'f', new Uint8Array(), { overwrite: true, declaredSize: 0 });
  assert.equal(empty.status, 'complete');
  assert.equal((await download(engine, 'f')).length, 0);
  await send(engine, 'f', 0, text('thenew'), OVER);
  assert.equal((await download(engine, 'f')).toString(), 'thenew');
});

test('a replacement of an open-ended file seals that one first', async (t) => {
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
  assert.deepEqual(await run.doors.blobs.list(), [old.id]);
});

test('a second replacement can follow the first', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
  for (const seed of [1, 2, 3]) {
    await send(run.engine, 'f', 0, content(0, 3, seed), OVER);
    await send(run.engine, 'f', 3, content(3, 3, seed), OVER);
    assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 6, seed)));
  }
  assert.equal((await run.doors.blobs.list()).length, 1);
});

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
  assert.deepEqual(await run.doors.blobs.list(), []);
  assert.equal((await send(engine, 'f', 0, text('new'))).bytes_received, 3);
});

test('deleting an upload: what is on its way is refused with not_found, and nothing comes back', async (t) => {
  const run = await startEngine(t);
  const { engine } = run;
  await send(engine, 'f', 0, content(0, 10), { declaredSize: 300_000 });
  const slow = slowly(engine, 'f', 10, content(10, 200_000));
  slow.push(100_000);
  await slow.taken();
  await run.quiet();
  const reading = await engine.open(OWNER, 'f');
  assert.equal(reading.state(), 'open');
  await engine.remove(OWNER, 'f');
  assert.equal(reading.state(), 'gone');
  const first = Buffer.alloc(10);
  assert.equal(await reading.reader.read(first, 0), 10);
  assert.deepEqual(first, Buffer.from(content(0, 10)), 'a running download continues');
  reading.release();
  slow.push();
  slow.end();
  await refused(slow.reply, 'not_found');
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  assert.deepEqual(await run.doors.blobs.list(), []);
  await run.crash();
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
});

test('deleting while a request waits for the range of another: both are refused', async (t) => {
  const { engine, quiet } = await startEngine(t);
  await send(engine, 'f', 0, content(0, 10));
  const slow = slowly(engine, 'f', 10, content(10, 10));
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
    test(`deleting while a chunk stands ${moment} ${operation} never brings the document back`, async (t) => {
      const tap = new Tap();
      const run = await startEngine(t, {}, { tap });
      await send(run.engine, 'f', 0, content(0, 10));
      const gate = tap.hold(operation, moment);
      // It declares something, so that its commit writes the document.
      const late = sendAndTell(run.engine, 'f', 10, content(10, 10), { declaredSize: 30 });
      await gate.reached;
      const removed = run.engine.remove(OWNER, 'f');
      await run.quiet();
      gate.open();
      await removed;
      // Either it counted before the deletion or it was refused by it.
      await late.reply.catch((error: { code: string }) => assert.equal(error.code, 'not_found'));
      assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
      assert.deepEqual(await run.doors.blobs.list(), []);
      await run.crash();
      assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
      assert.deepEqual(await run.doors.blobs.list(), []);
      assert.equal(run.recovered.leftovers, 0);
    });
  }
}

for (const operation of ['manifest.sync', 'blobs.seal', 'catalog.put'] as const) {
  for (const moment of ['before', 'after'] as const) {
    test(`deleting while the seal stands ${moment} ${operation} deletes the complete file`, async (t) => {
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
      assert.deepEqual(await run.doors.blobs.list(), []);
    });
  }
}

test('deleting a file and its replacement under way deletes both', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
  await send(run.engine, 'f', 0, text('the'), OVER);
  await run.engine.remove(OWNER, 'f');
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  assert.deepEqual(await run.doors.blobs.list(), []);
});

test('deleting a file while the first chunk of its replacement is on its way', async (t) => {
  const run = await startEngine(t);
  const { engine } = run;
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const slow = slowly(engine, 'f', 0, text('the'), OVER);
  slow.push(1);
  await slow.taken();
  await run.quiet();
  await engine.remove(OWNER, 'f');
  slow.push();
  slow.end();
  await refused(slow.reply, 'not_found');
  const status = await engine.status(OWNER, 'f');
  assert.deepEqual([status.status, status.readable], ['pending', false]);
  assert.deepEqual(await run.doors.blobs.list(), []);
  assert.equal((await send(engine, 'f', 0, text('thenew'), OVER)).status, 'complete');
});

test('deleting a file while its replacement is being made', async (t) => {
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
    assert.deepEqual(await run.doors.blobs.list(), []);
  } else {
    assert.equal(status.readable, false, 'there is no old file any more that could be read');
  }
});

test('a deletion that the disk refuses leaves the file', async (t) => {
  const tap = new Tap();
  const { engine } = await startEngine(t, {}, { tap });
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  tap.fail('catalog.remove', new Error('EIO'));
  await assert.rejects(engine.remove(OWNER, 'f'), /EIO/);
  assert.equal((await download(engine, 'f')).toString(), 'old');
  await engine.remove(OWNER, 'f');
});

test('a late repeat of the chunk that completed a replacement is a duplicate, not the next replacement', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
  await send(run.engine, 'f', 0, text('the'), OVER);
  const complete = await send(run.engine, 'f', 3, text('new'), OVER);
  const again = await send(run.engine, 'f', 3, text('new'), OVER);
  assert.deepEqual(again, { ...complete, chunk: { ...complete.chunk, duplicate: true } });
  assert.deepEqual(await run.doors.blobs.list(), [complete.id], 'nothing is left of what was written to compare it');
  await run.restart();
  assert.equal((await send(run.engine, 'f', 3, text('new'), OVER)).chunk?.duplicate, true, 'after a restart too');
});

test('a late repeat of the chunk that completed a file sent with overwrite=true under a new name is a duplicate too', async (t) => {
  const run = await startEngine(t);
  await send(run.engine, 'f', 0, text('the'), OVER);
  const complete = await send(run.engine, 'f', 3, text('new'), OVER);
  const again = await send(run.engine, 'f', 3, text('new'), OVER);
  assert.deepEqual(again, { ...complete, chunk: { ...complete.chunk, duplicate: true } });
  await run.restart();
  assert.equal((await send(run.engine, 'f', 3, text('new'), OVER)).chunk?.duplicate, true, 'after a restart too');
});

test('what is not exactly that repeat begins the next replacement', async (t) => {
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

test('a replacement is completed in a later second than the file it replaces, so that a date tells them apart', async (t) => {
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

test('cancelling a replacement keeps the file, and deleting says what it removed', async (t) => {
  const run = await startEngine(t);
  const { engine } = run;
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const old = await engine.status(OWNER, 'f');
  await refused(engine.cancel(OWNER, 'f'), 'not_found');
  await send(engine, 'f', 0, text('the'), OVER);
  await engine.cancel(OWNER, 'f');
  assert.deepEqual(await engine.status(OWNER, 'f'), old);
  assert.deepEqual(await download(engine, 'f'), Buffer.from('old'));
  assert.deepEqual(await run.doors.blobs.list(), [String(old.id)], 'the bytes of the replacement are gone');
  await refused(engine.cancel(OWNER, 'f'), 'not_found');
  await run.restart();
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from('old'));

  await send(run.engine, 'f', 0, text('the'), OVER);
  assert.deepEqual(await run.engine.remove(OWNER, 'f'), ['file', 'upload']);
  await send(run.engine, 'f', 0, text('the'), { declaredSize: 6 });
  assert.deepEqual(await run.engine.remove(OWNER, 'f'), ['upload']);
  assert.deepEqual(await run.doors.blobs.list(), []);
  await refused(run.engine.remove(OWNER, 'f'), 'not_found');
});

test('a file of undeclared size that reads as complete is a file: cancelling does not touch it', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('old'));
  await refused(engine.cancel(OWNER, 'f'), 'not_found');
  assert.deepEqual(await download(engine, 'f'), Buffer.from('old'));
  assert.deepEqual(await engine.remove(OWNER, 'f'), ['file']);
  // With a gap it is an upload again.
  assert.equal((await send(engine, 'f', 3, text('new'))).status, 'partial');
  await engine.cancel(OWNER, 'f');
  await refused(engine.cancel(OWNER, 'f'), 'not_found');
});

test('cancelling at every moment of the seal: the old file or the new one, never none', async (t) => {
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
      assert.equal((await run.doors.blobs.list()).length, 1, where);
      await run.close();
    }
  }
});

test('cancelling ends the first chunk of a replacement that is still on its way', async (t) => {
  const { engine, quiet } = await startEngine(t);
  await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const old = await engine.status(OWNER, 'f');
  const first = slowly(engine, 'f', 0, text('the'), OVER);
  first.push(2);
  await first.taken();
  await quiet();
  await engine.cancel(OWNER, 'f');
  first.push();
  first.end();
  await refused(first.reply, 'not_found');
  assert.deepEqual(await engine.status(OWNER, 'f'), old);
});
