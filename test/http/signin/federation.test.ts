/** Sign-in through outside providers: a real OpenID provider and one that speaks as Yandex does, both on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { FederatedSignInBegun } from '../../../src/protocol/schemas/identity/federation.ts';
import type { SignedIn } from '../../../src/protocol/schemas/identity/people.ts';
import { clockOf } from '../../support/product/clock.ts';
import { startServer, type TestServer, type TestSettings } from '../../support/product/server.ts';
import {
  type Accounts,
  CLIENT,
  startOpenIdProvider,
  startYandex,
  type YandexProfiles,
} from '../../support/servers/providers.ts';
import { Browser, type Page } from '../../support/wire/browser.ts';

/** Where people would reach the server; the tests go straight to its port. */
const PUBLIC = 'https://lading.test';
const ALICE = { email: 'Alice@Example.org', email_verified: true, given_name: 'Alice', family_name: 'Liddell' };

async function withOidc(
  t: TestContext,
  accounts: Accounts,
  settings: TestSettings = {},
  idTokenSeconds?: number,
): Promise<TestServer> {
  const issuer = await startOpenIdProvider(t, `${PUBLIC}/v1/auth/oidc/callback`, accounts, {}, idTokenSeconds);
  return startServer(t, {
    LADING_PUBLIC_URL: PUBLIC,
    LADING_REGISTRATION: 'open',
    LADING_OIDC_ISSUER: issuer,
    LADING_OIDC_CLIENT_ID: CLIENT.id,
    LADING_OIDC_CLIENT_SECRET: CLIENT.secret,
    ...settings,
  });
}

async function withYandex(t: TestContext, profiles: YandexProfiles, settings: TestSettings = {}): Promise<TestServer> {
  const url = await startYandex(t, profiles);
  return startServer(t, {
    LADING_PUBLIC_URL: PUBLIC,
    LADING_REGISTRATION: 'open',
    LADING_YANDEX_CLIENT_ID: CLIENT.id,
    LADING_YANDEX_CLIENT_SECRET: CLIENT.secret,
    LADING_YANDEX_OAUTH_URL: url,
    LADING_YANDEX_LOGIN_URL: url,
    ...settings,
  });
}

/** From the public address to the port of the server under test. */
function here({ origin }: TestServer, url: string): string {
  return url.replace(PUBLIC, origin);
}

function isBack(url: string): boolean {
  return url.startsWith(`${PUBLIC}/v1/auth/`);
}

/** Login and consent at the OpenID provider; the address that it sends the browser back to. */
async function throughOidc(server: TestServer, browser: Browser, login: string, query = ''): Promise<string> {
  const page = await browser.go(`${server.origin}/v1/auth/oidc/login${query}`, isBack);
  // A person who is signed in there already is not asked again.
  if (isBack(page.url)) return here(server, page.url);
  const consent = await browser.submit(page, { prompt: 'login', login, password: 'x' }, isBack);
  const back = isBack(consent.url) ? consent : await browser.submit(consent, { prompt: 'consent' }, isBack);
  assert.ok(isBack(back.url), back.url);
  return here(server, back.url);
}

/** Yandex grants at once to whom `login` names. */
async function throughYandex(server: TestServer, browser: Browser, login: string, query = ''): Promise<string> {
  const { headers } = await browser.ask(`${server.origin}/v1/auth/yandex/login${query}`);
  const back = await browser.go(`${headers.get('location')}&login=${login}`, isBack);
  assert.ok(isBack(back.url), back.url);
  return here(server, back.url);
}

function signedIn(page: Page): SignedIn {
  assert.equal(page.status, 200, page.body);
  return JSON.parse(page.body) as SignedIn;
}

function refused(page: Page, status: number, code: string): void {
  assert.equal(page.status, status, page.body);
  assert.equal((JSON.parse(page.body) as { code: string }).code, code);
}

async function makePerson(server: TestServer, email: string): Promise<string> {
  const reply = await fetch(`${server.origin}/v1/user`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Made', surname: 'Before', email, password: 'correct horse battery 9' }),
  });
  assert.equal(reply.status, 201, await reply.clone().text());
  return ((await reply.json()) as { id: string }).id;
}

test('OpenID Connect: somebody new gets an account, and the same one the next time', async (t) => {
  const server = await withOidc(t, { alice: ALICE });
  const browser = new Browser();
  const first = signedIn(await browser.ask(await throughOidc(server, browser, 'alice')));
  assert.equal(first.user.email, 'alice@example.org');
  assert.deepEqual([first.user.name, first.user.surname, first.user.role], ['Alice', 'Liddell', 'client']);
  const me = await browser.ask(`${server.origin}/v1/auth/me`);
  assert.equal(me.status, 200, 'the cookies sign the browser in');
  const bearer = await fetch(`${server.origin}/api/files`, {
    headers: { authorization: `Bearer ${first.access_token}` },
  });
  assert.equal(bearer.status, 200);
  const other = new Browser();
  const second = signedIn(await other.ask(await throughOidc(server, other, 'alice')));
  assert.equal(second.user.id, first.user.id);
});

test('OpenID Connect: return_to leads back to a page, and nowhere else', async (t) => {
  const server = await withOidc(t, { alice: ALICE });
  const browser = new Browser();
  const back = await browser.ask(await throughOidc(server, browser, 'alice', '?return_to=/docs%3Fa=b%23c'));
  assert.equal(back.status, 302);
  assert.equal(back.headers.get('location'), '/docs?a=b#c');
  assert.equal((await browser.ask(`${server.origin}/v1/auth/me`)).status, 200);
  for (const evil of [
    '//evil.example',
    'https://evil.example',
    '/\\evil.example',
    'evil',
    'javascript:alert(1)',
    `/${'ü'.repeat(500)}`,
  ]) {
    const url = `${server.origin}/v1/auth/oidc/login?return_to=${encodeURIComponent(evil)}`;
    refused(await browser.ask(url), 400, 'invalid_request');
  }
});

test('the callback counts once, in the browser where it began, with the state that it began with', async (t) => {
  const server = await withOidc(t, { alice: ALICE });
  const browser = new Browser();
  const callback = await throughOidc(server, browser, 'alice');
  const stranger = new Browser();
  refused(await stranger.ask(callback), 400, 'invalid_request');
  const forged = new URL(callback);
  forged.searchParams.set('state', 'x'.repeat(43));
  refused(await browser.ask(forged.href), 400, 'invalid_request');
  signedIn(await browser.ask(callback));
  refused(await browser.ask(callback), 400, 'invalid_request');
});

test('sign-ins that are begun in two tabs go on by themselves; one that fails touches no other', async (t) => {
  const profiles = { anna: { id: '7', default_email: 'anna@yandex.ru', first_name: 'Anna', last_name: 'K' } };
  const server = await withYandex(t, profiles);
  const browser = new Browser();
  const tabs: string[] = [];
  for (const login of ['anna', '', 'nobody', 'anna']) tabs.push(await throughYandex(server, browser, login));
  const [first = '', cancelled = '', unknown = '', last = ''] = tabs;
  refused(await browser.ask(cancelled), 403, 'forbidden');
  refused(await browser.ask(unknown), 403, 'forbidden');
  const [one, two] = await Promise.all([browser.ask(last), browser.ask(first)]);
  assert.equal(signedIn(one).user.id, signedIn(two).user.id);
  for (const tab of tabs) refused(await browser.ask(tab), 400, 'invalid_request');
  const audit = await fetch(`${server.origin}/api/audit?limit=100`, { headers: server.admin.headers });
  const { entries } = (await audit.json()) as { entries: { action: string; target: string; detail: string | null }[] };
  const [made, ...more] = entries.filter(({ action }) => action === 'user_created');
  assert.equal(made?.target, signedIn(one).user.id);
  assert.match(made?.detail ?? '', /role: none → client; .*name: none → Anna/);
  assert.deepEqual(more, [], 'two tabs make one account');
});

test('who says no at the provider, or is not let in, comes back to the page with the reason', async (t) => {
  const profiles = { anna: { id: '7', default_email: 'anna@yandex.ru', first_name: 'Anna', last_name: 'K' } };
  const server = await withYandex(t, profiles, { LADING_REGISTRATION: 'closed' });
  const browser = new Browser();
  const query = `?return_to=${encodeURIComponent('/?from-outside#/files')}`;
  for (const [login, reason] of [
    ['', 'cancelled'],
    ['nobody', 'forbidden'],
    ['anna', 'forbidden'],
  ] as const) {
    const back = await browser.ask(await throughYandex(server, browser, login, query));
    assert.equal(back.status, 302);
    assert.equal(back.headers.get('location'), `/?from-outside=&sign_in_error=${reason}#/files`);
    refused(await browser.ask(`${server.origin}/v1/auth/me`), 401, 'unauthorized');
  }
  const audit = await fetch(`${server.origin}/api/audit?action=sign_in`, { headers: server.admin.headers });
  const { entries } = (await audit.json()) as { entries: { outcome: string }[] };
  assert.ok(entries.length > 0 && entries.every(({ outcome }) => outcome === 'refused'), JSON.stringify(entries));
});

test('a browser keeps so many sign-ins that have begun, and no more', async (t) => {
  const server = await withYandex(t, {});
  const browser = new Browser();
  const tabs: string[] = [];
  for (let n = 0; n < 10; n += 1) tabs.push(await throughYandex(server, browser, ''));
  const kept = [...(browser.cookies.get(server.origin)?.keys() ?? [])];
  assert.equal(kept.length, 4);
  refused(await browser.ask(tabs[0] ?? ''), 400, 'invalid_request');
  for (const tab of tabs.slice(-4)) refused(await browser.ask(tab), 403, 'forbidden');
});

test('a sign-in that took too long begins again', async (t) => {
  let now = Date.now();
  const issuer = await startOpenIdProvider(t, `${PUBLIC}/v1/auth/oidc/callback`, { alice: ALICE });
  const settings = {
    LADING_PUBLIC_URL: PUBLIC,
    LADING_OIDC_ISSUER: issuer,
    LADING_OIDC_CLIENT_ID: CLIENT.id,
    LADING_OIDC_CLIENT_SECRET: CLIENT.secret,
  };
  const server = await startServer(t, settings, { clock: clockOf(() => now) });
  const browser = new Browser();
  const callback = await throughOidc(server, browser, 'alice');
  now += 601_000;
  refused(await browser.ask(callback), 400, 'invalid_request');
});

test('OpenID Connect: an ID token that has expired by the clock of its provider lets nobody in', async (t) => {
  const server = await withOidc(t, { alice: ALICE }, {}, -60);
  const browser = new Browser();
  refused(await browser.ask(await throughOidc(server, browser, 'alice')), 403, 'forbidden');
});

test('where registration is closed an outside account needs one made by the administrator', async (t) => {
  const accounts: Accounts = {
    alice: ALICE,
    mallory: { ...ALICE, email_verified: false, given_name: 'Mallory' },
  };
  const server = await withOidc(t, accounts, { LADING_REGISTRATION: 'closed' });
  const browser = new Browser();
  refused(await browser.ask(await throughOidc(server, browser, 'alice')), 403, 'forbidden');
  const id = await makePerson(server, 'alice@example.org');
  const unverified = new Browser();
  refused(await unverified.ask(await throughOidc(server, unverified, 'mallory')), 403, 'forbidden');
  const verified = new Browser();
  assert.equal(signedIn(await verified.ask(await throughOidc(server, verified, 'alice'))).user.id, id);
});

test('where anybody may register, an account with a password is only linked by a person who knows it', async (t) => {
  const server = await withOidc(t, { alice: ALICE });
  const id = await makePerson(server, 'alice@example.org');
  const browser = new Browser();
  refused(await browser.ask(await throughOidc(server, browser, 'alice')), 409, 'already_exists');
  const link = `${server.origin}/v1/auth/oidc/login?link=true`;
  const ours = { method: 'POST', headers: { origin: PUBLIC, accept: 'application/json' } };
  refused(await browser.ask(link, ours), 401, 'unauthorized');
  refused(await browser.ask(link), 400, 'invalid_request');
  const login = await browser.ask(`${server.origin}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'alice@example.org', password: 'correct horse battery 9' }),
  });
  assert.equal(login.status, 200, login.body);
  const elsewhere = { origin: 'https://evil.example' };
  refused(await browser.ask(link, { method: 'POST', headers: elsewhere }), 403, 'forbidden');
  const begun = await browser.ask(link, ours);
  assert.equal(begun.status, 200, begun.body);
  const back = await browser.go((JSON.parse(begun.body) as FederatedSignInBegun).authorization_url, isBack);
  const linked = signedIn(await browser.ask(here(server, back.url)));
  assert.equal(linked.user.id, id);
  const later = new Browser();
  assert.equal(signedIn(await later.ask(await throughOidc(server, later, 'alice'))).user.id, id);
});

test('an address that the provider vouches for in one place does not vouch for another one elsewhere', async (t) => {
  const accounts = { mallory: { email: 'mallory@example.org', email_verified: true } };
  const server = await withOidc(t, accounts, { LADING_REGISTRATION: 'closed' });
  const boss = await fetch(`${server.origin}/v1/user`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'The',
      surname: 'Boss',
      email: 'mallory@example.org',
      password: 'correct horse battery 9',
      role: 'admin',
    }),
  });
  assert.equal(boss.status, 201, await boss.clone().text());
  const browser = new Browser();
  refused(await browser.ask(await throughOidc(server, browser, 'mallory')), 409, 'already_exists');
});

test('Yandex: by GET and by POST, and the same person each time', async (t) => {
  const profiles = { anna: { id: '1000034426', default_email: 'anna@yandex.ru', first_name: 'Анна', last_name: 'К.' } };
  const server = await withYandex(t, profiles);
  const browser = new Browser();
  const { user } = signedIn(await browser.ask(await throughYandex(server, browser, 'anna')));
  assert.deepEqual([user.email, user.name, user.surname], ['anna@yandex.ru', 'Анна', 'К.']);
  const page = new Browser();
  const login = (accept?: string): ReturnType<Browser['ask']> =>
    page.ask(`${server.origin}/v1/auth/yandex/login`, {
      method: 'POST',
      headers: accept === undefined ? {} : { accept },
    });
  for (const accept of [
    undefined,
    '*/*',
    'text/html,*/*;q=0.8',
    'text/html, application/json;q=0.9',
    'application/*',
  ]) {
    const led = await login(accept);
    assert.equal(led.status, 303, accept);
    assert.match(led.headers.get('location') ?? '', /\/authorize\?/);
    assert.match(led.headers.get('vary') ?? '', /Accept/);
  }
  assert.equal((await login('application/json, text/plain, */*')).status, 200);
  const begun = await login('application/json');
  assert.equal(begun.status, 200, begun.body);
  const { authorization_url: url } = JSON.parse(begun.body) as FederatedSignInBegun;
  const back = await page.go(`${url}&login=anna`, isBack);
  assert.equal(signedIn(await page.ask(here(server, back.url))).user.id, user.id);
  const foreign = await page.ask(`${server.origin}/v1/auth/yandex/login`, {
    method: 'POST',
    headers: { origin: 'https://evil.example' },
  });
  refused(foreign, 403, 'forbidden');
});

test('Yandex: who says no, or is not known there, is not signed in', async (t) => {
  const server = await withYandex(t, {});
  for (const login of ['', 'nobody']) {
    const browser = new Browser();
    refused(await browser.ask(await throughYandex(server, browser, login)), 403, 'forbidden');
    refused(await browser.ask(`${server.origin}/v1/auth/me`), 401, 'unauthorized');
  }
});

test('a provider that cannot be reached: 503 with a time to come again; one that is not set up: 404', async (t) => {
  const server = await startServer(t, {
    LADING_OIDC_ISSUER: 'http://127.0.0.1:1',
    LADING_OIDC_CLIENT_ID: CLIENT.id,
    LADING_OIDC_CLIENT_SECRET: CLIENT.secret,
  });
  const browser = new Browser();
  const away = await browser.ask(`${server.origin}/v1/auth/oidc/login`);
  refused(away, 503, 'overloaded');
  assert.ok(Number(away.headers.get('retry-after')) > 0);
  for (const path of ['login', 'callback']) {
    refused(await browser.ask(`${server.origin}/v1/auth/yandex/${path}`), 404, 'not_found');
  }
  const listed = await browser.ask(`${server.origin}/v1/auth/providers`);
  assert.deepEqual(JSON.parse(listed.body), { providers: [{ name: 'oidc', login_url: '/v1/auth/oidc/login' }] });
});

test('what the provider gave is not written down', async (t) => {
  const lines: string[] = [];
  const { createLog } = await import('../../../src/http/observe/log.ts');
  const log = createLog('debug', { write: (line) => void lines.push(line) });
  const profiles = { anna: { id: '7', default_email: 'anna@yandex.ru', first_name: 'Anna', last_name: 'K' } };
  const url = await startYandex(t, profiles);
  const server = await startServer(
    t,
    {
      LADING_PUBLIC_URL: PUBLIC,
      LADING_REGISTRATION: 'open',
      LADING_YANDEX_CLIENT_ID: CLIENT.id,
      LADING_YANDEX_CLIENT_SECRET: CLIENT.secret,
      LADING_YANDEX_OAUTH_URL: url,
      LADING_YANDEX_LOGIN_URL: url,
    },
    { log },
  );
  const browser = new Browser();
  const callback = await throughYandex(server, browser, 'anna');
  const tokens = signedIn(await browser.ask(callback));
  const code = new URL(callback).searchParams.get('code') ?? 'no code';
  for (const secret of [code, tokens.access_token, tokens.refresh_token, CLIENT.secret]) {
    assert.ok(!lines.some((line) => line.includes(secret)));
  }
});

/** A service of the own network, that no setting names: the connections that it got. */
async function innerService(t: TestContext): Promise<{ origin: string; connections: () => number }> {
  let connections = 0;
  const server = createServer((_request, response) => response.writeHead(404).end());
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
  };
}

for (const endpoint of ['token_endpoint', 'userinfo_endpoint']) {
  test(`a provider does not send the server into its own network: ${endpoint}`, async (t) => {
    const lines: string[] = [];
    const { createLog } = await import('../../../src/http/observe/log.ts');
    const log = createLog('warn', { write: (line) => void lines.push(line) });
    const inner = await innerService(t);
    const redirectUri = `${PUBLIC}/v1/auth/oidc/callback`;
    const issuer = await startOpenIdProvider(t, redirectUri, { alice: ALICE }, { [endpoint]: `${inner.origin}/x` });
    const settings = {
      LADING_PUBLIC_URL: PUBLIC,
      LADING_REGISTRATION: 'open',
      LADING_OIDC_ISSUER: issuer,
      LADING_OIDC_CLIENT_ID: CLIENT.id,
      LADING_OIDC_CLIENT_SECRET: CLIENT.secret,
    };
    const server = await startServer(t, settings, { log });
    const browser = new Browser();
    refused(await browser.ask(await throughOidc(server, browser, 'alice')), 503, 'overloaded');
    assert.equal(inner.connections(), 0);
    assert.ok(
      lines.some((line) => line.includes('not connected') && line.includes(inner.origin)),
      lines.join(''),
    );

    const open = await startServer(t, { ...settings, LADING_WEBHOOK_PRIVATE: 'on' });
    const other = new Browser();
    refused(await other.ask(await throughOidc(open, other, 'alice')), 403, 'forbidden');
    assert.equal(inner.connections(), 1);
  });
}
