/** The dashboard as somebody uses it: a real browser, a real server, real files. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, request as requestTo } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { eventually } from '../support/eventually.ts';
import { assertFine, holds, seriousFaults, signInTo } from '../support/product/dashboard.ts';
import { startServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';
import { startServerProcess, temporaryFolder } from '../support/servers/processes.ts';

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
  const bytes = randomBytes(500_000_000);
  const file = join(folder, 'recording.raw');
  await writeFile(file, bytes);
  const { page, complaints, context } = await visit(t, `${first.env.LADING_SERVER}/`);
  assert.deepEqual(await seriousFaults(page), []);
  await page.getByLabel('Client id').fill('admin');
  await page.getByLabel('Client secret').fill('a wrong one');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The client id or the secret is wrong.').waitFor();
  await signInTo(page, { id: 'admin', secret: String(first.env.LADING_CLIENT_SECRET) });

  // Slow enough that there is a middle to be interrupted in.
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

  // The token of the moment outlives a reload, signing out does not.
  await page.reload();
  await page.getByText(evil).waitFor();
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.reload();
  await page.getByLabel('Client id').waitFor();
  await page.getByRole('button', { name: 'API token' }).click();
  await page.getByLabel('API token', { exact: true }).last().fill(client.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText(evil).waitFor();
  assert.deepEqual(complaints, []);
});

test('a list of 10,000 files keeps few of them in the page, the last one within reach', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client, app } = await startServer(t);
  const { page, complaints } = await visit(t, `${origin}/`);
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
  assert.deepEqual(await seriousFaults(page), []);
  assert.deepEqual(complaints, []);
});

async function store(
  origin: string,
  authorization: string,
  name: string,
  body: Uint8Array,
  type: string,
): Promise<void> {
  const headers = { authorization, 'content-type': type };
  const reply = await fetch(`${origin}/api/files/content/${encodeURIComponent(name)}`, {
    method: 'PUT',
    headers,
    body,
  });
  assert.ok(reply.ok, await reply.text());
}

test('the details of a file: digests, links with a password and a limit, who may read it', {
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
  const { page, complaints } = await visit(t, `${origin}/`);
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
  await assertFine(page);
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
  assert.deepEqual(complaints, []);
});

test('pictures are shown and sound is played, whatever their tags say', { skip: WITHOUT_BROWSER }, async (t) => {
  const { origin, client } = await startServer(t);
  const { authorization } = client.headers;
  const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  await store(origin, authorization, 'dot.png', Buffer.from(pixel, 'base64'), 'image/png');
  await store(origin, authorization, 'tone.wav', taggedTone('<img src=x onerror="document.title=1">'), 'audio/wav');
  const { page, complaints } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  await page.getByRole('button', { name: 'dot.png', exact: true }).click();
  await page.getByRole('img', { name: 'dot.png' }).waitFor();
  await holds(page, "document.querySelector('img.preview').naturalWidth === 1");
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'tone.wav', exact: true }).click();
  await holds(page, "document.querySelector('audio')?.duration > 1.9");
  const links = async (): Promise<unknown[]> => {
    const reply = await fetch(`${origin}/api/shares`, { headers: client.headers });
    return ((await reply.json()) as { shares: unknown[] }).shares;
  };
  assert.deepEqual(await links(), [], 'a look at a file shares it with nobody');
  await page.evaluate("document.querySelector('audio').currentTime = 1.5");
  await holds(page, "document.querySelector('audio').currentTime > 1.4");
  await holds(
    page,
    `(() => {
    const canvas = document.querySelector('.preview canvas');
    return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
  })()`,
  );
  assert.equal(await page.title(), 'Lading');
  await page.getByRole('button', { name: 'Close' }).click();
  assert.deepEqual(await links(), []);
  assert.deepEqual(complaints, []);
});

/** Two seconds of a tone, with a title in its tags. */
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

test('several files are chosen, filtered, downloaded and deleted; a folder comes with its names', {
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
  const { page, complaints } = await visit(t, `${origin}/`);
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
  await assertFine(page);
  assert.deepEqual(complaints, []);
});

test('two browsers see what the other one uploads, and a page that is left goes on uploading', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  const folder = await temporaryFolder(t);
  const file = join(folder, 'shared.raw');
  await writeFile(file, randomBytes(24 * 1024 * 1024));
  const [one, two] = [await visit(t, `${origin}/`), await visit(t, `${origin}/`)];
  for (const { page } of [one, two]) await signInTo(page, client);
  // After its first chunk the rest waits, so that there is a middle to be seen.
  let goOn = () => {};
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
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
  // Another page of the dashboard, and the upload goes on.
  await one.page.getByRole('link', { name: 'Tokens' }).click();
  goOn();
  await two.page.locator('[data-name="shared.raw"]').getByText('complete').waitFor();
  await one.page.getByRole('link', { name: 'Files' }).click();
  await one.page.getByRole('listitem').filter({ hasText: '↑ shared.raw' }).getByText('Done').waitFor();
  assert.deepEqual([...one.complaints, ...two.complaints], []);
});

test('behind a proxy that takes only small bodies, chunks become smaller until they pass', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { port, client, origin } = await startServer(t);
  const most = 1_000_000;
  let refused = 0;
  const proxy = createServer((request, response) => {
    if (Number(request.headers['content-length'] ?? 0) > most) {
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
  const { page, complaints } = await visit(t, `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/`);
  await signInTo(page, client);
  await page.getByLabel('Upload files').setInputFiles(join(folder, 'small.raw'));
  await page.locator('[data-name="small.raw"]').getByText('complete').waitFor();
  assert.ok(refused > 0, 'it began with larger ones');
  const reply = await fetch(`${origin}/api/files/download/small.raw`, { headers: client.headers });
  assert.ok(Buffer.from(await reply.arrayBuffer()).equals(bytes));
  assert.deepEqual(complaints, []);
});

test('a sign-in that ends in the middle of an upload is renewed, and the upload goes on', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client, admin } = await startServer(t);
  const folder = await temporaryFolder(t);
  const bytes = randomBytes(40 * 1024 * 1024);
  await writeFile(join(folder, 'long.raw'), bytes);
  const { page, context, complaints } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  let goOn = () => {};
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
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
  // Tokens are told apart by the second in which they were given.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const ended = await fetch(`${origin}/api/clients/${client.id}`, {
    method: 'PUT',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: '{"end_sessions":true}',
  });
  assert.equal(ended.status, 200);
  goOn();
  await page.locator('[data-name="long.raw"]').getByText('complete').waitFor();
  await page.getByRole('button', { name: 'long.raw', exact: true }).click();
  await page.getByRole('dialog').getByText('Share links').waitFor();
  assert.deepEqual(complaints, []);
});

test('the history of a file is there for administrators', { skip: WITHOUT_BROWSER }, async (t) => {
  const { origin, admin } = await startServer(t);
  await store(origin, admin.headers.authorization, 'told.txt', Buffer.from('x'), 'text/plain');
  const share = await fetch(`${origin}/api/files/share/told.txt`, {
    method: 'POST',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: '{}',
  });
  assert.equal(share.status, 201);
  const { page, complaints } = await visit(t, `${origin}/`);
  await signInTo(page, admin);
  await page.getByRole('button', { name: 'told.txt', exact: true }).click();
  await page.getByRole('region', { name: 'History' }).getByText('share created').waitFor();
  await assertFine(page);
  assert.deepEqual(complaints, []);
});

test('files are dropped, all of it has a progress, and an upload is cancelled here and on the server', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  const { page, context, complaints } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  let goOn = () => {};
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
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
  await eventually(() => chunks > 1, 'a chunk was let through');
  await page.locator('[data-name="dropped.txt"]').getByText('complete').waitFor();
  await page.getByRole('button', { name: 'Pause all' }).click();
  const task = page.getByRole('listitem').filter({ hasText: '↑ dropped.raw' });
  await task.getByText('Paused').waitFor();
  await assertFine(page);
  await task.getByRole('button', { name: 'Cancel' }).click();
  await task.waitFor({ state: 'detached' });
  goOn();
  const status = async (): Promise<string> => {
    const reply = await fetch(`${origin}/api/files/status/dropped.raw`, { headers: client.headers });
    return ((await reply.json()) as { status: string }).status;
  };
  await eventually(async () => (await status()) === 'pending', 'nothing is left of it');
  await page.locator('[data-name="dropped.raw"]').waitFor({ state: 'detached' });
  assert.deepEqual(complaints, []);
});

test('without a mouse: signed in, a document opened and closed, a file chosen', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  await store(origin, client.headers.authorization, 'paper.pdf', Buffer.from('%PDF-1.4\n%%EOF\n'), 'application/pdf');
  const { page, complaints } = await visit(t, `${origin}/`);
  const { keyboard } = page;
  await page.getByLabel('Client id').focus();
  await keyboard.type(client.id);
  await keyboard.press('Tab');
  await keyboard.type(client.secret);
  await keyboard.press('Enter');
  await page.getByRole('button', { name: 'paper.pdf', exact: true }).waitFor();
  /** Tab by tab, as somebody would, to what has this name. */
  const reach = async (name: string): Promise<void> => {
    for (let tabs = 0; tabs < 60; tabs += 1) {
      const here = await page.evaluate(
        "document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim() ?? ''",
      );
      if (here === name) return;
      await keyboard.press('Tab');
    }
    assert.fail(`nothing leads to ${name}`);
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
  assert.deepEqual(complaints, []);
});
