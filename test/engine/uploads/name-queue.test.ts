/** Uploads that wait for a name get it once it is free, and are then visible as every unfinished upload is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceAddress, ResourceIntent } from '../../../src/engine/receive/upload-resource.ts';
import { realDisk } from '../../../src/storage/disk/io/disk.ts';
import { deadFrom, FaultyDisk, failAt } from '../../support/disk/faulty-disk.ts';
import { download, OWNER, outcome, send, text, turnsUntil } from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine, testThreads } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';
import { INSTEAD, NAME, stream } from '../intents.ts';

const OLD = text('before');

async function begin({ engine }: EngineUnderTest, words: string, more: Partial<ResourceIntent> = {}) {
  const address = await engine.createResumable({ ...INSTEAD, ...more });
  await engine.append(stream(words), address, { offset: 0, size: null, contentLength: words.length });
  return address;
}

async function finish({ engine }: EngineUnderTest, address: ResourceAddress, words = ''): Promise<void> {
  const { offset } = await engine.resumableState(address);
  await engine.append(stream(words), address, { offset, size: null, contentLength: words.length, ends: true });
}

/** The status of the name, which has to agree with the list. */
async function seen({ engine, quiet }: EngineUnderTest) {
  await quiet();
  const { id, status, bytes_received: bytes, readable } = await engine.status(OWNER, NAME);
  const { files } = await engine.list({ owner: OWNER, prefix: '', cursor: null, limit: 10, status: null });
  if (id === null) assert.deepEqual(files, []);
  else assert.deepEqual([files.length, files[0]?.id, files[0]?.status], [1, id, status]);
  return { id, status, bytes, readable };
}

/** Begins an upload in chunks that has the name, and returns its id. */
async function hold({ engine }: EngineUnderTest): Promise<string> {
  return (await send(engine, NAME, 0, text('abc'), { declaredSize: 9 })).id ?? '';
}

test('a waiting upload gets the name when the other one is cancelled by its id, and keeps it after a restart and a crash', async (t) => {
  const under = await startEngine(t);
  for (const again of [async () => {}, under.restart, under.crash]) {
    const other = await hold(under);
    const address = await begin(under, 'new');
    assert.deepEqual(await seen(under), { id: other, status: 'partial', bytes: 3, readable: false });
    await under.engine.cancel(OWNER, NAME, undefined, other);
    const wanted = { id: address.id, status: 'partial', bytes: 3, readable: false };
    assert.deepEqual(await seen(under), wanted);
    await again();
    assert.deepEqual(await seen(under), wanted);
    await finish(under, address, 'er');
    assert.equal((await download(under.engine, NAME)).toString(), 'newer');
    assert.equal(under.engine.usage(OWNER).openUploads, 0);
    assert.deepEqual(await under.engine.remove(OWNER, NAME), ['file']);
    assert.deepEqual(await under.deps.blobs.list(), []);
  }
});

test('waiting uploads get the name in the order of their creation, even after restarts', async (t) => {
  const under = await startEngine(t);
  let holder = await hold(under);
  const waiting: ResourceAddress[] = [];
  for (const words of ['1', '22', '333', '4444', '55555']) waiting.push(await begin(under, words));
  for (const [place, address] of waiting.entries()) {
    if (place % 2 === 0) await (place === 2 ? under.crash() : under.restart());
    await under.engine.cancel(OWNER, NAME, undefined, holder);
    assert.deepEqual(await seen(under), { id: address.id, status: 'partial', bytes: place + 1, readable: false });
    holder = address.id;
  }
  await under.engine.cancel(OWNER, NAME);
  assert.equal((await seen(under)).status, 'pending');
  assert.equal(under.engine.usage(OWNER).openUploads, 0);
});

test('a waiting upload replaces the complete file of its name', async (t) => {
  const under = await startEngine(t);
  const { engine } = under;
  await send(engine, NAME, 0, OLD, { declaredSize: OLD.length });
  const replacement = await send(engine, NAME, 0, text('abc'), { declaredSize: 9, overwrite: true });
  const [first, second] = [await begin(under, '1'), await begin(under, '22')];
  await engine.cancel(OWNER, NAME, undefined, replacement.id ?? '');
  assert.deepEqual(await seen(under), { id: first.id, status: 'partial', bytes: 1, readable: true });
  assert.ok(Buffer.from(OLD).equals(await download(engine, NAME)));
  await finish(under, first);
  assert.deepEqual(await seen(under), { id: second.id, status: 'partial', bytes: 2, readable: true });
  assert.equal((await download(engine, NAME)).toString(), '1');
  await under.crash();
  await finish(under, second);
  assert.equal((await download(under.engine, NAME)).toString(), '22');
  assert.equal((await under.deps.blobs.list()).length, 1);
});

test('an expired upload leaves its name to a waiting one, which stays parked', async (t) => {
  const under = await startEngine(t, { staleSeconds: 0, staleRemoveDays: 1 });
  await hold(under);
  const address = await begin(under, 'new');
  await under.engine.sweep();
  const { expires_at: expires } = await under.engine.status(OWNER, NAME);
  assert.equal(under.engine.usage(OWNER).openUploads, 0);
  const [holder] = under.engine.transfers(() => true).filter(({ file }) => file.id !== address.id);
  await under.engine.cancel(OWNER, NAME, undefined, holder?.file.id ?? '');
  for (const again of [async () => {}, under.crash]) {
    await again();
    assert.deepEqual(await seen(under), { id: address.id, status: 'partial', bytes: 3, readable: false });
    const status = await under.engine.status(OWNER, NAME);
    assert.equal(status.stale, true);
    assert.ok(status.expires_at !== null && expires !== null);
    assert.equal(under.engine.usage(OWNER).openUploads, 0, 'no upload is left');
  }
  await finish(under, address);
  assert.equal((await download(under.engine, NAME)).toString(), 'new');
});

test('a deletion discards all waiting uploads, even if one gets the name meanwhile', async (t) => {
  const under = await startEngine(t);
  await hold(under);
  for (const words of ['1', '22', '333']) await begin(under, words);
  assert.deepEqual(await under.engine.remove(OWNER, NAME), ['upload']);
  assert.deepEqual(await seen(under), { id: null, status: 'pending', bytes: 0, readable: false });
  assert.deepEqual(await under.deps.blobs.list(), []);
  await under.crash();
  assert.equal((await seen(under)).status, 'pending');
});

for (const moment of ['before', 'after'] as const) {
  test(`concurrent requests are served while an upload gets the name, ${moment} its document is written`, async (t) => {
    for (const what of ['cancel', 'remove', 'finish', 'append', 'begin', 'chunk'] as const) {
      const tap = new Tap();
      const under = await startEngine(t, {}, { tap });
      const { engine } = under;
      const other = await hold(under);
      const address = await begin(under, 'new');
      const gate = tap.hold('catalog.put', moment);
      await engine.cancel(OWNER, NAME, undefined, other);
      await gate.reached;
      const works = {
        cancel: () => engine.cancel(OWNER, NAME, undefined, address.id),
        remove: () => engine.remove(OWNER, NAME),
        finish: () => finish(under, address, 'er'),
        append: () => engine.append(stream('er'), address, { offset: 3, size: null, contentLength: 2 }),
        begin: () => begin(under, 'another'),
        chunk: () => send(engine, NAME, 0, text('chunk'), { declaredSize: 5 }),
      };
      const work = outcome<unknown>(works[what]());
      await under.quiet();
      gate.open();
      const { status } = await work;
      assert.equal(status, what === 'chunk' ? 'rejected' : 'fulfilled', what);
      const ended = what === 'cancel' || what === 'remove';
      for (const again of [async () => {}, under.crash]) {
        await again();
        const now = await seen(under);
        if (ended) assert.equal(now.status, 'pending', what);
        else assert.equal(now.id, address.id, what);
      }
      if (what === 'finish') assert.equal((await download(under.engine, NAME)).toString(), 'newer');
      if (what === 'append') assert.equal((await under.engine.resumableState(address)).offset, 5);
      assert.equal(under.engine.usage(OWNER).openUploads, ended || what === 'finish' ? 0 : what === 'begin' ? 2 : 1);
      assert.deepEqual(under.warnings, [], what);
      await under.close();
    }
  });
}

for (const kind of ['crash', 'fault'] as const) {
  test(`a ${kind} at every step of a cancellation leaves the name with one of the two uploads`, async (t) => {
    const found = { holder: 0, waiting: 0 };
    for (let step = 0, over = false; !over; step += 1) {
      const disk = new FaultyDisk(realDisk);
      const under = await startEngine(t, {}, { disk, threads: disk.threads(testThreads()) });
      const other = await hold(under);
      const address = await begin(under, 'new');
      disk.arm(kind === 'crash' ? deadFrom(step) : failAt(step, { code: 'EIO', when: 'half' }));
      const cancelled = await outcome(under.engine.cancel(OWNER, NAME, undefined, other));
      await under.quiet();
      over = disk.disarm() === 0;
      await under.crash();
      const { id, bytes } = await seen(under);
      assert.equal(bytes, 3, `step ${step}`);
      assert.ok(id === other || id === address.id, `step ${step}`);
      if (cancelled.status === 'fulfilled') assert.equal(id, address.id, `step ${step}`);
      found[id === other ? 'holder' : 'waiting'] += 1;
      assert.deepEqual(
        under.warnings.filter(({ message }) => message === 'damaged document'),
        [],
      );
      await finish(under, address);
      assert.equal((await download(under.engine, NAME)).toString(), 'new');
      assert.equal((await under.deps.blobs.list()).length, 1);
      await under.close();
    }
    assert.ok(found.waiting > 1, JSON.stringify(found));
  });
}

test('the watchers of a name are called when a waiting upload gets it', async (t) => {
  const under = await startEngine(t);
  const other = await hold(under);
  const address = await begin(under, 'new');
  let last: string | null = null;
  under.engine.watch(OWNER, NAME, () => {
    void under.engine.status(OWNER, NAME).then(({ id }) => {
      last = id;
    });
  });
  await under.engine.cancel(OWNER, NAME, undefined, other);
  await turnsUntil(() => last === address.id, 'the upload that waited');
});
