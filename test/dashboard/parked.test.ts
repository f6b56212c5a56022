/** Parked uploads in the dashboard. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { clockOf } from '../support/product/clock.ts';
import { assertAccessible, goTo, signInTo } from '../support/product/dashboard.ts';
import { startServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

test('a parked upload shows how it resumes and when it is deleted, and resumes', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  let elapsed = 0;
  const settings = { LADING_STALE_SECONDS: '60', LADING_STALE_REMOVE_DAYS: '30' };
  const { origin, admin } = await startServer(t, settings, { clock: clockOf(() => Date.now() + elapsed) });
  const bytes = Buffer.from('0123456789');
  const send = async (start: number, end: number): Promise<void> => {
    const reply = await fetch(`${origin}/api/files/upload?filename=quiet.raw&total_size=10`, {
      method: 'POST',
      headers: { ...admin.headers, 'content-type': 'application/octet-stream' },
      body: encodeChunk(start, bytes.subarray(start, end)),
    });
    assert.equal(reply.status, 200, await reply.text());
  };
  await send(0, 4);
  const { page, faults } = await visit(t, `${origin}/`);
  await signInTo(page, admin);
  const row = page.locator('[data-name="quiet.raw"]');
  await row.getByText('40 % received').waitFor();
  elapsed += 61_000;
  const swept = await fetch(`${origin}/api/sweep`, { method: 'POST', headers: admin.headers });
  assert.equal(swept.status, 200);
  await row.getByText('parked at 40 %').waitFor();
  const { expires_at: until } = (await (
    await fetch(`${origin}/api/files/status/quiet.raw`, { headers: admin.headers })
  ).json()) as { expires_at: string };
  const note = (await row.locator('.parked').textContent()) ?? '';
  const date = await page.evaluate(
    `new Date('${until}').toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })`,
  );
  assert.equal(note, `resumes with the next chunk, removed on ${date}`);
  await page.getByLabel('State').selectOption('partial');
  await page.getByText('No files match.').waitFor();
  await page.getByLabel('State').selectOption('parked');
  await row.waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'quiet.raw', exact: true }).click();
  await page.getByText('Parked, because no bytes arrived for a long time').waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByLabel('State').selectOption('');
  await send(4, 7);
  await row.getByText('70 % received').waitFor();
  await goTo(page, 'Transfers');
  await page.getByRole('row').filter({ hasText: 'quiet.raw' }).getByText('70 % of').waitFor();
  const open = await fetch(`${origin}/api/files/content/open.raw`, {
    method: 'PUT',
    headers: { ...admin.headers, 'upload-complete': '?0' },
    body: 'x'.repeat(2048),
  });
  assert.equal(open.status, 201);
  const openRow = page.getByRole('row').filter({ hasText: 'open.raw' });
  await openRow.getByText('2.0 KiB', { exact: true }).waitFor();
  assert.doesNotMatch((await openRow.textContent()) ?? '', /%/, 'the size was not declared');
  await send(7, 10);
  await goTo(page, 'Files');
  await row.getByText('complete').waitFor();
  assert.deepEqual(faults, []);
});
