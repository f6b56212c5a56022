import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  checkPreconditions,
  formatHttpDate,
  ifRangeHolds,
  type PreconditionFields,
  parseEntityTag,
  parseEntityTags,
  parseHttpDate,
  type Validators,
} from '../../src/protocol/http/conditionals.ts';

const MODIFIED = Date.UTC(1994, 10, 6, 8, 49, 37);
const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT';
const EARLIER = 'Sun, 06 Nov 1994 08:49:36 GMT';
const LATER = 'Sun, 06 Nov 1994 08:49:38 GMT';
const CURRENT: Validators = { etag: '"abc"', lastModified: MODIFIED + 789, exists: true };
const ABSENT: Validators = { etag: null, lastModified: null, exists: false };

function verdict(fields: PreconditionFields, method = 'GET', current = CURRENT): string {
  return checkPreconditions(method, fields, current);
}

test('R15 R16 If-Range matches only the same strong tag', () => {
  assert.equal(ifRangeHolds('"abc"', CURRENT), true);
  assert.equal(ifRangeHolds('W/"abc"', CURRENT), false);
  assert.equal(ifRangeHolds('"other"', CURRENT), false);
  assert.equal(ifRangeHolds('"abc"', { ...CURRENT, etag: 'W/"abc"' }), false);
  assert.equal(ifRangeHolds('"abc"', { ...CURRENT, etag: null }), false);
  for (const value of ['abc', '"abc", "abc"', '*', '', '"abc'])
    assert.equal(ifRangeHolds(value, CURRENT), false, value);
});

test('R17 If-Range with a date matches only exactly that date', () => {
  assert.equal(ifRangeHolds(DATE, CURRENT), true);
  assert.equal(ifRangeHolds(LATER, CURRENT), false);
  assert.equal(ifRangeHolds(EARLIER, CURRENT), false);
  assert.equal(ifRangeHolds(DATE, { ...CURRENT, lastModified: null }), false);
});

test('R19 If-Match precedes If-Unmodified-Since, and If-None-Match precedes If-Modified-Since', () => {
  assert.equal(verdict({ 'if-match': '"abc"', 'if-unmodified-since': EARLIER }), 'proceed');
  assert.equal(verdict({ 'if-match': '"x"', 'if-none-match': '"abc"' }), 'failed');
  assert.equal(verdict({ 'if-unmodified-since': EARLIER, 'if-none-match': '"abc"' }), 'failed');
  assert.equal(verdict({ 'if-unmodified-since': DATE, 'if-none-match': '"abc"' }), 'not_modified');
  assert.equal(verdict({ 'if-match': '"abc"', 'if-modified-since': DATE }), 'not_modified');
  assert.equal(verdict({}), 'proceed');
});

test('R20 If-Match compares strongly, and * matches any existing representation', () => {
  assert.equal(verdict({ 'if-match': '"abc"' }), 'proceed');
  assert.equal(verdict({ 'if-match': '"x", "abc"' }), 'proceed');
  assert.equal(verdict({ 'if-match': 'W/"abc"' }), 'failed');
  assert.equal(verdict({ 'if-match': 'abc' }), 'failed');
  assert.equal(verdict({ 'if-match': '*' }), 'proceed');
  assert.equal(verdict({ 'if-match': '*' }, 'PUT', ABSENT), 'failed');
  assert.equal(verdict({ 'if-match': '"abc"' }, 'GET', { ...CURRENT, etag: null }), 'failed');
});

test('R20 If-Unmodified-Since fails if the representation is newer', () => {
  assert.equal(verdict({ 'if-unmodified-since': DATE }), 'proceed');
  assert.equal(verdict({ 'if-unmodified-since': LATER }), 'proceed');
  assert.equal(verdict({ 'if-unmodified-since': EARLIER }), 'failed');
  assert.equal(verdict({ 'if-unmodified-since': EARLIER }, 'GET', { ...CURRENT, lastModified: null }), 'proceed');
});

test('R21 If-None-Match compares weakly and overrides If-Modified-Since', () => {
  assert.equal(verdict({ 'if-none-match': '"abc"' }), 'not_modified');
  assert.equal(verdict({ 'if-none-match': 'W/"abc"' }, 'HEAD'), 'not_modified');
  assert.equal(verdict({ 'if-none-match': '"x",W/"abc"' }), 'not_modified');
  assert.equal(verdict({ 'if-none-match': '*' }), 'not_modified');
  assert.equal(verdict({ 'if-none-match': '"abc"' }, 'DELETE'), 'failed');
  assert.equal(verdict({ 'if-none-match': '*' }, 'PUT', ABSENT), 'proceed');
  assert.equal(verdict({ 'if-none-match': '"x"', 'if-modified-since': LATER }), 'proceed');
  assert.equal(verdict({ 'if-none-match': 'not a tag', 'if-modified-since': LATER }), 'proceed');
});

test('R21 If-Modified-Since applies to GET and HEAD only', () => {
  assert.equal(verdict({ 'if-modified-since': DATE }), 'not_modified');
  assert.equal(verdict({ 'if-modified-since': LATER }, 'HEAD'), 'not_modified');
  assert.equal(verdict({ 'if-modified-since': EARLIER }), 'proceed');
  assert.equal(verdict({ 'if-modified-since': LATER }, 'DELETE'), 'proceed');
});

test('R23 an invalid date is ignored', () => {
  for (const value of ['yesterday', '', '0', '1994-11-06T08:49:37Z', 'Sun, 06 Nov 1994 08:49:37 +0000']) {
    assert.equal(verdict({ 'if-modified-since': value }), 'proceed', value);
    assert.equal(verdict({ 'if-unmodified-since': value }), 'proceed', value);
  }
});

test('R23 the three formats of a date are parsed', () => {
  const now = Date.UTC(2026, 0, 1);
  for (const value of [DATE, 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994']) {
    assert.equal(parseHttpDate(value, now), MODIFIED, value);
  }
  assert.equal(parseHttpDate('Thu Jan 15 00:00:00 2026', now), Date.UTC(2026, 0, 15));
  assert.equal(parseHttpDate('Friday, 06-Nov-76 08:49:37 GMT', now), Date.UTC(2076, 10, 6, 8, 49, 37));
  assert.equal(parseHttpDate('Sunday, 06-Nov-77 08:49:37 GMT', now), Date.UTC(1977, 10, 6, 8, 49, 37));
  assert.equal(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT', now), Date.UTC(2017, 0, 1), 'a leap second');
  assert.equal(parseHttpDate('Thu, 29 Feb 2024 00:00:00 GMT', now), Date.UTC(2024, 1, 29));
});

test('R23 an impossible or malformed date is refused', () => {
  const wrong = [
    'Wed, 29 Feb 2023 00:00:00 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 31 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:00 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
    'Sun, 06 Nov 94 08:49:37 GMT',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Foo, 06 Nov 1994 08:49:37 GMT',
    `${DATE} `,
  ];
  for (const value of wrong) assert.equal(parseHttpDate(value), null, value);
});

test('a formatted date parses to the same date', () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }), (date) => {
      assert.equal(parseHttpDate(formatHttpDate(date.getTime())), Math.floor(date.getTime() / 1000) * 1000);
    }),
  );
});

test('an entity tag is parsed, and any other text is refused', () => {
  assert.deepEqual(parseEntityTag('"a"'), { weak: false, opaque: 'a' });
  assert.deepEqual(parseEntityTag('W/""'), { weak: true, opaque: '' });
  for (const value of ['w/"a"', '"a', 'a"', '""a', '"a b"', '"a\u007f"', '"a\tb"', 'W/ "a"', '']) {
    assert.equal(parseEntityTag(value), null, value);
  }
});

test('a list of entity tags may have commas inside tags and empty elements', () => {
  assert.deepEqual(parseEntityTags(' "a,b" ,, W/"c"\t,'), [
    { weak: false, opaque: 'a,b' },
    { weak: true, opaque: 'c' },
  ]);
  assert.equal(parseEntityTags(' * '), '*');
  for (const value of ['', ' ', ',', '*, "a"', '"a", *', '"a" "b"', '"a"x', 'a, "b"']) {
    assert.equal(parseEntityTags(value), null, value);
  }
});

test('a formatted list of tags parses to the same list', () => {
  const opaque = fc.string({ unit: fc.constantFrom(...'abc,/*-_!#[]') });
  const tag = fc.record({ weak: fc.boolean(), opaque }, { noNullPrototype: true });
  fc.assert(
    fc.property(fc.array(tag, { minLength: 1 }), (tags) => {
      const value = tags.map((each) => `${each.weak ? 'W/' : ''}"${each.opaque}"`).join(', ');
      assert.deepEqual(parseEntityTags(value), tags);
    }),
  );
});
