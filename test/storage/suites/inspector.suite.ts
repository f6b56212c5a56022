/** What every inspector must do, over the blob store of its back end. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import type { BlobStore, Inspector } from '../../../src/contracts/blobs.ts';
import type { Store } from '../../../src/contracts/store.ts';
import { newId, recordOf, withCode, writeAt } from '../../support/disk/storage.ts';
import type { BackendUnderTest } from './backends.ts';

export function inspectorSuite(backend: BackendUnderTest): void {
  const name = `${backend.name} inspector`;
  const make = async (t: TestContext): Promise<Pick<Store, 'blobs' | 'inspector'>> => (await backend.open(t)).store;
  const bytes = randomBytes(2_500_000);

  async function filled(t: TestContext): Promise<{ blobs: BlobStore; inspector: Inspector; id: string }> {
    const { blobs, inspector } = await make(t);
    const id = newId();
    await blobs.create(id);
    const part = await blobs.openPart(id);
    await writeAt(part, 0, bytes);
    part.release();
    return { blobs, inspector, id };
  }

  test(`${name}: digests cover a prefix and any extent, of open and sealed files`, async (t) => {
    const { blobs, inspector, id } = await filled(t);
    const prefix = Buffer.from('header');
    const cases = [
      { start: 0, end: bytes.length - 1 },
      { start: 1_000_000, end: 2_200_000 },
      { start: 7, end: 7 },
      { start: 5, end: 4 },
    ];
    const check = async (): Promise<void> => {
      for (const extent of cases) {
        const covered = bytes.subarray(extent.start, extent.end + 1);
        const sha256 = createHash('sha256').update(covered).digest();
        const sha512 = createHash('sha512').update(prefix).update(covered).digest();
        assert.deepEqual(Buffer.from(await inspector.digest(id, 'sha-256', extent)), sha256);
        assert.deepEqual(Buffer.from(await inspector.digest(id, 'sha-512', extent, prefix)), sha512);
      }
    };
    await check();
    await blobs.seal(id, bytes.length);
    await check();
  });

  test(`${name}: a digest past the end of the file is refused`, async (t) => {
    const { inspector, id } = await filled(t);
    await assert.rejects(inspector.digest(id, 'sha-256', { start: 0, end: bytes.length }), withCode('internal'));
  });

  test(`${name}: verify returns the indexes of records whose bytes changed or are missing`, async (t) => {
    const { blobs, inspector, id } = await filled(t);
    const records = [0, 1, 2, 3, 4].map((n) => recordOf(n * 500_000, bytes.subarray(n * 500_000, (n + 1) * 500_000)));
    assert.deepEqual(await inspector.verify(id, records), []);
    const part = await blobs.openPart(id);
    await writeAt(part, 500_000, Buffer.from([(bytes[500_000] ?? 0) ^ 1]));
    await writeAt(part, 2_499_999, Buffer.from([(bytes[2_499_999] ?? 0) ^ 128]));
    part.release();
    assert.deepEqual(await inspector.verify(id, records), [1, 4]);
    await blobs.seal(id, 2_000_000);
    assert.deepEqual(await inspector.verify(id, records), [1, 4]);
    assert.deepEqual(await inspector.verify(id, []), []);
  });

  test(`${name}: an unknown id is not_found`, async (t) => {
    const { inspector } = await make(t);
    await assert.rejects(inspector.verify(newId(), []), withCode('not_found'));
    await assert.rejects(inspector.digest(newId(), 'sha-256', { start: 0, end: 1 }), withCode('not_found'));
  });
}
