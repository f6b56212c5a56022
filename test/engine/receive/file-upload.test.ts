/** A whole file in one stream of unknown length. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import type { Quota } from '../../../src/contracts/quota.ts';
import type { FileIntent } from '../../../src/engine/receive/file-upload.ts';
import { LadingError } from '../../../src/errors.ts';
import { encodeChunk, sum256 } from '../../../src/protocol/chunk.ts';
import { eventually } from '../../support/eventually.ts';
import { refused } from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { intentOf, sendChunk } from '../../support/wire/chunks.ts';
import { Tap } from '../../support/wire/tap.ts';

const OWNER = 'o';
const INTENT: FileIntent = {
  owner: OWNER,
  name: 'a.bin',
  overwrite: false,
  contentType: null,
  reprDigest: null,
  minSize: 0,
};
const pass = async (): Promise<string | null> => null;

function stream(bytes: Buffer, piece = 50_000): Readable {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += piece) pieces.push(bytes.subarray(at, at + piece));
  return Readable.from(pieces, { objectMode: false });
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

for (const durability of ['chunk', 'seal'] as const) {
  test(`a stream of any length becomes a complete file, durability ${durability}`, async (t) => {
    const under = await startEngine(t, { durability });
    for (const length of [0, 1, 65_536, 65_537, 1024 ** 2, 7_654_321]) {
      const bytes = randomBytes(length);
      const intent = { ...INTENT, name: `of-${length}` };
      const status = await under.engine.receiveFile(stream(bytes), intent, async (arrived) => {
        assert.equal(arrived.size, length);
        const read = Buffer.alloc(length);
        assert.equal(await arrived.read(read, 0), length);
        assert.ok(read.equals(bytes));
        return 'audio/flac';
      });
      assert.equal(status.status, 'complete');
      assert.equal(status.total_bytes, length);
      assert.equal(status.content_type, 'audio/flac');
      assert.ok((await contentOf(under, intent.name)).equals(bytes));
      assert.deepEqual((await under.engine.verify(OWNER, intent.name)).ok, true);
    }
    await under.crash();
    assert.equal(
      (await under.engine.list({ owner: OWNER, prefix: '', cursor: null, limit: 99, status: 'complete' })).files.length,
      6,
    );
    assert.equal(under.engine.usage(OWNER).openUploads, 0);
  });
}

test('a body that breaks, is refused or is too large leaves nothing', async (t) => {
  const limit = 1_000_000;
  const quota: Quota = {
    groupOf: () => 'g',
    admit: (_owner, { own }, more) => {
      if (own.bytes + (more.bytes ?? 0) > limit) throw new LadingError('quota_exceeded', 'Too much.');
    },
  };
  const under = await startEngine(t, { maxFileBytes: 2_000_000 }, { quota });
  const { engine } = under;
  const gone = async (): Promise<void> => {
    assert.equal((await engine.status(OWNER, 'a.bin')).status, 'pending');
    assert.deepEqual(engine.usage(OWNER), { bytes: 0, openUploads: 0, dayBytes: 0 });
    assert.deepEqual(await under.deps.blobs.list(), []);
  };
  const broken = new PassThrough();
  const broke = engine.receiveFile(broken, INTENT, pass);
  broken.write(randomBytes(300_000));
  setImmediate(() => broken.destroy());
  await refused(broke, 'length_mismatch');
  await gone();
  await refused(engine.receiveFile(stream(randomBytes(1_000_001)), INTENT, pass), 'quota_exceeded');
  await gone();
  await refused(
    engine.receiveFile(stream(randomBytes(900_000)), INTENT, async () => {
      throw new LadingError('unsupported_media_type', 'Not that.');
    }),
    'unsupported_media_type',
  );
  await gone();
  await refused(engine.admitFile({ ...INTENT, minSize: 2_000_001 }), 'file_too_large');
  await refused(engine.admitFile({ ...INTENT, minSize: 1_500_000 }), 'quota_exceeded');
  const digest = { algorithm: 'sha-256' as const, value: createHash('sha256').update('other').digest() };
  await refused(
    engine.receiveFile(stream(randomBytes(10)), { ...INTENT, reprDigest: digest }, pass),
    'digest_mismatch',
  );
  assert.equal((await engine.status(OWNER, 'a.bin')).status, 'pending');
});

test('a file larger than the limit is refused while it arrives', async (t) => {
  const { engine, deps } = await startEngine(t, { maxFileBytes: 200_000 });
  await refused(engine.receiveFile(stream(randomBytes(300_000)), INTENT, pass), 'file_too_large');
  assert.deepEqual(await deps.blobs.list(), []);
});

test('a second file of the name is refused, or replaces the first in one step', async (t) => {
  const under = await startEngine(t);
  const { engine } = under;
  const [first, second] = [randomBytes(200_000), randomBytes(100_000)];
  await engine.receiveFile(stream(first), INTENT, pass);
  await refused(engine.admitFile(INTENT), 'already_exists');
  await refused(engine.receiveFile(stream(second), INTENT, pass), 'already_exists');
  const over = { ...INTENT, overwrite: true };
  await engine.admitFile(over);
  await engine.receiveFile(stream(second), over, async () => {
    assert.ok((await contentOf(under)).equals(first), 'readers have the old one until the new one is complete');
    await refused(engine.receiveFile(stream(first), over, pass), 'already_exists');
    return null;
  });
  assert.ok((await contentOf(under)).equals(second));
  assert.equal(engine.usage(OWNER).bytes, second.length);
  assert.equal((await under.deps.blobs.list()).length, 1);
});

test('a file whose name is taken gets a number, even with concurrent requests', async (t) => {
  const under = await startEngine(t);
  const { engine } = under;
  const contents = Array.from({ length: 5 }, () => randomBytes(50_000));
  const renamed = { ...INTENT, nameIfTaken: (name: string) => name };
  await engine.admitFile(renamed);
  const stored = await Promise.all(contents.map((bytes) => engine.receiveFile(stream(bytes), renamed, pass)));
  assert.deepEqual(stored.map(({ filename }) => filename).sort(), [
    'a (2).bin',
    'a (3).bin',
    'a (4).bin',
    'a (5).bin',
    'a.bin',
  ]);
  for (const [index, { filename }] of stored.entries())
    assert.ok((await contentOf(under, filename)).equals(contents[index] as Buffer), filename);
  await engine.admitFile(renamed);
  const never = { ...renamed, precondition: () => false };
  await refused(engine.admitFile(never), 'precondition_failed');
  await refused(engine.receiveFile(stream(randomBytes(9)), never, pass), 'precondition_failed');
  assert.equal((await under.deps.blobs.list()).length, 5);
});

test('an idle upload in chunks is discarded, and a contiguous one can be replaced', async (t) => {
  const under = await startEngine(t);
  const { engine } = under;
  const bytes = Buffer.from('abc');
  const chunk = { owner: OWNER, name: 'a.bin', start: 0, bytes, checksum: sum256(bytes) };
  await sendChunk(engine, { ...chunk, declaredSize: 10 });
  const over = { ...INTENT, overwrite: true };
  await refused(engine.admitFile(INTENT), 'already_exists');
  await engine.admitFile(over);
  assert.equal((await engine.status(OWNER, 'a.bin')).bytes_received, 3, 'what is only asked for ends nothing');
  await engine.receiveFile(stream(bytes), over, pass);
  assert.ok((await contentOf(under)).equals(bytes));
  await sendChunk(engine, { ...chunk, name: 'b.bin' });
  const other = randomBytes(1000);
  await refused(engine.receiveFile(stream(other), { ...INTENT, name: 'b.bin' }, pass), 'already_exists');
  await engine.receiveFile(stream(other), { ...over, name: 'b.bin' }, pass);
  assert.ok((await contentOf(under, 'b.bin')).equals(other));
});

test('an unfinished upload survives a whole file of its name that breaks, is refused or is too late', async (t) => {
  const under = await startEngine(t);
  const over = { ...INTENT, overwrite: true };
  const abc = Buffer.from('abc');
  const chunk = { owner: OWNER, name: 'a.bin', start: 0, bytes: abc, checksum: sum256(abc), declaredSize: 9 };
  for (const before of [null, Buffer.from('before')]) {
    const { engine } = under;
    if (before) await engine.receiveFile(stream(before), INTENT, pass);
    await sendChunk(engine, before ? { ...chunk, overwrite: true } : chunk);
    const kept = async (received = 3): Promise<void> => {
      const { status, bytes_received: bytes } = await engine.status(OWNER, 'a.bin');
      assert.deepEqual({ status, bytes }, { status: 'partial', bytes: received });
      if (before) assert.ok((await contentOf(under)).equals(before));
      assert.equal(engine.usage(OWNER).openUploads, 1);
      assert.equal((await under.deps.blobs.list()).length, before ? 2 : 1);
    };
    const broken = new PassThrough();
    const broke = engine.receiveFile(broken, over, pass);
    broken.write(randomBytes(300_000));
    setImmediate(() => broken.destroy());
    await refused(broke, 'length_mismatch');
    await kept();
    const unsupported = new LadingError('unsupported_media_type', 'Not that.');
    await refused(
      engine.receiveFile(stream(abc), over, () => Promise.reject(unsupported)),
      'unsupported_media_type',
    );
    await kept();
    const digest = { algorithm: 'sha-256' as const, value: createHash('sha256').update('other').digest() };
    await refused(engine.receiveFile(stream(abc), { ...over, reprDigest: digest }, pass), 'digest_mismatch');
    await kept();
    await refused(engine.receiveFile(stream(abc), { ...over, precondition: () => false }, pass), 'precondition_failed');
    await kept();
    // Its sender continues while the whole file arrives, and still sends when that is complete.
    const rest = new PassThrough();
    let sending: Promise<unknown> = Promise.resolve();
    await refused(
      engine.receiveFile(stream(randomBytes(200_000)), over, async () => {
        const bytes = Buffer.from('def');
        await sendChunk(engine, { ...chunk, start: 3, bytes, checksum: sum256(bytes), overwrite: before !== null });
        const intent = { owner: OWNER, name: 'a.bin', declaredSize: 9, overwrite: before !== null };
        sending = engine.receiveChunk(rest, { ...intentOf(chunk), ...intent });
        sending.catch(() => {});
        rest.write(encodeChunk(6, Buffer.from('ghi')).subarray(0, 18));
        await eventually(() => engine.transfers(() => true)[0]?.receiving === true, 'the chunk is on its way');
        return null;
      }),
      'already_exists',
    );
    await kept(6);
    rest.destroy();
    await refused(sending, 'length_mismatch');
    await kept(6);
    const bytes = randomBytes(100_000);
    await engine.receiveFile(stream(bytes), over, pass);
    assert.ok((await contentOf(under)).equals(bytes));
    assert.deepEqual(engine.usage(OWNER).openUploads, 0);
    assert.equal((await under.deps.blobs.list()).length, 1);
    await under.crash();
    assert.ok((await contentOf(under)).equals(bytes));
    await under.engine.remove(OWNER, 'a.bin');
  }
});

test('no request begins an upload between the end of the old one and its replacement', async (t) => {
  const tap = new Tap();
  const { engine, deps } = await startEngine(t, {}, { tap });
  const bytes = Buffer.from('abc');
  const chunk = { owner: OWNER, name: 'a.bin', start: 0, bytes, checksum: sum256(bytes), declaredSize: 9 };
  await sendChunk(engine, chunk);
  const gate = tap.hold('catalog.put', 'before');
  const whole = engine.receiveFile(stream(bytes), { ...INTENT, overwrite: true }, pass);
  await gate.reached;
  const late = sendChunk(engine, { ...chunk, start: 3 });
  assert.equal((await engine.status(OWNER, 'a.bin')).bytes_received, 3, 'until then the upload has the name');
  gate.open();
  await whole;
  assert.equal((await late).code, 'size_conflict', 'the chunk met the complete file');
  await engine.remove(OWNER, 'a.bin');
  assert.deepEqual(engine.usage(OWNER), { ...engine.usage(OWNER), bytes: 0, openUploads: 0 });
  assert.deepEqual(await deps.blobs.list(), []);
});

test('a crash during a whole file leaves nothing, and the file can be sent after the start', async (t) => {
  const under = await startEngine(t);
  const source = new PassThrough();
  const half = under.engine.receiveFile(source, INTENT, pass);
  half.catch(() => {});
  source.write(randomBytes(3_000_000));
  await under.quiet();
  await under.crash();
  source.destroy();
  assert.equal((await under.engine.status(OWNER, 'a.bin')).status, 'pending');
  assert.deepEqual(await under.deps.blobs.list(), []);
  const bytes = randomBytes(2_000_000);
  await under.engine.receiveFile(stream(bytes), INTENT, pass);
  assert.ok((await contentOf(under)).equals(bytes));
});

test('a stop ends a running whole file and leaves nothing', async (t) => {
  const under = await startEngine(t);
  const source = new PassThrough();
  const half = under.engine.receiveFile(source, INTENT, pass);
  const ended = refused(half, 'shutting_down');
  source.write(randomBytes(3_000_000));
  await under.quiet();
  await under.restart();
  await ended;
  source.destroy();
  assert.equal((await under.engine.status(OWNER, 'a.bin')).status, 'pending');
  assert.deepEqual(await under.deps.blobs.list(), []);
});
