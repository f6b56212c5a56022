/** Limits and ends of uploads that wait for one name. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { download, OWNER, refused, send, text, turnsUntil } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';
import { INSTEAD, NAME, onEvent, stream, WHOLE } from '../intents.ts';
import { BEFORE, NEW, OLD } from './succession-setup.ts';

test('an upload is refused when too many uploads wait and clients know all of them', async (t) => {
  const { engine } = await startEngine(t);
  const begin = async (): Promise<void> => {
    const begun = await engine.createResumable(INSTEAD);
    await engine.append(stream(text('abc')), begun, { offset: 0, size: null, contentLength: 3 });
  };
  for (let times = 0; times < 9; times += 1) await begin();
  await refused(begin(), 'already_exists');
  assert.equal(engine.usage(OWNER).openUploads, 9);
  const [one] = engine.transfers(() => true);
  await engine.cancel(OWNER, NAME, undefined, one?.file.id ?? '');
  await refused(engine.cancel(OWNER, NAME, undefined, one?.file.id ?? ''), 'not_found');
  assert.equal(engine.usage(OWNER).openUploads, 8, 'only that upload was cancelled');
  await engine.cancel(OWNER, NAME);
  assert.equal(engine.usage(OWNER).openUploads, 0);
  await begin();
});

test('concurrent creations never exceed the limit of waiting uploads', async (t) => {
  const { engine, deps } = await startEngine(t);
  await send(engine, NAME, 0, text('abc'), { declaredSize: 9 });
  const begun = await Promise.allSettled(Array.from({ length: 40 }, () => engine.createResumable(INSTEAD)));
  const made = begun.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  for (const one of begun) if (one.status === 'rejected') assert.equal(one.reason.code, 'already_exists');
  assert.ok(made.length > 0);
  assert.ok(engine.usage(OWNER).openUploads <= 9, String(engine.usage(OWNER).openUploads));
  await engine.cancel(OWNER, NAME);
  assert.equal(engine.usage(OWNER).openUploads, 0);
  assert.deepEqual(await deps.blobs.list(), [], 'refused uploads leave nothing');
});

test('the last bytes of an upload of known size are refused while a request sends to the upload that has the name', async (t) => {
  const { engine } = await startEngine(t);
  const { needsExplicitEnd: _, ...known } = { ...INSTEAD, size: 6 };
  const first = await engine.createResumable({ ...known, size: 9 });
  await engine.append(stream(text('abc')), first, { offset: 0, size: null, contentLength: 3 });
  const second = await engine.createResumable(known);
  await engine.append(stream(text('new')), second, { offset: 0, size: null, contentLength: 3 });
  const slow = new PassThrough();
  const sending = engine.append(slow, first, { offset: 3, size: null, contentLength: null });
  const last = { offset: 3, size: null, contentLength: 3 };
  await refused(engine.append(stream(text('est')), second, last), 'already_exists');
  assert.equal((await engine.resumableState(second)).offset, 3, 'the offset does not include the refused bytes');
  slow.end('def');
  assert.equal((await sending).offset, 6);
  assert.ok((await engine.append(stream(text('est')), second, last)).complete);
  assert.equal((await download(engine, NAME)).toString(), 'newest');
});

test('a deletion also discards the waiting uploads', async (t) => {
  const { engine, deps } = await startEngine(t);
  await send(engine, NAME, 0, OLD, { declaredSize: OLD.length });
  for (let times = 0; times < 3; times += 1) await engine.createResumable(INSTEAD);
  assert.deepEqual(await engine.remove(OWNER, NAME), ['file', 'upload']);
  assert.deepEqual({ ...engine.usage(OWNER), dayBytes: 0 }, { bytes: 0, openUploads: 0, dayBytes: 0 });
  assert.deepEqual(await deps.blobs.list(), []);
});

test('a wrong digest and a failed precondition leave the existing upload as it was', async (t) => {
  for (const had of Object.values(BEFORE)) {
    const under = await startEngine(t);
    await had.make(under);
    const value = createHash('sha256').update('other').digest();
    const reprDigest = { algorithm: 'sha-256' as const, value };
    const wrong = { ...WHOLE, reprDigest };
    await refused(
      under.engine.receiveFile(stream(NEW), wrong, async () => null),
      'digest_mismatch',
    );
    let asked = 0;
    const late = {
      ...WHOLE,
      precondition: () => {
        asked += 1;
        return asked < 2;
      },
    };
    await refused(
      under.engine.receiveFile(stream(NEW), late, async () => null),
      'precondition_failed',
    );
    assert.equal(asked, 2, 'checked before the bytes count and right before the change');
    await had.kept(under);
    await under.close();
  }
});

test('a file replaces an upload that the sweep is parking', async (t) => {
  const tap = new Tap();
  const { engine } = await startEngine(t, { staleSeconds: 0 }, { tap });
  await send(engine, NAME, 0, text('abc'), { declaredSize: 9 });
  const gate = tap.hold('catalog.put', 'before');
  const swept = engine.sweep();
  await gate.reached;
  await engine.admitFile(WHOLE);
  const whole = engine.receiveFile(stream(NEW), WHOLE, async () => null);
  await turnsUntil(() => engine.gauges().open_uploads === 2, 'the whole file is on its way');
  gate.open();
  await Promise.all([swept, whole]);
  assert.ok(NEW.equals(await download(engine, NAME)));
  assert.equal(engine.usage(OWNER).openUploads, 0);
});

test('a waiting upload whose digest fails while another file takes the name is cancelled once, by that file', async (t) => {
  const tap = new Tap();
  const cancelled: string[] = [];
  onEvent(tap, (event) => {
    if (event.type === 'upload.cancelled') cancelled.push(event.file.id);
  });
  const under = await startEngine(t, {}, { tap });
  const { engine } = under;
  const { id: holder } = await send(engine, NAME, 0, text('abc'), { declaredSize: 9 });
  const reprDigest = { algorithm: 'sha-256' as const, value: createHash('sha256').update('other').digest() };
  const { needsExplicitEnd: _, ...known } = { ...INSTEAD, size: 3, reprDigest };
  const waiting = await engine.createResumable(known);
  tap.fail('inspector.digest', new Error('the disk failed'));
  const bytes = { offset: 0, size: null, contentLength: 3 };
  await assert.rejects(engine.append(stream(text('bad')), waiting, bytes), /the disk failed/);
  const newer = await engine.createResumable(INSTEAD);
  const digest = tap.hold('inspector.digest');
  const swept = engine.sweep();
  await digest.reached;
  const sealing = tap.hold('blobs.seal');
  const completed = engine.append(stream(text('new')), newer, { ...bytes, ends: true });
  await sealing.reached;
  digest.open();
  await under.quiet();
  sealing.open();
  assert.ok((await completed).complete);
  await swept;
  assert.deepEqual(cancelled.sort(), [holder, waiting.id].sort());
  assert.equal((await download(engine, NAME)).toString(), 'new');
  assert.equal(engine.usage(OWNER).openUploads, 0);
  assert.equal((await under.deps.blobs.list()).length, 1);
});
