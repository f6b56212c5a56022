/** A complete file takes the name of unfinished uploads: they are discarded in the step in which it becomes the file. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { ResourceAddress } from '../../../src/engine/receive/upload-resource.ts';
import { realDisk } from '../../../src/storage/disk/io/disk.ts';
import { deadFrom, FaultyDisk, failAt } from '../../support/disk/faulty-disk.ts';
import { download, OWNER, refused, send, text } from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine, testThreads } from '../../support/product/engine.ts';
import { INSTEAD, NAME, stream, WHOLE } from '../intents.ts';
import { BEFORE, type Before, NEW } from './succession-setup.ts';

/** The kinds of replacements: the first function runs before the disk fails, the returned one while it fails. */
const NEXT: Record<string, (under: EngineUnderTest) => Promise<() => Promise<unknown>>> = {
  'a whole file': async (under) => () => under.engine.receiveFile(stream(NEW), WHOLE, async () => null),
  'the newest file': async (under) => () =>
    under.engine.receiveFile(stream(NEW), { ...WHOLE, lastWins: true }, async () => null),
  'an upload with an address of its own': async (under) => {
    const begun = await under.engine.createResumable(INSTEAD);
    await under.engine.append(stream(NEW.subarray(0, 50_000)), begun, { offset: 0, size: null, contentLength: 50_000 });
    return () =>
      under.engine.append(stream(NEW.subarray(50_000)), begun, {
        offset: 50_000,
        size: null,
        contentLength: 50_000,
        ends: true,
      });
  },
};

/** Checks that the name has either the whole new file or its previous state. */
async function eitherOr(under: EngineUnderTest, before: Before): Promise<'new' | 'kept'> {
  const { status, total_bytes: total } = await under.engine.status(OWNER, NAME);
  if (status === 'complete' && total === NEW.length) {
    assert.ok(NEW.equals(await download(under.engine, NAME)));
    assert.equal(under.engine.usage(OWNER).openUploads, 0);
    assert.equal((await under.deps.blobs.list()).length, 1, 'the replaced bytes are removed');
    return 'new';
  }
  await before.kept(under);
  return 'kept';
}

async function withDisk(t: TestContext): Promise<{ under: EngineUnderTest; disk: FaultyDisk }> {
  const disk = new FaultyDisk(realDisk);
  return { under: await startEngine(t, {}, { disk, threads: disk.threads(testThreads()) }), disk };
}

for (const [had, before] of Object.entries(BEFORE)) {
  for (const [comes, begin] of Object.entries(NEXT)) {
    test(`${comes} in place of ${had}: a crash at every step leaves either the old state or the new file`, async (t) => {
      const seen = { new: 0, kept: 0 };
      for (let step = 0, over = false; !over; step += 1) {
        const { under, disk } = await withDisk(t);
        await before.make(under);
        const finish = await begin(under);
        disk.arm(deadFrom(step));
        const outcome = await finish().then(
          () => true,
          () => false,
        );
        over = disk.disarm() === 0;
        await under.crash();
        const found = await eitherOr(under, before);
        if (outcome) assert.equal(found, 'new', `step ${step}: the acknowledged file exists`);
        seen[found] += 1;
        await under.close();
      }
      assert.ok(seen.new > 1 && seen.kept > 3, `${seen.new} times the new one, ${seen.kept} times what was there`);
    });

    test(`${comes} in place of ${had}: a single disk failure leaves either the old state or the new file, before and after a crash`, async (t) => {
      for (const when of ['before', 'half', 'after'] as const) {
        for (let step = 0, over = false; !over; step += 1) {
          const { under, disk } = await withDisk(t);
          await before.make(under);
          const finish = await begin(under);
          disk.arm(failAt(step, { code: 'EIO', when }));
          const outcome = await finish().then(
            () => true,
            () => false,
          );
          over = disk.disarm() === 0;
          const complete = (await under.engine.status(OWNER, NAME)).total_bytes === NEW.length;
          if (outcome) assert.ok(complete, `step ${step}: the acknowledged file exists`);
          await under.crash();
          const found = await eitherOr(under, before);
          if (complete) assert.equal(found, 'new', `step ${step}, ${when}`);
          await under.close();
        }
      }
    });
  }
}

test('a new upload does not end another one: both continue, and the last to complete is the file', async (t) => {
  const { engine, deps } = await startEngine(t);
  await send(engine, NAME, 0, text('abc'), { declaredSize: 9 });
  const second = await engine.createResumable({ ...INSTEAD, needsExplicitEnd: false, size: 4 });
  await engine.append(stream(text('12')), second, { offset: 0, size: null, contentLength: 2 });
  assert.deepEqual(
    engine.transfers(() => true).map(({ file }) => [file.filename, file.bytes_received]),
    [
      [NAME, 2],
      [NAME, 3],
    ],
  );
  assert.equal((await engine.list({ owner: OWNER, prefix: '', cursor: null, limit: 9, status: null })).files.length, 1);
  await send(engine, NAME, 3, text('defghi'), { declaredSize: 9 });
  assert.equal((await download(engine, NAME)).toString(), 'abcdefghi');
  const done = await engine.append(stream(text('34')), second, { offset: 2, size: null, contentLength: 2 });
  assert.equal(done.complete, true);
  assert.equal((await download(engine, NAME)).toString(), '1234');
  assert.deepEqual({ ...engine.usage(OWNER), dayBytes: 0 }, { bytes: 4, openUploads: 0, dayBytes: 0 });
  assert.equal((await deps.blobs.list()).length, 1);
});

test('waiting uploads survive a restart, and a complete one discards the older ones', async (t) => {
  const under = await startEngine(t);
  await send(under.engine, NAME, 0, text('abc'), { declaredSize: 9 });
  const addresses: ResourceAddress[] = [];
  for (const word of ['one', 'two', 'three']) {
    const begun = await under.engine.createResumable(INSTEAD);
    await under.engine.append(stream(text(word)), begun, { offset: 0, size: null, contentLength: word.length });
    addresses.push(begun);
    await under.crash();
  }
  const [one, two, three] = addresses as [ResourceAddress, ResourceAddress, ResourceAddress];
  assert.equal(under.engine.usage(OWNER).openUploads, 4);
  const ends = { size: null, contentLength: 0, ends: true };
  await under.engine.append(stream(text('')), two, { offset: 3, ...ends });
  assert.equal((await download(under.engine, NAME)).toString(), 'two');
  await refused(under.engine.resumableState(one), 'not_found');
  assert.equal((await under.engine.resumableState(three)).offset, 5, 'the newer upload continues');
  await under.crash();
  await under.engine.append(stream(text('')), three, { offset: 5, ...ends });
  assert.equal((await download(under.engine, NAME)).toString(), 'three');
  assert.equal((await under.deps.blobs.list()).length, 1);
});

test('the end of an upload is refused while a request sends to the upload that has the name, and can be repeated', async (t) => {
  const { engine } = await startEngine(t);
  const first = await engine.createResumable(INSTEAD);
  await engine.append(stream(text('abc')), first, { offset: 0, size: null, contentLength: 3 });
  const second = await engine.createResumable(INSTEAD);
  const slow = new PassThrough();
  const sending = engine.append(slow, first, { offset: 3, size: null, contentLength: null });
  const end = { offset: 0, size: null, contentLength: 2, ends: true };
  await refused(engine.append(stream(text('hi')), second, end), 'already_exists');
  slow.end('def');
  assert.equal((await sending).offset, 6, 'the upload was not ended');
  const { offset } = await engine.resumableState(second);
  assert.ok((await engine.append(stream(text('hi').subarray(offset)), second, { ...end, offset })).complete);
  assert.equal((await download(engine, NAME)).toString(), 'hi');
  await refused(engine.resumableState(first), 'not_found');
});

test('uploads whose address was lost are cancelled, and acknowledged ones stay', async (t) => {
  const { engine, deps } = await startEngine(t);
  const known = await engine.createResumable(INSTEAD);
  await engine.append(stream(text('abc')), known, { offset: 0, size: null, contentLength: 3 });
  const waiting = await engine.createResumable(INSTEAD);
  await engine.append(stream(text('defg')), waiting, { offset: 0, size: null, contentLength: 4 });
  for (let times = 0; times < 50; times += 1) {
    const lost = await engine.createResumable(INSTEAD);
    const broken = new PassThrough();
    const append = engine.append(broken, lost, { offset: 0, size: null, contentLength: null });
    broken.write(randomBytes(1000));
    setImmediate(() => broken.destroy());
    await refused(append, 'length_mismatch');
  }
  assert.ok(engine.usage(OWNER).openUploads < 12, 'they do not pile up');
  assert.equal((await engine.resumableState(known)).offset, 3);
  assert.equal((await engine.resumableState(waiting)).offset, 4);
  await engine.receiveFile(stream(NEW), WHOLE, async () => null);
  assert.equal(engine.usage(OWNER).openUploads, 0);
  assert.equal((await deps.blobs.list()).length, 1);
});
