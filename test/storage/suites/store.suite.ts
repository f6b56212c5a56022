/** What a back end must do as a whole: know how it stopped, have one owner, and accept only ids. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId, recordOf, writeAt } from '../../support/disk/storage.ts';
import type { BackendUnderTest } from './backends.ts';

export function storeSuite(backend: BackendUnderTest): void {
  const { name } = backend;

  test(`${name} store: a new storage is clean, and so is one after a clean stop`, async (t) => {
    const under = await backend.open(t);
    assert.equal(under.store.wasClean, true);
    await under.store.blobs.create(newId());
    assert.equal((await under.reopen()).wasClean, true);
  });

  test(`${name} store: a storage is not clean after a loss of power, until the next clean stop`, async (t) => {
    const under = await backend.open(t, true);
    await under.reopen();
    assert.equal((await under.losePower()).wasClean, false);
    assert.equal((await under.losePower()).wasClean, false);
    assert.equal((await under.reopen()).wasClean, true);
  });

  test(`${name} store: a clean stop makes everything durable`, async (t) => {
    const under = await backend.open(t, true);
    const id = newId();
    const bytes = Buffer.from('01234');
    await under.store.blobs.create(id);
    await under.store.manifests.create(id);
    const part = await under.store.blobs.openPart(id);
    await writeAt(part, 0, bytes);
    part.release();
    const manifest = await under.store.manifests.open(id);
    await manifest.append([recordOf(0, bytes, { synced: false })], false);
    manifest.release();
    await under.reopen();
    const store = await under.losePower();
    const records = await store.manifests.read(id);
    assert.equal(records.length, 1);
    assert.deepEqual(await store.inspector.verify(id, records), []);
  });

  test(`${name} store: an invalid id throws a RangeError`, async (t) => {
    const { store } = await backend.open(t);
    for (const odd of ['', '..', 'A'.repeat(32), 'a'.repeat(31), `${'a'.repeat(31)}/`]) {
      await assert.rejects(store.blobs.create(odd));
      await assert.rejects(store.manifests.create(odd));
    }
    assert.deepEqual(await store.blobs.list(), []);
  });

  test(`${name} store: gauges and health report a healthy storage`, async (t) => {
    const { store } = await backend.open(t);
    const gauges = store.gauges();
    assert.deepEqual([gauges.journal_records_repaired_total, gauges.journal_records_lost_total], [0, 0]);
    assert.equal(store.health(), 'ok');
  });
}
