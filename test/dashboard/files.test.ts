/** The files page in a real browser with a real server and real files. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { eventually } from '../support/eventually.ts';
import { accessibilityFaults, assertAccessible, signInTo } from '../support/product/dashboard.ts';
import { startServer } from '../support/product/server.ts';
import { store } from '../support/product/store.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';
import { temporaryFolder } from '../support/servers/processes.ts';

test('the page is small, contacts no other host and allows only its own files', async (t) => {
  const { origin } = await startServer(t);
  const headers = { 'accept-encoding': 'br' };
  const page = await fetch(origin, { headers });
  assert.equal(page.status, 200);
  const policy = page.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  const html = await page.text();
  const links = [...html.matchAll(/(?:src|href)="(?!data:)([^"]+)"/g)].map(([, link]) => link ?? '');
  assert.ok(links.length >= 2, html);
  let bytes = html.length;
  for (const link of links) {
    const reply = await fetch(new URL(link, `${origin}/`), { headers });
    assert.equal(reply.status, 200, link);
    assert.equal(reply.headers.get('content-encoding'), 'br');
    assert.match(reply.headers.get('cache-control') ?? '', /immutable/);
    bytes += Number(reply.headers.get('content-length'));
    await reply.arrayBuffer();
  }
  assert.ok(bytes > 0 && bytes <= 150_000, `${bytes} bytes for the first load`);
  assert.equal((await fetch(`${origin}/assets/none.js`)).status, 404);
  assert.equal((await fetch(`${origin}/assets/..%2Findex.html`)).status, 404);
});

test('uploads of others appear at once, and names are shown as text', { skip: WITHOUT_BROWSER }, async (t) => {
  const { origin, client } = await startServer(t);
  const { page, faults } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  await page.getByText('0 entries').waitFor();
  const send = async (name: string): Promise<void> => {
    const query = new URLSearchParams({ filename: name, total_size: '5' });
    const headers = { ...client.headers, 'content-type': 'application/octet-stream' };
    const body = encodeChunk(0, Buffer.from('hello'));
    const reply = await fetch(`${origin}/api/files/upload?${query}`, { method: 'POST', headers, body });
    assert.equal(reply.status, 200, await reply.text());
  };
  const evil = '<img src=x onerror="document.title=1">.txt';
  await send(evil);
  await page.getByText(evil).waitFor();
  await send('monday/one.txt');
  await page.getByRole('button', { name: 'monday/' }).click();
  await page.getByText('one.txt', { exact: true }).waitFor();
  await page.getByRole('button', { name: '← Up' }).click();
  await page.getByLabel('Search files').fill('ONE.T');
  await page.locator('[data-name="monday/one.txt"]').waitFor();
  assert.equal(await page.locator('.row').count(), 1);
  assert.equal(await page.title(), 'Lading');

  // The current token survives a reload, but not a sign-out.
  await page.reload();
  await page.getByText(evil).waitFor();
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.reload();
  await page.getByLabel('Client id').waitFor();
  await page.getByRole('button', { name: 'API token' }).click();
  await page.getByLabel('API token', { exact: true }).last().fill(client.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText(evil).waitFor();
  assert.deepEqual(faults, []);
});

test('a list of 10,000 files renders few rows and can be scrolled to the last one', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client, app } = await startServer(t);
  const { page, faults } = await visit(t, `${origin}/`);
  await page.setViewportSize({ width: 360, height: 640 });
  const headers = { ...client.headers, 'content-type': 'application/octet-stream' };
  for (let at = 0; at < 10_000; at += 50) {
    const names = Array.from({ length: 50 }, (_, index) => `f${String(at + index).padStart(5, '0')}`);
    const send = async (name: string): Promise<void> => {
      const url = `/api/files/upload?filename=${name}&total_size=9`;
      const payload = Buffer.from(encodeChunk(0, Buffer.from('hello')));
      const reply = await app.server.inject({ method: 'POST', url, headers, payload });
      assert.equal(reply.statusCode, 200, reply.body);
    };
    await Promise.all(names.map(send));
  }
  await signInTo(page, client);
  await page.getByText('10000 entries').waitFor();
  assert.ok((await page.locator('.row').count()) < 100);
  await page.locator('.list').evaluate((list: { scrollTop: number; scrollHeight: number }) => {
    list.scrollTop = list.scrollHeight;
  });
  await page.locator('[data-name="f09999"]').waitFor();
  assert.ok((await page.locator('.row').count()) < 100);
  const wide = await page.evaluate('document.documentElement.scrollWidth');
  const widest = await page.evaluate(
    "[...document.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > 360).map((e) => e.outerHTML.slice(0, 90)).join(' ')",
  );
  assert.ok(Number(wide) <= 360, `${wide} px wide: ${widest}`);
  assert.deepEqual(await accessibilityFaults(page), []);
  assert.deepEqual(faults, []);
});

test('files are selected, filtered, downloaded and deleted, and a folder is uploaded with its paths', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'album/side b'), { recursive: true });
  await writeFile(join(folder, 'album/one.txt'), 'one');
  await writeFile(join(folder, 'album/side b/two.txt'), 'two');
  for (const name of ['a.txt', 'b.txt', 'c.txt', 'd.txt']) {
    await store(origin, client.headers.authorization, name, Buffer.from(name), 'text/plain');
  }
  const { page, faults } = await visit(t, `${origin}/`);
  page.on('dialog', (dialog) => void dialog.accept());
  await signInTo(page, client);
  await page.getByLabel('Upload a folder').setInputFiles(join(folder, 'album'));
  await page.getByRole('button', { name: 'album/' }).click();
  await page.locator('[data-name="album/one.txt"]').getByText('complete').waitFor();
  await page.getByRole('button', { name: 'side b/' }).click();
  await page.locator('[data-name="album/side b/two.txt"]').getByText('complete').waitFor();
  await page.getByRole('button', { name: '← Up' }).click();
  await page.getByRole('button', { name: '← Up' }).click();

  await page.getByLabel('State').selectOption('partial');
  await page.getByText('No files match.').waitFor();
  await page.getByLabel('State').selectOption('');
  await page.getByLabel('Select a.txt', { exact: true }).check();
  await page.getByLabel('Select c.txt', { exact: true }).click({ modifiers: ['Shift'] });
  await page.getByText('3 selected').waitFor();
  const names: string[] = [];
  page.on('download', (download) => names.push(download.suggestedFilename()));
  await page.getByRole('button', { name: 'Download', exact: true }).click();
  await eventually(() => names.length === 3, 'three downloads');
  assert.deepEqual(names.sort(), ['a.txt', 'b.txt', 'c.txt']);
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.locator('[data-name="a.txt"]').waitFor({ state: 'detached' });
  await page.locator('[data-name="d.txt"]').waitFor();
  await page.getByText('2 entries').waitFor();
  await assertAccessible(page);
  assert.deepEqual(faults, []);
});

test('the keyboard alone signs in, selects a file, and opens and closes a document', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  await store(origin, client.headers.authorization, 'paper.pdf', Buffer.from('%PDF-1.4\n%%EOF\n'), 'application/pdf');
  const { page, faults } = await visit(t, `${origin}/`);
  const { keyboard } = page;
  await page.getByLabel('Client id').focus();
  await keyboard.type(client.id);
  await keyboard.press('Tab');
  await keyboard.type(client.secret);
  await keyboard.press('Enter');
  await page.getByRole('button', { name: 'paper.pdf', exact: true }).waitFor();
  /** Presses Tab until the element with this name has the focus. */
  const reach = async (name: string): Promise<void> => {
    for (let tabs = 0; tabs < 60; tabs += 1) {
      const focused = await page.evaluate(
        "document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim() ?? ''",
      );
      if (focused === name) return;
      await keyboard.press('Tab');
    }
    assert.fail(`${name} cannot be reached with Tab`);
  };
  await reach('Select paper.pdf');
  await keyboard.press('Space');
  await page.getByText('1 selected').waitFor();
  await reach('paper.pdf');
  await keyboard.press('Enter');
  const link = page.getByRole('link', { name: 'Open the document in a tab' });
  await link.waitFor();
  assert.match((await link.getAttribute('href')) ?? '', /^blob:/);
  await keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await reach('Sign out');
  await keyboard.press('Enter');
  await page.getByLabel('Client id').waitFor();
  assert.deepEqual(faults, []);
});
