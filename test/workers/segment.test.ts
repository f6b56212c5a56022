import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SegmentRange } from '../../src/contracts/blobs.ts';
import { sum256 } from '../../src/protocol/chunk.ts';
import { crc32 } from '../../src/protocol/crc32.ts';
import { packJob, unpackOutcome, writeSegment } from '../../workers/segment.ts';
import { temporaryFolder } from '../support/disk/storage.ts';

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

test('a job and its result survive the transfer to a worker and back', () => {
  const buffer = new ArrayBuffer(8);
  const ranges: SegmentRange[] = [
    { extent: { start: 2 ** 40, end: 2 ** 40 + 3 }, action: 'write' },
    { extent: { start: 2 ** 40 + 4, end: 2 ** 40 + 7 }, action: 'compare' },
  ];
  const task = packJob(7, { buffer, length: 8, start: 2 ** 40, ranges });
  assert.deepEqual(structuredClone(task.plan), [2 ** 40, 2 ** 40 + 3, 1, 2 ** 40 + 4, 2 ** 40 + 7, 0]);
  assert.equal(task.fd, 7);
  const result = unpackOutcome({ buffer, sums: [1, 2, 1, 3, 4, 5, 6], failure: null });
  assert.deepEqual(result, {
    ...{ buffer, sum: 1, crc32: 2, conflict: true, conflictAt: 1 },
    ...{ rangeCrcs: [3, 5], rangeSums: [4, 6] },
  });
});

test('checksums are correct even if the write fails, and the failure is returned with the buffer', async (t) => {
  const file = await open(join(await temporaryFolder(t), 'part'), 'wx');
  await file.close();
  const reading = await open(join(await temporaryFolder(t), 'other'), 'wx');
  const bytes = randomBytes(1000);
  const ranges: SegmentRange[] = [{ extent: { start: 0, end: 999 }, action: 'write' }];
  const buffer = bufferOf(bytes);
  // A descriptor that is not open.
  const outcome = writeSegment(packJob(99_999, { buffer, length: 1000, start: 0, ranges }));
  await reading.close();
  assert.equal(outcome.failure?.code, 'EBADF');
  assert.equal(outcome.buffer, buffer);
  const result = unpackOutcome(outcome);
  assert.equal(result.sum, sum256(bytes));
  assert.equal(result.crc32, crc32(bytes));
});

test('a full device is reported as ENOSPC', async (t) => {
  const full = await open('/dev/full', 'r+').catch(() => null);
  if (full === null) return t.skip('this system has no /dev/full');
  const ranges: SegmentRange[] = [{ extent: { start: 0, end: 99 }, action: 'write' }];
  const outcome = writeSegment(packJob(full.fd, { buffer: new ArrayBuffer(100), length: 100, start: 0, ranges }));
  await full.close();
  assert.equal(outcome.failure?.code, 'ENOSPC');
});

test('a conflict in one range prevents its write and those of the ranges after it', async (t) => {
  const file = await open(join(await temporaryFolder(t), 'part'), 'wx+');
  await file.write(Buffer.from('AAAA'), 0, 4, 4);
  const ranges: SegmentRange[] = [
    { extent: { start: 0, end: 3 }, action: 'write' },
    { extent: { start: 4, end: 7 }, action: 'compare' },
    { extent: { start: 8, end: 11 }, action: 'write' },
  ];
  const outcome = writeSegment(
    packJob(file.fd, { buffer: bufferOf(Buffer.from('xxxxAAABzzzz')), length: 12, start: 0, ranges }),
  );
  assert.equal(unpackOutcome(outcome).conflictAt, 1);
  const stored = await file.readFile();
  await file.close();
  assert.deepEqual(stored, Buffer.from('xxxxAAAA'));
});

test('ranges may lie anywhere in the file, each with checksums of its own', async (t) => {
  const file = await open(join(await temporaryFolder(t), 'part'), 'wx+');
  await file.write(Buffer.from('stored'), 0, 6, 0);
  const ranges: SegmentRange[] = [
    { extent: { start: 10, end: 13 }, action: 'write' },
    { extent: { start: 14, end: 15 }, action: 'write' },
    { extent: { start: 0, end: 5 }, action: 'compare' },
    { extent: { start: 6, end: 8 }, action: 'write' },
  ];
  const parts = ['abcd', 'ef', 'stored', 'xyz'].map((text) => Buffer.from(text));
  const buffer = bufferOf(Buffer.concat(parts));
  const result = unpackOutcome(
    writeSegment(packJob(file.fd, { buffer, length: buffer.byteLength, start: 10, ranges })),
  );
  const stored = await file.readFile();
  await file.close();
  assert.deepEqual(stored, Buffer.from('storedxyz\0abcdef'));
  assert.equal(result.conflictAt, null);
  assert.deepEqual(
    result.rangeCrcs,
    parts.map((part) => crc32(part)),
  );
  assert.deepEqual(
    result.rangeSums,
    parts.map((part) => sum256(part)),
  );
});
