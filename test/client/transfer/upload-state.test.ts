import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UploadState } from '../../../src/client/transfer/upload-state.ts';
import { LadingError } from '../../../src/errors.ts';
import { crc32 } from '../../../src/protocol/crc32.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';

function status(over: Partial<FileStatus>): FileStatus {
  return {
    filename: 'f',
    status: 'partial',
    bytes_received: 0,
    total_bytes: null,
    next_expected_byte: 0,
    id: 'one',
    readable: false,
    missing: [],
    missing_more: false,
    crc32: null,
    etag: null,
    content_type: null,
    created_at: null,
    updated_at: null,
    completed_at: null,
    expires_at: null,
    ...over,
  };
}

const pending = status({ status: 'pending', id: null });
const rest = (ledger: UploadState) => {
  const pieces: [number, number][] = [];
  for (let piece = ledger.plan.take(1000); piece !== null; piece = ledger.plan.take(1000))
    pieces.push([piece.start, piece.end]);
  return pieces;
};

test('an unknown name is planned whole', () => {
  const ledger = new UploadState(100);
  ledger.adopt(pending);
  assert.deepEqual(rest(ledger), [[0, 99]]);
});

test('a partial upload is planned by its gaps, and past what an undeclared one has reached', () => {
  const ledger = new UploadState(100);
  ledger.adopt(
    status({
      total_bytes: 50,
      bytes_received: 30,
      missing: [
        [10, 19],
        [30, 39],
      ],
    }),
  );
  assert.equal(ledger.storedBytes, 30);
  assert.deepEqual(rest(ledger), [
    [10, 19],
    [30, 39],
    [50, 99],
  ]);
});

test('bytes on their way are not planned again', () => {
  const ledger = new UploadState(100);
  ledger.inFlight.add({ start: 20, end: 39 });
  ledger.adopt(status({ total_bytes: 100, missing: [[10, 99]] }));
  assert.deepEqual(rest(ledger), [
    [10, 19],
    [40, 99],
  ]);
});

test('overwrite is said only until the replacement has an id of its own', () => {
  const ledger = new UploadState(100);
  ledger.replace('old');
  ledger.adopt(status({ status: 'complete', id: 'old', total_bytes: 50, bytes_received: 50 }));
  assert.equal(ledger.replacing, 'old');
  assert.equal(ledger.storedBytes, 0);
  assert.deepEqual(rest(ledger), [[0, 99]]);
  ledger.acknowledged({ start: 0, end: 9 }, 1, status({ id: 'new', total_bytes: 100, bytes_received: 10 }));
  assert.equal(ledger.replacing, null);
  const lost = new UploadState(100);
  lost.replace('old');
  lost.adopt(status({ id: 'new', total_bytes: 100, bytes_received: 10, missing: [[10, 99]], readable: true }));
  assert.equal(lost.replacing, null, 'the reply was lost, but the status shows the replacement');
  assert.deepEqual(rest(lost), [[10, 99]]);
});

test('a complete file of another size is in the way', () => {
  const complete = status({ status: 'complete', total_bytes: 50, bytes_received: 50 });
  assert.throws(
    () => new UploadState(100).adopt(complete),
    (error) => error instanceof LadingError && error.code === 'file_complete',
  );
});

test('the CRC-32 of the whole is known when this run sent all of one upload', () => {
  const bytes = Uint8Array.from({ length: 30 }, (_, i) => i * 7);
  const ledger = new UploadState(30);
  ledger.adopt(pending);
  const send = (start: number, end: number, id = 'one') =>
    ledger.acknowledged({ start, end }, crc32(bytes.subarray(start, end + 1)), status({ id, total_bytes: 30 }));
  send(20, 29);
  send(0, 9);
  assert.equal(ledger.crc32(), null);
  send(10, 19);
  assert.equal(ledger.crc32(), crc32(bytes));
  assert.equal(ledger.sentBytes, 30);
  send(0, 9, 'two');
  assert.equal(ledger.crc32(), null, 'another upload has the name now: what was sent before is not in it');
});
