/** Uploads in the dashboard: interruptions, dropped files, renewed sessions and proxies. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, request as requestTo } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { accessibilityFaults, assertAccessible, signInTo } from '../support/product/dashboard.ts';
import { startServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';
import { startServerProcess, temporaryFolder } from '../support/servers/processes.ts';

test('an upload survives a killed server and a reload, and is downloaded byte for byte', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const folder = await temporaryFolder(t);
  const first = await startServerProcess(t, join(folder, 'data'));
  const bytes = randomBytes(500_000_000);
  const file = join(folder, 'recording.raw');
  await writeFile(file, bytes);
  const { page, faults, context } = await visit(t, `${first.env.LADING_SERVER}/`);
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.getByLabel('Client id').fill('admin');
  await page.getByLabel('Client secret').fill('a wrong one');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The client id or the secret is wrong.').waitFor();
  await signInTo(page, { id: 'admin', secret: String(first.env.LADING_CLIENT_SECRET) });

  // Slow down the upload, so that it can be interrupted.
  await context.route('**/api/files/upload?*', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    await route.continue().catch(() => {});
  });
  await page.getByLabel('Upload files').setInputFiles(file);
  const task = page.getByRole('listitem').filter({ hasText: '↑ recording.raw' });
  const bar = task.getByRole('progressbar');
  await page.waitForFunction(
    () => Number((globalThis as never as Window0).document.querySelector('.tasks progress')?.value ?? 0) > 0,
  );
  await task.getByRole('button', { name: 'Pause' }).click();
  await task.getByText('Paused').waitFor();
  assert.ok(Number(await bar.getAttribute('value')) < bytes.length);
  await task.getByRole('button', { name: 'Resume' }).click();
  await first.kill();
  const second = await startServerProcess(t, join(folder, 'data'), first.port);
  await page.reload();
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
  await context.unroute('**/api/files/upload?*');
  await page.getByLabel('Upload files').setInputFiles(file);
  await task.getByText('Done').waitFor({ timeout: 120_000 });
  await task.getByText('Resumed.').waitFor();

  const row = page.locator('[data-name="recording.raw"]');
  await row.getByText('complete').waitFor();
  const download = page.waitForEvent('download');
  await row.getByRole('button', { name: 'Download recording.raw' }).click();
  const got = await readFile(await (await download).path());
  assert.ok(bytes.equals(got), 'the same bytes');
  assert.deepEqual(await accessibilityFaults(page), []);

  page.on('dialog', (dialog) => void dialog.accept());
  await row.getByRole('button', { name: 'Delete recording.raw' }).click();
  await row.waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
  await second.kill();
});

interface Window0 {
  document: { querySelector(selector: string): { value: number } | null };
}

test('a browser shows the uploads of another one, and an upload continues on other pages', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  const folder = await temporaryFolder(t);
  const file = join(folder, 'shared.raw');
  await writeFile(file, randomBytes(24 * 1024 * 1024));
  const [one, two] = [await visit(t, `${origin}/`), await visit(t, `${origin}/`)];
  for (const { page } of [one, two]) await signInTo(page, client);
  // Hold all chunks after the first one, so that the upload is visible in progress.
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let chunks = 0;
  await one.context.route('**/api/files/upload?*', async (route) => {
    chunks += 1;
    if (chunks > 1) await gate;
    await route.continue().catch(() => {});
  });
  await one.page.getByLabel('Upload files').setInputFiles(file);
  await two.page
    .locator('[data-name="shared.raw"]')
    .getByText(/received/)
    .waitFor();
  // The upload continues on another page of the dashboard.
  await one.page.getByRole('link', { name: 'Tokens' }).click();
  release();
  await two.page.locator('[data-name="shared.raw"]').getByText('complete').waitFor();
  await one.page.getByRole('link', { name: 'Files' }).click();
  await one.page.getByRole('listitem').filter({ hasText: '↑ shared.raw' }).getByText('Done').waitFor();
  assert.deepEqual([...one.faults, ...two.faults], []);
});

test('chunks shrink behind a proxy that accepts only small bodies', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { port, client, origin } = await startServer(t);
  const maxBody = 1_000_000;
  let refused = 0;
  const proxy = createServer((request, response) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBody) {
      refused += 1;
      request.resume();
      response.writeHead(413, { connection: 'close' }).end();
      return;
    }
    const { method, url, headers } = request;
    const onward = requestTo({ port, host: '127.0.0.1', method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  const folder = await temporaryFolder(t);
  const bytes = randomBytes(20_000_000);
  await writeFile(join(folder, 'small.raw'), bytes);
  const { page, faults } = await visit(t, `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/`);
  await signInTo(page, client);
  await page.getByLabel('Upload files').setInputFiles(join(folder, 'small.raw'));
  await page.locator('[data-name="small.raw"]').getByText('complete').waitFor();
  assert.ok(refused > 0, 'the first chunks were larger');
  const reply = await fetch(`${origin}/api/files/download/small.raw`, { headers: client.headers });
  assert.ok(Buffer.from(await reply.arrayBuffer()).equals(bytes));
  assert.deepEqual(faults, []);
});

test('an upload continues after its session ended and was renewed', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client, admin } = await startServer(t);
  const folder = await temporaryFolder(t);
  const bytes = randomBytes(40 * 1024 * 1024);
  await writeFile(join(folder, 'long.raw'), bytes);
  const { page, context, faults } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let chunks = 0;
  await context.route('**/api/files/upload?*', async (route) => {
    chunks += 1;
    if (chunks > 1) await gate;
    await route.continue().catch(() => {});
  });
  await page.getByLabel('Upload files').setInputFiles(join(folder, 'long.raw'));
  await page
    .locator('[data-name="long.raw"]')
    .getByText(/received/)
    .waitFor();
  // Sessions end by the second in which their token was issued, so wait for the next one.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const ended = await fetch(`${origin}/api/clients/${client.id}`, {
    method: 'PUT',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: '{"end_sessions":true}',
  });
  assert.equal(ended.status, 200);
  release();
  await page.locator('[data-name="long.raw"]').getByText('complete').waitFor();
  await page.getByRole('button', { name: 'long.raw', exact: true }).click();
  await page.getByRole('dialog').getByText('Share links').waitFor();
  assert.deepEqual(faults, []);
});

test('dropped files are uploaded with a total progress, and cancelling deletes an upload on the server', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  const { page, context, faults } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let chunks = 0;
  await context.route('**/api/files/upload?*', async (route) => {
    if (route.request().url().includes('dropped.raw')) chunks += 1;
    if (chunks > 1 && route.request().url().includes('dropped.raw')) await gate;
    await route.continue().catch(() => {});
  });
  const data = await page.evaluateHandle(`(() => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(30000000)], 'dropped.raw'));
    data.items.add(new File(['small'], 'dropped.txt'));
    return data;
  })()`);
  await page.getByRole('region', { name: 'Upload' }).dispatchEvent('drop', { dataTransfer: data });
  await page.getByText(/[12] in progress/).waitFor();
  await page.getByLabel('Progress of all').waitFor();
  await eventually(() => chunks > 1, 'the second chunk');
  await page.locator('[data-name="dropped.txt"]').getByText('complete').waitFor();
  await page.getByRole('button', { name: 'Pause all' }).click();
  const task = page.getByRole('listitem').filter({ hasText: '↑ dropped.raw' });
  await task.getByText('Paused').waitFor();
  await assertAccessible(page);
  await task.getByRole('button', { name: 'Cancel' }).click();
  await task.waitFor({ state: 'detached' });
  release();
  const status = async (): Promise<string> => {
    const reply = await fetch(`${origin}/api/files/status/dropped.raw`, { headers: client.headers });
    return ((await reply.json()) as { status: string }).status;
  };
  await eventually(async () => (await status()) === 'pending', 'the deletion of the upload');
  await page.locator('[data-name="dropped.raw"]').waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
});
