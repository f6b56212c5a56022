/** Where the back end with a database puts bytes, and how it migrates a directory of the other back end. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Part } from '../../../src/contracts/blobs.ts';
import type { Store } from '../../../src/contracts/store.ts';
import { crc32 } from '../../../src/protocol/crc32.ts';
import { BACKENDS, backendOf } from '../../../src/storage/backends.ts';
import { Ledger } from '../../../src/storage/lmdb/ledger.ts';
import { documentOf, newId, sharedThreads, temporaryFolder, withCode, writeAt } from '../../support/disk/storage.ts';
import { LMDB } from '../suites/backends.ts';

const KIB = 1024;

/** Stores a chunk as the engine does: the bytes, if they are kept, go into the transaction of the record. */
async function store(to: Store, id: string, start: number, bytes: Uint8Array): Promise<void> {
  const part = await to.blobs.openPart(id);
  const kept = await keep(part, start, bytes);
  await part.sync();
  const journal = await to.manifests.open(id);
  const record = { start, end: start + bytes.length - 1, crc32: crc32(bytes), synced: true, time: 1 };
  await journal.append([kept ? { ...record, bytes: kept } : record], true);
  journal.release();
  part.release();
}

async function keep(part: Part, start: number, bytes: Uint8Array): Promise<Uint8Array | null> {
  const buffer = new ArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  const extent = { start, end: start + bytes.length - 1 };
  const job = {
    buffer,
    length: bytes.length,
    start,
    ranges: [{ extent, action: 'write' as const }],
    isWholeChunk: true,
  };
  return (await part.write(job)).kept?.[0] ?? null;
}

async function created(t: TestContext): Promise<{ run: Awaited<ReturnType<typeof LMDB.open>>; id: string }> {
  const run = await LMDB.open(t);
  const id = newId();
  await run.store.blobs.create(id);
  await run.store.manifests.create(id);
  return { run, id };
}

async function bytesOf(from: Store, id: string, size: number): Promise<Buffer> {
  const reader = await from.blobs.openReader(id);
  const into = Buffer.alloc(size);
  const count = await reader.read(into, 0);
  reader.release();
  return into.subarray(0, count);
}

test('a small file stays in the database: it has no directory, and a restart finds it', async (t) => {
  const dataDir = await temporaryFolder(t);
  const open = () => BACKENDS.lmdb.open({ dataDir, threads: sharedThreads() });
  const id = newId();
  const bytes = randomBytes(1000);
  const first = await open();
  await first.blobs.create(id);
  await first.manifests.create(id);
  await store(first, id, 0, bytes);
  await first.blobs.seal(id, 1000);
  await first.close({ clean: true });
  assert.deepEqual(await readdir(join(dataDir, 'v2/files')), []);
  const second = await open();
  t.after(() => second.close());
  assert.deepEqual(await bytesOf(second, id, 2000), bytes);
  assert.equal(await second.blobs.size(id), 1000);
  assert.deepEqual(await second.inspector.verify(id, await second.manifests.read(id)), []);
});

test('an empty file stays in the database', async (t) => {
  const { run, id } = await created(t);
  await run.store.blobs.seal(id, 0);
  const later = await run.reopen();
  assert.equal(await later.blobs.size(id), 0);
  assert.deepEqual(await later.blobs.list(), [id]);
});

test('small and large chunks in any order read as one file, before the seal and after it', async (t) => {
  const { run, id } = await created(t);
  const bytes = randomBytes(1024 * KIB);
  const cuts = [0, 64, 128, 512, 576, 1000, 1024].map((kib) => kib * KIB);
  for (const index of [4, 1, 3, 0, 5, 2]) {
    const start = cuts[index] ?? 0;
    await store(run.store, id, start, bytes.subarray(start, cuts[index + 1]));
  }
  assert.deepEqual(await bytesOf(run.store, id, bytes.length), bytes);
  const later = await run.reopen();
  assert.deepEqual(await bytesOf(later, id, bytes.length), bytes);
  assert.deepEqual(await later.inspector.verify(id, await later.manifests.read(id)), []);
  await later.blobs.seal(id, bytes.length);
  assert.deepEqual(await bytesOf(later, id, bytes.length), bytes);
});

test('many small chunks of an upload move to its part, and read the same all the time', async (t) => {
  const { run, id } = await created(t);
  const count = 160;
  const bytes = randomBytes(count * 32 * KIB);
  for (let n = 0; n < count; n += 1) {
    const start = n * 32 * KIB;
    await store(run.store, id, start, bytes.subarray(start, start + 32 * KIB));
    if (n % 8 === 0)
      assert.deepEqual(await bytesOf(run.store, id, start + 32 * KIB), bytes.subarray(0, start + 32 * KIB));
  }
  assert.deepEqual(await bytesOf(run.store, id, bytes.length), bytes);
  const later = await run.reopen();
  assert.deepEqual(await bytesOf(later, id, bytes.length), bytes);
});

test('stored bytes are compared wherever they are', async (t) => {
  const { run, id } = await created(t);
  const bytes = randomBytes(200 * KIB);
  await store(run.store, id, 0, bytes.subarray(0, 10 * KIB));
  await store(run.store, id, 10 * KIB, bytes.subarray(10 * KIB));
  const part = await run.store.blobs.openPart(id);
  const compare = { extent: { start: 0, end: bytes.length - 1 }, action: 'compare' as const };
  assert.equal((await writeAt(part, 0, bytes, [compare])).conflict, false);
  const other = Buffer.from(bytes);
  other[5] = (other[5] ?? 0) ^ 1;
  assert.equal((await writeAt(part, 0, other, [compare])).conflict, true);
  part.release();
});

test('bytes of a record that a rewrite drops do not hide those that are sent again', async (t) => {
  const { run, id } = await created(t);
  await store(run.store, id, 0, Buffer.alloc(1000, 1));
  await store(run.store, id, 1000, Buffer.alloc(1000, 2));
  const [, second] = await run.store.manifests.read(id);
  assert.ok(second);
  await run.store.manifests.rewrite(id, [second]);
  await store(run.store, id, 500, Buffer.alloc(100, 3));
  assert.deepEqual((await bytesOf(run.store, id, 2000)).subarray(500, 600), Buffer.alloc(100, 3));
  assert.deepEqual((await bytesOf(run.store, id, 2000)).subarray(1000), Buffer.alloc(1000, 2));
});

test('a reader of a small file works on after the file is removed', async (t) => {
  const { run, id } = await created(t);
  await store(run.store, id, 0, Buffer.from('0123456789'));
  await run.store.blobs.seal(id, 10);
  const reader = await run.store.blobs.openReader(id);
  await run.store.blobs.remove(id);
  const into = Buffer.alloc(4);
  assert.equal(await reader.read(into, 3), 4);
  assert.equal(into.toString(), '3456');
  reader.release();
  await assert.rejects(run.store.blobs.openReader(id), withCode('not_found'));
});

test('a full disk refuses a commit and leaves everything as it was', async (t) => {
  const folder = await temporaryFolder(t);
  let free = 2 ** 40;
  const ledger = new Ledger({ path: join(folder, 'ledger'), free: () => free });
  t.after(() => ledger.close());
  const key = Buffer.alloc(16, 1);
  await ledger.commit((write) => write.put('documents', key, Buffer.from('before')));
  free = 1024;
  const refused = ledger.commit((write) => write.put('documents', key, Buffer.from('after')));
  await assert.rejects(refused, withCode('insufficient_storage'));
  assert.equal(Buffer.from(ledger.documents.get(key) ?? []).toString(), 'before');
});

test('a closed database is an error, not the end of the process', async (t) => {
  const ledger = new Ledger({ path: join(await temporaryFolder(t), 'ledger'), free: () => null });
  await ledger.close();
  assert.throws(() => ledger.bytes, /closed/);
  await assert.rejects(
    ledger.commit(() => {}),
    /closed/,
  );
});

test('a directory of the disk back end is migrated once, with all documents, journals and bytes', async (t) => {
  const dataDir = await temporaryFolder(t);
  const options = { dataDir, threads: sharedThreads() };
  const onDamaged = (key: string): never => assert.fail(`the document ${key} is damaged`);
  const before = await BACKENDS.disk.open(options);
  const catalog = await before.openCatalog({ onDamaged });
  const bytes = randomBytes(100 * KIB);
  const ids = Array.from({ length: 20 }, () => newId());
  for (const [index, id] of ids.entries()) {
    await before.blobs.create(id);
    await before.manifests.create(id);
    await store(before, id, 0, bytes);
    await catalog.put(documentOf({ id, name: `f${index}` }));
  }
  const journals = await Promise.all(ids.map((id) => before.manifests.read(id)));
  const secret = await before.secret('jwt', () => randomBytes(32));
  await before.close({ clean: true });

  assert.equal(await backendOf(dataDir), BACKENDS.disk);
  for (let start = 0; start < 2; start += 1) {
    const after = await BACKENDS.lmdb.open(options);
    assert.equal(after.wasClean, true);
    const taken = await after.openCatalog({ onDamaged });
    for (const [index, id] of ids.entries()) {
      assert.deepEqual(await taken.get(id), documentOf({ id, name: `f${index}` }));
      assert.deepEqual(await after.manifests.read(id), journals[index]);
      assert.deepEqual(await bytesOf(after, id, bytes.length), bytes);
    }
    assert.deepEqual(Buffer.from(await after.secret('jwt', () => randomBytes(32))), Buffer.from(secret));
    await after.close({ clean: true });
  }
  await assert.rejects(access(join(dataDir, 'v1')));
  assert.equal(await backendOf(dataDir), BACKENDS.lmdb);
  await assert.rejects(BACKENDS.disk.open(options), /LADING_STORAGE=lmdb/);
});

test('a commit that fails in the middle leaves every earlier one as it was, and later ones succeed', async (t) => {
  const path = join(await temporaryFolder(t), 'ledger');
  const program = fileURLToPath(new URL('limited-ledger.js', import.meta.url));
  // The signal would end the process before the write fails.
  const script = `trap '' XFSZ; ulimit -f 8192; exec "$0" "$@"`;
  const run = spawnSync('bash', ['-c', script, process.execPath, program, path], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const { committed, refused, damaged } = JSON.parse(run.stdout);
  assert.ok(committed > 50 && refused > 0, run.stdout);
  assert.equal(damaged, 0);
  const ledger = new Ledger({ path, free: () => null });
  assert.equal([...ledger.bytes.getKeys()].length, committed);
  await ledger.close();
});
