/** How a share link counts downloads, with interrupted replies and restarts. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Collection } from '../../../src/contracts/collection.ts';
import { Secrets } from '../../../src/identity/credentials/secrets.ts';
import { type ShareRequest, Shares } from '../../../src/identity/sharing/shares.ts';
import { checkShare } from '../../../src/records/checks/identity.ts';
import type { ShareDocument } from '../../../src/records/sharing.ts';
import { openLowdbCollection } from '../../../src/storage/lowdb/collection.ts';
import { openTestStore } from '../../support/disk/storage.ts';
import { clockOf } from '../../support/product/clock.ts';

const clock = clockOf(() => 1_700_000_000_000);

async function bench(t: TestContext): Promise<{ shares: Shares; reopen(): Promise<Shares> }> {
  const { documents } = await openTestStore(t);
  const reopen = async (): Promise<Shares> => {
    const store: Collection<ShareDocument> = await openLowdbCollection({
      files: documents('shares'),
      check: checkShare,
      idOf: ({ id }: ShareDocument) => id,
      onDamaged: (key: string) => assert.fail(key),
    });
    return Shares.open(store, clock, new Secrets());
  };
  return { shares: await reopen(), reopen };
}

const wanted = (maxDownloads: number | null, size = 100): ShareRequest => ({
  tenant: 'default',
  owner: 'c1',
  file: { id: 'f1', name: 'a', size },
  maker: { id: 'c1', kind: 'device' },
  password: null,
  lifeMs: 60_000,
  maxDownloads,
});

type Answer = 'whole' | 'part' | 'nothing';

/** Requests a range of a file of a hundred bytes, or the whole file, and receives a number of bytes. */
async function got(
  shares: Shares,
  id: string,
  range?: [number, number],
  sent?: number,
  address = '10.0.0.1',
): Promise<Answer> {
  const [start, end] = range ?? [0, 99];
  const take = await shares.reserve(id, [{ start, end }], range !== undefined, address);
  if (!take) return 'nothing';
  const bytes = take.ignoresRange || !range ? 100 : end - start + 1;
  await take.settle(sent ?? bytes, (sent ?? bytes) === bytes);
  return take.ignoresRange || bytes === 100 ? 'whole' : 'part';
}

const useOf = (shares: Shares, id: string) => {
  const { downloads = 0, held = 0, promised = 0, lost = 0 } = shares.get(id) ?? {};
  return { downloads, held, promised, lost };
};

test('probes do not count as downloads, and a download gets the whole file', async (t) => {
  const { shares } = await bench(t);
  const { document, token } = await shares.create(wanted(1));
  for (let n = 0; n < 5; n += 1) assert.equal(await got(shares, document.id, [0, 1]), 'part');
  assert.equal(await got(shares, document.id, [90, 99]), 'part');
  assert.equal(useOf(shares, document.id).downloads, 0);
  assert.equal(await got(shares, document.id), 'whole');
  assert.equal(shares.findByToken(token), null, 'used up');
  for (const range of [undefined, [0, 1], [99, 99]] as const) {
    assert.equal(await got(shares, document.id, range && [...range]), 'nothing');
  }
});

test('parts that make up the file are one download, in any order and across a restart', async (t) => {
  const { shares, reopen } = await bench(t);
  const { document } = await shares.create(wanted(2));
  for (const range of [
    [50, 99],
    [0, 24],
    [20, 49],
  ] as [number, number][])
    await got(shares, document.id, range);
  assert.equal(useOf(shares, document.id).downloads, 1);
  await got(shares, document.id, [0, 59]);
  const again = await reopen();
  assert.equal(useOf(again, document.id).downloads, 1);
  assert.equal(await got(again, document.id, [60, 99]), 'part');
  assert.equal(useOf(again, document.id).downloads, 2);
  assert.equal(await got(again, document.id), 'nothing');
});

test('parts that two networks read at the same time count as two downloads', async (t) => {
  const { shares } = await bench(t);
  const { document } = await shares.create(wanted(2));
  for (let at = 0; at < 100; at += 10) {
    for (const address of ['10.0.0.1', '10.0.0.2']) {
      assert.equal(await got(shares, document.id, [at, at + 9], 10, address), 'part');
    }
  }
  assert.equal(useOf(shares, document.id).downloads, 2);
});

test('a running reply holds its download, and a resumed download is allowed', async (t) => {
  const { shares } = await bench(t);
  const { document, token } = await shares.create(wanted(1));
  const all = [{ start: 0, end: 99 }];
  const first = await shares.reserve(document.id, all, false, '10.0.0.1');
  assert.ok(first);
  assert.equal(await got(shares, document.id), 'nothing');
  assert.equal(shares.findByToken(token)?.id, document.id, 'the reply may still be interrupted');
  assert.equal(await got(shares, document.id, [40, 59]), 'part');
  await first.settle(60, false);
  assert.equal(useOf(shares, document.id).downloads, 0);
  assert.equal(await got(shares, document.id, [60, 99]), 'part');
  assert.equal(useOf(shares, document.id).downloads, 1, 'the parts make up the file');
  assert.equal(await got(shares, document.id), 'nothing');
});

test('beyond the allowance, a part is answered with the whole file and counts as a download', async (t) => {
  const { shares } = await bench(t);
  for (const most of [1, 3]) {
    const { document } = await shares.create(wanted(most));
    const answers: Answer[] = [];
    // From many networks, always without the last byte.
    for (let n = 0; n < 500; n += 1) answers.push(await got(shares, document.id, [0, 98], undefined, `10.0.${n}.1`));
    const parts = answers.filter((answer) => answer === 'part').length;
    assert.ok(parts >= 30 * most && parts <= 40 * most, String(parts));
    assert.equal(answers.filter((answer) => answer === 'whole').length, most);
    assert.equal(answers.at(-1), 'nothing');
    const other = await shares.create(wanted(most));
    let broken = 0;
    while (broken < 500 && (await got(shares, other.document.id, undefined, 99, `10.0.${broken}.1`)) === 'whole')
      broken += 1;
    assert.ok(broken >= 30 * most && broken <= 40 * most, String(broken));
  }
});

test('a link sends little more than twice the bytes of a large file', async (t) => {
  const { shares } = await bench(t);
  const size = 1024 ** 3;
  const { document } = await shares.create(wanted(1, size));
  let sent = 0;
  for (let n = 0; n < 50; n += 1) {
    const start = (n % 2) * (size / 2);
    const bytes = size / 2 - 1;
    const take = await shares.reserve(document.id, [{ start, end: start + bytes - 1 }], true, `10.0.${n}.1`);
    if (!take) continue;
    sent += take.ignoresRange ? size : bytes;
    await take.settle(take.ignoresRange ? size : bytes, true);
  }
  assert.ok(sent <= 2 * size + 8 * 1024 ** 2, String(sent));
});

test('after a crash, running replies count as interrupted', async (t) => {
  const { shares, reopen } = await bench(t);
  const { document, token } = await shares.create(wanted(1));
  assert.ok(await shares.reserve(document.id, [{ start: 0, end: 99 }], false, '10.0.0.1'));
  assert.ok(await shares.reserve(document.id, [{ start: 0, end: 9 }], true, '10.0.0.1'));
  const again = await reopen();
  const { downloads, held, promised, lost } = useOf(again, document.id);
  assert.deepEqual([downloads, held, promised], [0, 0, 0]);
  assert.ok(lost >= 110);
  assert.equal(again.findByToken(token)?.id, document.id);
  assert.equal(await got(again, document.id), 'whole');
  assert.equal((await reopen()).findByToken(token), null);
});

test('a link without a limit counts its downloads', async (t) => {
  const { shares } = await bench(t);
  const { document } = await shares.create(wanted(null));
  const downloads = (): number => useOf(shares, document.id).downloads;
  // A player that reads the end first has not downloaded the file.
  assert.equal(await got(shares, document.id, [90, 99]), 'part');
  assert.equal(downloads(), 0);
  for (let n = 0; n < 4; n += 1) await got(shares, document.id, n % 2 === 1 ? [50, 99] : [0, 49]);
  assert.equal(downloads(), 2);
  // An interrupted and resumed download is one download.
  await got(shares, document.id, undefined, 60);
  assert.equal(downloads(), 2);
  await got(shares, document.id, [60, 99]);
  assert.equal(downloads(), 3);
});

test('the links to the files of one owner are limited, separately from those of others', async (t) => {
  const { shares } = await bench(t);
  const made = await Promise.allSettled(Array.from({ length: 1005 }, () => shares.create(wanted(1))));
  assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 1000);
  await assert.rejects(shares.create(wanted(1)), { code: 'quota_exceeded' });
  await shares.create({ ...wanted(1), owner: 'c2' });
  await shares.revoke(shares.list('c1')[0]?.id ?? '');
  await shares.create(wanted(1));
});

test('a password is verified correctly, also the second time', async (t) => {
  const { shares } = await bench(t);
  const { document } = await shares.create({ ...wanted(1), password: 'violet kettle' });
  for (let n = 0; n < 2; n += 1) {
    assert.equal(await shares.isPasswordOf(document, 'violet kettle'), true);
    assert.equal(await shares.isPasswordOf(document, 'violet kettle '), false);
  }
});

test('a link of an earlier version keeps its remaining downloads, also after a restart', async (t) => {
  const { documents } = await openTestStore(t);
  const files = documents('shares');
  const id = '0123456789abcdef';
  const old = {
    ...{ id, tenant: 'default', owner: 'c1', fileId: 'f1', name: 'a', size: 100, maker: { id: 'c1', kind: 'device' } },
    ...{ hash: '00'.repeat(32), passwordHash: null, createdAt: clock.now(), expiresAt: clock.now() + 60_000 },
    // One of three downloads was sent, the second was interrupted, and the third was being sent when the server died.
    ...{ lastUsed: clock.now(), maxDownloads: 3, spent: 150, reserved: 20, lost: 5 },
  };
  await files.write(id, JSON.stringify(old));
  const open = async (): Promise<Shares> => {
    const options = {
      check: checkShare,
      idOf: (one: ShareDocument) => one.id,
      onDamaged: (key: string) => assert.fail(key),
    };
    return Shares.open(await openLowdbCollection<ShareDocument>({ files, ...options }), clock, new Secrets());
  };
  const shares = await open();
  assert.deepEqual(useOf(shares, id), { downloads: 1, held: 0, promised: 0, lost: 75 });
  assert.equal(await got(shares, id), 'whole');
  assert.equal(await got(await open(), id), 'whole');
  const last = await open();
  assert.equal(last.get(id)?.downloads, 3);
  assert.equal(await got(last, id), 'nothing');
});
