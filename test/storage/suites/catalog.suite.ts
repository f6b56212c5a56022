/** What every catalog must do. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Catalog } from '../../../src/contracts/catalog.ts';
import type { DocumentReports } from '../../../src/contracts/store.ts';
import type { FileDocument } from '../../../src/records/file.ts';
import { documentOf, newId } from '../../support/disk/storage.ts';
import type { BackendUnderTest } from './backends.ts';

/** Fails for a document that the back end cannot read. */
export const NEVER_DAMAGED: DocumentReports = {
  onDamaged: (key, error) => {
    throw new Error(`damaged: ${key}`, { cause: error });
  },
};

interface CatalogUnderTest {
  /** The catalog of the store that is open now. */
  catalog: Catalog;
  /** A stop and a start. */
  reopen(): Promise<Catalog>;
  /** Checks the catalog now, and again after a restart. */
  nowAndLater(check: (catalog: Catalog) => Promise<void>): Promise<void>;
}

export function catalogSuite(backend: BackendUnderTest): void {
  const name = `${backend.name} catalog`;

  async function make(t: TestContext): Promise<CatalogUnderTest> {
    const under = await backend.open(t);
    let present = await under.store.openCatalog(NEVER_DAMAGED);
    const reopen = async (): Promise<Catalog> => {
      present = await (await under.reopen()).openCatalog(NEVER_DAMAGED);
      return present;
    };
    const nowAndLater = async (check: (catalog: Catalog) => Promise<void>): Promise<void> => {
      await check(present);
      await check(await reopen());
    };
    const catalog: Catalog = {
      find: (owner, name) => present.find(owner, name),
      list: (query) => present.list(query),
      listOpen: () => present.listOpen(),
      has: (id) => present.has(id),
      get: (id) => present.get(id),
      put: (document) => present.put(document),
      amend: (id, change) => present.amend(id, change),
      remove: (id) => present.remove(id),
      subscribe: (listener) => present.subscribe(listener),
    };
    return { catalog, reopen, nowAndLater };
  }

  const nothing = { sealed: null, open: null };
  const sealed = (members: Partial<FileDocument>): FileDocument =>
    documentOf({ state: 'sealed', size: 10, crc32: 0xdeadbeef, completedAt: 1_700_000_001_000, ...members });

  test(`${name}: a stored document is found, also by a new catalog`, async (t) => {
    const { catalog, nowAndLater } = await make(t);
    const document = documentOf({
      name: 'Ünïcödé/ファイル.bin',
      size: Number.MAX_SAFE_INTEGER,
      contentType: 'text/plain; charset="utf-8"',
      reprDigest: { algorithm: 'sha-512', value: 'AA==' },
      replaces: newId(),
      overwrites: true,
    });
    await catalog.put(document);
    await nowAndLater(async (one) => {
      assert.deepEqual(await one.find(document.owner, document.name), { sealed: null, open: document });
      assert.deepEqual(await one.listOpen(), [document]);
      assert.equal(await one.has(document.id), true);
      assert.equal(await one.has(newId()), false);
      assert.deepEqual(await one.find(document.owner, 'other'), nothing);
      assert.deepEqual(await one.find('other', document.name), nothing);
    });
  });

  test(`${name}: changing a document that was put or found does not change the stored one`, async (t) => {
    const { catalog } = await make(t);
    const document = documentOf();
    await catalog.put(document);
    document.size = 99;
    assert.equal((await catalog.find(document.owner, document.name)).open?.size, null);
    const slot = await catalog.find(document.owner, document.name);
    slot.open = null;
    assert.notEqual((await catalog.find(document.owner, document.name)).open, null);
  });

  test(`${name}: amending a file during its replacement restores nothing`, async (t) => {
    for (const order of ['change first', 'file first', 'removal first'] as const) {
      const { catalog, reopen, nowAndLater } = await make(t);
      const old = sealed({});
      const next = sealed({ id: newId(), owner: old.owner, name: old.name, replaces: old.id });
      await catalog.put(old);
      const change = () => catalog.amend(old.id, (document) => ({ ...document, contentType: 'text/plain' }));
      const replace = () => (order === 'removal first' ? catalog.remove(old.id) : catalog.put(next));
      await Promise.all(order === 'change first' ? [change(), replace()] : [replace(), change()]);
      const left = order === 'removal first' ? null : next;
      await nowAndLater(async (one) => {
        assert.deepEqual(await one.find(old.owner, old.name), { sealed: left, open: null }, order);
      });
      if (left) await catalog.remove(left.id);
      assert.deepEqual(await (await reopen()).find(old.owner, old.name), nothing, order);
    }
  });

  test(`${name}: concurrent changes are all stored`, async (t) => {
    const { catalog, nowAndLater } = await make(t);
    const document = sealed({ undeclared: true });
    await catalog.put(document);
    await Promise.all([
      catalog.amend(document.id, (before) => ({ ...before, contentType: 'text/plain' })),
      catalog.amend(document.id, ({ undeclared: _, ...before }) => before),
    ]);
    await nowAndLater(async (one) => {
      const found = await one.get(document.id);
      assert.deepEqual([found?.contentType, found?.undeclared], ['text/plain', undefined]);
    });
  });

  test(`${name}: a change of an existing document is stored`, async (t) => {
    const { catalog, nowAndLater } = await make(t);
    const document = sealed({});
    await catalog.put(document);
    await catalog.amend(document.id, (before) => ({ ...before, contentType: 'text/plain' }));
    await catalog.amend(newId(), (before) => before);
    await nowAndLater(async (one) => {
      assert.equal((await one.get(document.id))?.contentType, 'text/plain');
    });
  });

  test(`${name}: putting a document again replaces it, and a sealed upload is no longer open`, async (t) => {
    const { catalog, nowAndLater } = await make(t);
    const document = documentOf();
    await catalog.put(document);
    await catalog.put({ ...document, size: 5 });
    const complete = sealed({ ...document, state: 'sealed', size: 5 });
    await catalog.put(complete);
    await nowAndLater(async (one) => {
      assert.deepEqual(await one.find(document.owner, document.name), { sealed: complete, open: null });
      assert.deepEqual(await one.listOpen(), []);
    });
  });

  test(`${name}: a replacement exists beside the file until it is sealed, and then removes the file`, async (t) => {
    const { catalog, nowAndLater } = await make(t);
    const old = sealed({});
    const next = documentOf({ replaces: old.id });
    await catalog.put(old);
    await catalog.put(next);
    await nowAndLater(async (one) => {
      assert.deepEqual(await one.find(old.owner, old.name), { sealed: old, open: next });
    });
    const complete = sealed({ ...next, state: 'sealed', size: 7 });
    await catalog.put(complete);
    await nowAndLater(async (one) => {
      assert.deepEqual(await one.find(old.owner, old.name), { sealed: complete, open: null });
      assert.equal(await one.has(old.id), false);
      assert.equal(await one.has(complete.id), true);
    });
  });

  test(`${name}: removing one of two documents leaves the other`, async (t) => {
    const { catalog, nowAndLater } = await make(t);
    const old = sealed({});
    const next = documentOf({ replaces: old.id });
    await catalog.put(old);
    await catalog.put(next);
    await catalog.remove(next.id);
    await nowAndLater(async (one) => {
      assert.deepEqual(await one.find(old.owner, old.name), { sealed: old, open: null });
      assert.deepEqual(await one.listOpen(), []);
    });
    await catalog.remove(old.id);
    await catalog.remove(old.id);
    await nowAndLater(async (one) => {
      assert.deepEqual(await one.find(old.owner, old.name), nothing);
      assert.equal(await one.has(old.id), false);
      assert.deepEqual(await one.list({ owner: old.owner, prefix: '', after: null, limit: 10 }), []);
    });
  });

  test(`${name}: the last of several concurrent writes of one document wins`, async (t) => {
    const { catalog, nowAndLater } = await make(t);
    const document = documentOf();
    await Promise.all(Array.from({ length: 20 }, (_, n) => catalog.put({ ...document, updatedAt: n })));
    await nowAndLater(async (one) => {
      assert.equal((await one.find(document.owner, document.name)).open?.updatedAt, 19);
    });
  });

  test(`${name}: lists contain the names of one owner under a prefix, in the order of code units`, async (t) => {
    const { catalog, nowAndLater } = await make(t);
    const names = ['a', 'a/b', 'a/c', 'a0', 'b', 'B', 'Z', 'é', '\u{1F600}', '\uffee', '_'];
    for (const each of names) await catalog.put(documentOf({ name: each, owner: 'one' }));
    await catalog.put(documentOf({ name: 'foreign', owner: 'two' }));
    const expected = names.toSorted();
    await nowAndLater(async (one) => {
      const page = async (prefix: string, after: string | null, limit: number): Promise<string[]> =>
        (await one.list({ owner: 'one', prefix, after, limit })).map((entry) => entry.name);
      assert.deepEqual(await page('', null, 100), expected);
      assert.deepEqual(await page('a/', null, 100), ['a/b', 'a/c']);
      assert.deepEqual(await page('a/', 'a/b', 100), ['a/c']);
      assert.deepEqual(await page('a/', 'Z', 1), ['a/b']);
      assert.deepEqual(await page('a', 'b', 100), []);
      assert.deepEqual(await page('x', null, 100), []);
      assert.deepEqual(await one.list({ owner: 'nobody', prefix: '', after: null, limit: 9 }), []);
      const paged: string[] = [];
      for (let after: string | null = null; ; ) {
        const some: string[] = await page('', after, 3);
        paged.push(...some);
        if (some.length < 3) break;
        after = some.at(-1) ?? null;
      }
      assert.deepEqual(paged, expected);
    });
  });

  test(`${name}: any puts and removes have the same result as in a map`, async (t) => {
    const step = fc.record({
      owner: fc.constantFrom('one', 'two'),
      name: fc.constantFrom('a', 'b', 'c/d', 'e'),
      act: fc.constantFrom('open', 'seal', 'remove'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { catalog, nowAndLater } = await make(t);
        const model = new Map<string, { sealed: FileDocument | null; open: FileDocument | null }>();
        let time = 1;
        for (const { owner, name: of, act } of steps) {
          const key = `${owner} ${of}`;
          const slot = model.get(key) ?? { sealed: null, open: null };
          model.set(key, slot);
          time += 1;
          if (act === 'open') {
            slot.open ??= documentOf({ owner, name: of, replaces: slot.sealed?.id ?? null, createdAt: time });
            slot.open = { ...slot.open, updatedAt: time };
            await catalog.put(slot.open);
          } else if (act === 'seal' && slot.open !== null) {
            slot.sealed = sealed({ ...slot.open, state: 'sealed', updatedAt: time });
            slot.open = null;
            await catalog.put(slot.sealed);
          } else if (act === 'remove') {
            for (const document of [slot.open, slot.sealed]) if (document !== null) await catalog.remove(document.id);
            model.set(key, { sealed: null, open: null });
          }
        }
        await nowAndLater(async (one) => {
          for (const [key, slot] of model) {
            const [owner = '', of = ''] = key.split(' ');
            assert.deepEqual(await one.find(owner, of), slot);
          }
          const open = [...model.values()].flatMap((slot) => slot.open ?? []);
          assert.deepEqual(new Set((await one.listOpen()).map(({ id }) => id)), new Set(open.map(({ id }) => id)));
        });
      }),
      { numRuns: 15 },
    );
  });

  test(`${name}: a listener receives every sealed file that is added or removed, and the existing ones first`, async (t) => {
    const { catalog, reopen } = await make(t);
    const heard: string[] = [];
    const follower = (who: string) => ({
      added: ({ name, size }: FileDocument) => void heard.push(`${who} +${name} ${size}`),
      removed: ({ name, size }: FileDocument) => void heard.push(`${who} -${name} ${size}`),
    });
    catalog.subscribe(follower('first'));
    const open = documentOf({ name: 'f' });
    await catalog.put(open);
    assert.deepEqual(heard.splice(0), []);
    const sealed: FileDocument = { ...open, state: 'sealed', size: 3, crc32: 1, completedAt: 5 };
    await catalog.put(sealed);
    assert.deepEqual(heard.splice(0), ['first +f 3']);
    const newer = documentOf({ name: 'f', state: 'sealed', size: 7, crc32: 1, completedAt: 9, replaces: sealed.id });
    await catalog.put(newer);
    assert.deepEqual(heard.splice(0), ['first -f 3', 'first +f 7']);
    (await reopen()).subscribe(follower('second'));
    assert.deepEqual(heard.splice(0), ['second +f 7']);
    await catalog.remove(newer.id);
    await catalog.remove(newer.id);
    assert.deepEqual(heard.splice(0), ['second -f 7']);
  });
}
