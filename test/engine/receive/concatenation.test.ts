/** Concatenated files, with shared and with copied bytes, and after crashes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { ResourceAddress, ResourceIntent } from '../../../src/engine/receive/upload-resource.ts';
import { LadingError } from '../../../src/errors.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { eventually } from '../../support/eventually.ts';
import { clockOf } from '../../support/product/clock.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { type Operation, Tap } from '../../support/wire/tap.ts';

const OWNER = 'o';
const INTENT: ResourceIntent = {
  owner: OWNER,
  creator: { kind: 'device', id: 'o' },
  name: 'whole',
  ifTaken: 'rename',
  size: null,
  contentType: null,
  metadata: null,
};
const NAMES = ['chunk', 'seal'] as const;

async function partsOf({ engine }: EngineUnderTest, pieces: Buffer[]): Promise<ResourceAddress[]> {
  const addresses: ResourceAddress[] = [];
  for (const piece of pieces) {
    const address = await engine.createResumable({ ...INTENT, partial: true, size: piece.length });
    if (piece.length > 0) {
      await engine.append(Readable.from([piece]), address, { offset: 0, size: null, contentLength: piece.length });
    }
    addresses.push(address);
  }
  return addresses;
}

const joined = (parts: ResourceAddress[]): ResourceIntent => ({
  ...INTENT,
  concatenation: { parts, concatHeader: 'final;' },
});

async function contentOf({ engine }: EngineUnderTest, size: number): Promise<Buffer> {
  const representation = await engine.open(OWNER, 'whole');
  try {
    const bytes = Buffer.alloc(size + 10);
    return bytes.subarray(0, await representation.reader.read(bytes, 0));
  } finally {
    representation.release();
  }
}

/** On a disk without hard links. */
class NoLinks extends Tap {
  override async run<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    return operation === 'blobs.link' ? (false as T) : await super.run(operation, work);
  }
}

for (const durability of NAMES) {
  for (const shares of [true, false]) {
    test(`parts become a file, ${shares ? 'shared' : 'copied'}, durability ${durability}`, async (t) => {
      const under = await startEngine(t, { durability }, { tap: shares ? new Tap() : new NoLinks() });
      const pieces = [randomBytes(700_000), Buffer.alloc(0), randomBytes(1), randomBytes(123_456)];
      const bytes = Buffer.concat(pieces);
      const parts = await partsOf(under, pieces);
      const address = await under.engine.createResumable(joined(parts));
      const { complete, offset, size } = await under.engine.resumableState(address);
      assert.deepEqual([complete, offset, size], [true, bytes.length, bytes.length]);
      assert.ok((await contentOf(under, bytes.length)).equals(bytes));
      assert.deepEqual(await under.engine.verify(OWNER, 'whole'), { ok: true, checked_bytes: bytes.length, bad: [] });
      const stored = await under.deps.blobs.list();
      assert.equal(stored.length, parts.length + 1 + (shares ? 3 : 0));
      for (const part of parts) await under.engine.removeResumable(part);
      for (const end of ['restart', 'crash'] as const) {
        await under[end]();
        assert.ok((await contentOf(under, bytes.length)).equals(bytes), `after a ${end}`);
      }
      // Reads at many positions, across the ends of its pieces.
      const representation = await under.engine.open(OWNER, 'whole');
      for (const [start, length] of [
        [699_999, 3],
        [699_990, 5],
        [700_001, 123_455],
        [bytes.length - 1, 9],
      ] as const) {
        const into = Buffer.alloc(length);
        const read = await representation.reader.read(into, start);
        assert.ok(into.subarray(0, read).equals(bytes.subarray(start, start + length)), `${start}`);
        assert.equal(read, Math.min(length, bytes.length - start));
      }
      representation.release();
      await under.engine.remove(OWNER, 'whole');
      assert.deepEqual(await under.deps.blobs.list(), [], 'nothing is left of it');
    });
  }
}

async function crashAt(t: TestContext, operation: Operation, moment: 'before' | 'after', durability: 'chunk' | 'seal') {
  const tap = new Tap();
  const under = await startEngine(t, { durability }, { tap });
  const pieces = [randomBytes(50_000), randomBytes(60_000)];
  const bytes = Buffer.concat(pieces);
  const parts = await partsOf(under, pieces);
  // The concatenation begins when it is created. Earlier operations are not tested here.
  const first = tap.hold('blobs.link');
  const made = under.engine.createResumable(joined(parts));
  made.catch(() => {});
  await first.reached;
  const gate = tap.hold(operation, moment);
  first.open();
  await gate.reached;
  await under.crash(async () => gate.open(new Error('the process is gone')));
  await eventually(async () => (await under.engine.status(OWNER, 'whole')).status === 'complete', 'it is joined');
  assert.ok((await contentOf(under, bytes.length)).equals(bytes));
  assert.equal((await under.engine.verify(OWNER, 'whole')).ok, true);
  await under.restart();
  assert.equal((await under.deps.blobs.list()).length, 5, 'two parts, the file and its two pieces, and nothing else');
}

for (const durability of NAMES) {
  for (const operation of ['blobs.link', 'catalog.put', 'manifest.append', 'blobs.seal'] as const) {
    for (const moment of ['before', 'after'] as const) {
      if (operation === 'blobs.link' && moment === 'before') continue;
      test(`a crash ${moment} ${operation} of a concatenation, durability ${durability}: the next start finishes it`, async (t) => {
        await crashAt(t, operation, moment, durability);
      });
    }
  }
}

test('a concatenated file is replaced and deleted with its pieces, and chunks never match it', async (t) => {
  const under = await startEngine(t);
  const { engine } = under;
  const parts = await partsOf(under, [Buffer.from('ab'), Buffer.from('cd')]);
  await engine.createResumable(joined(parts));
  const chunk = (bytes: string) => ({
    body: Readable.from([Buffer.from(encodeChunk(0, Buffer.from(bytes)))]),
    intent: {
      owner: OWNER,
      name: 'whole',
      declaredSize: bytes.length,
      range: null,
      crc32: null,
      contentDigest: null,
      reprDigest: null,
      overwrite: false,
      contentType: null,
      contentLength: null,
    },
  });
  const repeat = chunk('abcd');
  await assert.rejects(
    engine.receiveChunk(repeat.body, repeat.intent),
    (error) => error instanceof LadingError && error.code === 'file_complete',
  );
  const next = chunk('other');
  await engine.receiveChunk(next.body, { ...next.intent, overwrite: true });
  assert.equal((await contentOf(under, 5)).toString(), 'other');
  for (const part of parts) await engine.removeResumable(part);
  assert.equal((await under.deps.blobs.list()).length, 1);
});

test('stale parts that a file contains are removed, and others are parked', async (t) => {
  let now = Date.UTC(2030, 0, 1);
  const under = await startEngine(t, { staleSeconds: 60 }, { clock: clockOf(() => now) });
  const parts = await partsOf(under, [randomBytes(100), randomBytes(50)]);
  const [other] = await partsOf(under, [randomBytes(10)]);
  assert.ok(other);
  await under.engine.createResumable(joined(parts));
  await under.crash();
  now += 60_000;
  assert.deepEqual(await under.engine.sweep(), { removed: 2, sealed: 0, parked: 1 });
  assert.equal((await contentOf(under, 150)).length, 150);
  assert.deepEqual(under.engine.usage(OWNER), { bytes: 160, openUploads: 0, dayBytes: 310 });
  assert.equal((await under.engine.resumableState(other)).offset, 10);
});
