import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { crc32, crc32Combine, hex32, parseHex32 } from '../../src/protocol/crc32.ts';

test('crc32 returns the check value of the standard', () => {
  assert.equal(hex32(crc32(new TextEncoder().encode('123456789'))), 'cbf43926');
  assert.equal(crc32(new Uint8Array()), 0);
});

test('crc32 agrees with zlib, also when it continues from a seed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
      assert.equal(crc32(a), zlib.crc32(a));
      assert.equal(crc32(b, crc32(a)), zlib.crc32(Buffer.concat([a, b])));
    }),
  );
});

test('crc32Combine returns the CRC-32 of the concatenation', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.uint8Array({ maxLength: 5000 }), (a, b) => {
      assert.equal(crc32Combine(zlib.crc32(a), zlib.crc32(b), b.length), zlib.crc32(Buffer.concat([a, b])));
    }),
  );
});

test('crc32Combine is correct for lengths around powers of two', () => {
  const zeros = new Uint8Array(2 ** 22 + 1);
  const before = crc32(new Uint8Array([1, 2, 3]));
  for (let k = 0; k <= 22; k += 1) {
    for (const length of [2 ** k - 1, 2 ** k, 2 ** k + 1]) {
      const part = zeros.subarray(0, length);
      assert.equal(crc32Combine(before, zlib.crc32(part), length), zlib.crc32(part, before), `${length} bytes`);
    }
  }
});

/** The textbook algorithm over big integers, highest power first: slow, but independent of the code under test. */
const P = 0x104c11db7n;
const reflect = (n: bigint) => BigInt(`0b${n.toString(2).padStart(32, '0').split('').reverse().join('')}`);

function times(a: bigint, b: bigint): bigint {
  let product = 0n;
  for (let i = 31n; i >= 0n; i -= 1n) {
    product <<= 1n;
    if ((product >> 32n) & 1n) product ^= P;
    if ((a >> i) & 1n) product ^= b;
  }
  return product;
}

function combineByTextbook(a: number, b: number, lengthOfB: number): number {
  let power = 1n;
  for (const bit of (BigInt(lengthOfB) * 8n).toString(2)) {
    power = times(power, power);
    if (bit === '1') power = times(power, 2n);
  }
  return Number(reflect(times(power, reflect(BigInt(a))))) ^ b;
}

test('crc32Combine agrees with the textbook algorithm for any length up to 2^53', () => {
  const crc = fc.integer({ min: 0, max: 0xffffffff });
  const length = fc.oneof(
    fc.maxSafeNat(),
    fc.integer({ min: 2 ** 32 - 3, max: 2 ** 32 + 3 }),
    fc.nat(52).map((k) => 2 ** k),
    fc.constant(2 ** 53),
  );
  fc.assert(
    fc.property(crc, crc, length, (a, b, n) => {
      assert.equal(hex32(crc32Combine(a, b, n)), hex32(combineByTextbook(a, b, n)));
    }),
  );
});

test('crc32Combine is associative for up to 2^53 bytes', () => {
  const crc = fc.integer({ min: 0, max: 0xffffffff });
  const length = fc.integer({ min: 0, max: 2 ** 52 });
  fc.assert(
    fc.property(crc, crc, crc, length, length, (a, b, c, lengthB, lengthC) => {
      const leftFirst = crc32Combine(crc32Combine(a, b, lengthB), c, lengthC);
      const rightFirst = crc32Combine(a, crc32Combine(b, c, lengthC), lengthB + lengthC);
      assert.equal(leftFirst, rightFirst);
      assert.ok(leftFirst >= 0 && leftFirst <= 0xffffffff);
    }),
  );
});

test('parseHex32 reverses hex32 and accepts eight digits of either case only', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (n) => {
      assert.match(hex32(n), /^[0-9a-f]{8}$/);
      assert.equal(parseHex32(hex32(n)), n);
      assert.equal(parseHex32(hex32(n).toUpperCase()), n);
    }),
  );
  for (const bad of [
    '',
    '1234567',
    '123456789',
    '0x123456',
    '1234567g',
    ' 1234567',
    '12345678\n',
    '-1234567',
    '+1234567',
  ]) {
    assert.equal(parseHex32(bad), null, JSON.stringify(bad));
  }
});
