import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LadingError } from '../../src/errors.ts';
import { checkName } from '../../src/protocol/names.ts';

const refused = (error: unknown) => error instanceof LadingError && error.code === 'invalid_name';

const VALID = [
  'a',
  'a/b/c.bin',
  '...',
  '.hidden',
  'a..b/c.',
  ' spaced name ',
  'back\\slash',
  '%2e%2e',
  'отчёт.pdf',
  '日本語/ファイル',
  '👩‍🚀.png',
  'CON',
  'x'.repeat(1024),
  'é'.repeat(512),
  '😀'.repeat(256),
];

for (const name of VALID) {
  test(`the valid name ${JSON.stringify(name.slice(0, 24))} of ${Buffer.byteLength(name)} bytes is returned unchanged`, () => {
    assert.equal(checkName(name), name);
  });
}

const INVALID: [string, string][] = [
  ['empty', ''],
  ['.', '.'],
  ['..', '..'],
  ['leading slash', '/etc/passwd'],
  ['only a slash', '/'],
  ['trailing slash', 'a/'],
  ['empty segment', 'a//b'],
  ['parent segment at the start', '../a'],
  ['parent segment inside', 'a/../b'],
  ['parent segment at the end', 'a/..'],
  ['dot segment', 'a/./b'],
  ['NUL', 'a\0b'],
  ['line feed', 'a\nb'],
  ['carriage return', 'a\rb'],
  ['tab', 'a\tb'],
  ['DEL', 'a\x7f'],
  ['C1 control', 'a\x85b'],
  ['1025 bytes', 'x'.repeat(1025)],
  ['1025 bytes in 513 characters', `x${'é'.repeat(512)}`],
  ['lone high surrogate', 'a\ud800b'],
  ['lone low surrogate', '\udc00'],
  ['a megabyte', 'x'.repeat(1 << 20)],
];

for (const [what, name] of INVALID) {
  test(`an invalid name is refused: ${what}`, () => {
    assert.throws(() => checkName(name), refused);
  });
}

/** An independent implementation of the rules, over code points and segments instead of patterns. */
function isValid(name: string): boolean {
  const points = [...name].map((character) => character.codePointAt(0) ?? 0);
  const bytes = points.reduce((sum, p) => sum + (p < 0x80 ? 1 : p < 0x800 ? 2 : p < 0x10000 ? 3 : 4), 0);
  const clean = points.every((p) => p > 31 && !(p >= 127 && p <= 159) && !(p >= 0xd800 && p <= 0xdfff));
  return bytes <= 1024 && clean && name.split('/').every((segment) => !['', '.', '..'].includes(segment));
}

test('any string is either returned unchanged or refused, as the rules say', () => {
  const hostile = fc
    .array(fc.constantFrom('.', '..', '/', 'a', '\0', '\\', 'é', '\ud800', '\udc00', '%2F', '\x7f', '\u202e'), {
      maxLength: 8,
    })
    .map((parts) => parts.join(''));
  const any = fc.oneof(
    hostile,
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: 'grapheme', maxLength: 1200, size: 'max' }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
  );
  fc.assert(
    fc.property(any, (name) => {
      if (isValid(name)) assert.equal(checkName(name), name);
      else assert.throws(() => checkName(name), refused);
    }),
    { numRuns: 1000 },
  );
});
