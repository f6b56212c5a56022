/** Cookies and requests of other sites, renewal, HTTP/2 and HTTPS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { connect, type OutgoingHttpHeaders } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeChunk } from '../../../../src/protocol/chunk.ts';
import { handClock } from '../../../support/product/clock.ts';
import { anna, ask, cookiesOf, login, type Member, PASSWORD, register } from '../../../support/product/people.ts';
import { startServer } from '../../../support/product/server.ts';
import { tlsSettings } from '../../../support/wire/tls.ts';
import { assertProblem, assertProblemReply } from '../../../support/wire/wire.ts';
import { OPEN, send } from './people-cookies-setup.ts';

const EVIL = 'https://evil.example';

/** The origin fields of a request, and whether its cookie is accepted. */
const SENDERS: [what: string, headers: (origin: string) => Record<string, string>, own: boolean, foreign: boolean][] = [
  ['a page of ours', (origin) => ({ origin, 'sec-fetch-site': 'same-origin' }), true, false],
  ['a page of ours in an old browser', (origin) => ({ origin }), true, false],
  [
    'a page of this server behind a proxy',
    () => ({ origin: 'https://files.example.org', 'sec-fetch-site': 'same-origin' }),
    true,
    false,
  ],
  ['a program that keeps cookies', () => ({}), true, false],
  ['the person', () => ({ 'sec-fetch-site': 'none' }), true, false],
  ['another site', () => ({ origin: EVIL, 'sec-fetch-site': 'cross-site' }), false, true],
  ['another site in an old browser', () => ({ origin: EVIL }), false, true],
  ['another site that hides its origin', () => ({ origin: 'null' }), false, true],
  ['a redirect by another site', (origin) => ({ origin, 'sec-fetch-site': 'cross-site' }), false, true],
  ['another host of the domain', () => ({ 'sec-fetch-site': 'same-site' }), false, true],
  ['another port', (origin) => ({ origin: `${origin}1` }), false, true],
  ['another scheme', (origin) => ({ origin: origin.replace('http:', 'https:') }), false, true],
  ['our origin and another', (origin) => ({ origin: `${origin}, ${EVIL}` }), false, true],
  ['an origin that begins as ours', (origin) => ({ origin: `${origin}.evil.example` }), false, true],
  ['an empty origin', () => ({ origin: '' }), false, true],
  ['a site that no browser knows', () => ({ 'sec-fetch-site': 'SAME-ORIGIN' }), false, true],
];

test('a change by cookie is accepted only from a page of this server or from a program', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const { cookie, headers: bearer } = await register(origin);
  const upload = (name: string, headers: Record<string, string>) =>
    fetch(`${origin}/api/files/upload?filename=${name}&total_size=5`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', ...headers },
      body: encodeChunk(0, Buffer.from('hello')),
    });
  for (const [i, [what, sender, own]] of SENDERS.entries()) {
    await t.test(what, async () => {
      const headers = sender(origin);
      const asked = [
        await upload(`by-cookie-${i}`, { cookie, ...headers }),
        await ask(origin, '/v1/auth/me', { method: 'PUT', body: { name: `N${i}` }, headers: { cookie, ...headers } }),
        await ask(origin, '/api/files/none', { method: 'DELETE', headers: { cookie, ...headers } }),
      ];
      if (own) {
        assert.deepEqual(
          asked.map(({ status }) => status),
          [200, 200, 404],
        );
      } else for (const reply of asked) await assertProblemReply(reply, 'forbidden');
      // Requests that change nothing are accepted, and those with a token in Authorization.
      assert.equal((await ask(origin, '/v1/auth/me', { headers: { cookie, ...headers } })).status, 200);
      assert.equal((await upload(`by-token-${i}`, { cookie, ...bearer, ...headers })).status, 200);
    });
  }
});

test('another site can neither begin, renew nor end a session of its visitors', async (t) => {
  const { origin } = await startServer(t, OPEN);
  let member: Member = await register(origin);
  for (const [i, [what, sender, own, foreign]] of SENDERS.entries()) {
    await t.test(what, async () => {
      const headers = sender(origin);
      const doors = [
        await ask(origin, '/v1/auth/login', { headers, body: anna }),
        await fetch(`${origin}/v1/auth/login`, {
          method: 'POST',
          headers,
          body: new URLSearchParams({ email: anna.email, password: PASSWORD }),
        }),
        await ask(origin, '/v1/auth/registration', { headers, body: { ...anna, email: `p${i}@x.example` } }),
        await ask(origin, '/v1/auth/refresh', { headers, body: { refresh_token: member.signedIn.refresh_token } }),
      ];
      if (foreign) {
        for (const reply of doors) {
          assert.deepEqual(reply.headers.getSetCookie(), []);
          await assertProblemReply(reply, 'forbidden');
        }
      } else {
        assert.deepEqual(
          doors.map(({ status }) => status),
          [200, 200, 201, 200],
        );
        member = await login(origin);
      }
      const { cookie } = member;
      const renewed = await ask(origin, '/v1/auth/refresh', { method: 'POST', headers: { cookie, ...headers } });
      const ended = await ask(origin, '/v1/auth/logout', { method: 'POST', headers: { cookie, ...headers } });
      if (own) {
        assert.equal(renewed.status, 200);
        // The old refresh token was used and ends nothing; the access token of the session does.
        assert.equal(ended.status, 200);
        await assertProblemReply(await ask(origin, '/v1/auth/me', { headers: { cookie } }), 'unauthorized');
        member = await login(origin);
      } else {
        await assertProblemReply(renewed, 'forbidden');
        await assertProblemReply(ended, 'forbidden');
        assert.equal((await ask(origin, '/v1/auth/me', { headers: { cookie } })).status, 200, 'nothing has ended');
      }
    });
  }
});

test('the origin is that of the trusted proxy, or else that of the setting', async (t) => {
  const outer = 'https://files.example.org';
  const proxied = await startServer(t, { ...OPEN, LADING_TRUST_PROXY: 'loopback' });
  const named = await startServer(t, { ...OPEN, LADING_PUBLIC_URL: `${outer}:443/` });
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'files.example.org' };
  const login = async (origin: string, headers: Record<string, string>) =>
    (await send(origin, '/v1/auth/login', headers, anna)).status;
  for (const { origin } of [proxied, named]) await register(origin);
  assert.equal(await login(proxied.origin, { ...forwarded, origin: outer }), 200);
  assert.equal(await login(proxied.origin, { ...forwarded, origin: EVIL }), 403);
  assert.equal(await login(proxied.origin, { ...forwarded, origin: proxied.origin }), 403);
  assert.equal(await login(named.origin, { origin: outer }), 200);
  assert.equal(await login(named.origin, { origin: named.origin }), 200);
  assert.equal(await login(named.origin, { origin: EVIL }), 403);
  // This server trusts no proxy.
  assert.equal(await login(named.origin, { ...forwarded, 'x-forwarded-host': 'evil.example', origin: EVIL }), 403);
});

test('concurrent tabs renew by cookie, and no refusal clears a cookie', async (t) => {
  const clock = handClock(Date.now());
  const { origin } = await startServer(t, OPEN, { clock });
  const { cookie } = await register(origin);
  const refresh = (headers: Record<string, string>) =>
    ask(origin, '/v1/auth/refresh', { method: 'POST', headers: { origin, ...headers } });
  const renewed = await refresh({ cookie });
  assert.equal(renewed.status, 200);
  const fresh = cookiesOf(renewed);
  assert.notEqual(fresh, cookie);
  assert.equal((await ask(origin, '/v1/auth/me', { headers: { cookie: fresh } })).status, 200);
  const tabs = await Promise.all([refresh({ cookie }), refresh({ cookie })]);
  const refreshCookie = (reply: string) => /refresh_token=[^;]+/.exec(reply)?.[0];
  for (const tab of tabs) {
    assert.equal(tab.status, 200);
    assert.equal(refreshCookie(cookiesOf(tab)), refreshCookie(fresh));
    assert.equal((await ask(origin, '/v1/auth/me', { headers: { cookie: cookiesOf(tab) } })).status, 200);
  }
  clock.pass(30_000);
  const replayed = await refresh({ cookie });
  assert.deepEqual(replayed.headers.getSetCookie(), [], 'a new sign-in may have replaced them');
  await assertProblemReply(replayed, 'unauthorized');
  await assertProblemReply(await ask(origin, '/v1/auth/me', { headers: { cookie: fresh } }), 'unauthorized');
  await assertProblemReply(await refresh({}), 'unauthorized');
});

test('HTTP/2 accepts separate cookie fields and pages of the same origin', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lading-tls-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { origin } = await startServer(t, { ...OPEN, ...(await tlsSettings(folder)) });
  const session = connect(origin, { rejectUnauthorized: false });
  await once(session, 'connect');
  t.after(() => session.destroy());
  const send2 = async (path: string, headers: OutgoingHttpHeaders, body: unknown = {}) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/json',
      ...headers,
    });
    stream.end(JSON.stringify(body));
    const [reply] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
    stream.resume();
    await once(stream, 'end');
    return { status: reply[':status'], cookies: reply['set-cookie'] ?? [] };
  };
  const made = await send2('/v1/auth/registration', { origin }, anna);
  assert.equal(made.status, 201);
  assert.match(made.cookies[0] ?? '', /; HttpOnly; Secure; SameSite=Lax$/);
  const cookie = made.cookies.map((line) => line.split(';')[0] ?? '');
  assert.equal((await send2('/v1/auth/refresh', { cookie })).status, 200);
  assert.equal((await send2('/v1/auth/refresh', { cookie, origin: EVIL })).status, 403);
  assert.equal((await send2('/v1/auth/refresh', { cookie, origin })).status, 200);
});

test('HTTPS with HTTP/1.1 accepts pages of the same origin', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lading-tls-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { origin } = await startServer(t, { ...OPEN, ...(await tlsSettings(folder)) });
  const made = await send(origin, '/v1/auth/registration', { origin }, anna);
  assert.equal(made.status, 201);
  const cookie = made.cookies.map((line) => line.split(';')[0]).join('; ');
  assert.equal((await send(origin, '/v1/auth/logout', { origin, cookie })).status, 200);
  const plain = origin.replace('https:', 'http:');
  const { status, headers, body } = await send(origin, '/v1/auth/login', { origin: plain }, anna);
  assertProblem({ status, headers: { 'content-type': String(headers['content-type']) }, body }, 'forbidden');
});
