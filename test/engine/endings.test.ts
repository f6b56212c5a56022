/** Requests that end, replace, complete or continue one name at the same moment: one is first, and the others find what it left. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { FileIntent } from '../../src/engine/receive/file-upload.ts';
import type { ResourceIntent } from '../../src/engine/receive/upload-resource.ts';
import {
  content,
  download,
  OWNER,
  outcome,
  refused,
  send,
  sendRaw,
  text,
  turnsUntil,
} from '../support/product/device.ts';
import { type EngineUnderTest, startEngine } from '../support/product/engine.ts';
import { type Operation, Tap } from '../support/wire/tap.ts';

const NAME = 'a.bin';
const NEW = Buffer.from(content(0, 10_000, 7));
const OLD = text('before');
const WHOLE: FileIntent = {
  owner: OWNER,
  name: NAME,
  overwrite: true,
  contentType: null,
  reprDigest: null,
  minSize: 0,
};
const INSTEAD: ResourceIntent = {
  owner: OWNER,
  creator: { kind: 'device', id: OWNER },
  name: NAME,
  place: 'instead',
  size: null,
  contentType: null,
  metadata: null,
  endsWhenTold: true,
};

function stream(bytes: Uint8Array): PassThrough {
  const source = new PassThrough();
  source.end(bytes);
  return source;
}

const put = ({ engine }: EngineUnderTest) => engine.receiveFile(stream(NEW), WHOLE, async () => null);

/** A complete file of undeclared size, which a chunk with a gap continues. */
async function goingOn(t: TestContext): Promise<{ under: EngineUnderTest; tap: Tap }> {
  const tap = new Tap();
  const under = await startEngine(t, { openEndedSeconds: 0 }, { tap });
  await send(under.engine, NAME, 0, OLD);
  await under.engine.sweep();
  await under.restart({ openEndedSeconds: 900 });
  await send(under.engine, NAME, OLD.length + 4, text('abc'));
  tap.reset();
  return { under, tap };
}

async function onlyNew(under: EngineUnderTest): Promise<void> {
  for (const again of [async () => {}, under.restart, under.crash]) {
    await again();
    assert.ok(NEW.equals(await download(under.engine, NAME)));
    assert.equal((await under.engine.status(OWNER, NAME)).status, 'complete');
    assert.equal(under.engine.usage(OWNER).openUploads, 0);
    assert.equal((await under.doors.blobs.list()).length, 1, 'nothing is left of what it replaced');
  }
}

/** Steps of a file that takes the name of an upload, and of the upload that ends. */
const STEPS: [Operation, 'before' | 'after'][] = [
  ['blobs.seal', 'before'],
  ['blobs.seal', 'after'],
  ['catalog.find', 'before'],
  ['catalog.put', 'before'],
  ['catalog.put', 'after'],
  ['manifests.read', 'before'],
  ['blobs.remove', 'before'],
];

for (const [operation, moment] of STEPS) {
  test(`an upload that goes on is cancelled while a file takes its name: ${moment} ${operation}`, async (t) => {
    const { under, tap } = await goingOn(t);
    const gate = tap.hold(operation, moment);
    const whole = put(under);
    whole.catch(() => {});
    await Promise.race([gate.reached, whole]);
    const cancelled = outcome(under.engine.cancel(OWNER, NAME));
    await under.quiet();
    gate.open();
    await whole;
    await cancelled;
    await onlyNew(under);
  });

  test(`a file takes the name of an upload that is being cancelled: ${moment} ${operation}`, async (t) => {
    const { under, tap } = await goingOn(t);
    const gate = tap.hold(operation, moment);
    const cancelled = outcome(under.engine.cancel(OWNER, NAME));
    await Promise.race([gate.reached, cancelled]);
    const whole = put(under);
    whole.catch(() => {});
    await under.quiet();
    gate.open();
    await cancelled;
    await whole;
    await onlyNew(under);
  });

  test(`a file is deleted while a chunk goes on at its end: ${moment} ${operation}`, async (t) => {
    const { under, tap } = await goingOn(t);
    await under.engine.cancel(OWNER, NAME);
    const gate = tap.hold(operation, moment);
    const removed = outcome(under.engine.remove(OWNER, NAME));
    await Promise.race([gate.reached, removed]);
    const chunk = outcome(send(under.engine, NAME, OLD.length, text('xyz')));
    await under.quiet();
    gate.open();
    assert.equal((await removed).status, 'fulfilled');
    await chunk;
    for (const again of [async () => {}, under.crash]) {
      await again();
      const status = await under.engine.status(OWNER, NAME);
      assert.notEqual(status.status, 'complete', 'the deleted bytes are no file');
      assert.equal(status.readable, false);
    }
  });
}

test('a chunk for a name whose upload is being cancelled waits, and continues the file that is there then', async (t) => {
  const { under, tap } = await goingOn(t);
  const gate = tap.hold('catalog.put');
  const cancelled = under.engine.cancel(OWNER, NAME);
  await gate.reached;
  const chunk = send(under.engine, NAME, OLD.length, text('xyz'));
  chunk.catch(() => {});
  await under.quiet();
  gate.open();
  await cancelled;
  await chunk;
  assert.equal((await download(under.engine, NAME)).toString(), 'beforexyz');
});

test('a file that somebody ends is not continued by the chunk that comes meanwhile', async (t) => {
  const { under, tap } = await goingOn(t);
  await under.engine.cancel(OWNER, NAME);
  const gate = tap.hold('catalog.amend');
  const completed = under.engine.complete(OWNER, NAME);
  await gate.reached;
  const chunk = outcome(send(under.engine, NAME, OLD.length, text('xyz')));
  await under.quiet();
  gate.open();
  assert.equal((await completed).total_bytes, OLD.length);
  assert.equal((await chunk).status, 'rejected');
  await under.crash();
  assert.equal((await under.engine.complete(OWNER, NAME)).total_bytes, OLD.length);
});

test('a chunk that continues a file is first: who ends the file ends it with that chunk', async (t) => {
  const { under, tap } = await goingOn(t);
  await under.engine.cancel(OWNER, NAME);
  const gate = tap.hold('catalog.put', 'after');
  const chunk = outcome(send(under.engine, NAME, OLD.length, text('xyz')));
  await gate.reached;
  const completed = outcome(under.engine.complete(OWNER, NAME));
  await under.quiet();
  gate.open();
  const sent = await chunk;
  const said = await completed;
  assert.equal(said.status, 'fulfilled');
  const { status, total_bytes: total } = await under.engine.status(OWNER, NAME);
  assert.equal(status, 'complete');
  assert.equal(total, sent.status === 'fulfilled' ? OLD.length + 3 : OLD.length);
  assert.equal((await under.doors.catalog.find(OWNER, NAME)).sealed?.undeclared, undefined);
});

test('an empty file for a name whose whole file is on its way is refused, and the file comes', async (t) => {
  const { engine } = await startEngine(t);
  const slow = new PassThrough();
  const whole = engine.receiveFile(slow, WHOLE, async () => null);
  slow.write(NEW.subarray(0, 5000));
  await turnsUntil(() => engine.gauges().open_uploads === 1 && slow.readableLength === 0);
  await refused(sendRaw(engine, NAME, new Uint8Array(), { declaredSize: 0 }), 'already_exists');
  slow.end(NEW.subarray(5000));
  await whole;
  assert.ok(NEW.equals(await download(engine, NAME)));
});

test('an upload with an address and an empty file begin at the same moment: each is whole or refused', async (t) => {
  for (const held of ['manifest.sync', 'catalog.put', 'manifests.create', 'blobs.create'] as const) {
    for (const first of ['address', 'empty'] as const) {
      const tap = new Tap();
      const under = await startEngine(t, {}, { tap });
      const { engine } = under;
      const gate = tap.hold(held);
      const begin = () => engine.createResumable(INSTEAD);
      const empty = () => sendRaw(engine, NAME, new Uint8Array(), { declaredSize: 0 });
      const works = first === 'address' ? [begin, empty] : [empty, begin];
      const results = works.map((work) => outcome(work() as Promise<unknown>));
      await Promise.race([gate.reached, Promise.all(results)]);
      await under.quiet();
      gate.open();
      const [one, two] = await Promise.all(results);
      const begun = first === 'address' ? one : two;
      if (begun?.status === 'fulfilled') {
        const address = begun.value as Awaited<ReturnType<typeof begin>>;
        const state = await engine.resumableState(address);
        assert.deepEqual([state.offset, state.size], [0, null]);
        await engine.append(stream(NEW), address, { offset: 0, size: null, contentLength: NEW.length, ends: true });
        assert.ok(NEW.equals(await download(engine, NAME)));
      } else assert.equal((await engine.status(OWNER, NAME)).total_bytes, 0, `${held} ${first}`);
      await under.close();
    }
  }
});

test('a file that a refused chunk would have continued is not completed once more', async (t) => {
  const tap = new Tap();
  const wrap = tap.wrap;
  const completed: string[] = [];
  const happened = ({ type }: { type: string }): void => {
    if (type === 'file.completed') completed.push(type);
  };
  Object.assign(tap, { wrap: (doors: Parameters<typeof wrap>[0]) => ({ ...wrap(doors), emit: happened }) });
  const under = await startEngine(t, { openEndedSeconds: 0 }, { tap });
  await send(under.engine, NAME, 0, OLD);
  await under.engine.sweep();
  const before = await under.engine.status(OWNER, NAME);
  await refused(send(under.engine, NAME, OLD.length - 1, text('XY')), 'chunk_conflict');
  for (const again of [async () => {}, under.restart, under.crash]) {
    await again();
    await under.engine.sweep();
    const { updated_at: _, ...after } = await under.engine.status(OWNER, NAME);
    assert.deepEqual(after, (({ updated_at: __, ...rest }) => rest)(before));
    assert.deepEqual(completed, ['file.completed']);
    assert.equal(under.engine.usage(OWNER).openUploads, 0);
  }
  await send(under.engine, NAME, OLD.length, text('xyz'));
  await under.engine.sweep();
  assert.equal(completed.length, 2);
  assert.equal((await download(under.engine, NAME)).toString(), 'beforexyz');
});

test('a file whose upload was readable keeps its date until another one takes its place', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2030, 0, 1) });
  const { engine } = await startEngine(t);
  await send(engine, NAME, 0, OLD);
  const seen = await engine.open(OWNER, NAME);
  seen.release();
  t.mock.timers.setTime(Date.UTC(2030, 0, 1, 0, 5));
  const precondition = ({ lastModified }: { lastModified: number | null }): boolean =>
    lastModified !== null && seen.lastModified !== null && lastModified <= seen.lastModified;
  await engine.receiveFile(stream(NEW), { ...WHOLE, precondition }, async () => null);
  assert.ok(NEW.equals(await download(engine, NAME)));
});
