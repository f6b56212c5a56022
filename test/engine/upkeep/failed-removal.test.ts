/** The storage fails while an unfinished upload is deleted: what is left of it never hides what comes after it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../../src/errors.ts';
import { content, download, OWNER, progress, refused, send } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

const full = (): Error => new LadingError('insufficient_storage', 'There is no room left.');

/** An engine whose upload `f` could not be deleted. */
async function notDeleted(t: Parameters<typeof startEngine>[0]) {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap });
  await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  tap.fail('catalog.remove', full());
  await refused(run.engine.remove(OWNER, 'f'), 'insufficient_storage');
  return { run, tap };
}

test('a file that is sent after a failed deletion is complete, after a restart too', async (t) => {
  const { run } = await notDeleted(t);
  await send(run.engine, 'f', 0, content(0, 30, 1), { declaredSize: 30 });
  for (const again of [async () => {}, run.restart, run.crash]) {
    await again();
    assert.equal((await run.engine.status(OWNER, 'f')).status, 'complete');
    assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 30, 1)));
  }
  assert.equal((await run.deps.blobs.list()).length, 1);
});

test('an upload that begins after a failed deletion is the only one of its name after a restart', async (t) => {
  const { run } = await notDeleted(t);
  await send(run.engine, 'f', 5, content(5, 10, 1), { declaredSize: 30 });
  for (const again of [run.restart, run.crash]) {
    await again();
    assert.deepEqual(run.warnings, []);
    assert.deepEqual(progress(await run.engine.status(OWNER, 'f')).missing, [
      [0, 4],
      [15, 29],
    ]);
  }
});

test('a deletion that failed can be repeated, and the sweep repeats it as well', async (t) => {
  for (const repeat of ['deletion', 'sweep'] as const) {
    const { run, tap } = await notDeleted(t);
    tap.fail('catalog.remove', full());
    if (repeat === 'deletion') {
      await refused(run.engine.remove(OWNER, 'f'), 'insufficient_storage');
      assert.deepEqual(await run.engine.remove(OWNER, 'f'), ['upload']);
    } else {
      await run.engine.sweep();
      assert.equal(run.warnings.length, 1);
      await run.engine.sweep();
    }
    assert.deepEqual(await run.deps.blobs.list(), []);
    await run.restart();
    assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
    await refused(run.engine.remove(OWNER, 'f'), 'not_found');
  }
});

test('while a failed deletion cannot be repeated, its name takes no file', async (t) => {
  const { run, tap } = await notDeleted(t);
  tap.fail('catalog.remove', full());
  await refused(send(run.engine, 'f', 0, content(0, 30, 1), { declaredSize: 30 }), 'insufficient_storage');
  assert.equal((await send(run.engine, 'f', 0, content(0, 30, 1), { declaredSize: 30 })).status, 'complete');
});
