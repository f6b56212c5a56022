/** A document that is stored although its write failed does not outlive its upload. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Engine } from '../../../src/engine/engine.ts';
import { LadingError } from '../../../src/errors.ts';
import { AT_ONCE, type Scheduler } from '../../../src/storage/memory/run.ts';
import { MemoryStorage } from '../../../src/storage/memory/storage.ts';
import { handClock } from '../../support/product/clock.ts';
import { content, OWNER, refused, send } from '../../support/product/device.ts';
import { DEFAULTS } from '../../support/product/engine.ts';

async function start(storage: MemoryStorage, scheduler: Scheduler = AT_ONCE) {
  const store = await storage.open(scheduler);
  const catalog = await store.openCatalog({ onDamaged: (key) => assert.fail(key) });
  const engine = new Engine({ ...store, catalog, clock: handClock(), warn: (what) => assert.fail(what) }, DEFAULTS);
  return { engine, recovered: await engine.start(store.wasClean) };
}

test('a first chunk whose document is stored but reported as failed leaves no upload for the next start', async () => {
  const storage = new MemoryStorage();
  let failed = false;
  const { engine } = await start(storage, async (operation, moment) => {
    if (failed || operation !== 'catalog.put' || moment !== 'after') return;
    failed = true;
    throw new LadingError('insufficient_storage', 'There is no room left.');
  });
  await refused(send(engine, 'f', 0, content(0, 10), { declaredSize: 20 }), 'insufficient_storage');
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  storage.crash();
  const next = await start(storage);
  assert.deepEqual(next.recovered, { uploads: 0, forgotten: 0, leftovers: 0 });
  assert.equal((await next.engine.status(OWNER, 'f')).status, 'pending');
});
