/** What is specific to this catalog: damaged documents, crashes between two steps, many documents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDevice } from '../../../src/records/checks/identity.ts';
import { SortedNames } from '../../../src/sorted-names.ts';
import { openLowdbCatalog } from '../../../src/storage/lowdb/catalog.ts';
import { openLowdbCollection } from '../../../src/storage/lowdb/collection.ts';
import type { DocumentFiles } from '../../../src/storage/lowdb/documents.ts';
import { documentOf, newId } from '../../support/disk/storage.ts';

/** Documents in memory, for states that a disk has only after a crash. */
class Shelf implements DocumentFiles {
  readonly texts = new Map<string, string>();
  /** Keys whose removal fails. */
  readonly stuck = new Set<string>();

  list(): Promise<string[]> {
    return Promise.resolve([...this.texts.keys(), newId()]);
  }

  read(key: string): Promise<string | null> {
    if (this.texts.get(key) === 'EIO') return Promise.reject(new Error('EIO'));
    return Promise.resolve(this.texts.get(key) ?? null);
  }

  write(key: string, text: string): Promise<void> {
    this.texts.set(key, text);
    return Promise.resolve();
  }

  remove(key: string): Promise<boolean> {
    if (this.stuck.has(key)) return Promise.reject(new Error('EIO'));
    return Promise.resolve(this.texts.delete(key));
  }
}

async function open(files: Shelf) {
  const damaged: string[] = [];
  const catalog = await openLowdbCatalog({ files, onDamaged: (id) => damaged.push(id) });
  return { catalog, damaged };
}

test('damaged documents are reported and skipped, and count as existing', async () => {
  const files = new Shelf();
  const good = documentOf();
  files.texts.set(good.id, JSON.stringify(good));
  const bad = [
    '',
    'EIO',
    '{',
    'null',
    '[]',
    '"text"',
    '{}',
    JSON.stringify({ ...good, owner: 7 }),
    JSON.stringify({ ...good, state: 'closed' }),
    JSON.stringify({ ...good, size: -1 }),
    JSON.stringify({ ...good, size: 1.5 }),
    JSON.stringify({ ...good, reprDigest: { algorithm: 'md5', value: '' } }),
    JSON.stringify(good),
  ];
  const ids = bad.map((text) => {
    const id = newId();
    files.texts.set(id, text.startsWith('{"') && text !== JSON.stringify(good) ? text.replace(good.id, id) : text);
    return id;
  });
  const { catalog, damaged } = await open(files);
  assert.deepEqual(damaged.sort(), ids.sort());
  assert.deepEqual(await catalog.listOpen(), [good]);
  for (const id of ids) assert.equal(await catalog.has(id), true, 'its bytes are nobody else’s leftovers');
  const [one = ''] = ids;
  await catalog.remove(one);
  assert.equal(await catalog.has(one), false);
});

test('a file whose replacement is complete is obsolete, in any order of the documents', async () => {
  for (const order of [0, 1]) {
    const files = new Shelf();
    const old = documentOf({ state: 'sealed', size: 1, completedAt: 9 });
    // Also when the clock was set back.
    const next = documentOf({ state: 'sealed', size: 2, replaces: old.id, completedAt: 1, updatedAt: 1 });
    for (const document of order === 0 ? [old, next] : [next, old])
      files.texts.set(document.id, JSON.stringify(document));
    const { catalog, damaged } = await open(files);
    assert.deepEqual(await catalog.find(old.owner, old.name), { sealed: next, open: null });
    assert.deepEqual(catalog.obsolete(), [old.id]);
    assert.equal(await catalog.has(old.id), false);
    assert.deepEqual(damaged, []);
  }
});

test('uploads that a file ended are obsolete, and an upload that waits for a name is found only by its id', async () => {
  const files = new Shelf();
  const first = await open(files);
  const holder = documentOf();
  const aside = documentOf({ aside: true, ends: [holder.id] });
  const later = documentOf({ aside: true, ends: [holder.id, aside.id] });
  for (const document of [holder, aside, later]) await first.catalog.put(document);
  assert.deepEqual(await first.catalog.find(holder.owner, holder.name), { sealed: null, open: holder });
  const again = await open(files);
  assert.deepEqual(again.damaged, []);
  assert.deepEqual(await again.catalog.find(holder.owner, holder.name), { sealed: null, open: holder });
  assert.deepEqual(await again.catalog.get(later.id), later);
  assert.deepEqual((await again.catalog.listOpen()).length, 3);
  files.stuck.add(holder.id);
  const { aside: _, ...rest } = aside;
  const sealed = { ...rest, state: 'sealed' as const, size: 1, completedAt: 9 };
  await again.catalog.put(sealed);
  for (const { catalog } of [again, await open(files)]) {
    assert.deepEqual(await catalog.find(holder.owner, holder.name), { sealed, open: null });
    assert.deepEqual(catalog.obsolete(), [holder.id]);
    assert.deepEqual(await catalog.get(later.id), later, 'what waits and was not ended goes on');
    const page = await catalog.list({ owner: holder.owner, prefix: '', after: null, limit: 9 });
    assert.equal(page.length, 1);
    await catalog.remove(later.id);
    await catalog.put(later);
  }
  files.stuck.clear();
  const last = await open(files);
  await last.catalog.remove(sealed.id);
  assert.equal(files.texts.size, 1);
  assert.deepEqual(await last.catalog.list({ owner: holder.owner, prefix: '', after: null, limit: 9 }), []);
});

test('an obsolete document never reappears, because it is removed before its replacement', async () => {
  const files = new Shelf();
  const first = await open(files);
  const a = documentOf({ state: 'sealed', size: 1 });
  const b = documentOf({ state: 'sealed', size: 2, replaces: a.id });
  const c = documentOf({ state: 'sealed', size: 3, replaces: b.id });
  await first.catalog.put(a);
  files.stuck.add(a.id);
  await first.catalog.put(b);
  await first.catalog.put(c);
  assert.deepEqual([...files.texts.keys()].sort(), [a.id, b.id, c.id].sort(), 'b stays for as long as a does');
  const second = await open(files);
  assert.deepEqual(await second.catalog.find(a.owner, a.name), { sealed: c, open: null });
  assert.deepEqual(second.catalog.obsolete().sort(), [a.id, b.id].sort());
  await assert.rejects(second.catalog.remove(c.id));
  assert.deepEqual((await second.catalog.find(a.owner, a.name)).sealed, c);
  files.stuck.clear();
  await second.catalog.remove(c.id);
  assert.equal(files.texts.size, 0);
});

test('a document that claims to replace a file of another name removes nothing', async () => {
  const files = new Shelf();
  const victim = documentOf({ name: 'victim', state: 'sealed', size: 1 });
  const other = documentOf({ name: 'other', state: 'sealed', size: 1, replaces: victim.id });
  const { catalog } = await open(files);
  await catalog.put(victim);
  await catalog.put(other);
  assert.deepEqual((await catalog.find(victim.owner, 'victim')).sealed, victim);
  const again = await open(files);
  assert.deepEqual((await again.catalog.find(victim.owner, 'victim')).sealed, victim);
  assert.deepEqual(again.catalog.obsolete(), []);
});

test('when two documents claim one name, the newer is served and the older is reported and kept', async () => {
  const files = new Shelf();
  const older = documentOf({ state: 'sealed', size: 1, updatedAt: 1 });
  const newer = documentOf({ state: 'sealed', size: 2, updatedAt: 2 });
  for (const document of [newer, older]) files.texts.set(document.id, JSON.stringify(document));
  const { catalog, damaged } = await open(files);
  assert.deepEqual((await catalog.find(older.owner, older.name)).sealed, newer);
  assert.deepEqual(damaged, [older.id]);
  assert.equal(await catalog.has(older.id), true);
});

test('a change of a document during its removal writes nothing, so that a crash cannot restore it', async () => {
  const files = new Shelf();
  const { catalog } = await open(files);
  const document = documentOf({ state: 'sealed', size: 1, crc32: 1, completedAt: 1 });
  await catalog.put(document);
  const write = files.write.bind(files);
  let writes = 0;
  files.write = (key, text) => {
    writes += 1;
    return write(key, text);
  };
  const remove = files.remove.bind(files);
  let amended: Promise<void> | null = null;
  files.remove = (key) => {
    amended = catalog.amend(document.id, (before) => ({ ...before, contentType: 'text/plain' }));
    return remove(key);
  };
  await catalog.remove(document.id);
  await amended;
  assert.equal(writes, 0);
  assert.equal(files.texts.size, 0);
});

test('a failed write changes nothing in memory', async () => {
  const files = new Shelf();
  const { catalog } = await open(files);
  const document = documentOf();
  await catalog.put(document);
  files.write = () => Promise.reject(new Error('EIO'));
  await assert.rejects(catalog.put({ ...document, size: 5 }));
  assert.deepEqual((await catalog.find(document.owner, document.name)).open, document);
});

test('twenty thousand documents are loaded in order', async () => {
  const files = new Shelf();
  for (let n = 0; n < 20_000; n += 1) {
    const document = documentOf({ owner: `owner-${n % 3}`, name: `file-${(n * 7919) % 20_000}` });
    files.texts.set(document.id, JSON.stringify(document));
  }
  const { catalog, damaged } = await open(files);
  assert.deepEqual(damaged, []);
  for (const owner of ['owner-0', 'owner-1', 'owner-2']) {
    const names = (await catalog.list({ owner, prefix: '', after: null, limit: 30_000 })).map(({ name }) => name);
    assert.ok(names.length > 6000);
    assert.deepEqual(names, names.toSorted());
  }
  assert.equal((await catalog.listOpen()).length, 20_000);
});

test('a device with a damaged document is reported and cannot sign in', async () => {
  const files = new Shelf();
  const client = { clientId: 'a', role: 'admin', name: null, secretHash: 'x', createdAt: 1, lastUsed: null };
  files.texts.set('a', JSON.stringify(client));
  files.texts.set('b', JSON.stringify(client));
  files.texts.set('c', JSON.stringify({ ...client, clientId: 'c', role: 'king' }));
  files.texts.set('d', '{');
  const damaged: string[] = [];
  const credentials = await openLowdbCollection({
    files,
    check: checkDevice,
    idOf: ({ clientId }) => clientId,
    onDamaged: (id) => damaged.push(id),
  });
  assert.deepEqual(damaged.sort(), ['b', 'c', 'd']);
  assert.deepEqual(
    (await credentials.list()).map(({ clientId }) => clientId),
    ['a'],
  );
});

test('names stay sorted when they are added and removed in any order', () => {
  const names = new SortedNames();
  for (const name of ['m', 'c', 'x', 'a', 'z', 'n']) names.add(name);
  names.remove('x');
  names.remove('not there');
  assert.deepEqual(names.page('', null, 10), ['a', 'c', 'm', 'n', 'z']);
  assert.deepEqual(names.page('', 'c', 2), ['m', 'n']);
  assert.deepEqual(names.page('', 'd', 2), ['m', 'n']);
});
