/** A full disk: the test mounts a small file system of its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openLowdbCatalog } from '../../../src/storage/lowdb/catalog.ts';
import { documentOf, newId, openTestStore, recordOf, withCode, writeAt } from '../../support/disk/storage.ts';

const MIB = 1024 ** 2;

/** Null if this process may not mount file systems. */
async function smallDisk(t: TestContext, bytes: number): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    await rmdir(folder);
    return null;
  }
  t.after(async () => {
    execFileSync('umount', ['-l', folder]);
    await rmdir(folder);
  });
  return folder;
}

test('on a full disk chunks are refused, stored bytes stay, and uploads continue once there is space', async (t) => {
  const dataDir = await smallDisk(t, 4 * MIB);
  if (dataDir === null) return t.skip('only root may mount the small file system that this needs');
  const store = await openTestStore(t, { dataDir });
  const id = newId();
  await store.blobs.create(id);
  await store.manifests.create(id);
  const part = await store.blobs.openPart(id);
  const manifest = await store.manifests.open(id);
  const bytes = randomBytes(2 * MIB);
  await writeAt(part, 0, bytes);
  await part.sync();
  const first = recordOf(0, bytes);
  await manifest.append([first], true);

  await assert.rejects(writeAt(part, 2 * MIB, bytes), withCode('insufficient_storage'));
  await writeFile(join(dataDir, 'filler'), Buffer.alloc(MIB)).catch(() => undefined);
  await assert.rejects(writeAt(part, 2 * MIB, bytes), withCode('insufficient_storage'));
  // The journal needs another block. The refusal left it unchanged.
  const many = Array.from({ length: 200 }, (_, n) => recordOf(n * 10, bytes.subarray(0, 10)));
  await assert.rejects(manifest.append(many, true), withCode('insufficient_storage'));
  assert.deepEqual(await store.manifests.read(id), [first]);
  await assert.rejects(store.fileDocuments.write(id, '{}'), withCode('insufficient_storage'));
  assert.deepEqual(await store.inspector.verify(id, [first]), []);

  await rm(join(dataDir, 'filler'));
  const end = bytes.subarray(0, MIB);
  await writeAt(part, 2 * MIB, end);
  await part.sync();
  await manifest.append([recordOf(2 * MIB, end)], true);
  await store.blobs.seal(id, 3 * MIB);
  assert.deepEqual(await store.inspector.verify(id, await store.manifests.read(id)), []);
});

test('files can be deleted on a full disk, which frees space', async (t) => {
  const dataDir = await smallDisk(t, 2 * MIB);
  if (dataDir === null) return t.skip('only root may mount the small file system that this needs');
  const store = await openTestStore(t, { dataDir });
  const catalog = await openLowdbCatalog({ files: store.fileDocuments, onDamaged: assert.fail });
  const document = documentOf();
  await store.blobs.create(document.id);
  await catalog.put(document);
  const part = await store.blobs.openPart(document.id);
  for (let at = 0; ; at += 64 * 1024) {
    const full = await writeAt(part, at, randomBytes(64 * 1024)).then(
      () => false,
      () => true,
    );
    if (full) break;
  }
  await assert.rejects(catalog.put(documentOf({ name: 'other' })), withCode('insufficient_storage'));
  assert.deepEqual(await catalog.find('device-1', 'other'), { sealed: null, open: null });
  await catalog.remove(document.id);
  await store.blobs.remove(document.id);
  await catalog.put(documentOf({ name: 'other' }));
});

test('a server starts on a full disk, so that files can be deleted', async (t) => {
  const dataDir = await smallDisk(t, 4 * MIB);
  if (dataDir === null) return t.skip('only root may mount the small file system that this needs');
  await (await openTestStore(t, { dataDir })).close({ clean: false });
  execFileSync('sh', ['-c', `cat /dev/zero > ${join(dataDir, 'filler')} || true`], { stdio: 'ignore' });
  await assert.rejects(writeFile(join(dataDir, 'more'), 'x'), { code: 'ENOSPC' });
  const store = await openTestStore(t, { dataDir });
  assert.deepEqual(await store.blobs.list(), []);
});
