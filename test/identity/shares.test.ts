/** How a share link counts what is downloaded by it, over broken answers and restarts. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Collection, ShareDocument } from '../../src/contracts.ts';
import { Secrets } from '../../src/identity/secrets.ts';
import { downloadsOf, type ShareRequest, Shares } from '../../src/identity/shares.ts';
import { openLowdbCollection } from '../../src/storage/lowdb/collection.ts';
import { checkShare } from '../../src/storage/lowdb/identity-documents.ts';
import { clockOf } from '../support/clock.ts';
import { openTestStore } from '../support/storage.ts';

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

/** Asks for so many bytes and gets them, or less; of the end of the file or not. */
async function counted(shares: Shares, id: string, bytes: number, sent = bytes, toTheEnd = true): Promise<boolean> {
  const settle = await shares.take(id, bytes, toTheEnd);
  await settle?.(sent, sent === bytes);
  return settle !== null;
}

test('what is promised to an answer is nobody else’s meanwhile', async (t) => {
  const { shares } = await bench(t);
  const { document, token } = await shares.create(wanted(1));
  const settle = await shares.take(document.id, 60, true);
  assert.ok(settle);
  assert.equal(await shares.take(document.id, 41, false), null);
  assert.equal(await counted(shares, document.id, 40, 40, false), true);
  assert.equal(shares.ofToken(token), null, 'nothing is left');
  await settle(0, false);
  assert.equal(shares.ofToken(token)?.id, document.id, 'the answer that broke off gave back what it did not send');
  assert.equal(await counted(shares, document.id, 60), true);
  assert.equal(await counted(shares, document.id, 1), false);
  assert.equal(downloadsOf(shares.get(document.id) ?? document), 1);
});

test('answers that broke off are forgiven, and no more than as much again', async (t) => {
  const { shares } = await bench(t);
  const { document } = await shares.create(wanted(2));
  let whole = 0;
  for (let n = 0; n < 10; n += 1) if (await counted(shares, document.id, 100, 99)) whole += 1;
  assert.equal(whole, 4, 'twice the limit, each time but for a byte');
  const { spent, lost, reserved } = shares.get(document.id) ?? document;
  assert.deepEqual([spent, lost, reserved], [196, 200, 0]);
  assert.equal(await counted(shares, document.id, 5), false);
  assert.equal(await counted(shares, document.id, 4), true);
  assert.equal(await counted(shares, document.id, 1), false);
});

test('a server that was killed takes what it had promised for broken off', async (t) => {
  const { shares, reopen } = await bench(t);
  const { document, token } = await shares.create(wanted(1));
  assert.equal(await counted(shares, document.id, 40), true);
  assert.ok(await shares.take(document.id, 60, true));
  const again = await reopen();
  const { spent, lost, reserved } = again.get(document.id) ?? document;
  assert.deepEqual([spent, lost, reserved], [40, 60, 0]);
  assert.equal(again.ofToken(token)?.id, document.id);
  assert.equal(await counted(again, document.id, 60), true);
  assert.equal((await reopen()).ofToken(token), null);
});

test('without a limit everything is let through, and counted', async (t) => {
  const { shares } = await bench(t);
  const { document } = await shares.create(wanted(null));
  const downloads = (): number => downloadsOf(shares.get(document.id) ?? document);
  // A player that looks at the end first has not had the file.
  assert.equal(await counted(shares, document.id, 10), true);
  assert.equal(downloads(), 0);
  for (let n = 0; n < 4; n += 1) assert.equal(await counted(shares, document.id, 50, 50, n % 2 === 1), true);
  assert.equal(downloads(), 2);
  // One that broke off and was resumed is one.
  await counted(shares, document.id, 100, 60);
  assert.equal(downloads(), 2);
  await counted(shares, document.id, 40);
  assert.equal(downloads(), 3);
});

test('there are so many links to the files of one owner, and no more; those of others are not counted', async (t) => {
  const { shares } = await bench(t);
  const made = await Promise.allSettled(Array.from({ length: 1005 }, () => shares.create(wanted(1))));
  assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 1000);
  await assert.rejects(shares.create(wanted(1)), { code: 'quota_exceeded' });
  await shares.create({ ...wanted(1), owner: 'c2' });
  await shares.revoke(shares.list('c1')[0]?.id ?? '');
  await shares.create(wanted(1));
});

test('a password is right or wrong, also the second time', async (t) => {
  const { shares } = await bench(t);
  const { document } = await shares.create({ ...wanted(1), password: 'violet kettle' });
  for (let n = 0; n < 2; n += 1) {
    assert.equal(await shares.isPasswordOf(document, 'violet kettle'), true);
    assert.equal(await shares.isPasswordOf(document, 'violet kettle '), false);
  }
});
