import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { crc32 } from '../../src/protocol/crc32.ts';
import run, { digestRange, verifyRecords } from '../../workers/inspect.ts';
import { temporaryFolder } from '../support/disk/storage.ts';

const bytes = randomBytes(3_000_000);

async function stored(t: TestContext) {
  const file = await open(join(await temporaryFolder(t), 'blob'), 'wx+');
  t.after(() => file.close());
  await file.write(bytes, 0, bytes.length, 0);
  return file;
}

test('a digest covers a prefix and an extent of several steps', async (t) => {
  const { fd } = await stored(t);
  const extent = { start: 10, end: 2_900_000 };
  const prefix = Buffer.from('prefix');
  const expected = createHash('sha512').update(prefix).update(bytes.subarray(10, 2_900_001)).digest();
  assert.deepEqual(
    Buffer.from(digestRange({ kind: 'digest', algorithm: 'sha-512', prefix, parts: [{ fd, extent }] })),
    expected,
  );
});

test('missing and unreadable bytes are returned as a failure, not thrown', async (t) => {
  const { fd } = await stored(t);
  const prefix = new Uint8Array(0);
  const past = run({
    kind: 'digest',
    algorithm: 'sha-256',
    prefix,
    parts: [{ fd, extent: { start: 0, end: bytes.length } }],
  });
  assert.equal(past.kind, 'failure');
  const closed = run({ kind: 'verify', fd: 99_999, records: Float64Array.of(0, 0, 0), rewrite: false });
  assert.deepEqual(closed.kind === 'failure' && closed.failure.code, 'EBADF');
});

test('a rewrite changes neither correct nor damaged bytes', async (t) => {
  const file = await stored(t);
  const halves = [bytes.subarray(0, 1_500_000), bytes.subarray(1_500_000)];
  const records = Float64Array.from([0, 1_499_999, crc32(halves[0] ?? bytes), 1_500_000, 2_999_999, 1]);
  assert.deepEqual(verifyRecords({ kind: 'verify', fd: file.fd, records, rewrite: true }), [1]);
  const after = Buffer.alloc(bytes.length + 1);
  const { bytesRead } = await file.read(after, 0, after.length, 0);
  assert.equal(bytesRead, bytes.length);
  assert.ok(after.subarray(0, bytesRead).equals(bytes));
});
