/** What every manifest store must do. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { ManifestRecord, ManifestStore } from '../../../src/contracts/manifests.ts';
import { newId, withCode } from '../../support/disk/storage.ts';
import type { BackendUnderTest } from './backends.ts';

/** An arbitrary valid record. */
export const anyRecord: fc.Arbitrary<ManifestRecord> = fc
  .record({
    a: fc.maxSafeNat(),
    b: fc.maxSafeNat(),
    crc32: fc.nat({ max: 0xffffffff }),
    synced: fc.boolean(),
    time: fc.maxSafeNat(),
  })
  .map(({ a, b, ...rest }) => ({ start: Math.min(a, b), end: Math.max(a, b), ...rest }));

export function manifestStoreSuite(backend: BackendUnderTest): void {
  const name = `${backend.name} manifests`;
  /** `manifests` belongs to the open store. `reopen` opens a new store with the same journals. */
  async function make(t: TestContext): Promise<{ manifests: ManifestStore; reopen(): Promise<ManifestStore> }> {
    const under = await backend.open(t);
    const manifests: ManifestStore = {
      create: (id) => under.store.manifests.create(id),
      read: (id) => under.store.manifests.read(id),
      open: (id) => under.store.manifests.open(id),
      rewrite: (id, records) => under.store.manifests.rewrite(id, records),
    };
    return { manifests, reopen: async () => (await under.reopen()).manifests };
  }

  const record = (n: number): ManifestRecord => ({
    start: n * 10,
    end: n * 10 + 9,
    crc32: n,
    synced: n % 2 === 0,
    time: 1000 + n,
  });
  const records = (from: number, to: number): ManifestRecord[] =>
    Array.from({ length: to - from }, (_, index) => record(from + index));

  async function created(t: TestContext) {
    const { manifests, reopen } = await make(t);
    const id = newId();
    await manifests.create(id);
    return { manifests, reopen, id };
  }

  test(`${name}: a new journal is empty, and a missing one is not_found`, async (t) => {
    const { manifests, id } = await created(t);
    assert.deepEqual(await manifests.read(id), []);
    await assert.rejects(manifests.read(newId()), withCode('not_found'));
    await assert.rejects(manifests.open(newId()), withCode('not_found'));
  });

  test(`${name}: records are returned unchanged and in order, also by a new store`, async (t) => {
    const { manifests, reopen, id } = await created(t);
    const extremes: ManifestRecord[] = [
      { start: 0, end: 0, crc32: 0, synced: false, time: 0 },
      {
        start: Number.MAX_SAFE_INTEGER,
        end: Number.MAX_SAFE_INTEGER,
        crc32: 0xffffffff,
        synced: true,
        time: Number.MAX_SAFE_INTEGER,
      },
      { start: 2 ** 32 - 1, end: 2 ** 32, crc32: 0x80000000, synced: true, time: 1 },
    ];
    const journal = await manifests.open(id);
    await journal.append(extremes, true);
    await journal.append(records(0, 1), false);
    await journal.append(records(1, 300), true);
    await journal.append([], true);
    journal.release();
    const all = [...extremes, ...records(0, 300)];
    assert.deepEqual(await manifests.read(id), all);
    assert.deepEqual(await (await reopen()).read(id), all);
  });

  test(`${name}: appends through several handles continue one journal`, async (t) => {
    const { manifests, reopen, id } = await created(t);
    const first = await manifests.open(id);
    const second = await manifests.open(id);
    await first.append(records(0, 3), false);
    await second.append(records(3, 5), true);
    first.release();
    await second.append(records(5, 6), false);
    await second.sync();
    second.release();
    assert.deepEqual(await manifests.read(id), records(0, 6));
    const later = await reopen();
    const third = await later.open(id);
    await third.append(records(6, 9), true);
    third.release();
    assert.deepEqual(await later.read(id), records(0, 9));
  });

  test(`${name}: a rewrite replaces the journal, and appends continue after it`, async (t) => {
    const { manifests, reopen, id } = await created(t);
    const journal = await manifests.open(id);
    await journal.append(records(0, 500), true);
    await manifests.rewrite(id, records(100, 103));
    assert.deepEqual(await manifests.read(id), records(100, 103));
    await journal.append(records(7, 9), true);
    journal.release();
    const expected = [...records(100, 103), ...records(7, 9)];
    assert.deepEqual(await manifests.read(id), expected);
    assert.deepEqual(await (await reopen()).read(id), expected);
    await manifests.rewrite(id, []);
    assert.deepEqual(await (await reopen()).read(id), []);
  });

  test(`${name}: a journal holds a hundred thousand records`, async (t) => {
    const { manifests, reopen, id } = await created(t);
    const journal = await manifests.open(id);
    for (let n = 0; n < 100_000; n += 2500) await journal.append(records(n, n + 2500), false);
    journal.release();
    const read = await (await reopen()).read(id);
    assert.equal(read.length, 100_000);
    assert.deepEqual(read[99_999], record(99_999));
  });

  test(`${name}: any records in any batches are returned`, async (t) => {
    const { manifests, reopen } = await make(t);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.array(anyRecord, { maxLength: 40 }), fc.boolean()), { maxLength: 8 }),
        async (batches) => {
          const id = newId();
          await manifests.create(id);
          const journal = await manifests.open(id);
          for (const [batch, durable] of batches) await journal.append(batch, durable);
          journal.release();
          const all = batches.flatMap(([batch]) => batch);
          assert.deepEqual(await manifests.read(id), all);
          assert.deepEqual(await (await reopen()).read(id), all);
        },
      ),
      { numRuns: 20 },
    );
  });
}
