/** What every blob store must do. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { BlobStore, Reader, SegmentRange } from '../../../src/contracts/blobs.ts';
import { sum256 } from '../../../src/protocol/chunk.ts';
import { crc32 } from '../../../src/protocol/crc32.ts';
import { newId, withCode, writeAt } from '../../support/disk/storage.ts';
import type { BackendUnderTest } from './backends.ts';

export function blobStoreSuite(backend: BackendUnderTest): void {
  const name = `${backend.name} blobs`;
  const make = async (t: TestContext): Promise<BlobStore> => (await backend.open(t)).store.blobs;

  const readAll = async (reader: Pick<Reader, 'read'>, size: number): Promise<Buffer> => {
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, await reader.read(bytes, 0));
  };

  async function filled(t: TestContext, bytes: Uint8Array): Promise<{ blobs: BlobStore; id: string }> {
    const blobs = await make(t);
    const id = newId();
    await blobs.create(id);
    const part = await blobs.openPart(id);
    await writeAt(part, 0, bytes);
    part.release();
    return { blobs, id };
  }

  test(`${name}: a write returns checksums and the buffer, and the bytes can be read`, async (t) => {
    const blobs = await make(t);
    const id = newId();
    await blobs.create(id);
    const part = await blobs.openPart(id);
    const bytes = randomBytes(300_001);
    const result = await writeAt(part, 1000, bytes);
    assert.equal(result.sum, sum256(bytes));
    assert.equal(result.crc32, crc32(bytes));
    assert.deepEqual(result.rangeCrcs, [crc32(bytes)]);
    assert.equal(result.conflict, false);
    assert.equal(result.buffer.byteLength, bytes.length);
    const stored = await readAll(part, 400_000);
    assert.deepEqual(stored.subarray(0, 1000), Buffer.alloc(1000), 'a hole reads as zeros');
    assert.deepEqual(stored.subarray(1000), bytes);
    part.release();
  });

  test(`${name}: only the used bytes of a buffer are written`, async (t) => {
    const blobs = await make(t);
    const id = newId();
    await blobs.create(id);
    const part = await blobs.openPart(id);
    const buffer = new ArrayBuffer(100);
    new Uint8Array(buffer).fill(7);
    const ranges: SegmentRange[] = [{ extent: { start: 5, end: 14 }, action: 'write' }];
    const result = await part.write({ buffer, length: 10, start: 5, ranges });
    assert.equal(result.sum, 70);
    assert.equal((await readAll(part, 100)).length, 15);
    part.release();
  });

  test(`${name}: ranges are compared or written as planned, each with its CRC-32`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('0123456789'));
    assert.equal(await blobs.size(id), 10);
    const part = await blobs.openPart(id);
    const ranges: SegmentRange[] = [
      { extent: { start: 5, end: 9 }, action: 'compare' },
      { extent: { start: 10, end: 14 }, action: 'write' },
    ];
    const result = await writeAt(part, 5, Buffer.from('56789abcde'), ranges);
    assert.equal(result.conflict, false);
    assert.deepEqual(result.rangeCrcs, [crc32(Buffer.from('56789')), crc32(Buffer.from('abcde'))]);
    assert.equal(result.crc32, crc32(Buffer.from('56789abcde')));
    assert.equal((await readAll(part, 100)).toString(), '0123456789abcde');
    part.release();
  });

  test(`${name}: a compared range that differs is a conflict, and the stored bytes stay`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('0123456789'));
    const part = await blobs.openPart(id);
    for (const at of [5, 7, 9]) {
      const bytes = Buffer.from('56789abcde');
      bytes[at - 5] = 0x21;
      const ranges: SegmentRange[] = [
        { extent: { start: 5, end: 9 }, action: 'compare' },
        { extent: { start: 10, end: 14 }, action: 'write' },
      ];
      const result = await writeAt(part, 5, bytes, ranges);
      assert.equal(result.conflict, true, `byte ${at}`);
      assert.equal(result.sum, sum256(bytes), 'the sum is known all the same');
      assert.equal((await readAll(part, 10)).toString(), '0123456789');
    }
    part.release();
  });

  test(`${name}: missing bytes are not equal`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('01234'));
    const part = await blobs.openPart(id);
    const ranges: SegmentRange[] = [{ extent: { start: 3, end: 6 }, action: 'compare' }];
    assert.equal((await writeAt(part, 3, Buffer.from('3456'), ranges)).conflict, true);
    part.release();
  });

  test(`${name}: a large comparison finds a difference in its last byte`, async (t) => {
    const bytes = randomBytes(1_500_000);
    const { blobs, id } = await filled(t, bytes);
    const part = await blobs.openPart(id);
    const ranges: SegmentRange[] = [{ extent: { start: 0, end: bytes.length - 1 }, action: 'compare' }];
    assert.equal((await writeAt(part, 0, bytes, ranges)).conflict, false);
    const other = Buffer.from(bytes);
    other[other.length - 1] = (other.at(-1) ?? 0) ^ 1;
    assert.equal((await writeAt(part, 0, other, ranges)).conflict, true);
    part.release();
  });

  test(`${name}: concurrent segments through several handles of a part are all stored`, async (t) => {
    const blobs = await make(t);
    const id = newId();
    await blobs.create(id);
    const bytes = randomBytes(64 * 1024);
    const parts = await Promise.all([blobs.openPart(id), blobs.openPart(id), blobs.openPart(id)]);
    await Promise.all(
      Array.from({ length: 64 }, async (_, n) => {
        const part = parts[n % parts.length];
        assert.ok(part);
        await writeAt(part, n * 1024, bytes.subarray(n * 1024, (n + 1) * 1024));
        await part.sync();
      }),
    );
    for (const part of parts) part.release();
    const reader = await blobs.openReader(id);
    assert.deepEqual(await readAll(reader, bytes.length), bytes);
    reader.release();
  });

  test(`${name}: an unknown id is not_found`, async (t) => {
    const blobs = await make(t);
    await assert.rejects(blobs.openPart(newId()), withCode('not_found'));
    await assert.rejects(blobs.openReader(newId()), withCode('not_found'));
    await assert.rejects(blobs.seal(newId(), 0), withCode('not_found'));
    assert.equal(await blobs.size(newId()), null);
  });

  test(`${name}: a sealed file has the declared size and can be sealed again`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('0123456789'));
    await blobs.seal(id, 7);
    await blobs.seal(id, 7);
    const reader = await blobs.openReader(id);
    assert.equal((await readAll(reader, 100)).toString(), '0123456');
    reader.release();
    assert.deepEqual(await blobs.list(), [id]);
  });

  test(`${name}: an empty file can be sealed`, async (t) => {
    const blobs = await make(t);
    const id = newId();
    await blobs.create(id);
    await blobs.seal(id, 0);
    const reader = await blobs.openReader(id);
    assert.equal((await readAll(reader, 10)).length, 0);
    reader.release();
  });

  test(`${name}: a sealed file can still be compared through openPart`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('0123456789'));
    await blobs.seal(id, 10);
    const part = await blobs.openPart(id);
    const ranges: SegmentRange[] = [{ extent: { start: 2, end: 4 }, action: 'compare' }];
    assert.equal((await writeAt(part, 2, Buffer.from('234'), ranges)).conflict, false);
    assert.equal((await writeAt(part, 2, Buffer.from('244'), ranges)).conflict, true);
    part.release();
    const reader = await blobs.openReader(id);
    assert.equal((await readAll(reader, 100)).toString(), '0123456789');
    reader.release();
  });

  test(`${name}: bytes written after an unrecorded seal can be sealed with the rest`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('01234'));
    await blobs.seal(id, 5);
    const part = await blobs.openPart(id);
    await writeAt(part, 5, Buffer.from('56789'));
    await part.sync();
    part.release();
    await blobs.seal(id, 10);
    const reader = await blobs.openReader(id);
    assert.equal((await readAll(reader, 100)).toString(), '0123456789');
    reader.release();
  });

  test(`${name}: a reader can read during the seal and after the removal`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('0123456789'));
    const early = await blobs.openReader(id);
    await blobs.seal(id, 10);
    const late = await blobs.openReader(id);
    await blobs.remove(id);
    for (const reader of [early, late]) {
      assert.equal((await readAll(reader, 100)).toString(), '0123456789');
      reader.release();
    }
    await assert.rejects(blobs.openReader(id), withCode('not_found'));
  });

  test(`${name}: a read is short only at the end of the file`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('0123456789'));
    const reader = await blobs.openReader(id);
    const into = Buffer.alloc(4);
    assert.equal(await reader.read(into, 2), 4);
    assert.equal(into.toString(), '2345');
    assert.equal(await reader.read(into, 8), 2);
    assert.equal(await reader.read(into, 10), 0);
    assert.equal(await reader.read(into, 1000), 0);
    reader.release();
  });

  test(`${name}: linked bytes outlive their part, on disks with hard links`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('0123456789'));
    const shared = newId();
    if (!(await blobs.link(id, shared))) return t.skip('this disk gives a file one name only');
    await blobs.remove(id);
    const reader = await blobs.openReader(shared);
    assert.equal((await readAll(reader, 100)).toString(), '0123456789');
    reader.release();
    assert.deepEqual(await blobs.list(), [shared]);
    await blobs.seal(shared, 10);
    await blobs.remove(shared);
    assert.deepEqual(await blobs.list(), []);
    await assert.rejects(blobs.link(newId(), newId()), withCode('not_found'));
    assert.deepEqual(await blobs.list(), []);
  });

  test(`${name}: remove removes parts and sealed files, and succeeds if nothing exists`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('0123456789'));
    const other = newId();
    await blobs.create(other);
    assert.deepEqual((await blobs.list()).sort(), [id, other].sort());
    await blobs.remove(id);
    assert.deepEqual(await blobs.list(), [other]);
    await blobs.remove(id);
    await blobs.remove(newId());
    await assert.rejects(blobs.openPart(id), withCode('not_found'));
  });

  test(`${name}: writes through a handle after the removal are lost`, async (t) => {
    const { blobs, id } = await filled(t, Buffer.from('0123456789'));
    const part = await blobs.openPart(id);
    await blobs.remove(id);
    await assert.rejects(writeAt(part, 0, Buffer.from('x')), withCode('not_found'));
    part.release();
    assert.deepEqual(await blobs.list(), []);
  });

  test(`${name}: any disjoint writes have the same result as in an array`, async (t) => {
    const blobs = await make(t);
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        cuts,
        fc.uint8Array({ minLength: 5001, maxLength: 5001 }),
        fc.func(fc.nat()),
        async (at, model, order) => {
          const id = newId();
          await blobs.create(id);
          const part = await blobs.openPart(id);
          const edges = [0, ...at.toSorted((a, b) => a - b), model.length];
          const slices = edges.slice(1).map((end, n) => ({ start: edges[n] ?? 0, end }));
          slices.sort((a, b) => order(a.start) - order(b.start));
          await Promise.all(slices.map(({ start, end }) => writeAt(part, start, model.subarray(start, end))));
          part.release();
          await blobs.seal(id, model.length);
          const reader = await blobs.openReader(id);
          assert.deepEqual(await readAll(reader, 6000), Buffer.from(model));
          reader.release();
          await blobs.remove(id);
        },
      ),
      { numRuns: 20 },
    );
  });
}
