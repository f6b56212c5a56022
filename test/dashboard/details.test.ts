/** The details of a file in the dashboard: facts, share links, grants, previews and history. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAccessible, signInTo, waitUntilTrue } from '../support/product/dashboard.ts';
import { startServer } from '../support/product/server.ts';
import { store } from '../support/product/store.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

test('the details show digests and manage share links and grants', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client, enrol } = await startServer(t);
  const reader = await enrol();
  await store(
    origin,
    client.headers.authorization,
    'notes.txt',
    Buffer.from('first line\n<b>second</b>'),
    'text/plain',
  );
  const { page, faults } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  await page.getByRole('button', { name: 'notes.txt', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('<b>second</b>').waitFor();
  await dialog.getByText(/^sha-256 [0-9a-f]{64}$/).waitFor();

  await dialog.getByLabel('Maximum downloads').fill('1');
  await dialog.getByLabel('Password').fill('seven lamps over rivers');
  await dialog.getByRole('button', { name: 'Create link' }).click();
  const link = (await dialog.locator('.secret code').textContent()) ?? '';
  const get = (password: string) =>
    fetch(link, { headers: { authorization: `Basic ${Buffer.from(`:${password}`).toString('base64')}` } });
  assert.equal((await fetch(link)).status, 401);
  const got = await get('seven lamps over rivers');
  assert.equal(await got.text(), 'first line\n<b>second</b>');
  await dialog.getByText('1 of 1').waitFor();
  await assertAccessible(page);
  await dialog.getByRole('button', { name: 'Done' }).click();
  await dialog.getByRole('button', { name: /^Revoke the link/ }).click();
  await dialog.getByText('There are no links to this file.').waitFor();
  assert.equal((await get('seven lamps over rivers')).status, 404);

  const read = () => fetch(`${origin}/api/files/download/notes.txt?owner=${client.id}`, { headers: reader.headers });
  assert.equal((await read()).status, 403);
  await dialog.getByLabel('Client (id or name) or person (id or e-mail address)').fill(reader.id);
  await dialog.getByRole('button', { name: 'Grant access' }).click();
  await dialog.getByRole('button', { name: `Revoke the grant of ${reader.id}` }).waitFor();
  assert.equal((await read()).status, 200);
  await dialog.getByRole('button', { name: `Revoke the grant of ${reader.id}` }).click();
  await dialog.getByText('There are no grants.').waitFor();
  assert.equal((await read()).status, 403);
  await dialog.getByRole('button', { name: 'Close' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
});

test('pictures are shown and audio is played, and their tags are never interpreted', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  const { authorization } = client.headers;
  const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  await store(origin, authorization, 'dot.png', Buffer.from(pixel, 'base64'), 'image/png');
  await store(origin, authorization, 'tone.wav', taggedTone('<img src=x onerror="document.title=1">'), 'audio/wav');
  const { page, faults } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  await page.getByRole('button', { name: 'dot.png', exact: true }).click();
  await page.getByRole('img', { name: 'dot.png' }).waitFor();
  await waitUntilTrue(page, "document.querySelector('img.preview').naturalWidth === 1");
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'tone.wav', exact: true }).click();
  await waitUntilTrue(page, "document.querySelector('audio')?.duration > 1.9");
  const links = async (): Promise<unknown[]> => {
    const reply = await fetch(`${origin}/api/shares`, { headers: client.headers });
    return ((await reply.json()) as { shares: unknown[] }).shares;
  };
  assert.deepEqual(await links(), [], 'a preview creates no share link');
  await page.evaluate("document.querySelector('audio').currentTime = 1.5");
  await waitUntilTrue(page, "document.querySelector('audio').currentTime > 1.4");
  await waitUntilTrue(
    page,
    `(() => {
    const canvas = document.querySelector('.preview canvas');
    return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
  })()`,
  );
  assert.equal(await page.title(), 'Lading');
  await page.getByRole('button', { name: 'Close' }).click();
  assert.deepEqual(await links(), []);
  assert.deepEqual(faults, []);
});

/** Two seconds of a tone, with a title tag. */
function taggedTone(title: string): Buffer {
  const rate = 8000;
  const samples = Buffer.alloc(2 * rate * 2);
  for (let at = 0; at < 2 * rate; at += 1) samples.writeInt16LE(Math.round(20_000 * Math.sin(at / 5)), 2 * at);
  const name = Buffer.from(`${title}\0`.padEnd(title.length + (title.length % 2 === 0 ? 2 : 1), '\0'));
  const info = Buffer.concat([Buffer.from('INFOINAM'), le32(name.length), name]);
  const format = Buffer.alloc(16);
  format.writeUInt16LE(1, 0);
  format.writeUInt16LE(1, 2);
  format.writeUInt32LE(rate, 4);
  format.writeUInt32LE(2 * rate, 8);
  format.writeUInt16LE(2, 12);
  format.writeUInt16LE(16, 14);
  const chunk = (id: string, bytes: Buffer) => Buffer.concat([Buffer.from(id), le32(bytes.length), bytes]);
  const body = Buffer.concat([Buffer.from('WAVE'), chunk('fmt ', format), chunk('LIST', info), chunk('data', samples)]);
  return Buffer.concat([Buffer.from('RIFF'), le32(body.length), body]);
}

function le32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

test('administrators see the history of a file', { skip: WITHOUT_BROWSER }, async (t) => {
  const { origin, admin } = await startServer(t);
  await store(origin, admin.headers.authorization, 'shared.txt', Buffer.from('x'), 'text/plain');
  const share = await fetch(`${origin}/api/files/share/shared.txt`, {
    method: 'POST',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: '{}',
  });
  assert.equal(share.status, 201);
  const { page, faults } = await visit(t, `${origin}/`);
  await signInTo(page, admin);
  await page.getByRole('button', { name: 'shared.txt', exact: true }).click();
  await page.getByRole('region', { name: 'History' }).getByText('share created').waitFor();
  await assertAccessible(page);
  assert.deepEqual(faults, []);
});
