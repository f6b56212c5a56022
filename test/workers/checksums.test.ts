/** All implementations of a checksum agree with the portable one of the protocol. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { sum256 as protocolSum } from '../../src/protocol/chunk.ts';
import { crc32 as protocolCrc } from '../../src/protocol/crc32.ts';
import { checksum, crc32Candidates } from '../../workers/checksums.ts';
import { loadSimdSum256, portableSum256 } from '../../workers/sum256.ts';

/** Bytes at any alignment. */
const anyBytes = fc
  .tuple(fc.uint8Array({ maxLength: 3000 }), fc.nat({ max: 9 }))
  .map(([bytes, offset]) => new Uint8Array(Uint8Array.from([...new Uint8Array(offset), ...bytes]).buffer, offset));

test('all available CRC-32 implementations agree, also with a seed', () => {
  const candidates = crc32Candidates();
  assert.ok(candidates.length >= 2, 'at least the built-in and the portable one');
  for (const { name, crc32 } of candidates) {
    assert.equal(crc32(Buffer.from('123456789'), 0), 0xcbf43926, name);
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        assert.equal(crc32(a, 0), protocolCrc(a), name);
        assert.equal(crc32(b, crc32(a, 0)), protocolCrc(b, protocolCrc(a)), name);
      }),
      { numRuns: 50 },
    );
  }
});

test('the portable and the SIMD sum modulo 256 agree with the one of the protocol', () => {
  const simd = loadSimdSum256();
  assert.ok(simd, 'this runtime has WebAssembly SIMD');
  for (const sum of [portableSum256, simd]) {
    assert.equal(sum(new Uint8Array(0)), 0);
    fc.assert(fc.property(anyBytes, (bytes) => sum(bytes) === protocolSum(bytes)));
    // Sizes around the block sizes, with the bytes that overflow first.
    for (const size of [1, 3, 4, 63, 64, 65, 511, 512, 513, 262_143, 262_144, 262_145, 600_001]) {
      assert.equal(sum(new Uint8Array(size).fill(255)), (size * 255) % 256, `${size} times 255`);
      const bytes = randomBytes(size);
      assert.equal(sum(bytes), protocolSum(bytes), `${size} random bytes`);
    }
    // The memory of one call does not affect the next.
    sum(new Uint8Array(1000).fill(9));
    assert.equal(sum(new Uint8Array(10).fill(1)), 10);
  }
});

test('both checksums are computed in one pass over several slices', () => {
  const bytes = randomBytes(700_000);
  assert.deepEqual(checksum(bytes), { crc32: protocolCrc(bytes), sum: protocolSum(bytes) });
  assert.deepEqual(checksum(new Uint8Array(0)), { crc32: 0, sum: 0 });
  assert.equal(checksum(bytes.subarray(9), protocolCrc(bytes.subarray(0, 9))).crc32, protocolCrc(bytes));
});
