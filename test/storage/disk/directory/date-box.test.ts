/** The file with the time of the last run: as earlier versions wrote it, and damaged. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { StoredTime } from '../../../../src/contracts/clock.ts';
import { Layout } from '../../../../src/storage/disk/directory/layout.ts';
import { openTestStore, temporaryFolder } from '../../../support/disk/storage.ts';

test('a date of an earlier version is read, and invalid content counts as absent', async (t) => {
  const dataDir = await temporaryFolder(t);
  const { dateBox } = await openTestStore(t, { dataDir });
  const { date: file } = new Layout(dataDir);
  const time: StoredTime = {
    date: 1_800_000_000_000,
    ahead: -5000,
    latest: 1_900_000_000_000,
    steady: 1_800_000_005_000,
    boot: 'a boot',
    uptime: 1234.5,
  };
  await writeFile(file, '1700000000000\n');
  const before = { date: 1_700_000_000_000, ahead: 0, latest: 0, steady: 1_700_000_000_000, boot: null, uptime: 0 };
  assert.deepEqual(await dateBox.read(), before);
  const { steady: _, ...partly } = time;
  for (const text of ['', 'x', '{', 'null', '[]', '1.5', '"5"', '{}', JSON.stringify(partly), '{"steady":"1"}']) {
    await writeFile(file, text);
    assert.equal(await dateBox.read(), null, text);
  }
  for (const wrong of [{ steady: 1e300 }, { ahead: 0.5 }, { boot: 7 }, { uptime: null }, { date: 'now' }]) {
    await writeFile(file, JSON.stringify({ ...time, ...wrong }));
    assert.equal(await dateBox.read(), null, JSON.stringify(wrong));
  }
});
