import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { LadingError } from '../../src/errors.ts';
import {
  type Digest,
  type DigestAlgorithm,
  formatDigestField,
  parseDigestField,
  preferredDigest,
} from '../../src/protocol/http/digests.ts';

const refused = (error: unknown) => error instanceof LadingError && error.code === 'invalid_request';
const hash = (algorithm: 'sha256' | 'sha512') => createHash(algorithm).update('{"hello": "world"}\n').digest();
const sha256 = `sha-256=:${hash('sha256').toString('base64')}:`;
const sha512 = `sha-512=:${hash('sha512').toString('base64')}:`;

function parsed(value: string): { algorithm: DigestAlgorithm; hex: string } | null {
  const digest = parseDigestField(value, 'Repr-Digest');
  return digest && { algorithm: digest.algorithm, hex: Buffer.from(digest.value).toString('hex') };
}

test('the example of RFC 9530, appendix B.1, is parsed', () => {
  const digest = parseDigestField('sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:', 'Content-Digest');
  assert.deepEqual(Buffer.from(digest?.value ?? []), hash('sha256'));
});

test('D5 the strongest known algorithm counts, and unknown ones are ignored', () => {
  const strong = { algorithm: 'sha-512', hex: hash('sha512').toString('hex') };
  const usual = { algorithm: 'sha-256', hex: hash('sha256').toString('hex') };
  assert.deepEqual(parsed(sha256), usual);
  assert.deepEqual(parsed(`${sha256}, ${sha512}`), strong);
  assert.deepEqual(parsed(`${sha512},\t${sha256}`), strong);
  assert.deepEqual(parsed(`md5=:AAAA:, ${sha256};q=1, unixsum=30637`), usual);
  assert.deepEqual(parsed(`crc32c=(1 2), ${sha512}`), strong);
});

test('an empty field counts as absent', () => {
  assert.equal(parsed(''), null);
  assert.equal(parsed('  '), null);
});

const INVALID = [
  'md5=:AAAA:',
  'sha-1=:AAAA:',
  'sha-256',
  'sha-256=5',
  'sha-256="abc"',
  'sha-256=()',
  'sha-256=::',
  'sha-256=:AAAA:',
  `sha-256=:${hash('sha512').toString('base64')}:`,
  `sha-256=:${hash('sha256').toString('hex')}:`,
  `sha-256=${hash('sha256').toString('base64')}`,
  `SHA-256=:${hash('sha256').toString('base64')}:`,
  `${sha256},`,
  `${sha256} ${sha512}`,
  `${sha256}, sha-512=:AAAA:`,
  'sha-256=:!!!:',
  'sha-256=:AAAA',
  '=',
  ',',
  'sha-256=:\u00e9:',
];

for (const value of INVALID) {
  test(`${JSON.stringify(value.slice(0, 60))} is refused`, () => {
    assert.throws(() => parseDigestField(value, 'Content-Digest'), refused);
  });
}

test('the refusal names the field', () => {
  assert.throws(() => parseDigestField('x', 'Repr-Digest'), /Repr-Digest/);
  assert.throws(() => parseDigestField('x', 'Content-Digest'), /Content-Digest/);
});

test('D1 a formatted digest parses to the same digest, also for a view into a larger buffer', () => {
  const digest = fc.oneof(
    fc.tuple(fc.constant<DigestAlgorithm>('sha-256'), fc.uint8Array({ minLength: 32, maxLength: 32 })),
    fc.tuple(fc.constant<DigestAlgorithm>('sha-512'), fc.uint8Array({ minLength: 64, maxLength: 64 })),
  );
  fc.assert(
    fc.property(digest, fc.nat(9), ([algorithm, value], shift) => {
      const large = new Uint8Array(new SharedArrayBuffer(100));
      large.set(value, shift);
      const field = formatDigestField({ algorithm, value: large.subarray(shift, shift + value.length) });
      assert.equal(field, `${algorithm}=:${Buffer.from(value).toString('base64')}:`);
      const back: Digest | null = parseDigestField(field, 'Content-Digest');
      assert.equal(back?.algorithm, algorithm);
      assert.deepEqual(Buffer.from(back?.value ?? []), Buffer.from(value));
    }),
  );
});

test('any string is parsed or refused', () => {
  const piece = fc.constantFrom(
    'sha-256',
    'sha-512',
    '=',
    ':',
    ',',
    ' ',
    ';',
    '(',
    ')',
    '"',
    'AAAA',
    '1',
    '?1',
    '@',
    '%',
  );
  const any = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(any, (value) => {
      try {
        parseDigestField(value, 'Content-Digest');
      } catch (error) {
        assert.ok(refused(error), String(error));
      }
      preferredDigest(value);
    }),
    { numRuns: 1000 },
  );
});

test('D3 the preferred digest has the highest weight, and sha-256 wins a tie', () => {
  const cases: [string, DigestAlgorithm | null][] = [
    ['sha-256=1', 'sha-256'],
    ['sha-512=3, sha-256=10, md5=1', 'sha-256'],
    ['sha-512=10, sha-256=3', 'sha-512'],
    ['sha-512=5, sha-256=5', 'sha-256'],
    ['sha-512=0, sha-256=1', 'sha-256'],
    ['sha-256=0', null],
    ['md5=10', null],
    ['sha-256=11', null],
    ['sha-256=-1', null],
    ['sha-256=0.5', null],
    ['sha-256', null],
    ['sha-256=:AAAA:', null],
    ['', null],
    ['sha-256=', null],
  ];
  for (const [want, expected] of cases) assert.equal(preferredDigest(want), expected, want);
});
