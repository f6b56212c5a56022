/** A record whose append failed is never read again, neither by this process nor by the next one. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { realDisk } from '../../../src/storage/disk/io/disk.ts';
import { type Fault, FaultyDisk, type Step } from '../../support/disk/faulty-disk.ts';
import { newId, openTestStore, recordOf, temporaryFolder, withCode, writeAt } from '../../support/disk/storage.ts';

const first = recordOf(0, Buffer.from('01234'));
const refused = recordOf(5, Buffer.from('56789'));
const later = recordOf(5, Buffer.from('abcde'));

async function oneRecord(t: TestContext) {
  const dataDir = await temporaryFolder(t);
  const disk = new FaultyDisk(realDisk);
  const store = await openTestStore(t, { dataDir, disk });
  const id = newId();
  await store.blobs.create(id);
  await store.manifests.create(id);
  const part = await store.blobs.openPart(id);
  const manifest = await store.manifests.open(id);
  await writeAt(part, 0, Buffer.from('0123456789'));
  await part.sync();
  await manifest.append([first], true);
  /** The records that the next process reads after a crash of this one. */
  const next = async () => {
    await store.close();
    return (await openTestStore(t, { dataDir })).manifests.read(id);
  };
  return { disk, store, id, part, manifest, next };
}

function onManifest(op: string, fault: Fault, times = 1) {
  let left = times;
  return (step: Step): Fault | null => {
    if (step.op !== op || !step.path.endsWith('manifest') || left === 0) return null;
    left -= 1;
    return fault;
  };
}

const failures: [string, Fault][] = [
  ['datasync', { code: 'EIO' }],
  ['datasync', { code: 'EIO', when: 'after' }],
  ['write', { code: 'ENOSPC', when: 'half' }],
  ['write', { code: 'EIO', when: 'after' }],
];

for (const [op, fault] of failures) {
  test(`an append that fails in its ${op} (${fault.when ?? 'before'}) is rolled back`, async (t) => {
    const { disk, store, id, manifest, next } = await oneRecord(t);
    disk.arm(onManifest(op, fault));
    await assert.rejects(manifest.append([refused], true));
    assert.equal(disk.disarm(), 1);
    assert.deepEqual(await store.manifests.read(id), [first]);
    assert.deepEqual(await next(), [first]);
  });

  test(`after an append failed in its ${op} (${fault.when ?? 'before'}) the next append takes its place`, async (t) => {
    const { disk, store, id, manifest, next } = await oneRecord(t);
    disk.arm(onManifest(op, fault));
    await assert.rejects(manifest.append([refused, refused, refused], true));
    disk.disarm();
    await manifest.append([later], true);
    assert.deepEqual(await store.manifests.read(id), [first, later]);
    assert.deepEqual(await next(), [first, later]);
  });
}

test('nothing is written to the upload until a failed append is rolled back', async (t) => {
  const { disk, id, store, part, manifest, next } = await oneRecord(t);
  let broken = true;
  const ops = new Set(['datasync', 'truncate', 'rename']);
  disk.arm(({ op }) => (broken && ops.has(op) ? { code: 'EIO' } : null));
  await assert.rejects(manifest.append([refused], true));
  await assert.rejects(writeAt(part, 5, Buffer.from('abcde')), withCode('internal'));
  await assert.rejects(manifest.append([later], false), withCode('internal'));
  await assert.rejects(store.blobs.seal(id, 5), withCode('internal'));
  broken = false;
  await writeAt(part, 5, Buffer.from('abcde'));
  assert.deepEqual(await store.manifests.read(id), [first]);
  await part.sync();
  await manifest.append([later], true);
  assert.deepEqual(await next(), [first, later]);
});

test('an upload whose journal cannot be written does not delay others', async (t) => {
  const { disk, store, manifest } = await oneRecord(t);
  const other = newId();
  await store.blobs.create(other);
  const part = await store.blobs.openPart(other);
  disk.arm(({ op, path }) => (op !== 'close' && path.endsWith('manifest') ? { code: 'EIO' } : null));
  await assert.rejects(manifest.append([refused], true));
  await writeAt(part, 0, Buffer.from('x'));
  await part.sync();
});

test('unsynced records survive a failed sync and the loss of the cache of the system', async (t) => {
  const { disk, manifest, next } = await oneRecord(t);
  await manifest.append([later], false);
  const steps: string[] = [];
  disk.arm((step) => {
    if (step.op === 'rename') steps.push(step.op);
    return onManifest('datasync', { code: 'EIO' })(step);
  });
  await assert.rejects(manifest.sync());
  disk.disarm();
  assert.deepEqual(steps, ['rename'], 'the journal is written anew, on blocks of which nothing is believed');
  await manifest.sync();
  assert.deepEqual(await next(), [first, later]);
});

test('a journal that many callers read and open at once is read from the disk once', async (t) => {
  const { store, id, disk } = await oneRecord(t);
  const dataDir = await temporaryFolder(t);
  const before = await openTestStore(t, { dataDir });
  await before.manifests.create(id);
  await before.close();
  await store.close();
  const after = await openTestStore(t, { dataDir, disk });
  let reads = 0;
  disk.arm(({ op }) => {
    if (op === 'size') reads += 1;
    return null;
  });
  await Promise.all([after.manifests.read(id), after.manifests.open(id), after.manifests.read(id)]);
  assert.equal(reads, 1);
});
