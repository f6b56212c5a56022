import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Events } from '../../src/events/events.ts';
import type { FileDocument } from '../../src/records/file.ts';
import { clockOf } from '../support/product/clock.ts';

const FILE: FileDocument = {
  id: '0'.repeat(32),
  owner: 'acme/camera',
  name: 'a.wav',
  state: 'open',
  size: 26,
  contentType: null,
  reprDigest: null,
  crc32: null,
  createdAt: 0,
  updatedAt: 0,
  completedAt: null,
  replaces: null,
};

function drain(events: Events, position: { next: number; lost: boolean }): number {
  let count = 0;
  while (events.read(position)) {
    position.next += 1;
    count += 1;
  }
  return count;
}

test('the ring keeps the newest events, and a slow reader learns that it lost some', () => {
  const events = new Events(clockOf(() => 0));
  const slow = events.positionAfter(null);
  const fast = events.positionAfter(null);
  let received = 0;
  for (let n = 0; n < 20_000; n += 1) {
    events.emitFileEvent({ type: 'file.created', file: FILE });
    received += drain(events, fast);
  }
  assert.equal(received, 20_000);
  assert.equal(fast.lost, false);
  const kept = drain(events, slow);
  assert.equal(slow.lost, true);
  assert.equal(kept, 8192);
  events.close();
});

test('chunk events of a file are combined and emitted before later events', () => {
  const events = new Events(clockOf(() => 0));
  const position = events.positionAfter(null);
  for (let n = 1; n <= 1000; n += 1) {
    events.emitFileEvent({ type: 'chunk.received', file: FILE, fresh: 10, received: 10 * n, total: 26_000 });
  }
  assert.equal(events.read(position), null);
  events.emitFileEvent({ type: 'file.deleted', file: FILE });
  const { event } = events.read(position) ?? assert.fail();
  assert.deepEqual(
    [event.type, event.chunks, event.chunk_bytes, event.bytes_received, event.total_bytes],
    ['chunk.received', 1000, 10_000, 10_000, 26_000],
  );
  assert.deepEqual([event.tenant, event.owner], ['acme', 'camera']);
  position.next += 1;
  assert.equal(events.read(position)?.event.type, 'file.deleted');
  events.close();
});
