/** The disk back end implements every interface, on the real file system. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentOf } from '../../support/disk/storage.ts';
import { DISK, DISK_WITHOUT_IDLE_DESCRIPTORS } from '../suites/backends.ts';
import { blobStoreSuite } from '../suites/blob-store.suite.ts';
import { NEVER_DAMAGED } from '../suites/catalog.suite.ts';
import { manifestStoreSuite } from '../suites/manifest-store.suite.ts';
import { runSuites } from '../suites/suites.ts';

runSuites(DISK);
blobStoreSuite(DISK_WITHOUT_IDLE_DESCRIPTORS);
manifestStoreSuite(DISK_WITHOUT_IDLE_DESCRIPTORS);

test('removing a blob also removes the document in the same directory', async (t) => {
  const under = await DISK.open(t);
  const catalog = await under.store.openCatalog(NEVER_DAMAGED);
  const document = documentOf();
  await catalog.put(document);
  await under.store.blobs.remove(document.id);
  assert.equal(await (await (await under.reopen()).openCatalog(NEVER_DAMAGED)).has(document.id), false);
});
