/** The accounts that a sign-in through a provider opens; Yandex; providers that fail. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { FederatedSignInBegun } from '../../../src/protocol/schemas/identity/federation.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { type Accounts, CLIENT, startOpenIdProvider, startYandex } from '../../support/servers/providers.ts';
import { Browser } from '../../support/wire/browser.ts';
import {
  ALICE,
  here,
  isBack,
  PUBLIC,
  refused,
  signedIn,
  throughOidc,
  throughYandex,
  withOidc,
  withYandex,
} from './federation-setup.ts';

async function makePerson(server: TestServer, email: string): Promise<string> {
  const reply = await fetch(`${server.origin}/v1/user`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Made', surname: 'Before', email, password: 'correct horse battery 9' }),
  });
  assert.equal(reply.status, 201, await reply.clone().text());
  return ((await reply.json()) as { id: string }).id;
}

/** A service in the private network that no setting names. It counts its connections. */
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

test('while registration is closed, a provider account requires an existing account', async (t) => {
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

test('while registration is open, an account with a password is linked only by its signed-in owner', async (t) => {
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

test('an address is not verified by a flag from another source of the provider', async (t) => {
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

test('Yandex signs the same person in by GET and by POST', async (t) => {
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

test('Yandex signs nobody in after a cancellation or for an unknown account', async (t) => {
  const server = await withYandex(t, {});
  for (const login of ['', 'nobody']) {
    const browser = new Browser();
    refused(await browser.ask(await throughYandex(server, browser, login)), 403, 'forbidden');
    refused(await browser.ask(`${server.origin}/v1/auth/me`), 401, 'unauthorized');
  }
});

test('an unreachable provider is refused with 503 and Retry-After, an unconfigured one with 404', async (t) => {
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

test('codes and tokens of the provider are not logged', async (t) => {
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

for (const endpoint of ['token_endpoint', 'userinfo_endpoint']) {
  test(`a provider cannot direct the server into its private network: ${endpoint}`, async (t) => {
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
      lines.some((line) => line.includes('a connection was refused') && line.includes(inner.origin)),
      lines.join(''),
    );

    const open = await startServer(t, { ...settings, LADING_WEBHOOK_PRIVATE: 'on' });
    const other = new Browser();
    refused(await other.ask(await throughOidc(open, other, 'alice')), 403, 'forbidden');
    assert.equal(inner.connections(), 1);
  });
}
