/** Interrupts every commit point of the storage. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { ManifestRecord } from '../../../src/contracts/manifests.ts';
import { Layout } from '../../../src/storage/disk/directory/layout.ts';
import type { DiskStore } from '../../../src/storage/disk/store.ts';
import { newId, recordOf, withCode, writeAt } from '../../support/disk/storage.ts';
import { interrupted } from '../../support/wire/interrupted.ts';

async function contentOf(store: DiskStore, id: string): Promise<string> {
  const reader = await store.blobs.openReader(id);
  const bytes = Buffer.alloc(1000);
  const size = await reader.read(bytes, 0);
  reader.release();
  return bytes.subarray(0, size).toString();
}

/** For files that a loss of power may have removed completely. */
function absent(error: unknown): undefined {
  if (!withCode('not_found')(error)) throw error;
}

interrupted('a new document', {
  before: async () => newId(),
  act: (store, id) => store.fileDocuments.write(id, 'new'),
  look: async (store, id) => {
    const text = await store.fileDocuments.read(id);
    assert.ok(text === null || text === 'new', `${text}`);
    return text === 'new' ? 'new' : 'old';
  },
});

interrupted('a document that is replaced', {
  before: async (store) => {
    const id = newId();
    await store.fileDocuments.write(id, 'old');
    return id;
  },
  act: (store, id) => store.fileDocuments.write(id, 'new'),
  look: async (store, id) => {
    const text = await store.fileDocuments.read(id);
    assert.ok(text === 'old' || text === 'new', `${text}`);
    return text;
  },
});

interrupted('a document that is removed', {
  before: async (store) => {
    await store.documents('clients').write('device', 'old');
  },
  act: async (store) => {
    await store.documents('clients').remove('device');
  },
  look: async (store) => {
    const text = await store.documents('clients').read('device');
    assert.ok(text === null || text === 'old', `${text}`);
    return text === null ? 'new' : 'old';
  },
});

const first = recordOf(0, Buffer.from('01234'));
const second = recordOf(5, Buffer.from('56789'));

/** A chunk as the engine commits it: write, sync the bytes, append the record durably. */
async function commit(store: DiskStore, id: string, record: ManifestRecord, text: string): Promise<void> {
  const part = await store.blobs.openPart(id);
  await writeAt(part, record.start, Buffer.from(text));
  await part.sync();
  const manifest = await store.manifests.open(id);
  await manifest.append([record], true);
  part.release();
  manifest.release();
}

/** Every record must verify against the stored bytes. */
async function recorded(store: DiskStore, id: string): Promise<ManifestRecord[]> {
  const records = await store.manifests.read(id);
  assert.deepEqual(await store.inspector.verify(id, records), []);
  return records;
}

interrupted('the first chunk', {
  before: async (store) => {
    const id = newId();
    await store.blobs.create(id);
    await store.manifests.create(id);
    return id;
  },
  act: (store, id) => commit(store, id, first, '01234'),
  look: async (store, id) => {
    // An upload that was not acknowledged may be lost completely.
    if (!(await store.blobs.list()).includes(id)) return 'old';
    const records = (await recorded(store, id).catch(absent)) ?? [];
    assert.ok(records.length === 0 || records.length === 1);
    return records.length === 1 ? 'new' : 'old';
  },
});

interrupted('the first bytes, without a record', {
  before: async (store) => {
    const id = newId();
    await store.blobs.create(id);
    return id;
  },
  act: async (store, id) => {
    const part = await store.blobs.openPart(id);
    await writeAt(part, 0, Buffer.from('01234'));
    await part.sync();
    part.release();
  },
  look: async (store, id) => {
    const content = await contentOf(store, id).catch(absent);
    return content === '01234' ? 'new' : 'old';
  },
});

interrupted('the first record, without bytes', {
  before: async (store) => {
    const id = newId();
    await store.manifests.create(id);
    return id;
  },
  act: async (store, id) => {
    const manifest = await store.manifests.open(id);
    await manifest.append([first], true);
    manifest.release();
  },
  look: async (store, id) => {
    const records = (await store.manifests.read(id).catch(absent)) ?? [];
    if (records.length === 0) return 'old';
    // A failed append may be repeated, and then exists once.
    assert.deepEqual(records, [first]);
    return 'new';
  },
});

interrupted('another chunk', {
  before: async (store) => {
    const id = newId();
    await store.blobs.create(id);
    await store.manifests.create(id);
    await commit(store, id, first, '01234');
    return id;
  },
  act: (store, id) => commit(store, id, second, '56789'),
  look: async (store, id) => {
    const records = await recorded(store, id);
    assert.deepEqual(records.slice(0, 1), [first]);
    if (records.length > 1) assert.deepEqual(records, [first, second]);
    return records.length > 1 ? 'new' : 'old';
  },
});

interrupted('a journal that is rewritten', {
  before: async (store) => {
    const id = newId();
    await store.blobs.create(id);
    await store.manifests.create(id);
    await commit(store, id, first, '01234');
    await commit(store, id, second, '56789');
    return id;
  },
  act: (store, id) => store.manifests.rewrite(id, [second]),
  look: async (store, id) => {
    const records = await recorded(store, id);
    if (records.length === 1) assert.deepEqual(records, [second]);
    else assert.deepEqual(records, [first, second]);
    return records.length === 1 ? 'new' : 'old';
  },
});

interrupted('a seal', {
  before: async (store) => {
    const id = newId();
    await store.blobs.create(id);
    await store.manifests.create(id);
    await commit(store, id, first, '01234');
    const part = await store.blobs.openPart(id);
    // Bytes of a refused chunk past the size, which the seal must cut off.
    await writeAt(part, 5, Buffer.from('refused'));
    await part.sync();
    part.release();
    return id;
  },
  act: (store, id) => store.blobs.seal(id, 5),
  look: async (store, id, dataDir) => {
    const content = await contentOf(store, id);
    assert.equal(content.slice(0, 5), '01234');
    assert.deepEqual(await recorded(store, id), [first]);
    const { part, blob } = new Layout(dataDir).file(id);
    assert.notEqual(existsSync(part), existsSync(blob));
    if (!existsSync(blob)) return 'old';
    assert.equal(content, '01234');
    return 'new';
  },
});

interrupted('a seal of bytes that were never synced', {
  before: async (store) => {
    const id = newId();
    await store.fileDocuments.write(id, 'open');
    await store.blobs.create(id);
    await store.manifests.create(id);
    const part = await store.blobs.openPart(id);
    await writeAt(part, 0, Buffer.from('01234'));
    part.release();
    const manifest = await store.manifests.open(id);
    await manifest.append([{ ...first, synced: false }], false);
    manifest.release();
    return id;
  },
  act: async (store, id) => {
    const manifest = await store.manifests.open(id);
    await manifest.sync();
    manifest.release();
    await store.blobs.seal(id, 5);
    await store.fileDocuments.write(id, 'sealed');
  },
  look: async (store, id) => {
    const text = await store.fileDocuments.read(id);
    if (text === 'open') return 'old';
    assert.equal(text, 'sealed');
    assert.equal(await contentOf(store, id), '01234');
    assert.equal((await recorded(store, id)).length, 1);
    return 'new';
  },
});

interrupted('a removal', {
  before: async (store) => {
    const id = newId();
    await store.blobs.create(id);
    await store.manifests.create(id);
    await commit(store, id, first, '01234');
    await store.blobs.seal(id, 5);
    await store.fileDocuments.write(id, 'sealed');
    return id;
  },
  act: (store, id) => store.blobs.remove(id),
  look: async (store, id) => {
    if (!(await store.blobs.list()).includes(id)) return 'new';
    assert.equal(await contentOf(store, id), '01234');
    assert.deepEqual(await recorded(store, id), [first]);
    assert.equal(await store.fileDocuments.read(id), 'sealed');
    return 'old';
  },
});

interrupted('a secret', {
  before: async () => Buffer.from('of this run'),
  act: async (store, made) => {
    await store.secret('jwt', () => made);
  },
  look: async (store, made) => {
    const absent = new Error('none is kept');
    const secret = await store
      .secret('jwt', () => {
        throw absent;
      })
      .catch((error: unknown) => assert.equal(error, absent));
    if (secret === undefined) return 'old';
    assert.deepEqual(Buffer.from(secret), made);
    return 'new';
  },
});
