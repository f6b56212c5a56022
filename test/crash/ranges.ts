/** Ranges of bytes in the crash tests, as an array with one cell for each byte. */
import assert from 'node:assert/strict';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import type { Extents } from './remote.ts';

/** The bytes that a status object reports as stored: 1 for each such byte. */
export function storedIn(status: FileStatus, size: number): Uint8Array {
  assert.ok(!status.missing_more, 'more gaps than this test creates');
  assert.ok((status.total_bytes ?? 0) <= size);
  const stored = new Uint8Array(size);
  stored.fill(1, 0, status.total_bytes ?? 0);
  for (const [start, end] of status.missing) stored.fill(0, start, end + 1);
  assert.equal(
    stored.reduce((sum, cell) => sum + cell, 0),
    status.bytes_received,
  );
  return stored;
}

/** The ranges of cells that have this value, with inclusive ends. */
export function runsOf(cells: Uint8Array, value: number): Extents {
  const runs: Extents = [];
  for (let from = cells.indexOf(value); from >= 0; from = cells.indexOf(value, from)) {
    const next = cells.indexOf(1 - value, from);
    const end = next < 0 ? cells.length : next;
    runs.push([from, end - 1]);
    from = end;
  }
  return runs;
}
