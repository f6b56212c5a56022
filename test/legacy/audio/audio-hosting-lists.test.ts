/** Audio hosting: long lists, and a page of a different origin. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { chromium, type Page } from 'playwright-core';
import { atEnd, startServer } from '../../support/product/server.ts';
import { findChromium, visit, WITHOUT_BROWSER } from '../../support/servers/chromium.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { connectTo, multipart, type OldReply } from '../old-client.ts';
import { ANNA, begin, Program, TONE } from './audio-hosting-setup.ts';

// The proxy uses a self-signed certificate.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

/** Names of all files by id. Fails unless the list without a limit equals its pages. */
async function listed(program: Program): Promise<Map<string, string>> {
  const read = (reply: OldReply): [string, string][] => {
    assert.equal(reply.status, 200, reply.text);
    const files = reply.json as unknown as { id: string; file_name: string }[];
    return files.map(({ id, file_name: name }) => [id, name]);
  };
  const whole = read(await program.ask('GET', '/v1/audio/'));
  const pages: typeof whole = [];
  for (let path: string | undefined = '/v1/audio/?limit=500'; path !== undefined; ) {
    const page: OldReply = await program.ask('GET', path);
    pages.push(...read(page));
    path = /^<([^>]+)>; rel="next"$/.exec(String(page.headers.link ?? ''))?.[1];
  }
  assert.deepEqual(pages, whole);
  return new Map(whole);
}

/** The script of the page. The browser adds the cookies, which scripts cannot read. */
function script(origin: string): string {
  const samples = JSON.stringify([...TONE]);
  return `(async () => {
    const ask = (path, init = {}) => fetch('${origin}' + path, { credentials: 'include', ...init });
    const json = (method, path, body) =>
      ask(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    const made = await (await json('POST', '/v1/auth/registration', ${JSON.stringify(ANNA)})).json();
    const me = await (await ask('/v1/auth/me')).json();
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(${samples})]), 'tone.wav');
    const sent = await (await ask('/v1/audio/file', { method: 'POST', body: form })).json();
    const tabs = await Promise.all([1, 2].map(() => json('POST', '/v1/auth/refresh', {})));
    const changed = await json('PUT', '/v1/auth/me', { surname: 'Smith' });
    const bytes = await (await ask('/v1/audio/file/' + sent.id)).arrayBuffer();
    const signedOut = await json('POST', '/v1/auth/logout', {});
    const after = await ask('/v1/auth/me');
    return [made.email, me.id === made.id, me.is_admin, ...tabs.map(({ status }) => status), changed.status,
      bytes.byteLength, signedOut.status, after.status, document.cookie];
  })()`;
}

/** Opens a page with a profile that allows third-party cookies, which Chromium blocks by default. */
async function pageThatKeepsAllCookies(t: TestContext, url: string): Promise<Page> {
  const profile = await temporaryFolder(t);
  await mkdir(join(profile, 'Default'));
  const preferences = { profile: { cookie_controls_mode: 0, block_third_party_cookies: false } };
  await writeFile(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findChromium() ?? '',
    args: ['--no-sandbox'],
  });
  atEnd(t, () => context.close());
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

test('3,000 files are listed in one reply, by default and with LADING_COMPAT=audio-hosting', async (t) => {
  const folder = await temporaryFolder(t);
  const settings = { LADING_REGISTRATION: 'open', LADING_DURABILITY: 'seal' };
  const first = await startServer(t, settings, {}, folder);
  const program = new Program(await connectTo(t, first.origin));
  assert.equal((await program.json('POST', '/v1/auth/registration', ANNA)).status, 201);
  const sent = new Map<string, string>();
  const send = async (number: number): Promise<void> => {
    const { headers, body } = multipart({}, { field: 'file', name: `${number % 2}.wav`, bytes: TONE });
    const own = { cookie: program.header('/v1/audio/file') };
    const to = `${first.origin}/v1/audio/file`;
    const reply = await fetch(to, { method: 'POST', headers: { ...headers, ...own }, body });
    assert.equal(reply.status, 200, await reply.clone().text());
    const { id, file_name: name } = (await reply.json()) as { id: string; file_name: string };
    sent.set(id, name);
  };
  // In parallel, which saves minutes.
  for (let n = 0; n < 3000; n += 25) await Promise.all(Array.from({ length: 25 }, (_, more) => send(n + more)));
  assert.equal(new Set(sent.values()).size, 3000, 'files of the same name are all kept');
  assert.deepEqual(await listed(program), sent);
  await first.close();
  const second = await startServer(t, { ...settings, LADING_COMPAT: 'audio-hosting' }, {}, folder);
  const again = new Program(await connectTo(t, second.origin));
  assert.equal((await again.signIn(ANNA.email)).status, 200);
  assert.deepEqual(await listed(again), sent);
  await second.close();
});

test('a page of a different origin can register, sign in, upload, download and sign out', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const pages = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<p>A page'));
  pages.listen(0, '127.0.0.1');
  await once(pages, 'listening');
  t.after(() => pages.close());
  const app = `http://localhost:${(pages.address() as AddressInfo).port}`;
  const expected = [ANNA.email, true, false, 200, 200, 200, TONE.length, 200, 401, ''];
  const near = await begin(t, { LADING_ALLOWED_ORIGINS: app });
  const { page } = await visit(t, app);
  assert.deepEqual(await page.evaluate(script(near.server.origin.replace('127.0.0.1', 'localhost'))), expected);
  // The IP address is a different site than the name, so this needs a browser with third-party cookies.
  const far = await begin(t, { LADING_ALLOWED_ORIGINS: app });
  const stranger = await pageThatKeepsAllCookies(t, app);
  assert.deepEqual(await stranger.evaluate(script(far.server.origin)), expected);
});
