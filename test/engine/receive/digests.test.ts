/** Digests of one message (Content-Digest) and of the whole file (Repr-Digest). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { Digest, DigestAlgorithm } from '../../../src/protocol/http/digests.ts';
import { eventually } from '../../support/eventually.ts';
import { content, download, OWNER, refused, send, sendRaw, text, turnsUntil } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

function digest(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha-256'): Digest {
  const hash = createHash(algorithm === 'sha-256' ? 'sha256' : 'sha512');
  return { algorithm, value: new Uint8Array(hash.update(bytes).digest()) };
}

function base64({ value }: Digest): string {
  return Buffer.from(value).toString('base64');
}

for (const algorithm of ['sha-256', 'sha-512'] as const) {
  test(`Content-Digest ${algorithm} covers header and data, even over several segments and stored bytes`, async (t) => {
    const { engine } = await startEngine(t);
    const bytes = content(0, 3_000_000);
    const contentDigest = digest(encodeChunk(0, bytes), algorithm);
    assert.equal((await send(engine, 'f', 0, bytes, { contentDigest })).bytes_received, bytes.length);
    assert.equal((await send(engine, 'f', 0, bytes, { contentDigest })).chunk?.duplicate, true);
    const more = content(2_999_990, 20);
    const overlapping = digest(encodeChunk(2_999_990, more), algorithm);
    const status = await send(engine, 'f', 2_999_990, more, { contentDigest: overlapping });
    assert.equal(status.bytes_received, bytes.length + 10);
  });
}

test('a Content-Digest of the data alone or of other bytes is refused with 400 checksum_mismatch', async (t) => {
  const { engine } = await startEngine(t);
  const bytes = text('abc');
  const dataAlone = digest(bytes);
  const error = await refused(send(engine, 'f', 0, bytes, { contentDigest: dataAlone }), 'checksum_mismatch');
  assert.match(error.message, /Checksum validation failed.*Content-Digest/);
  assert.equal(error.members.expected, base64(dataAlone));
  assert.equal(error.members.actual, base64(digest(encodeChunk(0, bytes))));
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
});

test('the Content-Digest of a duplicate for a complete file is checked too', async (t) => {
  const { engine } = await startEngine(t);
  const bytes = text('abc');
  await send(engine, 'f', 0, bytes, { declaredSize: 3 });
  const right = { contentDigest: digest(encodeChunk(0, bytes)) };
  assert.equal((await send(engine, 'f', 0, bytes, right)).chunk?.duplicate, true);
  await refused(send(engine, 'f', 0, bytes, { contentDigest: digest(bytes) }), 'checksum_mismatch');
});

test('a duplicate for a complete file with another Repr-Digest is refused with 409 file_complete', async (t) => {
  const { engine } = await startEngine(t);
  const said = { declaredSize: 5, reprDigest: digest(text('01234')) };
  await send(engine, 'f', 0, text('01234'), said);
  assert.equal((await send(engine, 'f', 0, text('01234'), said)).chunk?.duplicate, true);
  const other = { ...said, reprDigest: digest(text('56789')) };
  const error = await refused(send(engine, 'f', 0, text('01234'), other), 'file_complete');
  assert.equal(error.members.expected, base64(said.reprDigest));
});

test('the Content-Digest of an empty body is checked', async (t) => {
  const { engine } = await startEngine(t);
  const empty = new Uint8Array();
  const wrong = { declaredSize: 0, contentDigest: digest(text('x')) };
  await refused(sendRaw(engine, 'f', empty, wrong), 'checksum_mismatch');
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  const right = { declaredSize: 0, contentDigest: digest(empty) };
  assert.equal((await sendRaw(engine, 'f', empty, right)).status, 'complete');
});

test('a file with a matching Repr-Digest is complete, and downloads have the digest', async (t) => {
  const run = await startEngine(t);
  const bytes = content(0, 100);
  const reprDigest = digest(bytes);
  await send(run.engine, 'f', 50, bytes.subarray(50), { declaredSize: 100, reprDigest });
  assert.equal((await send(run.engine, 'f', 0, bytes.subarray(0, 50))).status, 'complete');
  for (const again of [async () => {}, run.restart]) {
    await again();
    const file = await run.engine.open(OWNER, 'f');
    assert.deepEqual(file.reprDigest, reprDigest);
    file.release();
  }
});

test('a wrong Repr-Digest is refused with 400 digest_mismatch and discards the upload', async (t) => {
  const run = await startEngine(t);
  const bytes = content(0, 100);
  const wrong = digest(text('something else'));
  await send(run.engine, 'f', 0, bytes.subarray(0, 50), { declaredSize: 100, reprDigest: wrong });
  const error = await refused(send(run.engine, 'f', 50, bytes.subarray(50)), 'digest_mismatch');
  assert.deepEqual(
    { ...error.members },
    {
      expected: base64(wrong),
      actual: base64(digest(bytes)),
      header: 'Repr-Digest',
      algorithm: 'sha-256',
      provided_digest: base64(wrong),
    },
  );
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  await refused(run.engine.open(OWNER, 'f'), 'not_found');
  assert.deepEqual(await run.deps.blobs.list(), []);
  await run.restart();
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  const status = await send(run.engine, 'f', 0, bytes, { declaredSize: 100, reprDigest: digest(bytes) });
  assert.equal(status.status, 'complete');
});

test('a Repr-Digest that differs from the declared one is refused with 400, and the first one stays', async (t) => {
  const { engine } = await startEngine(t);
  const bytes = content(0, 100);
  await send(engine, 'f', 0, bytes.subarray(0, 50), { declaredSize: 100, reprDigest: digest(bytes) });
  await refused(send(engine, 'f', 50, bytes.subarray(50), { reprDigest: digest(text('x')) }), 'invalid_request');
  await refused(send(engine, 'f', 50, bytes.subarray(50), { reprDigest: digest(bytes, 'sha-512') }), 'invalid_request');
  assert.equal((await send(engine, 'f', 50, bytes.subarray(50), { reprDigest: digest(bytes) })).status, 'complete');
});

test('an upload with a Repr-Digest and no size is complete only after the seal', async (t) => {
  const { engine } = await startEngine(t);
  const bytes = content(0, 100);
  const first = await send(engine, 'f', 0, bytes.subarray(0, 50), { reprDigest: digest(bytes) });
  assert.deepEqual([first.status, first.readable], ['partial', false], 'these bytes were not compared with the digest');
  assert.equal((await send(engine, 'f', 50, bytes.subarray(50))).status, 'partial');
  const sealed = await engine.complete(OWNER, 'f');
  assert.equal(sealed.status, 'complete');
  assert.deepEqual(await download(engine, 'f'), Buffer.from(bytes));
});

test('completing other bytes than the Repr-Digest discards the upload', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('abc'), { reprDigest: digest(text('abcd')) });
  await refused(engine.complete(OWNER, 'f'), 'digest_mismatch');
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
});

test('the Repr-Digest of an empty file is checked', async (t) => {
  const { engine } = await startEngine(t);
  const empty = new Uint8Array();
  await refused(sendRaw(engine, 'f', empty, { declaredSize: 0, reprDigest: digest(text('x')) }), 'digest_mismatch');
  assert.equal((await engine.status(OWNER, 'f')).status, 'pending');
  const status = await sendRaw(engine, 'f', empty, { declaredSize: 0, reprDigest: digest(empty) });
  assert.equal(status.status, 'complete');
});

test('a replacement with a wrong digest leaves the complete file', async (t) => {
  const { engine } = await startEngine(t);
  const old = await send(engine, 'f', 0, text('old'), { declaredSize: 3 });
  const said = { overwrite: true, declaredSize: 3, reprDigest: digest(text('xyz')) };
  await refused(send(engine, 'f', 0, text('new'), said), 'digest_mismatch');
  assert.equal((await engine.status(OWNER, 'f')).id, old.id);
  assert.deepEqual(await download(engine, 'f'), Buffer.from('old'));
});

test('duplicates that arrive while the digest is computed get its outcome', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap });
  const bytes = content(0, 100);
  for (const [name, reprDigest, status] of [
    ['good', digest(bytes), 'complete'],
    ['bad', digest(text('x')), 'pending'],
  ] as const) {
    const gate = tap.hold('inspector.digest');
    const last = send(run.engine, name, 0, bytes, { declaredSize: 100, reprDigest });
    last.catch(() => {});
    await gate.reached;
    assert.equal((await run.engine.status(OWNER, name)).readable, false, 'not before the digest was compared');
    await assert.rejects(download(run.engine, name), /not readable/);
    const repeat = send(run.engine, name, 0, bytes);
    repeat.catch(() => {});
    await run.quiet();
    gate.open();
    const outcomes = await Promise.allSettled([last, repeat]);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      status === 'complete' ? ['fulfilled', 'fulfilled'] : ['rejected', 'rejected'],
    );
    assert.equal((await run.engine.status(OWNER, name)).status, status);
    assert.equal(tap.calls.filter((call) => call === 'inspector.digest').length, 1, 'read once, not once a request');
    tap.reset();
  }
});

test('a digest that a crash interrupted is computed after the next start, while requests are served', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap });
  const bytes = content(0, 100);
  // The next start does not wait for a digest: each outcome is awaited before the next crash.
  const crashDuringDigest = async (name: string, reprDigest: Digest): Promise<void> => {
    const gate = tap.hold('inspector.digest');
    const reply = send(run.engine, name, 0, bytes, { declaredSize: 100, reprDigest });
    reply.catch(() => {});
    await gate.reached;
    const crashed = run.crash();
    gate.open();
    await crashed;
    await reply.catch(() => {});
  };

  await crashDuringDigest('good', digest(bytes));
  await eventually(async () => (await run.engine.status(OWNER, 'good')).status === 'complete', 'the end of the seal');
  assert.deepEqual(await download(run.engine, 'good'), Buffer.from(bytes));
  assert.ok(run.warnings.length === 0);

  await crashDuringDigest('bad', digest(text('x')));
  await turnsUntil(() => run.warnings.length > 0);
  assert.match(run.warnings[0]?.message ?? '', /interrupted seal/);
  assert.equal((await run.engine.status(OWNER, 'bad')).status, 'pending');
  assert.equal((await run.engine.status(OWNER, 'good')).status, 'complete');
});
