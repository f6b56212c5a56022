/** The dashboard as somebody uses it: a real browser, a real server, real files. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { visit, WITHOUT_BROWSER } from '../support/chromium.ts';
import { startServerProcess, temporaryFolder } from '../support/processes.ts';
import { startServer } from '../support/server.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

async function signIn(page: Page, id: string, secret: string): Promise<void> {
  await page.getByLabel('Client id').fill(id);
  await page.getByLabel('Client secret').fill(secret);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

interface Violation {
  id: string;
  impact: string | null;
  nodes: { html: string }[];
}

/** What axe-core finds serious or critical. It is put in by the browser's debugger, past the policy of the page. */
async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations } = (await page.evaluate('axe.run()')) as { violations: Violation[] };
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

test('the page is small, asks no other host and allows nothing but its own files', async (t) => {
  const { origin } = await startServer(t);
  const asked = { 'accept-encoding': 'br' };
  const page = await fetch(origin, { headers: asked });
  assert.equal(page.status, 200);
  const policy = page.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  const html = await page.text();
  const links = [...html.matchAll(/(?:src|href)="(?!data:)([^"]+)"/g)].map(([, link]) => link ?? '');
  assert.ok(links.length >= 2, html);
  let bytes = html.length;
  for (const link of links) {
    const reply = await fetch(new URL(link, `${origin}/`), { headers: asked });
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

test('an upload survives a killed server and a reload, and comes back byte for byte', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const folder = await temporaryFolder(t);
  const first = await startServerProcess(t, join(folder, 'data'));
  const bytes = randomBytes(96 * 1024 * 1024);
  const file = join(folder, 'recording.raw');
  await writeFile(file, bytes);
  const { page, complaints, context } = await visit(t, `${first.env.LADING_SERVER}/`);
  assert.deepEqual(await seriousFaults(page), []);
  await page.getByLabel('Client id').fill('admin');
  await page.getByLabel('Client secret').fill('a wrong one');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The client id or the secret is wrong.').waitFor();
  await signIn(page, 'admin', String(first.env.LADING_CLIENT_SECRET));

  // Slow enough that there is a middle to be interrupted in.
  await context.route('**/api/files/upload?*', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    await route.continue().catch(() => {});
  });
  await page.getByLabel(/Upload files/).setInputFiles(file);
  const task = page.getByRole('listitem').filter({ hasText: '↑ recording.raw' });
  const bar = task.getByRole('progressbar');
  await page.waitForFunction(
    () => Number((globalThis as never as Window0).document.querySelector('.tasks progress')?.value ?? 0) > 0,
  );
  await task.getByRole('button', { name: 'Pause' }).click();
  await task.getByText('Paused').waitFor();
  assert.ok(Number(await bar.getAttribute('value')) < bytes.length);
  await task.getByRole('button', { name: 'Go on' }).click();
  await first.kill();
  const second = await startServerProcess(t, join(folder, 'data'), first.port);
  await page.reload();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  await context.unroute('**/api/files/upload?*');
  await page.getByLabel(/Upload files/).setInputFiles(file);
  await task.getByText('Done').waitFor({ timeout: 120_000 });
  await task.getByText('Went on where it was.').waitFor();

  const row = page.locator('[data-name="recording.raw"]');
  await row.getByText('complete').waitFor();
  const download = page.waitForEvent('download');
  await row.getByRole('button', { name: 'Download recording.raw' }).click();
  const got = await readFile(await (await download).path());
  assert.ok(bytes.equals(got), 'the same bytes');
  assert.deepEqual(await seriousFaults(page), []);

  page.on('dialog', (dialog) => void dialog.accept());
  await row.getByRole('button', { name: 'Delete recording.raw' }).click();
  await row.waitFor({ state: 'detached' });
  assert.deepEqual(complaints, []);
  await second.kill();
});

interface Window0 {
  document: { querySelector(selector: string): { value: number } | null };
}

test('what others send shows at once, and names are text whatever is in them', { skip: WITHOUT_BROWSER }, async (t) => {
  const { origin, client } = await startServer(t);
  const { page, complaints } = await visit(t, `${origin}/`);
  await signIn(page, client.id, client.secret);
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

  // The token of the moment outlives a reload, signing out does not.
  await page.reload();
  await page.getByText(evil).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.reload();
  await page.getByLabel('Client id').waitFor();
  await page.getByRole('button', { name: 'API token' }).click();
  await page.getByLabel('API token', { exact: true }).last().fill(client.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText(evil).waitFor();
  assert.deepEqual(complaints, []);
});

test('a list of 1,200 files keeps few of them in the page, the last one within reach', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client, app } = await startServer(t);
  const { page, complaints } = await visit(t, `${origin}/`);
  await page.setViewportSize({ width: 360, height: 640 });
  const headers = { ...client.headers, 'content-type': 'application/octet-stream' };
  for (let at = 0; at < 1200; at += 50) {
    const names = Array.from({ length: 50 }, (_, index) => `f${String(at + index).padStart(4, '0')}`);
    const send = async (name: string): Promise<void> => {
      const url = `/api/files/upload?filename=${name}&total_size=9`;
      const payload = Buffer.from(encodeChunk(0, Buffer.from('hello')));
      const reply = await app.server.inject({ method: 'POST', url, headers, payload });
      assert.equal(reply.statusCode, 200, reply.body);
    };
    await Promise.all(names.map(send));
  }
  await signIn(page, client.id, client.secret);
  await page.getByText('1200 entries').waitFor();
  assert.ok((await page.locator('.row').count()) < 100);
  await page.locator('.list').evaluate((list: { scrollTop: number; scrollHeight: number }) => {
    list.scrollTop = list.scrollHeight;
  });
  await page.locator('[data-name="f1199"]').waitFor();
  assert.ok((await page.locator('.row').count()) < 100);
  const wide = await page.evaluate('document.documentElement.scrollWidth');
  const widest = await page.evaluate(
    "[...document.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > 360).map((e) => e.outerHTML.slice(0, 90)).join(' ')",
  );
  assert.ok(Number(wide) <= 360, `${wide} px wide: ${widest}`);
  assert.deepEqual(await seriousFaults(page), []);
  assert.deepEqual(complaints, []);
});
