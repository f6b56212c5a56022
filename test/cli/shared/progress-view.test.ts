import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressLine } from '../../../src/cli/shared/progress-view.ts';
import type { Progress } from '../../../src/client/transfer/meter.ts';

const MIB = 1024 * 1024;
const half: Progress = { done: 40 * MIB, moving: 10 * MIB, total: 100 * MIB, before: 0, rate: 5 * MIB, left: 10 };

test('the line shows name, bar, percentage, sizes, rate and remaining time', () => {
  assert.equal(
    progressLine('movie.mkv', half, 100),
    `movie.mkv [${'='.repeat(19)}>${' '.repeat(17)}]  50 %  50.0 MiB of 100 MiB  5.0 MiB/s  0:10 left`,
  );
});

test('the line fits terminals of any width', () => {
  for (let columns = 10; columns < 300; columns += 1) {
    for (const file of ['f', 'a name that is much longer than any terminal should have to show in full.tar.gz']) {
      const line = progressLine(file, half, columns);
      assert.ok(line.length < columns, `${line.length} of ${columns}: ${line}`);
    }
  }
});

test('a stalled transfer is shown as waiting, and a complete one as a full bar', () => {
  assert.match(progressLine('f', { ...half, rate: 0, left: null }, 100), /0 B\/s {2}waiting$/);
  assert.match(progressLine('f', { ...half, done: 100 * MIB, moving: 0, left: 0 }, 100), /\[=+\] 100 %/);
  assert.match(progressLine('f', { ...half, done: 0, moving: 0, total: 0 }, 100), /\[=+\] 100 %/);
});

test('without a known size, the line has no bar and no remaining time', () => {
  assert.equal(
    progressLine('live.ts', { ...half, moving: 0, total: null, left: null }, 100),
    'live.ts  40.0 MiB  5.0 MiB/s',
  );
});
