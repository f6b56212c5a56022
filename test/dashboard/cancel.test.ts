/** Cancelling in the dashboard ends only uploads that the page started: no stored files and no uploads of others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BrowserContext, Page } from 'playwright-core';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { eventually } from '../support/eventually.ts';
import { signInTo } from '../support/product/dashboard.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

interface Picked {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

const text = (name: string, content: string): Picked => ({
  name,
  mimeType: 'text/plain',
  buffer: Buffer.from(content),
});

async function store({ origin, client }: TestServer, name: string, content: string): Promise<void> {
  const url = `${origin}/api/files/content/${encodeURIComponent(name)}`;
  const reply = await fetch(url, { method: 'PUT', headers: client.headers, body: content });
  assert.ok(reply.ok, await reply.text());
}

async function sendChunk({ origin, client }: TestServer, name: string, bytes: Buffer, total: number): Promise<void> {
  const query = new URLSearchParams({ filename: name, total_size: String(total) });
  const headers = { ...client.headers, 'content-type': 'application/octet-stream' };
  const body = encodeChunk(0, bytes);
  const reply = await fetch(`${origin}/api/files/upload?${query}`, { method: 'POST', headers, body });
  assert.equal(reply.status, 200, await reply.text());
}

async function read({ origin, client }: TestServer, name: string): Promise<string> {
  const reply = await fetch(`${origin}/api/files/download/${encodeURIComponent(name)}`, { headers: client.headers });
  return reply.ok ? await reply.text() : String(reply.status);
}

interface Status {
  status: string;
  id: string | null;
  bytes_received: number;
  readable: boolean;
}

async function statusOf({ origin, client }: TestServer, name: string): Promise<Status> {
  const reply = await fetch(`${origin}/api/files/status/${encodeURIComponent(name)}`, { headers: client.headers });
  return (await reply.json()) as Status;
}

const taskOf = (page: Page, name: string) => page.getByRole('listitem').filter({ hasText: `↑ ${name}` });

/** Collects the DELETE requests of the page. */
function deletions(context: BrowserContext): string[] {
  const seen: string[] = [];
  context.on('request', (request) => {
    if (request.method() === 'DELETE') seen.push(request.url());
  });
  return seen;
}

/** Lets the first chunks of each name pass and blocks the others. */
async function holdAfter(context: BrowserContext, chunks: number): Promise<void> {
  const passed = new Map<string, number>();
  await context.route('**/api/files/upload?*', async (route) => {
    const name = new URL(route.request().url()).searchParams.get('filename') ?? '';
    const count = (passed.get(name) ?? 0) + 1;
    passed.set(name, count);
    if (count <= chunks) await route.continue().catch(() => {});
  });
}

test('cancelling an upload that conflicts with a stored file keeps the file', { skip: WITHOUT_BROWSER }, async (t) => {
  const server = await startServer(t);
  await store(server, 'notes.txt', 'the stored content');
  const { page, context, faults } = await visit(t, `${server.origin}/`);
  const deleted = deletions(context);
  await signInTo(page, server.client);
  await page.getByLabel('Upload files').setInputFiles([text('notes.txt', 'different content')]);
  const task = taskOf(page, 'notes.txt');
  await task.getByText('A stored file of this name has different content.').waitFor();
  await page.getByRole('heading', { name: '0 done, 1 failed' }).waitFor();
  await task.getByRole('button', { name: 'Cancel' }).click();
  await task.waitFor({ state: 'detached' });
  // Wait for a later change, so that earlier requests have been answered.
  await store(server, 'after.txt', 'x');
  await page.locator('[data-name="after.txt"]').waitFor();
  assert.equal(await read(server, 'notes.txt'), 'the stored content');
  assert.deepEqual(deleted, []);
  assert.deepEqual(faults, []);
});

test('cancelling queued, failed and running uploads of 30 stored files deletes none of them', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const names = Array.from({ length: 30 }, (_, index) => `f${String(index).padStart(2, '0')}.txt`);
  for (const name of names) await store(server, name, `stored ${name}`);
  const { page, context, faults } = await visit(t, `${server.origin}/`);
  const deleted = deletions(context);
  await signInTo(page, server.client);
  await page.getByText('30 entries').waitFor();
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  await context.route('**/api/files/status/*', async (route) => {
    await gate;
    await route.continue().catch(() => {});
  });
  // Half of the picked files have the stored content.
  const picked = names.map((name, index) => text(name, index % 2 === 0 ? `stored ${name}` : 'different content'));
  await page.getByLabel('Upload files').setInputFiles(picked);
  await page.getByRole('heading', { name: '30 in progress' }).waitFor();
  for (const name of ['f00.txt', 'f01.txt', 'f20.txt', 'f29.txt']) {
    await taskOf(page, name).getByRole('button', { name: 'Cancel' }).click();
    await taskOf(page, name).waitFor({ state: 'detached' });
  }
  open();
  await page.getByRole('heading', { name: '13 done, 13 failed' }).waitFor();
  await taskOf(page, 'f03.txt').getByRole('button', { name: 'Cancel' }).click();
  await taskOf(page, 'f03.txt').waitFor({ state: 'detached' });
  await taskOf(page, 'f02.txt').getByText('The same file was already stored').waitFor();
  assert.equal(await taskOf(page, 'f02.txt').getByRole('button', { name: 'Cancel' }).count(), 0);
  await store(server, 'after.txt', 'x');
  await page.getByText('31 entries').waitFor();
  for (const name of names) assert.equal(await read(server, name), `stored ${name}`);
  assert.deepEqual(deleted, []);
  assert.deepEqual(faults, []);
});

test('cancelling does not end an upload that a device started, whether its size matches or not', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const bytes = Buffer.alloc(9_000_000, 7);
  await sendChunk(server, 'fits.raw', bytes.subarray(0, 1000), bytes.length);
  await sendChunk(server, 'longer.raw', Buffer.from('another size'), bytes.length + 1);
  const { page, context, faults } = await visit(t, `${server.origin}/`);
  const deleted = deletions(context);
  await signInTo(page, server.client);
  await page.getByText('2 entries').waitFor();
  await holdAfter(context, 1);
  const pick = (name: string) => page.getByLabel('Upload files').setInputFiles([{ name, mimeType: '', buffer: bytes }]);
  await pick('longer.raw');
  await taskOf(page, 'longer.raw').getByText('An unfinished upload of this name has different content.').waitFor();
  await taskOf(page, 'longer.raw').getByRole('button', { name: 'Cancel' }).click();
  await page
    .getByText('The server keeps the unfinished upload of this name, because another tab or device started it')
    .waitFor();
  assert.equal((await statusOf(server, 'longer.raw')).status, 'partial');
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await pick('fits.raw');
  await eventually(async () => (await statusOf(server, 'fits.raw')).bytes_received > 1000, 'a chunk of this page');
  await taskOf(page, 'fits.raw').getByRole('button', { name: 'Cancel' }).click();
  await page
    .getByText('The server keeps the unfinished upload of this name, because another tab or device started it')
    .waitFor();
  assert.equal((await statusOf(server, 'fits.raw')).status, 'partial');
  assert.deepEqual(deleted, []);
  assert.deepEqual(faults, []);
});

test('cancelling deletes an upload that this tab started: running, paused, or picked again after a reload', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const bytes = Buffer.alloc(9_000_000, 7);
  const { page, context, faults } = await visit(t, `${server.origin}/`);
  await signInTo(page, server.client);
  await holdAfter(context, 1);
  const begin = async (name: string) => {
    await page.getByLabel('Upload files').setInputFiles([{ name, mimeType: '', buffer: bytes }]);
    await eventually(async () => (await statusOf(server, name)).bytes_received > 0, 'its first chunk');
  };
  const cancel = async (name: string) => {
    await taskOf(page, name).getByRole('button', { name: 'Cancel' }).click();
    await eventually(async () => (await statusOf(server, name)).status === 'pending', 'the deletion of the upload');
  };
  await begin('running.raw');
  await cancel('running.raw');
  await begin('paused.raw');
  await taskOf(page, 'paused.raw').getByRole('button', { name: 'Pause' }).click();
  await taskOf(page, 'paused.raw').getByText('Paused', { exact: true }).waitFor();
  await cancel('paused.raw');
  await begin('again.raw');
  await page.reload();
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
  await begin('again.raw');
  await cancel('again.raw');
  // Removing an upload from the list does not cancel it.
  await begin('kept.raw');
  await taskOf(page, 'kept.raw').getByRole('button', { name: 'Remove from list' }).click();
  await taskOf(page, 'kept.raw').waitFor({ state: 'detached' });
  await store(server, 'after.txt', 'x');
  await page.locator('[data-name="after.txt"]').waitFor();
  assert.equal((await statusOf(server, 'kept.raw')).status, 'partial');
  assert.deepEqual(faults, []);
});

test('an upload is cancelled while its first chunk is in flight, and does not reappear', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const { page, context, faults } = await visit(t, `${server.origin}/`);
  await signInTo(page, server.client);
  let arrived = false;
  let answer = () => {};
  const gate = new Promise<void>((resolve) => {
    answer = resolve;
  });
  // The server has the first chunk, but its reply is withheld. The second chunk is never sent.
  let chunks = 0;
  await context.route('**/api/files/upload?*', async (route) => {
    chunks += 1;
    if (chunks > 1) return;
    const response = await route.fetch();
    arrived = true;
    await gate;
    await route.fulfill({ response }).catch(() => {});
  });
  await page
    .getByLabel('Upload files')
    .setInputFiles([{ name: 'first.raw', mimeType: '', buffer: Buffer.alloc(9_000_000, 7) }]);
  await eventually(() => arrived, 'the first chunk');
  await taskOf(page, 'first.raw').getByRole('button', { name: 'Cancel' }).click();
  await eventually(
    async () => (await statusOf(server, 'first.raw')).status === 'pending',
    'the deletion of the upload',
  );
  answer();
  await store(server, 'after.txt', 'x');
  await page.locator('[data-name="after.txt"]').waitFor();
  assert.equal((await statusOf(server, 'first.raw')).status, 'pending');
  assert.deepEqual(faults, []);
});

test('cancelling a replacement keeps the old version: in the task list, in the file list and under Transfers', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const bytes = Buffer.alloc(9_000_000, 7);
  await store(server, 'notes.raw', 'the old version');
  const { page, context, faults } = await visit(t, `${server.origin}/`);
  const questions: string[] = [];
  page.on('dialog', (dialog) => {
    questions.push(dialog.message());
    void dialog.accept();
  });
  await signInTo(page, server.client);
  await holdAfter(context, 1);
  const task = taskOf(page, 'notes.raw');
  const replace = async () => {
    await context.unroute('**/api/files/upload?*');
    await holdAfter(context, 1);
    await page.getByLabel('Upload files').setInputFiles([{ name: 'notes.raw', mimeType: '', buffer: bytes }]);
    await task.getByRole('button', { name: 'Replace' }).click();
    await eventually(
      async () => (await statusOf(server, 'notes.raw')).status === 'partial',
      'the start of the replacement',
    );
  };
  const isOld = async () => {
    await eventually(async () => (await statusOf(server, 'notes.raw')).status === 'complete', 'the cancellation');
    assert.equal(await read(server, 'notes.raw'), 'the old version');
  };
  await replace();
  assert.match(questions.pop() ?? '', /^Replace the stored notes.raw\?/);
  await task.getByRole('button', { name: 'Cancel' }).click();
  await isOld();

  await replace();
  questions.length = 0;
  await page
    .locator('[data-name="notes.raw"]')
    .getByText(/received/)
    .waitFor();
  await page.getByRole('button', { name: 'Delete notes.raw' }).click();
  await isOld();
  assert.deepEqual(questions, ['Cancel the upload of notes.raw? Stored files are kept.']);
  await task.waitFor({ state: 'detached' });

  await replace();
  await page.getByRole('link', { name: 'Transfers' }).click();
  await page.getByRole('button', { name: 'Cancel the upload of notes.raw' }).click();
  await isOld();
  await page.getByText('No uploads are in progress.').waitFor();
  await page.getByRole('link', { name: 'Files' }).click();
  await task.waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
});
