/** The commit point of a file, interrupted at each of its steps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../../src/errors.ts';
import { crc32, hex32 } from '../../../src/protocol/crc32.ts';
import { content, download, OWNER, refused, send, text } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { type Moment, type Operation, Tap } from '../../support/wire/tap.ts';

const STEPS = ['manifest.sync', 'blobs.seal', 'catalog.put'] as const satisfies Operation[];
const FULL = (): LadingError => new LadingError('insufficient_storage', 'no room');

test('a seal syncs the journal, seals the bytes, then writes the document', async (t) => {
  const tap = new Tap();
  const { engine } = await startEngine(t, {}, { tap });
  await send(engine, 'f', 0, content(0, 50), { declaredSize: 100 });
  tap.reset();
  const status = await send(engine, 'f', 50, content(50, 50));
  const steps = tap.calls.filter((call) => /seal|put|manifest.sync/.test(call));
  assert.deepEqual(steps, ['manifest.sync', 'blobs.seal', 'catalog.put']);
  assert.equal(status.crc32, hex32(crc32(content(0, 100))));
  assert.match(status.etag ?? '', /^"[0-9a-f]{32}-100-[0-9a-f]{8}"$/);
  assert.equal(tap.count('inspector.verify') + tap.count('inspector.digest'), 0, 'no byte is read again');
});

test('the CRC-32 of the file is combined from chunks in any order', async (t) => {
  const { engine } = await startEngine(t);
  let status = await send(engine, 'f', 70, content(70, 30), { declaredSize: 100 });
  for (const [start, length] of [
    [30, 10],
    [0, 25],
    [20, 40],
    [60, 15],
  ] as const) {
    status = await send(engine, 'f', start, content(start, length));
  }
  assert.equal(status.status, 'complete');
  assert.equal(status.crc32, hex32(crc32(content(0, 100))));
});

for (const operation of STEPS) {
  for (const moment of ['before', 'after'] as const satisfies Moment[]) {
    test(`a failure ${moment} ${operation}: the chunk counts, the file is not complete, the next repeat seals it`, async (t) => {
      const tap = new Tap();
      const { engine } = await startEngine(t, {}, { tap });
      await send(engine, 'f', 0, content(0, 50), { declaredSize: 100 });
      tap.fail(operation, FULL(), moment);
      await refused(send(engine, 'f', 50, content(50, 50)), 'insufficient_storage');
      const between = await engine.status(OWNER, 'f');
      assert.deepEqual([between.status, between.bytes_received, between.missing], ['partial', 100, []]);
      const again = await send(engine, 'f', 50, content(50, 50));
      assert.deepEqual([again.status, again.chunk?.duplicate], ['complete', true]);
      assert.deepEqual(await download(engine, 'f'), Buffer.from(content(0, 100)));
    });

    test(`a failure ${moment} ${operation}: the sweep seals it`, async (t) => {
      const tap = new Tap();
      const { engine } = await startEngine(t, {}, { tap });
      await send(engine, 'f', 0, content(0, 50), { declaredSize: 100 });
      tap.fail(operation, FULL(), moment);
      await refused(send(engine, 'f', 50, content(50, 50)), 'insufficient_storage');
      assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 1 });
      assert.deepEqual(await download(engine, 'f'), Buffer.from(content(0, 100)));
    });

    test(`a failure ${moment} ${operation}: complete seals it`, async (t) => {
      const tap = new Tap();
      const { engine } = await startEngine(t, {}, { tap });
      await send(engine, 'f', 0, content(0, 100));
      tap.fail(operation, FULL(), moment);
      await refused(engine.complete(OWNER, 'f'), 'insufficient_storage');
      assert.equal((await engine.complete(OWNER, 'f')).status, 'complete');
      await refused(send(engine, 'f', 100, text('x')), 'file_complete');
      assert.deepEqual(await download(engine, 'f'), Buffer.from(content(0, 100)));
    });

    for (const durability of ['chunk', 'seal'] as const) {
      test(`durability ${durability}: a crash ${moment} ${operation}: the next start seals it`, async (t) => {
        const tap = new Tap();
        const run = await startEngine(t, { durability }, { tap });
        await send(run.engine, 'f', 0, content(0, 50), { declaredSize: 100 });
        const gate = tap.hold(operation, moment);
        const last = send(run.engine, 'f', 50, content(50, 50));
        last.catch(() => {});
        await gate.reached;
        const crashed = run.crash();
        gate.open();
        await crashed;
        await last.catch(() => {});
        assert.equal((await run.engine.status(OWNER, 'f')).status, 'complete');
        assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 100)));
        assert.deepEqual(run.warnings, []);
        assert.equal((await run.deps.blobs.list()).length, 1);
      });
    }

    test(`an open-ended file whose completion crashed ${moment} ${operation} can grow or be completed`, async (t) => {
      const tap = new Tap();
      const run = await startEngine(t, {}, { tap });
      for (const name of ['grown', 'completed']) {
        await send(run.engine, name, 0, content(0, 50));
        const gate = tap.hold(operation, moment);
        const completing = run.engine.complete(OWNER, name);
        completing.catch(() => {});
        await gate.reached;
        const crashed = run.crash();
        gate.open();
        await crashed;
        await completing.catch(() => {});
        assert.deepEqual(await download(run.engine, name), Buffer.from(content(0, 50)));
      }
      assert.equal((await run.engine.complete(OWNER, 'completed')).total_bytes, 50);
      const sealed = operation === 'catalog.put' && moment === 'after';
      const growing = send(run.engine, 'grown', 50, content(50, 50));
      if (sealed) {
        await refused(growing, 'file_complete');
      } else {
        assert.equal((await growing).total_bytes, 100);
        await run.crash();
        assert.equal((await run.engine.complete(OWNER, 'grown')).total_bytes, 100);
        assert.deepEqual(await download(run.engine, 'grown'), Buffer.from(content(0, 100)));
      }
    });
  }
}

test('two chunks that complete a file at the same time cause one seal', async (t) => {
  const tap = new Tap();
  const { engine, quiet } = await startEngine(t, {}, { tap });
  await send(engine, 'f', 0, content(0, 1), { declaredSize: 41 });
  const gate = tap.hold('part.sync');
  const replies = [1, 11, 21, 31].map((start) => send(engine, 'f', start, content(start, 10)));
  await gate.reached;
  await quiet();
  gate.open();
  const statuses = await Promise.all(replies);
  assert.equal(tap.count('blobs.seal'), 1);
  assert.ok(statuses.some(({ status }) => status === 'complete'));
  assert.equal((await engine.status(OWNER, 'f')).status, 'complete');
});

test('a seal succeeds if the replaced bytes cannot be removed, and the next start removes them', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap });
  await send(run.engine, 'f', 0, text('old'), { declaredSize: 3 });
  tap.fail('blobs.remove', FULL());
  const status = await send(run.engine, 'f', 0, text('new!'), { declaredSize: 4, overwrite: true });
  assert.equal(status.status, 'complete');
  assert.equal(run.warnings.length, 1);
  assert.equal((await run.deps.blobs.list()).length, 2);
  await run.restart();
  assert.deepEqual(await run.deps.blobs.list(), [status.id]);
  assert.equal(run.recovered.leftovers, 1);
});
