/** The disk keeps the promises of every interface, on the real file system. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentOf } from '../../support/disk/storage.ts';
import { DISK, DISK_WITHOUT_IDLE_DESCRIPTORS } from '../doors/backends.ts';
import { blobStoreSuite } from '../doors/blob-store.suite.ts';
import { NEVER_DAMAGED } from '../doors/catalog.suite.ts';
import { manifestStoreSuite } from '../doors/manifest-store.suite.ts';
import { runSuites } from '../doors/suites.ts';

runSuites(DISK);
blobStoreSuite(DISK_WITHOUT_IDLE_DESCRIPTORS);
manifestStoreSuite(DISK_WITHOUT_IDLE_DESCRIPTORS);

test('documents of files and blobs share a folder: removing the blob removes the document', async (t) => {
  const under = await DISK.open(t);
  const catalog = await under.store.openCatalog(NEVER_DAMAGED);
  const document = documentOf();
  await catalog.put(document);
  await under.store.blobs.remove(document.id);
  assert.equal(await (await (await under.reopen()).openCatalog(NEVER_DAMAGED)).has(document.id), false);
});
