import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeExtended, parse } from 'content-disposition';
import fc from 'fast-check';
import { contentDisposition } from '../../src/protocol/http/disposition.ts';

test('an ASCII name has no filename* parameter', () => {
  assert.equal(contentDisposition('alphabet.txt'), 'attachment; filename="alphabet.txt"');
  assert.equal(contentDisposition('with space.txt'), 'attachment; filename="with space.txt"');
});

test('C1 the ASCII fallback precedes the exact name', () => {
  const cases: [string, string][] = [
    ['май за.pdf', `attachment; filename="_ _.pdf"; filename*=UTF-8''%D0%BC%D0%B0%D0%B9%20%D0%B7%D0%B0.pdf`],
    ['日本語.txt', `attachment; filename="_.txt"; filename*=UTF-8''%E6%97%A5%E6%9C%AC%E8%AA%9E.txt`],
    ['€ rates.csv', `attachment; filename="_ rates.csv"; filename*=UTF-8''%E2%82%AC%20rates.csv`],
    ['naïve.txt', `attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt`],
    ['😀😀', `attachment; filename="_"; filename*=UTF-8''%F0%9F%98%80%F0%9F%98%80`],
  ];
  for (const [name, expected] of cases) assert.equal(contentDisposition(name), expected);
});

test('C2 quotes are escaped', () => {
  assert.equal(contentDisposition('a"b.txt'), 'attachment; filename="a\\"b.txt"');
});

test('C2 filename contains no percent escape', () => {
  assert.equal(
    contentDisposition('100%25 %41%zz.txt'),
    `attachment; filename="100_25 _41%zz.txt"; filename*=UTF-8''100%2525%20%2541%25zz.txt`,
  );
});

test('C2 control characters, bidi controls and the directories of any system are removed', () => {
  const cases: [string, string][] = [
    ['a\r\nSet-Cookie: x=1', 'aSet-Cookie: x=1'],
    ['nul\0.txt', 'nul.txt'],
    ['c1\x85.txt', 'c1.txt'],
    ['folder/file.txt', 'file.txt'],
    ['..\\..\\evil.exe', 'evil.exe'],
    ['C:\\dir\\x', 'x'],
    ['\\\\host\\share/dir\\y.bin', 'y.bin'],
    ['dir\\', 'dir'],
    ['invoice\u202efdp.exe', 'invoicefdp.exe'],
    ['\u2066a\u2069\u200e\u200f\u061c.txt', 'a.txt'],
    ['line\u2028separator', 'lineseparator'],
    ['.\\.', 'download'],
    ['\u202e', 'download'],
  ];
  for (const [name, shown] of cases) assert.equal(contentDisposition(name), `attachment; filename="${shown}"`, shown);
});

test('C3 filename* escapes all characters except attr-char', () => {
  const all = `é${Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')}`.replaceAll(/[/\\]/g, '');
  const value = contentDisposition(all).split(`filename*=UTF-8''`)[1] ?? '';
  assert.match(value, /^(?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})+$/);
  assert.equal(decodeURIComponent(value), all);
});

test('the header of any name is one safe ASCII line and decodes to the exact name', () => {
  const name = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.string({ unit: 'grapheme', minLength: 1 }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 12 }).map((units) => String.fromCharCode(...units)),
    fc
      .array(fc.constantFrom('%', '2', 'F', '"', '\\', '/', 'é', '\r', '\n', ';', "'", '\ud800', '.'))
      .map((p) => p.join('')),
  );
  fc.assert(
    fc.property(name, (given) => {
      const header = contentDisposition(given);
      assert.match(header, /^attachment; filename="(?:[ !#-[\]-~]|\\["\\])+"(?:; filename\*=UTF-8''[!-~]+)?$/);
      const { type, parameters } = parse(header, { extended: false });
      assert.equal(type, 'attachment');
      const fallback = parameters.filename ?? '';
      const extended = parameters['filename*'];
      const exact = extended === undefined ? fallback : (decodeExtended(extended) ?? '');
      assert.doesNotMatch(fallback, /%[0-9a-f]{2}|[/\\]/i);
      assert.doesNotMatch(exact, /[\p{Control}\p{Bidi_Control}\p{Surrogate}/\\]/u);
      assert.ok(!['', '.', '..'].includes(exact) && !['', '.', '..'].includes(fallback));
      if (!/[\p{Control}\p{Bidi_Control}\p{Surrogate}\u2028\u2029/\\]/u.test(given) && !/^\.{0,2}$/.test(given)) {
        assert.equal(exact, given);
      }
    }),
    { numRuns: 300 },
  );
});

test('a name that is too long for file systems has a shorter fallback with the same extension', () => {
  const fallbackOf = (name: string): string =>
    parse(contentDisposition(name), { extended: false }).parameters.filename ?? '';
  const long = 'a'.repeat(1020);
  for (const [name, expected] of [
    [`${long}.bin`, /^a{196}\.bin$/],
    [`${'é'.repeat(500)}x.tar.gz`, /^_x\.tar\.gz$/],
    [`${'éa'.repeat(300)}.pdf`, /^(?:_a)+\.pdf$/],
    [`x.${long}`, /^x\.a+$/],
    [`.${long}`, /^\.a+$/],
    ['"'.repeat(1000), /^"+$/],
  ] as const) {
    const fallback = fallbackOf(name);
    assert.match(fallback, expected);
    assert.ok(fallback.length <= 200, String(fallback.length));
    const exact = decodeExtended(parse(contentDisposition(name), { extended: false }).parameters['filename*'] ?? '');
    assert.equal(exact, name);
  }
});
