import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { LadingError } from '../../src/errors.ts';
import {
  CHUNK_HEADER_BYTES,
  encodeChunk,
  encodeChunkHeader,
  MAX_OFFSET,
  parseChunkHeader,
  sum256,
} from '../../src/protocol/chunk.ts';
import { lengthOf } from '../../src/protocol/extents.ts';
import { repoRoot } from '../support/root.ts';

interface Vectors {
  valid: { name: string; start: number; end: number; checksum: number; header_hex: string; data_hex: string }[];
  invalid: { name: string; header_hex: string; data_hex?: string; code: string }[];
}

const vectors: Vectors = JSON.parse(readFileSync(join(repoRoot(), 'test/protocol/chunk-header.json'), 'utf8'));
const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const malformed = (error: unknown) => error instanceof LadingError && error.code === 'malformed_header';

test('the file has valid and invalid vectors', () => {
  assert.ok(vectors.valid.length >= 9 && vectors.invalid.length >= 8);
});

for (const { name, start, end, checksum, header_hex, data_hex } of vectors.valid) {
  test(`the valid vector "${name}" is parsed and encoded`, () => {
    const data = fromHex(data_hex);
    assert.deepEqual(parseChunkHeader(fromHex(header_hex)), { start, end, checksum });
    assert.deepEqual(encodeChunkHeader({ start, end, checksum }), fromHex(header_hex));
    assert.deepEqual(encodeChunk(start, data), fromHex(header_hex + data_hex));
    assert.equal(lengthOf({ start, end }), data.length);
    assert.equal(sum256(data), checksum);
  });
}

for (const { name, header_hex, data_hex, code } of vectors.invalid) {
  test(`the invalid vector "${name}" is refused`, () => {
    if (code === 'malformed_header') {
      assert.throws(() => parseChunkHeader(fromHex(header_hex)), malformed);
      return;
    }
    // The header itself is valid, but the data does not match it.
    const header = parseChunkHeader(fromHex(header_hex));
    const data = fromHex(data_hex ?? '');
    const found = lengthOf(header) === data.length ? 'checksum_mismatch' : 'length_mismatch';
    assert.equal(found, code);
    if (found === 'checksum_mismatch') assert.notEqual(sum256(data), header.checksum);
  });
}

const extent = fc
  .tuple(fc.maxSafeNat(), fc.maxSafeNat())
  .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));

test('an encoded header parses to the same header at any position in a buffer', () => {
  fc.assert(
    fc.property(extent, fc.nat(255), fc.nat(9), ({ start, end }, checksum, shift) => {
      const header = encodeChunkHeader({ start, end, checksum });
      assert.equal(header.length, CHUNK_HEADER_BYTES);
      const view = Buffer.from(header.buffer);
      assert.equal(view.readBigUInt64BE(0), BigInt(start));
      assert.equal(view.readBigUInt64BE(8), BigInt(end));
      const elsewhere = new Uint8Array(64).fill(0xaa);
      elsewhere.set(header, shift);
      const parsed = parseChunkHeader(elsewhere.subarray(shift, shift + CHUNK_HEADER_BYTES));
      assert.deepEqual(parsed, { start, end, checksum });
    }),
  );
});

test('every pair of 64-bit offsets is either parsed exactly or refused as malformed', () => {
  const u64 = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
    fc.bigInt({ min: 0n, max: 2n ** 34n }),
  );
  fc.assert(
    fc.property(u64, u64, (start, end) => {
      const bytes = Buffer.alloc(CHUNK_HEADER_BYTES);
      bytes.writeBigUInt64BE(start, 0);
      bytes.writeBigUInt64BE(end, 8);
      if (start > BigInt(MAX_OFFSET) || end > BigInt(MAX_OFFSET) || end < start) {
        assert.throws(() => parseChunkHeader(bytes), malformed);
      } else {
        assert.deepEqual(parseChunkHeader(bytes), { start: Number(start), end: Number(end), checksum: 0 });
      }
    }),
  );
});

test('a header of any other length is refused', () => {
  for (let length = 0; length < 40; length += 1) {
    if (length === CHUNK_HEADER_BYTES) continue;
    assert.throws(() => parseChunkHeader(new Uint8Array(length)), malformed, `${length} bytes`);
  }
});

test('invalid headers are not encoded', () => {
  const bad = [
    { start: -1, end: 4 },
    { start: 0, end: MAX_OFFSET + 1 },
    { start: 0.5, end: 4 },
    { start: Number.NaN, end: 4 },
    { start: 5, end: 4 },
  ];
  for (const { start, end } of bad) {
    assert.throws(() => encodeChunkHeader({ start, end, checksum: 0 }), malformed, `${start}-${end}`);
  }
  assert.throws(() => encodeChunk(0, new Uint8Array()), malformed);
});

test('sum256 equals the plain sum at any alignment and continues from a seed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(8), fc.nat(), (bytes, skip, cut) => {
      const part = bytes.subarray(Math.min(skip, bytes.length));
      let plain = 0;
      for (const byte of part) plain = (plain + byte) % 256;
      assert.equal(sum256(part), plain);
      const at = part.length === 0 ? 0 : cut % part.length;
      assert.equal(sum256(part.subarray(at), sum256(part.subarray(0, at))), plain);
    }),
  );
});

test('sum256 does not overflow for long runs of the byte 255', () => {
  for (const length of [1024, 1027, 4096, 1 << 20, (1 << 22) + 3]) {
    assert.equal(sum256(new Uint8Array(length).fill(0xff)), (length * 255) % 256, `${length} bytes`);
  }
});
