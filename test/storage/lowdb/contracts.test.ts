/** The lowdb storage keeps the contracts with its documents on the real disk. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDevice } from '../../../src/records/checks/identity.ts';
import { openLowdbCatalog } from '../../../src/storage/lowdb/catalog.ts';
import { openLowdbCollection } from '../../../src/storage/lowdb/collection.ts';
import { catalogContract } from '../../contracts/catalog.ts';
import { credentialStoreContract } from '../../contracts/credential-store.ts';
import { documentOf, openTestStore } from '../../support/disk/storage.ts';

const neverDamaged = (key: string, error: Error): void => {
  throw new Error(`damaged: ${key}`, { cause: error });
};

catalogContract('lowdb catalog', async (t) => {
  const store = await openTestStore(t);
  const reopen = () => openLowdbCatalog({ files: store.fileDocuments, onDamaged: neverDamaged });
  return { catalog: await reopen(), reopen };
});

credentialStoreContract('lowdb credentials', async (t) => {
  const store = await openTestStore(t);
  const reopen = () =>
    openLowdbCollection({
      files: store.documents('clients'),
      check: checkDevice,
      idOf: ({ clientId }) => clientId,
      onDamaged: neverDamaged,
    });
  return { credentials: await reopen(), reopen };
});

test('documents of files and blobs share a folder: removing the blob removes the document', async (t) => {
  const store = await openTestStore(t);
  const reopen = () => openLowdbCatalog({ files: store.fileDocuments, onDamaged: neverDamaged });
  const catalog = await reopen();
  const document = documentOf();
  await catalog.put(document);
  await store.blobs.remove(document.id);
  assert.equal(await (await reopen()).has(document.id), false);
});
