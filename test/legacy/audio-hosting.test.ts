/**
 * A day of programs and of a page that keep people signed in by cookies alone: JSON in, flat keys out, sound up and down. A program says
 * neither Origin nor Sec-Fetch-Site; the page is of another origin.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { chromium, type Page } from 'playwright-core';
import { wav } from '../support/audio.ts';
import { type HandClock, handClock } from '../support/product/clock.ts';
import { NEW_PASSWORD, PASSWORD } from '../support/product/people.ts';
import { atEnd, startServer, type TestServer } from '../support/product/server.ts';
import { findChromium, visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';
import { startNginx } from '../support/servers/nginx.ts';
import { hasNginx } from '../support/servers/plain-nginx.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { CLIENT, startYandex } from '../support/servers/providers.ts';
import { CookieJar } from './cookie-jar.ts';
import { type Ask, connectTo, multipart, type OldReply, pause, pythonDay } from './old-client.ts';

// The certificate of the proxy is made for these tests; nobody signed it.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const MINUTE = 60;
const DAY = 24 * 3600;
const ANNA = { name: 'Anna', email: 'anna@x.example', password: PASSWORD, password2: PASSWORD };
const BOSS = { name: 'Boss', surname: 'Byron', email: 'boss@x.example', password: PASSWORD, role: 'admin' };
const TONE = wav({ seconds: 0.1 });

/** A program that knows cookies and nothing else. */
class Program extends CookieJar {
  signIn(email: string, password = PASSWORD): Promise<OldReply> {
    return this.json('POST', '/v1/auth/login', { email, password });
  }

  refresh(): Promise<OldReply> {
    return this.json('POST', '/v1/auth/refresh', {});
  }

  send(name: string): Promise<OldReply> {
    return this.ask('POST', '/v1/audio/file', multipart({}, { field: 'file', name, bytes: TONE }));
  }

  /** Renews what has lapsed, as it always did. */
  async again(ask: () => Promise<OldReply>): Promise<OldReply> {
    const reply = await ask();
    if (reply.status !== 401) return reply;
    const renewed = await this.refresh();
    assert.equal(renewed.status, 200, renewed.text);
    return ask();
  }
}

function flat({ json }: OldReply): unknown[] {
  const { id, name, surname, email, is_admin } = json;
  assert.equal(typeof id, 'string');
  return [name, surname, email, is_admin];
}

async function administer(program: Program, anna: string): Promise<void> {
  assert.equal((await program.signIn(BOSS.email)).status, 200);
  assert.deepEqual(flat(await program.ask('GET', '/v1/auth/me')), ['Boss', 'Byron', BOSS.email, true]);
  for (const wanted of [
    { id: anna },
    { email: ANNA.email },
    { id: null, email: ANNA.email, name: 'Anna', surname: null },
    { name: 'Anna' },
    { id: anna, name: 'Anna', surname: '' },
  ]) {
    const found = await program.json('POST', '/v1/user/get_user', wanted);
    assert.equal(found.status, 200, found.text);
    assert.equal(found.json.id, anna);
  }
  const numbered = { name: '42', email: 'n@x.example', password: NEW_PASSWORD };
  assert.equal((await program.json('POST', '/v1/user', numbered)).status, 201);
  const found = await program.json('POST', '/v1/user/get_user', { name: 42, surname: null });
  assert.equal(found.json.email, 'n@x.example');
  for (const nobody of [{ id: 42 }, { id: anna, email: BOSS.email }]) {
    assert.equal((await program.json('POST', '/v1/user/get_user', nobody)).status, 404);
  }
}

async function keepSound(program: Program): Promise<string> {
  const sent = await program.send('tone.wav');
  assert.equal(sent.status, 200, sent.text);
  assert.ok(!sent.text.includes('file_path'));
  const { id } = sent.json;
  assert.equal(typeof id, 'string');
  // A recording that has the name of another one is another one.
  const more = [await program.send('tone.wav'), await program.send('tone.wav')];
  const list = await program.ask('GET', '/v1/audio/');
  assert.deepEqual(
    (list.json as unknown as { id: string }[]).map((one) => one.id).sort(),
    [id, ...more.map(({ json }) => json.id)].sort(),
  );
  assert.equal((await program.ask('GET', '/v1/audio')).text, list.text);
  const back = await program.ask('GET', `/v1/audio/file/${id}`);
  assert.ok(TONE.equals(back.body));
  return String(id);
}

async function liveADay({ server, clock }: Stage, sent: Ask): Promise<void> {
  const program = new Program(sent);
  assert.equal((await program.ask('GET', '/v1/auth/me')).status, 401, 'there is no cookie');
  assert.equal((await program.signIn(ANNA.email)).status, 401, 'nobody is there yet');
  const made = await program.json('POST', '/v1/auth/registration', ANNA);
  assert.equal(made.status, 201, made.text);
  assert.ok(!/hash|scrypt/.test(made.text));
  assert.deepEqual(flat(made), ['Anna', '', ANNA.email, false]);
  assert.deepEqual(flat(await program.ask('GET', '/v1/auth/me')), ['Anna', '', ANNA.email, false]);
  assert.deepEqual(program.names(), ['access_token', 'refresh_token']);
  const anna = String(made.json.id);
  const file = await keepSound(program);
  const boss = new Program(sent);
  await administer(boss, anna);
  assert.equal((await boss.ask('GET', `/v1/audio/file/${file}`)).status, 404, 'somebody else’s file');

  await pause(server, clock, 31 * MINUTE);
  // It sends its whole form, with null for what nobody filled in.
  const form = { name: null, surname: 'Smith', password: null, password2: null, old_password: null };
  const change = () => program.json('PUT', '/v1/auth/me', form);
  assert.equal((await program.again(change)).status, 200);
  // Two tabs with the same cookies come at once, and once more when the reply of one is lost.
  await pause(server, clock, 31 * MINUTE);
  const [one, two] = [program.copy(), program.copy()];
  const tabs = await Promise.all([one, two].map((tab) => tab.json('POST', '/v1/auth/refresh', {})));
  assert.deepEqual(
    tabs.map(({ status }) => status),
    [200, 200],
  );
  for (const tab of [one, two]) assert.equal((await tab.ask('GET', '/v1/auth/me')).status, 200);
  assert.equal((await program.refresh()).status, 200);
  await pause(server, clock, 29 * DAY);
  assert.equal((await program.again(() => program.ask('GET', '/v1/audio/'))).status, 200);
  await pause(server, clock, 31 * DAY);
  assert.equal((await program.refresh()).status, 401, 'a month without a word');
  assert.equal((await program.signIn(ANNA.email)).status, 200);

  const begun = await program.ask('POST', '/v1/auth/yandex/login');
  assert.equal(begun.status, 303);
  assert.match(String(begun.headers.location), /\/authorize\?/);
  const told = await program.ask('POST', '/v1/auth/yandex/login', { headers: { accept: 'application/json' } });
  assert.match(String(told.json.authorization_url), /\/authorize\?/);

  assert.equal((await program.json('POST', '/v1/auth/logout', { refresh_token: null })).status, 200);
  assert.ok(!program.names().includes('access_token'));
  assert.equal((await program.ask('GET', '/v1/auth/me')).status, 401);
}

interface Stage {
  server: TestServer;
  clock: HandClock;
}

async function begin(t: TestContext, settings: Record<string, string>): Promise<Stage> {
  const clock = handClock(Date.now());
  const yandex = await startYandex(t, {});
  const all = {
    LADING_REGISTRATION: 'open',
    LADING_YANDEX_CLIENT_ID: CLIENT.id,
    LADING_YANDEX_CLIENT_SECRET: CLIENT.secret,
    LADING_YANDEX_OAUTH_URL: yandex,
    LADING_YANDEX_LOGIN_URL: yandex,
    ...settings,
  };
  const server = await startServer(t, all, { clock });
  const made = await fetch(`${server.origin}/v1/user`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify(BOSS),
  });
  assert.equal(made.status, 201, await made.text());
  return { server, clock };
}

const WAYS: [Record<string, string>, string][] = [
  [{}, 'by default'],
  [{ LADING_COMPAT: 'audio-hosting' }, 'with LADING_COMPAT=audio-hosting'],
];

for (const [settings, what] of WAYS) {
  test(`a day by cookies, ${what}`, async (t) => {
    const stage = await begin(t, settings);
    await liveADay(stage, await connectTo(t, stage.server.origin));
  });

  test(`a day through a proxy, ${what}`, { skip: !hasNginx && 'no nginx on this machine' }, async (t) => {
    const stage = await begin(t, { ...settings, LADING_TRUST_PROXY: 'loopback' });
    const { origin, certificate } = await startNginx(t, stage.server.port);
    await liveADay(stage, await connectTo(t, origin, certificate));
  });

  test(`a day by Python's requests, ${what}`, async (t) => {
    const { server, clock } = await begin(t, settings);
    await pythonDay(t, server, clock, 'audio_hosting_day.py', [PASSWORD]);
  });
}

/** All files of the list, and the same by pages. */
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

test('3,000 files are listed at once, by default and with LADING_COMPAT=audio-hosting', async (t) => {
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
  // Many at one time, which is no part of the day but saves minutes.
  for (let n = 0; n < 3000; n += 25) await Promise.all(Array.from({ length: 25 }, (_, more) => send(n + more)));
  assert.equal(new Set(sent.values()).size, 3000, 'where two have one name both are kept');
  assert.deepEqual(await listed(program), sent);
  await first.close();
  const second = await startServer(t, { ...settings, LADING_COMPAT: 'audio-hosting' }, {}, folder);
  const again = new Program(await connectTo(t, second.origin));
  assert.equal((await again.signIn(ANNA.email)).status, 200);
  assert.deepEqual(await listed(again), sent);
  await second.close();
});

/** What the page does: its requests have the browser's cookies, which no script can see. */
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
    const left = await json('POST', '/v1/auth/logout', {});
    const after = await ask('/v1/auth/me');
    return [made.email, me.id === made.id, me.is_admin, ...tabs.map(({ status }) => status), changed.status,
      bytes.byteLength, left.status, after.status, document.cookie];
  })()`;
}

/** Chromium drops cookies of other sites unless its profile says that it shall not. */
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

test('a page of another origin signs people up, in and out, and keeps their sound', {
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
  // A number is another site than the name. Only a browser that keeps cookies of other sites is of use then.
  const far = await begin(t, { LADING_ALLOWED_ORIGINS: app });
  const stranger = await pageThatKeepsAllCookies(t, app);
  assert.deepEqual(await stranger.evaluate(script(far.server.origin)), expected);
});
