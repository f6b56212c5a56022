import assert from 'node:assert/strict';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { LadingError } from '../../../src/errors.ts';
import { DiskAuditLog } from '../../../src/storage/disk/audit-log.ts';
import { Layout } from '../../../src/storage/disk/directory/layout.ts';
import { type Disk, realDisk } from '../../../src/storage/disk/io/disk.ts';
import { PowerLossDisk } from '../../support/disk/power-loss-disk.ts';
import { temporaryFolder, withCode } from '../../support/disk/storage.ts';
import { seeded } from '../../support/random.ts';
import { detailsOf, entryOf, queryOf } from '../suites/audit-log.suite.ts';

async function layoutIn(t: TestContext): Promise<Layout> {
  const layout = new Layout(await temporaryFolder(t));
  await mkdir(layout.audit, { recursive: true });
  return layout;
}

test('an incomplete last entry is cut off at the start, wherever it was interrupted', async (t) => {
  const layout = await layoutIn(t);
  const log = await DiskAuditLog.open(realDisk, layout);
  for (const detail of ['one', 'two', 'three']) await log.append(entryOf({ detail }));
  await log.close();
  const file = layout.auditFile('2026-12');
  const whole = await readFile(file);
  const kept = whole.lastIndexOf('\n', whole.length - 2) + 1;
  for (const cut of [kept + 1, kept + 40, whole.length - 1]) {
    await writeFile(file, whole.subarray(0, cut));
    const again = await DiskAuditLog.open(realDisk, layout);
    assert.deepEqual(await detailsOf(again), ['two', 'one']);
    await again.append(entryOf({ detail: 'four' }));
    await again.close();
    assert.equal((await readFile(file, 'utf8')).split('\n').length, 4);
    assert.deepEqual(await detailsOf(again), ['four', 'two', 'one']);
  }
});

test('an incomplete entry of any length without a newline is cut off, too', async (t) => {
  const layout = await layoutIn(t);
  const log = await DiskAuditLog.open(realDisk, layout);
  await log.append(entryOf({ detail: 'one' }));
  await log.close();
  await appendFile(layout.auditFile('2026-12'), Buffer.alloc(200_000));
  const again = await DiskAuditLog.open(realDisk, layout);
  assert.deepEqual(await detailsOf(again), ['one']);
  await again.append(entryOf({ detail: 'two' }));
  assert.deepEqual(await detailsOf(again), ['two', 'one']);
  await again.close();
});

test('damage in the middle hides only the damaged entries', async (t) => {
  const layout = await layoutIn(t);
  const log = await DiskAuditLog.open(realDisk, layout);
  await log.append(entryOf({ detail: 'one' }));
  await log.close();
  await appendFile(layout.auditFile('2026-12'), `\n\n{"time":1}\nnull\n[]\n${'x'.repeat(300_000)}\n`);
  await writeFile(join(layout.audit, 'notes.txt'), 'not a month');
  const again = await DiskAuditLog.open(realDisk, layout);
  await again.append(entryOf({ detail: 'two' }));
  assert.deepEqual(await detailsOf(again), ['two', 'one']);
  await again.close();
});

test('pages do not depend on the length of entries, nor on the borders of blocks', async (t) => {
  const lengths = fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 20_000, max: 40_000 })), {
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 1, max: 50 }), async (all, limit) => {
      const layout = await layoutIn(t);
      const log = await DiskAuditLog.open(realDisk, layout);
      const details = all.map((length, index) => `${index}${'.'.repeat(length)}`);
      await Promise.all(details.map((detail) => log.append(entryOf({ detail }))));
      assert.deepEqual(await detailsOf(log, { limit }), details.reverse());
      await log.close();
    }),
    { numRuns: 25 },
  );
});

test('a filter that matches nothing returns empty pages with a cursor', async (t) => {
  const layout = await layoutIn(t);
  const log = await DiskAuditLog.open(realDisk, layout);
  await log.append(entryOf({ action: 'config', detail: 'found' }));
  const long = 'x'.repeat(30_000);
  for (let n = 0; n < 6; n += 1) {
    await Promise.all(Array.from({ length: 100 }, () => log.append(entryOf({ detail: long }))));
  }
  const first = await log.page(queryOf({ action: 'config' }));
  assert.deepEqual(first.entries, []);
  assert.ok(first.nextCursor);
  assert.deepEqual(await detailsOf(log, { action: 'config' }), ['found']);
  await log.close();
});

test('waiting entries share one write and one sync', async (t) => {
  const layout = await layoutIn(t);
  let syncs = 0;
  const disk: Disk = {
    ...realDisk,
    datasync: (fd) => {
      syncs += 1;
      return realDisk.datasync(fd);
    },
  };
  const log = await DiskAuditLog.open(disk, layout);
  await log.append(entryOf());
  syncs = 0;
  await Promise.all(Array.from({ length: 500 }, () => log.append(entryOf())));
  assert.equal(syncs, 1);
  await log.close();
});

test('an entry that does not fit on a full disk leaves nothing, and the next one is stored', async (t) => {
  const layout = await layoutIn(t);
  let full = false;
  const disk: Disk = {
    ...realDisk,
    write: async (fd, bytes, position) => {
      if (!full) return realDisk.write(fd, bytes, position);
      await realDisk.write(fd, bytes.subarray(0, 10), position);
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    },
  };
  const log = await DiskAuditLog.open(disk, layout);
  await log.append(entryOf({ detail: 'one' }));
  full = true;
  await assert.rejects(
    log.append(entryOf({ detail: 'two' })),
    (error) => error instanceof LadingError && error.code === 'insufficient_storage',
  );
  full = false;
  await log.append(entryOf({ detail: 'three' }));
  assert.deepEqual(await detailsOf(log), ['three', 'one']);
  await log.close();
  assert.deepEqual(await readdir(layout.audit), ['2026-12.jsonl']);
});

test('a cursor names a month and an offset, and any other cursor is refused', async (t) => {
  const layout = await layoutIn(t);
  const log = await DiskAuditLog.open(realDisk, layout);
  await log.append(entryOf({ detail: 'x'.repeat(50) }));
  for (const before of ['2026-13.1', '2026-12', '2026-12.-1']) {
    await assert.rejects(log.page(queryOf({ before })), withCode('invalid_request'));
  }
  for (const before of ['2026-12.20', '2019-01.5']) assert.deepEqual(await detailsOf(log, { before }), []);
  assert.equal((await detailsOf(log, { before: '2030-01.999999' })).length, 1);
  await log.close();
});

test('after a loss of power at any moment all acknowledged entries exist in order, and the log accepts more', async (t) => {
  const random = seeded(t);
  for (let round = 0; round < 12; round += 1) {
    const root = await temporaryFolder(t);
    const disk = await PowerLossDisk.over(root);
    const layout = new Layout(root);
    await disk.mkdir(layout.audit);
    for (const folder of [layout.root, layout.dataDir]) await disk.syncDir(folder);
    const log = await DiskAuditLog.open(disk, layout);
    let promised = 0;
    const appended = Array.from({ length: 20 }, async (_, n) => {
      // Sometimes a new month, because a loss of power can also lose the name of its file.
      const time = Date.UTC(2026, Math.floor(n / 7), 1);
      for (let turns = 0; turns < n * 3; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      await log.append(entryOf({ time, detail: String(n) }));
      promised = Math.max(promised, n + 1);
    });
    await Promise.race([Promise.all(appended), appended[random.int(0, 18)]]);
    const sure = promised;
    const left = await temporaryFolder(t);
    await disk.crash(left, round % 2 === 0 ? null : random.unit);
    await Promise.all(appended);
    await log.close();
    await disk.dispose();
    const again = await DiskAuditLog.open(realDisk, new Layout(left));
    const kept = (await detailsOf(again, { limit: 3 })).reverse();
    assert.ok(kept.length >= sure, `${kept.length} of ${sure}`);
    assert.deepEqual(
      kept,
      Array.from({ length: kept.length }, (_, n) => String(n)),
    );
    await again.append(entryOf({ time: Date.UTC(2026, 11, 1), detail: 'next' }));
    assert.deepEqual((await detailsOf(again))[0], 'next');
    await again.close();
  }
});
