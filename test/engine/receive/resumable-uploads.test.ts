/** Appends of any length: received bytes count even if the connection or the server fails. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { Quota } from '../../../src/contracts/quota.ts';
import type { AppendIntent, ResourceIntent } from '../../../src/engine/receive/upload-resource.ts';
import { LadingError } from '../../../src/errors.ts';
import { checkName } from '../../../src/protocol/names.ts';
import { eventually } from '../../support/eventually.ts';
import { clockOf } from '../../support/product/clock.ts';
import { refused } from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { randomFrom } from '../../support/random.ts';

const OWNER = 'o';
const INTENT: ResourceIntent = {
  owner: OWNER,
  creator: { kind: 'device', id: 'o' },
  name: 'a.bin',
  ifTaken: 'rename',
  size: null,
  contentType: null,
  metadata: null,
};

function at(offset: number, more: Partial<AppendIntent> = {}): AppendIntent {
  return { offset, size: null, contentLength: null, ...more };
}

async function contentOf({ engine }: EngineUnderTest, name = 'a.bin'): Promise<Buffer> {
  const representation = await engine.open(OWNER, name);
  try {
    const bytes = Buffer.alloc(representation.size ?? 0);
    await representation.reader.read(bytes, 0);
    return bytes;
  } finally {
    representation.release();
  }
}

function whole(bytes: Uint8Array): PassThrough {
  const stream = new PassThrough();
  stream.end(bytes);
  return stream;
}

for (const durability of ['chunk', 'seal'] as const) {
  test(`a file survives broken requests of any length and crashes between them, durability ${durability}`, async (t) => {
    const under = await startEngine(t, { durability });
    for (let seed = 1; seed <= 12; seed += 1) {
      const random = randomFrom(seed).unit;
      const bytes = randomBytes(1 + Math.floor(random() * 3_000_000));
      const name = `of-${seed}`;
      const deferred = random() < 0.5;
      const address = await under.engine.createResumable({ ...INTENT, name, size: deferred ? null : bytes.length });
      let { offset } = await under.engine.resumableState(address);
      assert.equal(offset, 0);
      while (offset < bytes.length) {
        const length = Math.min(bytes.length - offset, 1 + Math.floor(random() * 900_000));
        const stream = new PassThrough();
        const size = deferred && random() < 0.3 ? bytes.length : null;
        const appended = under.engine.append(stream, address, at(offset, { size }));
        stream.write(bytes.subarray(offset, offset + length));
        if (random() < 0.5) {
          stream.end();
          assert.equal((await appended).offset, offset + length);
        } else {
          // The engine reads the bytes before the stream breaks; bytes that it never read did not arrive.
          await eventually(
            () => stream.readableLength === 0 || stream.readableFlowing === false,
            'the engine has read it',
          );
          const left = stream.readableLength;
          stream.destroy();
          if (left > 0) await appended.catch(() => {});
          else await refused(appended, 'length_mismatch');
          const now = (await under.engine.resumableState(address)).offset;
          assert.ok(now >= offset && now <= offset + length);
          if (left === 0) assert.equal(now, offset + length, 'nothing that arrived is lost');
        }
        const told: number = (await under.engine.resumableState(address)).offset;
        if (random() < 0.2) await under.crash();
        assert.equal((await under.engine.resumableState(address)).offset, told, 'a reported offset never decreases');
        offset = told;
      }
      const { complete } = await under.engine.resumableState(address);
      if (!complete) await under.engine.append(whole(Buffer.alloc(0)), address, at(offset, { size: bytes.length }));
      assert.equal((await under.engine.resumableState(address)).complete, true);
      assert.ok((await contentOf(under, name)).equals(bytes));
      assert.equal((await under.engine.verify(OWNER, name)).ok, true);
    }
    assert.equal(under.engine.usage(OWNER).openUploads, 0);
  });
}

const DAY = 86_400_000;

test('a newer request ends the older one, whose bytes count', async (t) => {
  const { engine } = await startEngine(t);
  const address = await engine.createResumable({ ...INTENT, size: 100 });
  const first = new PassThrough();
  const older = engine.append(first, address, at(0));
  first.write(Buffer.alloc(40, 1));
  await eventually(() => first.readableLength === 0, 'the engine has read it');
  const superseded = refused(older, 'superseded');
  assert.equal((await engine.resumableState(address)).offset, 40, 'the offset is right at once');
  await superseded;
  const second = new PassThrough();
  const next = engine.append(second, address, at(40));
  second.write(Buffer.alloc(10, 2));
  await eventually(() => second.readableLength === 0, 'the engine has read it');
  const ended = refused(next, 'superseded');
  // Two concurrent requests at the correct offset: one succeeds, the other gets offset_mismatch.
  const outcomes = await Promise.allSettled([
    engine.append(whole(Buffer.alloc(50, 3)), address, at(50)),
    engine.append(whole(Buffer.alloc(50, 3)), address, at(50)),
  ]);
  await ended;
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal((await engine.status(OWNER, 'a.bin')).status, 'complete');
});

test('an append that does not fit is refused and changes nothing', async (t) => {
  const limit: Quota = {
    groupOf: () => 'g',
    admit: (_owner, { own }, more) => {
      if (own.bytes + (more.bytes ?? 0) > 1000) throw new LadingError('quota_exceeded', 'Too much.');
    },
  };
  const { engine } = await startEngine(t, { maxFileBytes: 2000 }, { quota: limit });
  await refused(engine.createResumable({ ...INTENT, size: 2001 }), 'file_too_large');
  await refused(engine.createResumable({ ...INTENT, size: 1001 }), 'quota_exceeded');
  const address = await engine.createResumable({ ...INTENT, size: 100 });
  await refused(engine.append(whole(Buffer.alloc(5)), address, at(1)), 'offset_mismatch');
  await refused(engine.append(whole(Buffer.alloc(101)), address, at(0, { contentLength: 101 })), 'out_of_bounds');
  await refused(engine.append(whole(Buffer.alloc(5)), address, at(0, { size: 99 })), 'size_conflict');
  await refused(engine.append(whole(Buffer.alloc(5)), { ...address, secret: 'x'.repeat(32) }, at(0)), 'not_found');
  assert.equal((await engine.resumableState(address)).offset, 0);
  const open = await engine.createResumable({ ...INTENT, name: 'open.bin' });
  await refused(engine.append(whole(Buffer.alloc(1001)), open, at(0)), 'quota_exceeded');
  assert.equal((await engine.resumableState(open)).offset, 0);
});

test('a name that is taken gets a number, and overwrite replaces', async (t) => {
  const under = await startEngine(t);
  const { engine } = under;
  const store = async (bytes: string, ifTaken: ResourceIntent['ifTaken'] = 'rename'): Promise<string> => {
    const intent = { ...INTENT, name: 'dir/a.tar', size: bytes.length, ifTaken };
    const address = await engine.createResumable(intent);
    const { name } = await engine.resumableState(address);
    await engine.append(whole(Buffer.from(bytes)), address, at(0));
    return name;
  };
  assert.equal(await store('one'), 'dir/a.tar');
  assert.equal(await store('two'), 'dir/a (2).tar');
  assert.equal(await store('three', 'replace'), 'dir/a.tar');
  assert.equal((await contentOf(under, 'dir/a.tar')).toString(), 'three');
  assert.equal((await contentOf(under, 'dir/a (2).tar')).toString(), 'two');
});

test('a numbered name stays within the length limit and in its directory', async (t) => {
  const { engine } = await startEngine(t);
  const nameOf = async (name: string): Promise<string> => {
    const address = await engine.createResumable({ ...INTENT, name, size: 0 });
    return (await engine.resumableState(address)).name;
  };
  const names = [
    `${'n'.repeat(1020)}.bin`,
    `${'é'.repeat(510)}.bin`,
    `dir/${'😀'.repeat(255)}`,
    `x.${'y'.repeat(1022)}`,
    `${'d'.repeat(1000)}/${'f'.repeat(23)}`,
  ];
  for (const name of names) {
    assert.equal(Buffer.byteLength(name), 1024);
    assert.equal(await nameOf(name), name);
    for (let count = 2; count <= 11; count += 1) {
      const taken = await nameOf(name);
      assert.equal(checkName(taken), taken);
      assert.match(taken, new RegExp(` \\(${count}\\)(?:\\.bin)?$`));
      assert.equal(taken.split('/').length, name.split('/').length);
    }
  }
  const folder = 'd'.repeat(1019);
  assert.equal(await nameOf(`${folder}/ab.c`), `${folder}/ab.c`);
  await refused(nameOf(`${folder}/ab.c`), 'already_exists');
});

test('a deletion ends the address of an upload, and a silent upload expires', async (t) => {
  let now = 1_000_000;
  const { engine } = await startEngine(t, { staleSeconds: 10 }, { clock: clockOf(() => now) });
  const address = await engine.createResumable({ ...INTENT, size: 100 });
  const stream = new PassThrough();
  const older = refused(engine.append(stream, address, at(0)), 'superseded');
  stream.write(Buffer.alloc(10));
  await eventually(() => stream.readableLength === 0, 'the engine has read it');
  await engine.removeResumable(address);
  await older;
  await refused(engine.resumableState(address), 'not_found');
  assert.equal((await engine.status(OWNER, 'a.bin')).status, 'pending');
  const second = await engine.createResumable({ ...INTENT, size: 100 });
  const expiresAt = 1_000_000 + 10_000 + 30 * DAY;
  assert.equal((await engine.resumableState(second)).expiresAt, expiresAt);
  now += 10_000;
  assert.equal((await engine.sweep()).parked, 1);
  assert.equal((await engine.resumableState(second)).expiresAt, expiresAt, 'it is parked, and its address is good');
  now += 10_000;
  await engine.append(whole(Buffer.alloc(10)), second, at(0));
  assert.equal((await engine.resumableState(second)).offset, 10);
  assert.deepEqual(await engine.sweep(), { removed: 0, sealed: 0 }, 'it went on');
  now += 10_000;
  await engine.sweep();
  now += 30 * DAY;
  assert.equal((await engine.resumableState(second)).offset, 10, 'it is good until it is removed');
  assert.equal((await engine.sweep()).removed, 1);
  await refused(engine.resumableState(second), 'not_found');
  const done = await engine.createResumable({ ...INTENT, size: 0 });
  assert.equal((await engine.resumableState(done)).complete, true);
  await engine.removeResumable(done);
  await refused(engine.resumableState(done), 'not_found');
  assert.equal((await engine.status(OWNER, 'a.bin')).status, 'complete');
});
