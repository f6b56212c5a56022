/** The bytes of the journal: only damaged records are lost, and only written ones are read. */
import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ManifestRecord } from '../../../src/contracts/manifests.ts';
import { Layout } from '../../../src/storage/disk/directory/layout.ts';
import {
  decodeJournal,
  encodeHeader,
  encodeRecords,
  HEADER_BYTES,
  RECORD_BYTES,
  roomFor,
} from '../../../src/storage/disk/journal.ts';
import { newId, openTestStore, temporaryFolder, withCode } from '../../support/disk/storage.ts';
import { anyRecord } from '../suites/manifest-store.suite.ts';

const ID = '00112233445566778899aabbccddeeff';
const RECORDS: ManifestRecord[] = Array.from({ length: 5 }, (_, n) => ({
  start: n * 1000,
  end: n * 1000 + 999,
  crc32: 0x01020304 * (n + 1),
  synced: n % 2 === 0,
  time: 1_700_000_000_000 + n,
}));

function journal(id: string, records: readonly ManifestRecord[], padding = 0): Uint8Array {
  return Buffer.concat([encodeHeader(id), encodeRecords(id, records, padding)]);
}

/** True when every record of `part` is one of `whole`, in the same order. */
function isSelection(part: readonly ManifestRecord[], whole: readonly ManifestRecord[]): boolean {
  const key = ({ start, end, crc32, synced, time }: ManifestRecord): string => `${[start, end, crc32, synced, time]}`;
  const rest = whole.map(key);
  return part.every((record) => {
    const at = rest.indexOf(key(record));
    rest.splice(0, at + 1);
    return at !== -1;
  });
}

test('the header and a record have the documented bytes', () => {
  const bytes = Buffer.from(
    journal(ID, [{ start: 1, end: 2 ** 40, crc32: 0xdeadbeef, synced: true, time: 0x0102030405 }]),
  );
  assert.equal(bytes.length, HEADER_BYTES + RECORD_BYTES);
  assert.equal(bytes.subarray(0, 8).toString('latin1'), 'LADINGMF');
  assert.equal(bytes.readUInt32BE(8), 1);
  assert.equal(bytes.subarray(12, 28).toString('hex'), ID);
  const record = bytes.subarray(HEADER_BYTES);
  assert.equal(record.readBigUInt64BE(0), 1n);
  assert.equal(record.readBigUInt64BE(8), 1n << 40n);
  assert.equal(record.readUInt32BE(16), 0xdeadbeef);
  assert.equal(record.readUInt32BE(20), 1);
  assert.equal(record.readBigUInt64BE(24), 0x0102030405n);
  assert.equal(record.readUInt32BE(36), 0);
});

test('a journal cut at any byte decodes to a valid prefix', () => {
  const bytes = journal(ID, RECORDS);
  for (let length = 0; length <= bytes.length; length += 1) {
    const { records, length: valid } = decodeJournal(ID, bytes.subarray(0, length));
    const whole = Math.max(0, Math.floor((length - HEADER_BYTES) / RECORD_BYTES));
    assert.deepEqual(records, RECORDS.slice(0, whole), `cut at ${length}`);
    assert.equal(valid, HEADER_BYTES + whole * RECORD_BYTES);
  }
});

test('a journal with any bit of any byte flipped loses no record', () => {
  const bytes = journal(ID, RECORDS, 80);
  for (let at = 0; at < bytes.length; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const damaged = Uint8Array.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
      const { records, lost, headerDamaged, trailing } = decodeJournal(ID, damaged);
      assert.ok(isSelection(records, RECORDS), `byte ${at}, bit ${bit}`);
      assert.equal(records.length, RECORDS.length, `byte ${at}, bit ${bit}`);
      assert.equal(lost, 0);
      const inRecords = at >= HEADER_BYTES && at < bytes.length - 80;
      assert.equal(records.filter((record) => record.repaired).length, inRecords ? 1 : 0, `byte ${at}, bit ${bit}`);
      assert.equal(headerDamaged, at < HEADER_BYTES);
      assert.equal(trailing, at >= bytes.length - 80);
    }
  }
});

test('a record damaged beyond repair is counted, and the others are kept', () => {
  for (let broken = 0; broken < RECORDS.length; broken += 1) {
    const bytes = journal(ID, RECORDS, 80);
    bytes.fill(0xa5, HEADER_BYTES + broken * RECORD_BYTES + 3, HEADER_BYTES + broken * RECORD_BYTES + 30);
    const { records, lost, trailing } = decodeJournal(ID, bytes);
    assert.deepEqual(
      records,
      RECORDS.filter((_, index) => index !== broken),
    );
    // Damage to the last record looks like an interrupted append.
    const isLast = broken === RECORDS.length - 1;
    assert.deepEqual([lost, trailing], isLast ? [0, true] : [1, false]);
  }
});

test('a damaged journal never decodes to a record that was not written', () => {
  const damage = fc.array(fc.tuple(fc.nat({ max: 1000 }), fc.nat({ max: 255 })), { maxLength: 10 });
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 12 }), damage, fc.nat({ max: 600 }), (records, changes, cut) => {
      const bytes = Uint8Array.from(journal(ID, records, 100));
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      const decoded = decodeJournal(ID, bytes.subarray(0, bytes.length - (cut % bytes.length)));
      assert.ok(isSelection(decoded.records, records));
    }),
  );
});

test('records of another upload or at another offset are invalid', () => {
  const foreign = encodeRecords(newId(), RECORDS);
  assert.deepEqual(decodeJournal(ID, Buffer.concat([encodeHeader(ID), foreign])).records, []);
  const shifted = Buffer.concat([encodeHeader(ID), Buffer.alloc(8), encodeRecords(ID, RECORDS)]);
  assert.deepEqual(decodeJournal(ID, shifted).records, []);
});

test('zeros are not records', () => {
  const decoded = decodeJournal(ID, journal(ID, RECORDS, 4096));
  assert.equal(decoded.records.length, RECORDS.length);
  assert.equal(decoded.trailing, false);
});

test('the allocated size grows from one block by up to 64 KiB and always suffices', () => {
  let allocated = 0;
  const steps: number[] = [];
  for (let length = HEADER_BYTES; length < 1_000_000; length += RECORD_BYTES) {
    const room = roomFor(length, allocated);
    assert.ok(room >= length);
    if (room !== allocated) steps.push(room - allocated);
    allocated = room;
  }
  assert.equal(steps[0], 4096);
  assert.equal(steps.at(-1), 65_536);
  assert.ok(steps.length < 30);
});

/** Writes `bytes` as the journal of a new upload, and opens a new store. */
async function planted(t: Parameters<typeof temporaryFolder>[0], bytes: (id: string) => Uint8Array) {
  const dataDir = await temporaryFolder(t);
  const before = await openTestStore(t, { dataDir });
  const id = newId();
  await before.manifests.create(id);
  await before.close();
  const file = new Layout(dataDir).file(id).manifest;
  await writeFile(file, bytes(id));
  return { store: await openTestStore(t, { dataDir }), id, file, dataDir };
}

test('bytes after the last valid record are cut off before an append', async (t) => {
  const { store, id, file, dataDir } = await planted(t, (id) => {
    const bytes = journal(id, RECORDS.slice(0, 3), 400);
    bytes.fill(0xff, HEADER_BYTES + 2 * RECORD_BYTES + 3, HEADER_BYTES + 2 * RECORD_BYTES + 9);
    return bytes;
  });
  assert.deepEqual(await store.manifests.read(id), RECORDS.slice(0, 2));
  assert.equal((await stat(file)).size, HEADER_BYTES + 2 * RECORD_BYTES);
  const manifest = await store.manifests.open(id);
  await manifest.append(RECORDS.slice(4), true);
  await store.close();
  const again = await openTestStore(t, { dataDir });
  assert.deepEqual(await again.manifests.read(id), [...RECORDS.slice(0, 2), ...RECORDS.slice(4)]);
});

test('records after a damaged one are kept, and the store reports lost and repaired records', async (t) => {
  const { store, id, dataDir } = await planted(t, (id) => {
    const bytes = journal(id, RECORDS, 400);
    bytes.fill(0xff, HEADER_BYTES + RECORD_BYTES + 3, HEADER_BYTES + RECORD_BYTES + 9);
    const flipped = HEADER_BYTES + 3 * RECORD_BYTES + 7;
    bytes[flipped] = (bytes[flipped] ?? 0) ^ 4;
    return bytes;
  });
  const found: object[] = [];
  store.onJournalDamage((upload, damage) => found.push({ upload, ...damage }));
  const repaired = RECORDS.map((record, index) => (index === 3 ? { ...record, repaired: true as const } : record));
  const kept = repaired.filter((_, index) => index !== 1);
  assert.deepEqual(await store.manifests.read(id), kept);
  assert.deepEqual(found, [{ upload: id, repaired: 1, lost: 1 }]);
  const { journal_records_repaired_total: mended, journal_records_lost_total: lost } = store.gauges();
  assert.deepEqual([mended, lost], [1, 1]);
  const manifest = await store.manifests.open(id);
  const again: ManifestRecord = { start: 1000, end: 1999, crc32: 7, synced: true, time: 1_700_000_000_009 };
  await manifest.append([again], true);
  await store.close();
  assert.deepEqual(await (await openTestStore(t, { dataDir })).manifests.read(id), [...kept, again]);
});

test('a journal that a crash left empty or without a complete header can be used', async (t) => {
  for (const length of [0, 1, HEADER_BYTES - 1]) {
    const { store, id, dataDir } = await planted(t, (id) => encodeHeader(id).subarray(0, length));
    assert.deepEqual(await store.manifests.read(id), []);
    const manifest = await store.manifests.open(id);
    await manifest.append(RECORDS, true);
    await store.close();
    assert.deepEqual(
      await (await openTestStore(t, { dataDir })).manifests.read(id),
      RECORDS,
      `header of ${length} bytes`,
    );
  }
});

test('a damaged header is written again, and no record is lost', async (t) => {
  const { store, id, file } = await planted(t, (id) => {
    const bytes = journal(id, RECORDS);
    bytes[3] = 0;
    return bytes;
  });
  assert.deepEqual(await store.manifests.read(id), RECORDS);
  assert.deepEqual(new Uint8Array((await readFile(file)).subarray(0, HEADER_BYTES)), encodeHeader(id));
});

test('a journal of a later format or of another upload is refused and left unchanged', async (t) => {
  const later = (id: string): Uint8Array => {
    const bytes = encodeHeader(id);
    new DataView(bytes.buffer).setUint32(8, 2);
    return bytes;
  };
  // A later version has another checksum, so its header must be intact to be recognized.
  const { store, id, file } = await planted(t, () => journal(newId(), RECORDS));
  const before = await readFile(file);
  await assert.rejects(store.manifests.read(id), withCode('internal'));
  assert.deepEqual(await readFile(file), before);
  assert.deepEqual(decodeJournal(ID, later(ID)).headerDamaged, true, 'a version whose checksum is wrong is damage');
});
