/** Whole files with `lastWins`: each becomes the file of its name regardless of other uploads, and the last one stays. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { FileIntent } from '../../../src/engine/receive/file-upload.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { eventually } from '../../support/eventually.ts';
import { download, intent, OWNER, refused, send, text } from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';

const NAME = 'nightly.log';
const INTENT: FileIntent = {
  owner: OWNER,
  name: NAME,
  overwrite: true,
  lastWins: true,
  contentType: null,
  reprDigest: null,
  minSize: 0,
};
const { lastWins: _, ...REPLACES } = INTENT;
const CREATES = { ...REPLACES, overwrite: false };

interface Sending {
  source: PassThrough;
  done: Promise<FileStatus>;
  /** Sends the remaining bytes and waits for the reply. */
  finish(): Promise<FileStatus>;
}

/** A file whose first bytes have arrived. */
function begin({ engine }: EngineUnderTest, said: FileIntent, bytes: Buffer): Sending {
  const source = new PassThrough();
  const done = engine.admitFile(said).then(() => engine.receiveFile(source, said, async () => null));
  done.catch(() => {});
  source.write(bytes.subarray(0, 10));
  const finish = async (): Promise<FileStatus> => {
    source.end(bytes.subarray(10));
    return await done;
  };
  return { source, done, finish };
}

/** The name has exactly one file and no upload. */
async function alone(under: EngineUnderTest, bytes: Uint8Array): Promise<void> {
  assert.ok(Buffer.from(bytes).equals(await download(under.engine, NAME)));
  const { files } = await under.engine.list({ owner: OWNER, prefix: '', cursor: null, limit: 9, status: null });
  assert.deepEqual(
    files.map(({ filename, status, bytes_received: received }) => [filename, status, received]),
    [[NAME, 'complete', bytes.length]],
  );
  assert.deepEqual({ ...under.engine.usage(OWNER), dayBytes: 0 }, { bytes: bytes.length, openUploads: 0, dayBytes: 0 });
  assert.equal((await under.deps.blobs.list()).length, 1);
}

/** As `alone`, before and after a crash. */
async function aloneForGood(under: EngineUnderTest, bytes: Uint8Array): Promise<void> {
  await alone(under, bytes);
  await under.crash();
  await alone(under, bytes);
}

const contents = Array.from({ length: 16 }, () => randomBytes(30_000));

test('sixteen concurrent files all become the file, in the order of their completion', async (t) => {
  const under = await startEngine(t);
  const sending = contents.map((bytes) => begin(under, INTENT, bytes));
  for (const [index, one] of sending.toReversed().entries()) {
    assert.equal((await one.finish()).status, 'complete');
    assert.ok((await download(under.engine, NAME)).equals(contents.at(-1 - index) as Buffer));
  }
  await aloneForGood(under, contents[0] as Buffer);
});

test('one of sixteen files that complete together stays, and it was acknowledged', async (t) => {
  const under = await startEngine(t);
  await send(under.engine, NAME, 0, text('before'), { declaredSize: 6 });
  const sending = contents.map((bytes) => begin(under, INTENT, bytes));
  const all = await Promise.all(sending.map((one) => one.finish()));
  assert.equal(new Set(all.map(({ id }) => id)).size, 16);
  const found = await download(under.engine, NAME);
  const last = contents.find((bytes) => bytes.equals(found));
  assert.ok(last);
  await aloneForGood(under, last);
});

test('a crash while sixteen files arrive leaves the one that was acknowledged last', async (t) => {
  const under = await startEngine(t);
  const sending = contents.map((bytes) => begin(under, INTENT, bytes));
  for (const one of sending.slice(0, 3)) await one.finish();
  await under.quiet();
  await under.crash();
  for (const { source } of sending) source.destroy();
  await alone(under, contents[2] as Buffer);
  await begin(under, INTENT, contents[3] as Buffer).finish();
  await aloneForGood(under, contents[3] as Buffer);
});

test('a replacement without lastWins continues, and replaces the newest file when it completes later', async (t) => {
  const under = await startEngine(t);
  for (const before of [null, text('before')]) {
    if (before) await under.engine.receiveFile(new PassThrough().end(before), REPLACES, async () => null);
    const other = begin(under, REPLACES, contents[0] as Buffer);
    await under.quiet();
    await refused(under.engine.admitFile(REPLACES), 'already_exists');
    const newest = begin(under, INTENT, contents[1] as Buffer);
    await newest.finish();
    assert.ok((await download(under.engine, NAME)).equals(contents[1] as Buffer));
    await other.finish();
    await aloneForGood(under, contents[0] as Buffer);
    await under.engine.remove(OWNER, NAME);
  }
});

test('a file without overwrite is refused when the newest file took the name', async (t) => {
  const under = await startEngine(t);
  const other = begin(under, CREATES, contents[0] as Buffer);
  await under.quiet();
  await begin(under, INTENT, contents[1] as Buffer).finish();
  await refused(other.finish(), 'already_exists');
  await aloneForGood(under, contents[1] as Buffer);
  await under.engine.remove(OWNER, NAME);
  // A newest file that never completes does not affect it.
  const creates = begin(under, CREATES, contents[0] as Buffer);
  const broken = begin(under, INTENT, contents[1] as Buffer);
  setImmediate(() => broken.source.destroy());
  await refused(broken.done, 'length_mismatch');
  await creates.finish();
  await aloneForGood(under, contents[0] as Buffer);
});

/** Uploads that receive bytes when the newest file completes. */
const UNFINISHED: Record<
  string,
  (under: EngineUnderTest, rest: PassThrough) => Promise<{ sending: Promise<unknown> }>
> = {
  'a first chunk': async ({ engine }, rest) => {
    const sending = engine.receiveChunk(rest, intent(NAME, { declaredSize: 9 }));
    rest.write(encodeChunk(0, text('abc')).subarray(0, 18));
    return { sending };
  },
  'a later chunk': async ({ engine }, rest) => {
    await send(engine, NAME, 0, text('abc'), { declaredSize: 9 });
    const sending = engine.receiveChunk(rest, intent(NAME, { declaredSize: 9 }));
    rest.write(encodeChunk(3, text('def')).subarray(0, 18));
    return { sending };
  },
  'a chunk that continues a file of undeclared size': async ({ engine }, rest) => {
    await send(engine, NAME, 0, text('abc'));
    const sending = engine.receiveChunk(rest, intent(NAME));
    rest.write(encodeChunk(3, text('def')).subarray(0, 18));
    return { sending };
  },
  'an upload with an address': async ({ engine }, rest) => {
    const address = await engine.createResumable({
      ...{ owner: OWNER, creator: { kind: 'device', id: OWNER }, name: NAME, ifTaken: 'replace', size: 9 },
      ...{ contentType: null, metadata: null },
    });
    const sending = engine.append(rest, address, { offset: 0, size: null, contentLength: 9 });
    rest.write('abc');
    return { sending };
  },
};

for (const [what, start] of Object.entries(UNFINISHED)) {
  test(`${what} ends once the newest file is complete`, async (t: TestContext) => {
    const under = await startEngine(t);
    const rest = new PassThrough();
    const { sending } = await start(under, rest);
    sending.catch(() => {});
    await eventually(() => under.engine.usage(OWNER).openUploads === 1, 'the upload has the name');
    await begin(under, INTENT, contents[0] as Buffer).finish();
    assert.ok((await download(under.engine, NAME)).equals(contents[0] as Buffer));
    rest.end('def');
    await assert.rejects(sending);
    await eventually(async () => (await under.deps.blobs.list()).length === 1, 'its bytes are removed');
    await aloneForGood(under, contents[0] as Buffer);
  });
}

test('a precondition that fails at the end does not end running uploads', async (t) => {
  const under = await startEngine(t);
  await send(under.engine, NAME, 0, text('abc'), { declaredSize: 6 });
  const rest = new PassThrough();
  const sending = under.engine.receiveChunk(rest, intent(NAME, { declaredSize: 6 }));
  rest.write(encodeChunk(3, text('def')).subarray(0, 18));
  let looks = 0;
  const twice = { ...INTENT, precondition: () => looks++ < 2 };
  await under.quiet();
  await refused(begin(under, twice, contents[0] as Buffer).finish(), 'precondition_failed');
  assert.equal(looks > 2, true);
  rest.end('ef');
  assert.equal((await sending).status, 'complete');
  await aloneForGood(under, text('abcdef'));
});

test('a precondition is checked when the file takes the name', async (t) => {
  const under = await startEngine(t);
  const never = { ...INTENT, precondition: () => false };
  await refused(under.engine.admitFile(never), 'precondition_failed');
  const free = { ...INTENT, precondition: ({ exists }: { exists: boolean }) => !exists };
  const [one, two] = [begin(under, free, contents[0] as Buffer), begin(under, free, contents[1] as Buffer)];
  await under.quiet();
  await two.finish();
  await refused(one.finish(), 'precondition_failed');
  await aloneForGood(under, contents[1] as Buffer);
});
