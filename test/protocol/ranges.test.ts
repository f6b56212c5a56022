import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Extent } from '../../src/protocol/extents.ts';
import { formatContentRange } from '../../src/protocol/http/content-range.ts';
import { MAX_PARTS, parseRange } from '../../src/protocol/http/ranges.ts';

/** Extents as `a-b` strings, or the kind if it has no extents. */
function selected(value: string, size: number | null): string {
  const selection = parseRange(value, size);
  return selection.kind === 'parts'
    ? selection.extents.map(({ start, end }) => `${start}-${end}`).join(' ')
    : selection.kind;
}

function check(size: number | null, cases: [string, string][]): void {
  for (const [value, expected] of cases) assert.equal(selected(value, size), expected, value);
}

test('R2 both positions of a range are inclusive, and the last one is optional', () => {
  check(26, [
    ['bytes=0-0', '0-0'],
    ['bytes=5-15', '5-15'],
    ['bytes=25-25', '25-25'],
    ['bytes=10-', '10-25'],
    ['bytes=007-010', '7-10'],
  ]);
});

test('R2 the unit is case-insensitive, and blanks and empty elements are allowed between ranges', () => {
  check(26, [
    ['Bytes=0-4', '0-4'],
    ['bytes= 0-4 ', '0-4'],
    ['bytes=,0-4,\t,10-14,', '0-4 10-14'],
  ]);
});

test('R3 a last position past the end is clipped', () => {
  check(26, [
    ['bytes=20-26', '20-25'],
    ['bytes=0-99999999999999999999999999', '0-25'],
  ]);
});

test('R4 a suffix counts from the end, and one longer than the file selects all of it', () => {
  check(26, [
    ['bytes=-1', '25-25'],
    ['bytes=-26', '0-25'],
    ['bytes=-27', '0-25'],
    ['bytes=-99999999999999999999999999', '0-25'],
  ]);
});

test('R5 R6 ranges that select no existing byte are unsatisfiable', () => {
  check(26, [
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=26-', 'unsatisfiable'],
    ['bytes=26-30,-0', 'unsatisfiable'],
    ['bytes=99999999999999999999-', 'unsatisfiable'],
  ]);
  check(0, [
    ['bytes=0-0', 'unsatisfiable'],
    ['bytes=0-', 'unsatisfiable'],
    ['bytes=-5', 'whole'],
    ['bytes=0-,-5', 'whole'],
    ['bytes=-0', 'unsatisfiable'],
  ]);
  check(Number.MAX_SAFE_INTEGER, [['bytes=9007199254740991-', 'unsatisfiable']]);
});

test('R7 unsatisfiable ranges of a set are dropped', () => {
  check(26, [
    ['bytes=30-40,5-6', '5-6'],
    ['bytes=0-1,26-,-2', '0-1 24-25'],
  ]);
});

test('R8 several ranges keep the requested order, and two may overlap or touch', () => {
  check(26, [
    ['bytes=10-14,0-4', '10-14 0-4'],
    ['bytes=0-4,5-9', '0-4 5-9'],
    ['bytes=0-5,3-8', '0-5 3-8'],
    ['bytes=3-8, 0-5, 20-22', '3-8 0-5 20-22'],
  ]);
});

test('R10 more than two overlapping ranges are joined', () => {
  check(1000, [
    ['bytes=20-30,0-10,5-25', '0-30'],
    ['bytes=0-10,5-15,8-20,900-950', '0-20 900-950'],
  ]);
});

test('R10 a set longer than the file is joined', () => {
  check(26, [
    ['bytes=0-,0-', '0-25'],
    ['bytes=-26,0-25', '0-25'],
  ]);
});

test('R10 thousands of ranges are joined if they are close, and ignored if they would make too many parts', () => {
  const every = (step: number) =>
    `bytes=${Array.from({ length: 3000 }, (_, i) => `${i * step}-${i * step}`).join(',')}`;
  check(10 ** 9, [
    [every(2), '0-5998'],
    [every(1000), 'whole'],
    [`bytes=${'0-,'.repeat(5000)}`, '0-999999999'],
  ]);
  const most = Array.from({ length: MAX_PARTS }, (_, i) => `${i * 1000}-${i * 1000}`);
  assert.equal(selected(`bytes=${most.join(',')}`, 10 ** 9), most.join(' '));
});

test('R10 an oversized field is ignored', () => {
  assert.equal(selected(`bytes=${'1-1,'.repeat(1_000_000)}`, 26), 'whole');
});

test('R11 a field with a syntax error is ignored', () => {
  const wrong = [
    '5-4',
    '-',
    '--5',
    '5',
    'a-b',
    '1-2-3',
    '0x1-5',
    '1.0-2',
    '+1-2',
    ' ',
    '',
    ',',
    '0-4 5-9',
    '0-4;5-9',
    '1e3-',
  ];
  for (const set of wrong) check(26, [[`bytes=${set}`, 'whole']]);
  check(26, [
    ['bytes=0-4,5-4', 'whole'],
    ['bytes', 'whole'],
    ['bytes 0-4', 'whole'],
    ['=0-4', 'whole'],
    ['', 'whole'],
    ['bytes =0-4', 'whole'],
    ['bytes=0-4,\u00a05-9', 'whole'],
  ]);
});

test('R12 another unit is ignored', () => {
  check(26, [
    ['items=0-4', 'whole'],
    ['seconds=1-2', 'whole'],
  ]);
});

test('while the size is unknown, closed ranges are selected and others need the size', () => {
  check(null, [
    ['bytes=5-15', '5-15'],
    ['bytes=0-4,10-14', '0-4 10-14'],
    ['bytes=5-', 'size_needed'],
    ['bytes=-5', 'size_needed'],
    ['bytes=0-4,-5', 'size_needed'],
    ['bytes=4-3', 'whole'],
  ]);
});

test('Content-Range has * for an unknown size', () => {
  assert.equal(formatContentRange({ range: { start: 5, end: 15 }, size: 26 }), 'bytes 5-15/26');
  assert.equal(formatContentRange({ range: { start: 5, end: 15 }, size: null }), 'bytes 5-15/*');
});

test('any set of ranges selects all bytes that it names, within the file and in a bounded number of parts', () => {
  const spec = fc.oneof(
    fc.tuple(fc.nat(60), fc.nat(60)).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    fc.nat(60).map((a) => `${a}-`),
    fc.nat(60).map((a) => `-${a}`),
  );
  fc.assert(
    fc.property(fc.array(spec, { minLength: 1, maxLength: 12 }), fc.nat(50), (specs, size) => {
      const named = new Set(specs.flatMap((text) => bytesOf(text, size)));
      const selection = parseRange(`bytes=${specs.join(',')}`, size, 8);
      if (selection.kind !== 'parts') {
        const whole = named.size > 0 || (size === 0 && specs.some((text) => text.startsWith('-') && text !== '-0'));
        assert.equal(selection.kind, whole ? 'whole' : 'unsatisfiable');
        return;
      }
      assert.ok(selection.extents.length <= 8);
      const sent = selection.extents.flatMap(numbers);
      for (const byte of sent) assert.ok(byte >= 0 && byte < size);
      assert.ok(sent.length <= Math.max(size, 1), 'never more than the file');
      assert.deepEqual(
        [...named].filter((byte) => !sent.includes(byte)),
        [],
      );
    }),
  );
});

function bytesOf(text: string, size: number): number[] {
  const [first = '', last = ''] = text.split('-');
  const all = numbers({ start: 0, end: size - 1 });
  if (first === '') return Number(last) === 0 ? [] : all.slice(-Number(last));
  return all.filter((byte) => byte >= Number(first) && byte <= (last === '' ? size : Number(last)));
}

function numbers({ start, end }: Extent): number[] {
  return Array.from({ length: Math.max(end - start + 1, 0) }, (_, index) => start + index);
}
