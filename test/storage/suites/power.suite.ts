/** Everything acknowledged as durable survives a loss of power. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Store } from '../../../src/contracts/store.ts';
import { documentOf, newId, recordOf, withCode, writeAt } from '../../support/disk/storage.ts';
import { detailsOf, entryOf } from './audit-log.suite.ts';
import type { BackendUnderTest } from './backends.ts';
import { NEVER_DAMAGED } from './catalog.suite.ts';
import { client, DEVICES } from './collection.suite.ts';

const FIRST = Buffer.from('01234');
const SECOND = Buffer.from('56789');

/** Writes a chunk and makes it durable. */
async function commit({ blobs, manifests }: Store, id: string, start: number, bytes: Buffer): Promise<void> {
  const part = await blobs.openPart(id);
  await writeAt(part, start, bytes);
  await part.sync();
  const manifest = await manifests.open(id);
  await manifest.append([recordOf(start, bytes)], true);
  part.release();
  manifest.release();
}

async function textOf({ blobs }: Store, id: string): Promise<string> {
  const reader = await blobs.openReader(id);
  const bytes = Buffer.alloc(100);
  const size = await reader.read(bytes, 0);
  reader.release();
  return bytes.subarray(0, size).toString();
}

export function powerSuite(backend: BackendUnderTest): void {
  const { name } = backend;

  test(`${name} power: synced bytes and records survive, and more can be added`, async (t) => {
    const under = await backend.open(t, true);
    const id = newId();
    await under.store.blobs.create(id);
    await under.store.manifests.create(id);
    await commit(under.store, id, 0, FIRST);
    await under.losePower();
    assert.deepEqual(await under.store.manifests.read(id), [recordOf(0, FIRST)]);
    await commit(under.store, id, 5, SECOND);
    await under.losePower();
    assert.deepEqual(await under.store.manifests.read(id), [recordOf(0, FIRST), recordOf(5, SECOND)]);
    assert.equal(await textOf(under.store, id), '0123456789');
  });

  test(`${name} power: unsynced records are lost or complete, and a sync makes them durable`, async (t) => {
    const under = await backend.open(t, true);
    const id = newId();
    await under.store.blobs.create(id);
    await under.store.manifests.create(id);
    await commit(under.store, id, 0, FIRST);
    let manifest = await under.store.manifests.open(id);
    await manifest.append([recordOf(5, SECOND)], false);
    await under.losePower();
    const left = await under.store.manifests.read(id);
    assert.deepEqual(left.slice(0, 1), [recordOf(0, FIRST)]);
    if (left.length > 1) assert.deepEqual(left, [recordOf(0, FIRST), recordOf(5, SECOND)]);
    await under.store.manifests.rewrite(id, [recordOf(0, FIRST)]);
    manifest = await under.store.manifests.open(id);
    await manifest.append([recordOf(5, SECOND)], false);
    await manifest.sync();
    await under.losePower();
    assert.deepEqual(await under.store.manifests.read(id), [recordOf(0, FIRST), recordOf(5, SECOND)]);
  });

  test(`${name} power: a rewritten journal survives`, async (t) => {
    const under = await backend.open(t, true);
    const id = newId();
    await under.store.blobs.create(id);
    await under.store.manifests.create(id);
    await commit(under.store, id, 0, FIRST);
    await under.store.manifests.rewrite(id, []);
    assert.deepEqual(await (await under.losePower()).manifests.read(id), []);
  });

  test(`${name} power: a sealed file survives with its bytes, and so does a linked one`, async (t) => {
    const under = await backend.open(t, true);
    const [id, other] = [newId(), newId()];
    await under.store.blobs.create(id);
    await under.store.manifests.create(id);
    const part = await under.store.blobs.openPart(id);
    await writeAt(part, 0, Buffer.from('0123456789'));
    part.release();
    const shared = await under.store.blobs.link(id, other);
    await under.store.blobs.seal(id, 7);
    await under.losePower();
    assert.equal(await textOf(under.store, id), '0123456');
    await under.store.blobs.seal(id, 7);
    if (shared) assert.ok((await under.store.blobs.list()).includes(other));
  });

  test(`${name} power: removed files stay removed`, async (t) => {
    const under = await backend.open(t, true);
    const id = newId();
    await under.store.blobs.create(id);
    await under.store.manifests.create(id);
    await commit(under.store, id, 0, FIRST);
    await under.store.blobs.remove(id);
    await under.losePower();
    assert.deepEqual(await under.store.blobs.list(), []);
    await assert.rejects(under.store.manifests.read(id), withCode('not_found'));
  });

  test(`${name} power: documents of files survive, and so do their changes and removals`, async (t) => {
    const under = await backend.open(t, true);
    let catalog = await under.store.openCatalog(NEVER_DAMAGED);
    const old = documentOf({ state: 'sealed', size: 1, crc32: 1, completedAt: 1 });
    const next = documentOf({ state: 'sealed', size: 2, crc32: 2, completedAt: 2, replaces: old.id });
    const [open, gone] = [documentOf({ name: 'open' }), documentOf({ name: 'gone' })];
    for (const document of [old, open, gone, next]) await catalog.put(document);
    await catalog.amend(open.id, (document) => ({ ...document, contentType: 'text/plain' }));
    await catalog.remove(gone.id);
    catalog = await (await under.losePower()).openCatalog(NEVER_DAMAGED);
    assert.deepEqual(await catalog.find(old.owner, old.name), { sealed: next, open: null });
    assert.equal(await catalog.has(old.id), false);
    assert.deepEqual(await catalog.listOpen(), [{ ...open, contentType: 'text/plain' }]);
  });

  test(`${name} power: small documents, secrets, the time and the audit log survive`, async (t) => {
    const under = await backend.open(t, true);
    const devices = await under.store.openCollection(DEVICES, NEVER_DAMAGED);
    await devices.put(client('one'));
    await devices.put(client('two'));
    assert.equal(await devices.remove('two'), true);
    const secret = await under.store.secret('jwt', () => Buffer.from('secret'));
    await under.store.secretBox('box').write(Buffer.from('boxed'));
    const time = { date: 1, ahead: 0, latest: 0, steady: 1, boot: null, uptime: 0 };
    await under.store.dateBox.write(time);
    await Promise.all(['one', 'two'].map((detail) => under.store.auditLog.append(entryOf({ detail }))));
    const store = await under.losePower();
    assert.deepEqual(await (await store.openCollection(DEVICES, NEVER_DAMAGED)).list(), [client('one')]);
    assert.deepEqual(Buffer.from(await store.secret('jwt', () => assert.fail('it exists'))), Buffer.from(secret));
    assert.deepEqual(Buffer.from((await store.secretBox('box').read()) ?? []), Buffer.from('boxed'));
    assert.deepEqual(await store.dateBox.read(), time);
    assert.deepEqual(await detailsOf(store.auditLog), ['two', 'one']);
    await store.auditLog.append(entryOf({ detail: 'three' }));
    assert.deepEqual(await detailsOf((await under.losePower()).auditLog), ['three', 'two', 'one']);
  });
}
