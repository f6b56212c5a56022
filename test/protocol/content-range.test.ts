import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, LadingError } from '../../src/errors.ts';
import { type ContentRange, formatContentRange, parseContentRange } from '../../src/protocol/http/content-range.ts';

const fails = (code: ErrorCode) => (error: unknown) => error instanceof LadingError && error.code === code;

const VALID: [string, ContentRange][] = [
  ['bytes 0-4/10', { range: { start: 0, end: 4 }, size: 10 }],
  ['bytes 0-4/*', { range: { start: 0, end: 4 }, size: null }],
  ['bytes */10', { range: null, size: 10 }],
  ['bytes */0', { range: null, size: 0 }],
  ['Bytes 5-9/10', { range: { start: 5, end: 9 }, size: 10 }],
  [' bytes  5-9/10 ', { range: { start: 5, end: 9 }, size: 10 }],
  ['bytes 007-009/0010', { range: { start: 7, end: 9 }, size: 10 }],
  ['bytes 9007199254740991-9007199254740991/*', { range: { start: 2 ** 53 - 1, end: 2 ** 53 - 1 }, size: null }],
  ['bytes 0-0/9007199254740991', { range: { start: 0, end: 0 }, size: 2 ** 53 - 1 }],
];

for (const [value, expected] of VALID) {
  test(`${JSON.stringify(value)} is parsed`, () => {
    assert.deepEqual(parseContentRange(value), expected);
  });
}

const INVALID = [
  '',
  'bytes',
  'bytes */*',
  'bytes 5-4/10',
  'bytes 5-4/*',
  'bytes 0-4',
  'bytes 0-/10',
  'bytes -4/10',
  'bytes=0-4/10',
  'bytes0-4/10',
  'items 0-4/10',
  'bytes 0-4/-10',
  'bytes 0-4/+10',
  'bytes 0-4/1e3',
  'bytes 0-4/0x10',
  'bytes 0-4.0/10',
  'bytes 0 - 4/10',
  'bytes 0-4/10, bytes 5-9/10',
  'bytes 0-4/9007199254740992',
  'bytes 0-9007199254740992/*',
  `bytes 0-${'9'.repeat(400)}/*`,
  'bytes ٠-٤/10',
];

for (const value of INVALID) {
  test(`${JSON.stringify(value.slice(0, 60))} is refused`, () => {
    assert.throws(() => parseContentRange(value), fails('invalid_request'));
  });
}

test('a range past its own size is refused as out of bounds', () => {
  for (const value of ['bytes 0-10/10', 'bytes 10-10/10', 'bytes 0-0/0', 'bytes 5-9007199254740991/6']) {
    assert.throws(() => parseContentRange(value), fails('out_of_bounds'), value);
  }
});

const number = fc.oneof(fc.maxSafeNat(), fc.nat(100));
const range = fc.tuple(number, number).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));

test('a formatted value parses to the same value', () => {
  const field = fc.oneof(
    range.map((r) => ({ range: r, size: null })),
    number.map((size) => ({ range: null, size })),
    fc
      .tuple(range, fc.nat(5))
      .filter(([r]) => r.end < Number.MAX_SAFE_INTEGER - 6)
      .map(([r, more]) => ({ range: r, size: r.end + 1 + more })),
  );
  fc.assert(
    fc.property(field, (value: ContentRange) => {
      assert.deepEqual(parseContentRange(formatContentRange(value)), value);
    }),
  );
});

test('any string is parsed to a valid range or refused', () => {
  const piece = fc.constantFrom('bytes', ' ', '0', '7', '-', '/', '*', '10', ',', '9007199254740993');
  const any = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 9 }).map((parts) => parts.join('')),
    fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9)).map(([a, b, n]) => `bytes ${a}-${b}/${n}`),
  );
  fc.assert(
    fc.property(any, (value) => {
      try {
        const { range: found, size } = parseContentRange(value);
        assert.ok(found !== null || size !== null);
        if (found !== null) assert.ok(found.start <= found.end && (size === null || found.end < size));
      } catch (error) {
        assert.ok(error instanceof LadingError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
