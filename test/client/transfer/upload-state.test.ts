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
const rest = (state: UploadState) => {
  const pieces: [number, number][] = [];
  for (let piece = state.plan.take(1000); piece !== null; piece = state.plan.take(1000))
    pieces.push([piece.start, piece.end]);
  return pieces;
};

test('for an unknown name, all bytes are planned', () => {
  const state = new UploadState(100);
  state.adopt(pending);
  assert.deepEqual(rest(state), [[0, 99]]);
});

test('for a partial upload, the gaps and all bytes past its size so far are planned', () => {
  const state = new UploadState(100);
  state.adopt(
    status({
      total_bytes: 50,
      bytes_received: 30,
      missing: [
        [10, 19],
        [30, 39],
      ],
    }),
  );
  assert.equal(state.storedBytes, 30);
  assert.deepEqual(rest(state), [
    [10, 19],
    [30, 39],
    [50, 99],
  ]);
});

test('bytes in flight are not planned again', () => {
  const state = new UploadState(100);
  state.inFlight.add({ start: 20, end: 39 });
  state.adopt(status({ total_bytes: 100, missing: [[10, 99]] }));
  assert.deepEqual(rest(state), [
    [10, 19],
    [40, 99],
  ]);
});

test('overwrite is sent only until the replacement has its own id', () => {
  const state = new UploadState(100);
  state.replace('old');
  state.adopt(status({ status: 'complete', id: 'old', total_bytes: 50, bytes_received: 50 }));
  assert.equal(state.replacing, 'old');
  assert.equal(state.storedBytes, 0);
  assert.deepEqual(rest(state), [[0, 99]]);
  state.acknowledged({ start: 0, end: 9 }, 1, status({ id: 'new', total_bytes: 100, bytes_received: 10 }));
  assert.equal(state.replacing, null);
  const lost = new UploadState(100);
  lost.replace('old');
  lost.adopt(status({ id: 'new', total_bytes: 100, bytes_received: 10, missing: [[10, 99]], readable: true }));
  assert.equal(lost.replacing, null, 'the reply was lost, but the status shows the replacement');
  assert.deepEqual(rest(lost), [[10, 99]]);
});

test('a complete file of a different size is a conflict', () => {
  const complete = status({ status: 'complete', total_bytes: 50, bytes_received: 50 });
  assert.throws(
    () => new UploadState(100).adopt(complete),
    (error) => error instanceof LadingError && error.code === 'file_complete',
  );
});

test('the CRC-32 of the file is known when this run sent all bytes of one upload', () => {
  const bytes = Uint8Array.from({ length: 30 }, (_, i) => i * 7);
  const state = new UploadState(30);
  state.adopt(pending);
  const send = (start: number, end: number, id = 'one') =>
    state.acknowledged({ start, end }, crc32(bytes.subarray(start, end + 1)), status({ id, total_bytes: 30 }));
  send(20, 29);
  send(0, 9);
  assert.equal(state.crc32(), null);
  send(10, 19);
  assert.equal(state.crc32(), crc32(bytes));
  assert.equal(state.sentBytes, 30);
  send(0, 9, 'two');
  assert.equal(state.crc32(), null, 'a new upload has the name and does not contain the bytes sent before');
});
