/** Concurrent requests that end, replace, complete or continue one name: one is first, and the others meet its result. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
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
import { INSTEAD, NAME, onEvent, stream, WHOLE } from './intents.ts';

const NEW = Buffer.from(content(0, 10_000, 7));
const OLD = text('before');

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
    assert.equal((await under.deps.blobs.list()).length, 1, 'the replaced bytes are removed');
  }
}

/** Operations of a file that takes a name, and of the upload that ends. */
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
  test(`a continuation is cancelled while a file takes its name: ${moment} ${operation}`, async (t) => {
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

  test(`a file is deleted while a chunk continues it: ${moment} ${operation}`, async (t) => {
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
      assert.notEqual(status.status, 'complete', 'the deleted bytes are not a file');
      assert.equal(status.readable, false);
    }
  });
}

test('a chunk waits for the cancellation of the upload of its name, then continues the restored file', async (t) => {
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

test('a chunk that arrives during the completion of a file does not continue it', async (t) => {
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

test('a completion after a continuing chunk includes that chunk', async (t) => {
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
  assert.equal((await under.deps.catalog.find(OWNER, NAME)).sealed?.undeclared, undefined);
});

test('an empty file is refused while a whole file of its name arrives', async (t) => {
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

test('a resumable upload and an empty file that begin together are each complete or refused', async (t) => {
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

test('a refused chunk at the end of a file does not complete the file again', async (t) => {
  const tap = new Tap();
  const completed: string[] = [];
  onEvent(tap, ({ type }) => {
    if (type === 'file.completed') completed.push(type);
  });
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

test('a file whose upload was readable keeps its date until it is replaced', async (t) => {
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
