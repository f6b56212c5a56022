import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LadingError } from '../../../src/errors.ts';
import { parseQuery, validatorCompiler } from '../../../src/http/request/query.ts';
import { ListQuery, UploadQuery } from '../../../src/protocol/schemas/files.ts';

type Outcome = { value: Record<string, unknown> } | { error: LadingError };

function validator(schema: typeof UploadQuery | typeof ListQuery): (text: string) => Outcome {
  const validate = validatorCompiler({ schema, method: 'GET', url: '/', httpPart: 'querystring' });
  return (text) => validate(parseQuery(text)) as Outcome;
}

const upload = validator(UploadQuery);
const list = validator(ListQuery);

function codeOf(outcome: Outcome): string | null {
  return 'error' in outcome ? outcome.error.code : null;
}

test('values are decoded and typed, and an open query drops unknown parameters', () => {
  assert.deepEqual(upload('filename=a%2Fb+c%2B.txt&total_size=12&overwrite=true&&x=1'), {
    value: { filename: 'a/b c+.txt', total_size: 12, overwrite: true },
  });
  assert.deepEqual(list(''), { value: {} });
  assert.deepEqual(list('prefix=&cursor'), { value: { prefix: '', cursor: '' } });
  assert.deepEqual(upload('filename=__proto__&__proto__=x&constructor=y'), { value: { filename: '__proto__' } });
});

test('numbers consist of digits only', () => {
  for (const text of [
    '',
    '-1',
    '+1',
    '1.0',
    '1e3',
    '0x10',
    ' 5',
    '5 ',
    '١',
    '9007199254740992',
    '99999999999999999999',
    'NaN',
  ]) {
    assert.equal(
      codeOf(upload(`filename=a&total_size=${encodeURIComponent(text)}`)),
      'invalid_request',
      JSON.stringify(text),
    );
  }
  assert.deepEqual(upload('filename=a&total_size=9007199254740991'), {
    value: { filename: 'a', total_size: Number.MAX_SAFE_INTEGER },
  });
  for (const text of ['1', 'TRUE', 'yes', '']) {
    assert.equal(codeOf(upload(`filename=a&overwrite=${text}`)), 'invalid_request', text);
  }
});

test('missing, repeated and undecodable parameters are refused', () => {
  assert.equal(codeOf(upload('total_size=1')), 'validation_failed');
  assert.equal(codeOf(upload('filename=a&filename=a')), 'invalid_request');
  assert.equal(codeOf(upload('filename=a&%66ilename=b')), 'invalid_request');
  assert.equal(codeOf(upload('filename=%ff')), 'invalid_name');
  assert.equal(codeOf(upload('filename=%ed%a0%80')), 'invalid_name');
  assert.equal(codeOf(upload('filename=%')), 'invalid_name');
  assert.equal(codeOf(upload('filename=a&content_type=%c3%28')), 'invalid_request');
  assert.equal(codeOf(upload('%ff=a&filename=a')), 'invalid_request');
});

test('queries that client libraries encode are decoded unchanged', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (filename, size) => {
      const expected = { value: { filename, total_size: size } };
      assert.deepEqual(upload(`filename=${encodeURIComponent(filename)}&total_size=${size}`), expected);
      assert.deepEqual(upload(new URLSearchParams({ filename, total_size: String(size) }).toString()), expected);
    }),
  );
});

test('the parser never throws', () => {
  const pieces = fc.constantFrom(
    'filename',
    'total_size',
    '=',
    '&',
    '%',
    '%2',
    '%ff',
    '%00',
    '+',
    'a',
    '1',
    '\u{1f600}',
    '__proto__',
  );
  fc.assert(
    fc.property(fc.array(pieces), (parts) => {
      const outcome = upload(parts.join(''));
      assert.ok('value' in outcome || outcome.error.status === 400 || outcome.error.status === 422);
    }),
  );
});
