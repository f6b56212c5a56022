import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SignedIn } from '../../../../src/protocol/schemas/identity/people.ts';
import { anna, ask, cookiesOf, register } from '../../../support/product/people.ts';
import { startServer } from '../../../support/product/server.ts';
import { tlsSettings } from '../../../support/wire/tls.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';
import { OPEN, send } from './people-cookies-setup.ts';

function attributes(cookies: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    cookies.map((line) => {
      const [pair = '', ...rest] = line.split('; ');
      return [pair.split('=')[0] ?? '', rest.join('; ')];
    }),
  );
}

test('the cookies are HttpOnly and SameSite, with the path and the lifetime of their token', async (t) => {
  const { origin } = await startServer(t, { ...OPEN, LADING_TOKEN_MINUTES: '5', LADING_REFRESH_DAYS: '2' });
  const reply = await ask(origin, '/v1/auth/registration', { body: anna });
  const { access_token: access, refresh_token: refresh } = (await reply.json()) as SignedIn;
  assert.deepEqual(reply.headers.getSetCookie(), [
    `access_token=${access}; Max-Age=300; Path=/; HttpOnly; SameSite=Lax`,
    `refresh_token=${refresh}; Max-Age=172800; Path=/v1/auth; HttpOnly; SameSite=Strict`,
  ]);
  const out = await ask(origin, '/v1/auth/logout', { method: 'POST', headers: { cookie: cookiesOf(reply), origin } });
  assert.deepEqual(out.headers.getSetCookie(), [
    'access_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
    'refresh_token=; Max-Age=0; Path=/v1/auth; HttpOnly; SameSite=Strict',
  ]);
});

test('the cookies are Secure, except for plain HTTP from this machine', async (t) => {
  const { origin, port } = await startServer(t, OPEN);
  await register(origin);
  const secure = async (headers: Record<string, string>, at = origin) => {
    const { status, cookies } = await send(at, '/v1/auth/login', headers, anna);
    assert.equal(status, 200);
    const found = attributes(cookies);
    assert.deepEqual(Object.keys(found), ['access_token', 'refresh_token']);
    return Object.values(found).map((text) => text.includes('; Secure; '));
  };
  for (const host of [
    `127.0.0.1:${port}`,
    `localhost:${port}`,
    'LOCALHOST',
    'app.localhost',
    '[::1]:8005',
    '127.9.9.9',
  ]) {
    assert.deepEqual(await secure({ host }), [false, false], host);
  }
  for (const host of ['files.example.org', '192.168.1.7:8005', 'localhost.example.org', '127.0.0.1.example.org', '%']) {
    // A browser without Origin, behind a proxy that may have TLS.
    assert.deepEqual(await secure({ host, 'sec-fetch-site': 'same-origin' }), [true, true], host);
    // A program on another machine would never send Secure cookies back over plain HTTP.
    assert.deepEqual(await secure({ host }), [false, false], host);
  }
  // This proxy is not trusted.
  assert.deepEqual(await secure({ 'x-forwarded-proto': 'https' }), [false, false]);
});

test('the cookies are Secure over TLS, behind a trusted proxy with TLS, and with a public https URL', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lading-tls-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const tls = await startServer(t, { ...OPEN, ...(await tlsSettings(folder)) });
  const lines = async (origin: string, headers: Record<string, string> = {}) => {
    const { status, cookies } = await send(origin, '/v1/auth/registration', headers, anna);
    assert.equal(status, 201);
    return attributes(cookies);
  };
  const SECURE = {
    access_token: 'Max-Age=1800; Path=/; HttpOnly; Secure; SameSite=Lax',
    refresh_token: 'Max-Age=2592000; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict',
  };
  assert.deepEqual(await lines(tls.origin), SECURE);
  const proxied = await startServer(t, { ...OPEN, LADING_TRUST_PROXY: 'loopback' });
  assert.deepEqual(await lines(proxied.origin, { 'x-forwarded-proto': 'https' }), SECURE);
  const named = await startServer(t, { ...OPEN, LADING_PUBLIC_URL: 'https://files.example.org' });
  assert.deepEqual(await lines(named.origin), SECURE);
});

test('a page of an allowed origin gets cookies that it can send back', async (t) => {
  const app = 'http://localhost:3000';
  const server = await startServer(t, { ...OPEN, LADING_ALLOWED_ORIGINS: app });
  const { port, origin } = server;
  await register(origin);
  const set = async (headers: Record<string, string>) => {
    const { status, cookies } = await send(origin, '/v1/auth/login', headers, anna);
    assert.equal(status, 200);
    return Object.values(attributes(cookies)).map((text) => text.replace(/^.*HttpOnly; /, ''));
  };
  const across = ['Secure; SameSite=None', 'Secure; SameSite=None'];
  const near = ['SameSite=Lax', 'SameSite=Strict'];
  assert.deepEqual(await set({ origin: app }), across);
  assert.deepEqual(await set({ origin: app, 'sec-fetch-site': 'cross-site' }), across);
  assert.deepEqual(await set({ origin: app, host: 'files.example.org' }), across);
  assert.deepEqual(await set({ origin: app, host: `localhost:${port}` }), across);
  // Another port of the same host is the same site, if the browser says so.
  assert.deepEqual(await set({ origin: app, host: `localhost:${port}`, 'sec-fetch-site': 'same-site' }), near);
  assert.deepEqual(await set({ origin }), near);
  assert.deepEqual(await set({}), near);
  const plain = await startServer(t, { ...OPEN, LADING_ALLOWED_ORIGINS: app, LADING_PUBLIC_URL: 'http://localhost' });
  await register(plain.origin);
  const lan = await send(plain.origin, '/v1/auth/login', { origin: app, host: 'localhost' }, anna);
  assert.ok(
    lan.cookies.every((line) => !/None|Secure/.test(line)),
    'without TLS browsers keep no other cookie',
  );
  const { status, cookies } = await send(origin, '/v1/auth/login', { origin: 'http://localhost:3001' }, anna);
  assert.deepEqual([status, cookies], [403, []]);
});

test('every route with a sign-in accepts the cookie if Authorization is absent', async (t) => {
  const { origin, client } = await startServer(t, OPEN);
  const { cookie, person } = await register(origin);
  const seen = async (headers: Record<string, string>) => {
    const reply = await ask(origin, '/v1/auth/me', { headers });
    return reply.ok ? ((await reply.json()) as { id: string }).id : reply.status;
  };
  assert.equal(await seen({ cookie }), person.id);
  assert.equal(await seen({ cookie: `a=b; ${cookie}; c="d"` }), person.id);
  const [access = ''] = cookie.split('; ');
  assert.equal(await seen({ cookie: access }), person.id);
  // Authorization takes precedence over the cookie.
  assert.equal(await seen({ cookie, ...client.headers }), 403);
  for (const authorization of ['', 'Bearer x', 'Basic YTpi', 'Digest x']) {
    assert.equal(await seen({ cookie, authorization }), 401, authorization);
  }
  for (const bad of [
    '',
    'access_token',
    'access_token=',
    'access_token=x',
    `x${access}`,
    access.slice(0, -2),
    ';;=;',
  ]) {
    assert.equal(await seen({ cookie: bad }), 401, bad);
  }
  // The refresh token is accepted only at its own route.
  assert.equal(await seen({ cookie: cookie.split('; ')[1] ?? '' }), 401);
  assert.equal((await ask(origin, '/api/files', { headers: { cookie } })).status, 200);
  assert.equal((await ask(origin, '/api/tokens', { headers: { cookie } })).status, 200);
  await assertProblemReply(await ask(origin, '/metrics', { headers: { cookie } }), 'insufficient_scope');
  await assertProblemReply(await ask(origin, '/api/clients', { headers: { cookie } }), 'insufficient_scope');
});
