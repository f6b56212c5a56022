import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { COLLECTIONS } from '../../../src/contracts/store.ts';
import { Layout } from '../../../src/storage/disk/directory/layout.ts';
import { realDisk } from '../../../src/storage/disk/io/disk.ts';
import { FaultyDisk } from '../../support/disk/faulty-disk.ts';
import { newId, openTestStore, recordOf, sharedThreads, temporaryFolder, writeAt } from '../../support/disk/storage.ts';

test('a directory is clean when it is new or was closed cleanly, and not after a crash', async (t) => {
  const dataDir = await temporaryFolder(t);
  const first = await openTestStore(t, { dataDir });
  assert.equal(first.wasClean, true);
  await first.close();
  const second = await openTestStore(t, { dataDir });
  assert.equal(second.wasClean, false);
  await second.close({ clean: true });
  const third = await openTestStore(t, { dataDir });
  assert.equal(third.wasClean, true);
  await third.close();
  assert.equal(
    (await openTestStore(t, { dataDir })).wasClean,
    false,
    'the marker goes when the directory is used again',
  );
});

test('a clean stop syncs all unsynced bytes and records', async (t) => {
  const dataDir = await temporaryFolder(t);
  const disk = new FaultyDisk(realDisk);
  const store = await openTestStore(t, { dataDir, disk });
  const id = newId();
  await store.blobs.create(id);
  await store.manifests.create(id);
  const part = await store.blobs.openPart(id);
  await writeAt(part, 0, Buffer.from('01234'));
  const manifest = await store.manifests.open(id);
  await manifest.append([recordOf(0, Buffer.from('01234'), { synced: false })], false);
  const synced: string[] = [];
  disk.arm(({ op, path }) => {
    if (op === 'datasync') synced.push(path);
    return null;
  });
  await store.close({ clean: true });
  const paths = new Layout(dataDir).file(id);
  assert.ok(synced.includes(paths.part));
  assert.ok(synced.includes(paths.manifest));
  assert.ok(
    synced.some((path) => dirname(path) === new Layout(dataDir).tmp),
    'the marker',
  );
  assert.ok(synced.indexOf(paths.part) < synced.length - 1, 'the marker comes last');
});

test('a stop with a failed sync is not clean', async (t) => {
  const dataDir = await temporaryFolder(t);
  const disk = new FaultyDisk(realDisk);
  const store = await openTestStore(t, { dataDir, disk });
  const id = newId();
  await store.blobs.create(id);
  const part = await store.blobs.openPart(id);
  await writeAt(part, 0, Buffer.from('01234'));
  disk.arm(({ op, path }) => (op === 'datasync' && path.endsWith('part') ? { code: 'EIO' } : null));
  await assert.rejects(store.close({ clean: true }));
  disk.disarm();
  assert.equal((await openTestStore(t, { dataDir })).wasClean, false);
});

test('a start empties the temporary directory and leaves other files alone', async (t) => {
  const dataDir = await temporaryFolder(t);
  const layout = new Layout(dataDir);
  await mkdir(join(layout.tmp, 'half-removed'), { recursive: true });
  await writeFile(join(layout.tmp, 'half-removed', 'blob'), 'x');
  await writeFile(join(layout.tmp, 'file.json.0011'), 'x');
  await writeFile(join(layout.root, 'lock-0011.tmp'), 'x');
  await writeFile(join(layout.root, 'lock.0123456789abcdef'), 'x');
  await mkdir(join(layout.files, 'README'), { recursive: true });
  await mkdir(join(layout.files, 'ab', 'not-an-id'), { recursive: true });
  await mkdir(layout.collection('clients'), { recursive: true });
  await writeFile(join(layout.collection('clients'), 'notes.txt'), 'x');
  await writeFile(join(layout.collection('clients'), 'ü.json'), 'x');
  const store = await openTestStore(t, { dataDir });
  assert.deepEqual(await readdir(layout.tmp), []);
  assert.deepEqual(
    (await readdir(layout.root)).sort(),
    [...COLLECTIONS, 'audit', 'files', 'lock', 'secrets', 'spare', 'tmp'].sort(),
  );
  assert.deepEqual(await store.blobs.list(), []);
  assert.deepEqual(await store.fileDocuments.list(), []);
  assert.deepEqual(await store.documents('clients').list(), []);
  assert.equal((await stat(join(layout.collection('clients'), 'notes.txt'))).size, 1);
});

test('a data directory that cannot be created is refused with advice', async (t) => {
  const file = join(await temporaryFolder(t), 'file');
  await writeFile(file, 'x');
  for (const dataDir of ['/proc/nope', '/proc/nope/deeper', file]) {
    await assert.rejects(openTestStore(t, { dataDir }), /the data directory ".*" cannot be used \(E[A-Z]+\); choose/);
  }
});

test('a secret is readable only by its owner', async (t) => {
  const dataDir = await temporaryFolder(t);
  const store = await openTestStore(t, { dataDir });
  await store.secret('jwt', () => Buffer.from('secret of thirty-two bytes......'));
  const layout = new Layout(dataDir);
  assert.equal((await stat(layout.secret('jwt'))).mode & 0o777, 0o600);
  for (const folder of [layout.root, layout.secrets, layout.collection('clients')])
    assert.equal((await stat(folder)).mode & 0o077, 0);
});

test('stored files are readable only by their owner', async (t) => {
  const dataDir = await temporaryFolder(t);
  const store = await openTestStore(t, { dataDir });
  const id = newId();
  await store.blobs.create(id);
  await store.manifests.create(id);
  await store.fileDocuments.write(id, '{}');
  const { part, manifest, document } = new Layout(dataDir).file(id);
  for (const file of [part, manifest, document]) assert.equal((await stat(file)).mode & 0o777, 0o600);
});

test('ids and names of secrets that could escape their directory are refused', () => {
  const layout = new Layout('/data');
  for (const id of ['', '..', '../..', 'A'.repeat(32), 'a'.repeat(31), 'a'.repeat(33), `${'a'.repeat(31)}/`]) {
    assert.throws(() => layout.file(id), RangeError);
  }
  for (const id of ['', '../x', 'a/b', 'a\\b', 'a\0', 'x'.repeat(129)])
    assert.throws(() => layout.document('clients', id), RangeError);
  for (const name of ['', '..', 'jwt.old', 'a/b']) assert.throws(() => layout.secret(name), RangeError);
  assert.equal(layout.document('clients', '..'), '/data/v1/clients/...json');
});

test('two thousand open uploads do not exceed the limit of descriptors', async (t) => {
  if (!existsSync('/proc/self/fd')) return t.skip('this system does not tell which descriptors are open');
  const dataDir = await temporaryFolder(t);
  const store = await openTestStore(t, { dataDir, idleHandles: 50 });
  const ids = Array.from({ length: 2_000 }, newId);
  const before = (await readdir('/proc/self/fd')).length;
  for (const id of ids) {
    await store.blobs.create(id);
    await store.manifests.create(id);
  }
  const parts = await Promise.all(ids.map((id) => store.blobs.openPart(id)));
  await Promise.all(parts.map((part) => writeAt(part, 0, Buffer.from('x'))));
  assert.ok((await readdir('/proc/self/fd')).length <= before + 2 * 50 + 10);
  for (const part of parts) part.release();
});

test('after a failed sync, bytes are written again before they are acknowledged', async (t) => {
  const dataDir = await temporaryFolder(t);
  const disk = new FaultyDisk(realDisk);
  const store = await openTestStore(t, { dataDir, disk, threads: disk.threads(sharedThreads()) });
  const id = newId();
  await store.blobs.create(id);
  await store.manifests.create(id);
  const part = await store.blobs.openPart(id);
  await writeAt(part, 0, Buffer.from('01234'));
  disk.arm(({ op, path }) => (op === 'datasync' && path.endsWith('part') ? { code: 'EIO' } : null));
  await assert.rejects(part.sync());
  const steps: string[] = [];
  disk.arm(({ op, path }) => {
    if (path.endsWith('part')) steps.push(op);
    return null;
  });
  await part.sync();
  assert.deepEqual(steps, ['inspect', 'datasync'], 'written again, then synced');
  steps.length = 0;
  await part.sync();
  assert.deepEqual(steps, ['datasync'], 'once');
});

test('bytes that a failed sync lost are never acknowledged', async (t) => {
  const dataDir = await temporaryFolder(t);
  const disk = new FaultyDisk(realDisk);
  const store = await openTestStore(t, { dataDir, disk });
  const id = newId();
  await store.blobs.create(id);
  await store.manifests.create(id);
  const part = await store.blobs.openPart(id);
  await writeAt(part, 0, Buffer.from('01234'));
  const manifest = await store.manifests.open(id);
  await manifest.append([recordOf(0, Buffer.from('01234'), { synced: false })], false);
  disk.arm(({ op }) => (op === 'datasync' ? { code: 'EIO' } : null));
  await assert.rejects(store.blobs.seal(id, 5));
  disk.disarm();
  // The system dropped the pages, and reads the old bytes from the disk.
  await writeFile(new Layout(dataDir).file(id).part, '\0\0\0\0\0');
  await assert.rejects(part.sync());
  await assert.rejects(store.blobs.seal(id, 5));
  await writeAt(part, 0, Buffer.from('01234'));
  await part.sync();
  await store.blobs.seal(id, 5);
});
