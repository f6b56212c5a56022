import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../../src/protocol/sizes.ts';

test('sizes are parsed with and without units', () => {
  const sizes: [string, number | null][] = [
    [' 7 ', 7],
    ['7b', 7],
    ['2K', 2048],
    ['2KB', 2000],
    ['2  kib', 2048],
    ['0.5M', 512 * 1024],
    ['1.5', 1.5],
    ['1g', 1024 ** 3],
    ['1TB', 1e12],
    ['1TiB', 1024 ** 4],
    ['', null],
    ['B', null],
    ['1iB', null],
    ['-1', null],
    ['+1', null],
    ['1e3', null],
    ['0x10', null],
    ['.5K', null],
    ['1 PiB', null],
  ];
  for (const [text, bytes] of sizes) assert.equal(bytesOf(text), bytes, text);
});
