import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import {
  formatSeconds,
  formatSize,
  parseCount,
  parseDuration,
  parseRange,
  parseSize,
  table,
} from '../../../src/cli/shared/values.ts';

test('sizes have binary and decimal units', () => {
  const valid: [string, number][] = [
    ['1', 1],
    ['1048576', 1048576],
    ['10B', 10],
    ['512K', 524288],
    ['8MiB', 8388608],
    ['5MB', 5_000_000],
    ['1.5 g', 1610612736],
    ['2tib', 2199023255552],
  ];
  for (const [text, bytes] of valid) assert.equal(parseSize(text), bytes, text);
  for (const text of ['', '0', '-1', 'K', '8 MiBs', '1e3', '99999999T', '8iB']) {
    assert.throws(() => parseSize(text), InvalidArgumentError, text);
  }
});

test('counts are positive whole numbers, and times have units', () => {
  assert.equal(parseCount('12'), 12);
  for (const text of ['0', '-1', '1.5', 'x', '']) assert.throws(() => parseCount(text), InvalidArgumentError, text);
  const times: [string, number][] = [
    ['90', 90_000],
    ['0', 0],
    ['1.5s', 1500],
    ['15m', 900_000],
    ['1h', 3_600_000],
    ['2d', 172_800_000],
    ['50ms', 50],
  ];
  for (const [text, ms] of times) assert.equal(parseDuration(text), ms, text);
  for (const text of ['', 'h', '-1s', '1w', '9'.repeat(400), '36501d', '1e18'])
    assert.throws(() => parseDuration(text), InvalidArgumentError, text);
});

test('ranges are closed, open or a suffix', () => {
  assert.deepEqual(parseRange('0-99'), { start: 0, end: 99 });
  assert.deepEqual(parseRange('7-7'), { start: 7, end: 7 });
  assert.deepEqual(parseRange('100-'), { start: 100 });
  assert.deepEqual(parseRange('-100'), { suffix: 100 });
  for (const text of ['-', '', '9-3', '-0', '1-2,4-5', 'a-b', '5'])
    assert.throws(() => parseRange(text), InvalidArgumentError, text);
});

test('sizes and times are formatted for people', () => {
  const sizes: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'],
    [312 * 1024 ** 3, '312 GiB'],
    [5000 * 1024 ** 4, '5000 TiB'],
  ];
  for (const [bytes, text] of sizes) assert.equal(formatSize(bytes), text);
  const times: [number, string][] = [
    [0, '0:00'],
    [6.2, '0:07'],
    [760, '12:40'],
    [11100, '3:05:00'],
  ];
  for (const [seconds, text] of times) assert.equal(formatSeconds(seconds), text);
});

test('tables align their columns', () => {
  assert.equal(
    table(
      [
        ['1', 'a', 'x'],
        ['200', 'bcd', ''],
      ],
      [0],
    ),
    '  1  a    x\n200  bcd',
  );
});
