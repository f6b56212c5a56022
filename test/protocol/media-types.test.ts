import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LadingError } from '../../src/errors.ts';
import {
  canonicalMediaType,
  checkContentType,
  contentTypeFor,
  isMediaType,
} from '../../src/protocol/http/media-types.ts';

test('the content type is derived from the extension of the name', () => {
  const cases: [string, string][] = [
    ['voice.opus', 'audio/ogg'],
    ['voice.m4a', 'audio/mp4'],
    ['a/b/report.PDF', 'application/pdf'],
    ['notes.txt', 'text/plain'],
    ['archive.tar.gz', 'application/gzip'],
    ['firmware.bin', 'application/octet-stream'],
    ['firmware', 'application/octet-stream'],
    ['html', 'application/octet-stream'],
    ['.html', 'application/octet-stream'],
    ['a/.html', 'application/octet-stream'],
    ['site.html/data', 'application/octet-stream'],
    ['ends.with.', 'application/octet-stream'],
    ['x.constructor', 'application/octet-stream'],
    ['x.__proto__', 'application/octet-stream'],
    ['x.unheard-of', 'application/octet-stream'],
    ['x.html\\evil', 'application/octet-stream'],
  ];
  for (const [name, expected] of cases) assert.equal(contentTypeFor(name), expected, name);
});

test('a valid media type from a client is returned unchanged', () => {
  const good = [
    'application/pdf',
    'text/plain; charset=utf-8',
    'text/plain;charset="utf-8"',
    'audio/ogg; codecs="opus, vorbis"; x=1',
    'application/vnd.oasis.opendocument.text',
    'image/svg+xml',
    'a/b; q="a \\" quoted \\\\ pair"',
    `a/${'b'.repeat(253)}`,
  ];
  for (const value of good) assert.equal(checkContentType(value), value, value);
  assert.equal(checkContentType(' text/plain '), 'text/plain');
});

test('empty parameters and tabs are accepted and removed', () => {
  const cases: [string, string][] = [
    ['text/plain;', 'text/plain'],
    ['text/plain; charset=utf-8;', 'text/plain; charset=utf-8'],
    ['text/plain ; ;\tcharset=utf-8 ;; a="b;\tc" ; ', 'text/plain; charset=utf-8; a="b; c"'],
    ['text/plain\t;charset=utf-8', 'text/plain; charset=utf-8'],
  ];
  for (const [value, expected] of cases) assert.equal(checkContentType(value), expected, JSON.stringify(value));
  assert.equal(canonicalMediaType('Text/HTML;\tCharset=UTF-8;'), 'text/html; Charset=UTF-8');
  assert.equal(canonicalMediaType('text'), null);
  assert.ok(isMediaType('a/b; c=d', 'a/b') && isMediaType('a/b', 'a/b') && !isMediaType('a/bc', 'a/b'));
  // Long invalid texts are refused in linear time.
  for (const hostile of ['; ', ';\t\t', ' ;a=b', ';a="', '; ;\t'])
    assert.equal(canonicalMediaType(`a/b${hostile.repeat(10_000)}\0`), null);
});

test('an invalid media type is refused', () => {
  const bad = [
    '',
    'text',
    'text/',
    '/plain',
    'text/plain/x',
    'text plain',
    'text/plain; charset',
    'text/plain; charset=',
    'text/plain; charset="utf-8',
    'text/plain, text/html',
    'text/plain\r\nX-Evil: 1',
    'text/plain\n',
    'text/plain; a="\r\n"',
    'text/plain\0',
    'text/plain; a=b\tc',
    'text/plain;;x',
    'text/plain\u0085',
    'text/plän',
    'text/plain; a="ü"',
    `a/${'b'.repeat(254)}`,
    `a/b${' '.repeat(300)}`,
    `a/b${'; '.repeat(120)}x`,
  ];
  for (const value of bad) {
    const refused = (error: unknown) => error instanceof LadingError && error.code === 'invalid_request';
    assert.throws(() => checkContentType(value), refused, JSON.stringify(value));
  }
});

test('an accepted media type can be sent as a header', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string().map((s) => `a/b; c="${s}"`),
      ),
      (value) => {
        try {
          const headers = new Headers({ 'content-type': checkContentType(value) });
          assert.match(headers.get('content-type') ?? '', /^[ -~]{3,255}$/);
        } catch (error) {
          assert.ok(error instanceof LadingError, String(error));
        }
      },
    ),
    { numRuns: 1000 },
  );
});
