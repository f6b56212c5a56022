/** The disk storage keeps the contracts on the real file system. */
import type { TestContext } from 'node:test';
import type { ManifestStore } from '../../../src/contracts/manifests.ts';
import { blobStoreContract } from '../../contracts/blob-store.ts';
import { inspectorContract } from '../../contracts/inspector.ts';
import { manifestStoreContract } from '../../contracts/manifest-store.ts';
import { openTestStore, temporaryFolder } from '../../support/disk/storage.ts';

blobStoreContract('disk blobs', async (t) => (await openTestStore(t)).blobs);
// Nothing stays open: every operation opens its descriptor anew.
blobStoreContract(
  'disk blobs without idle descriptors',
  async (t) => (await openTestStore(t, { idleHandles: 0 })).blobs,
);
inspectorContract('disk inspector', (t) => openTestStore(t));
manifestStoreContract('disk manifests', (t) => manifestsIn(t, 256));
manifestStoreContract('disk manifests without idle descriptors', (t) => manifestsIn(t, 0));

async function manifestsIn(t: TestContext, idleHandles: number) {
  const dataDir = await temporaryFolder(t);
  let store = await openTestStore(t, { dataDir, idleHandles });
  const reopen = async (): Promise<ManifestStore> => {
    await store.close();
    store = await openTestStore(t, { dataDir, idleHandles });
    return store.manifests;
  };
  // The contract goes on with the first store now and then: it must find the present one behind it.
  const manifests: ManifestStore = {
    create: (id) => store.manifests.create(id),
    read: (id) => store.manifests.read(id),
    open: (id) => store.manifests.open(id),
    rewrite: (id, records) => store.manifests.rewrite(id, records),
  };
  return { manifests, reopen };
}
