import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type OutgoingHttpHeaders } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { SignedIn } from '../../../src/protocol/schemas/identity/people.ts';
import { handClock } from '../../support/product/clock.ts';
import { anna, ask, cookiesOf, login, type Member, PASSWORD, register } from '../../support/product/people.ts';
import { startServer } from '../../support/product/server.ts';
import { tlsSettings } from '../../support/wire/tls.ts';
import { assertProblem, assertProblemReply } from '../../support/wire/wire.ts';

const OPEN = { LADING_REGISTRATION: 'open' };
const EVIL = 'https://evil.example';

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  cookies: string[];
  body: string;
}

/** A request whose Host and scheme are ours to choose. */
function send(origin: string, path: string, headers: Record<string, string>, body?: unknown): Promise<Answer> {
  return new Promise((done, fail) => {
    const request = origin.startsWith('https:') ? httpsRequest : httpRequest;
    const options = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } };
    const sent = request(`${origin}${path}`, { ...options, rejectUnauthorized: false }, (reply) => {
      const pieces: Buffer[] = [];
      reply.on('data', (piece: Buffer) => pieces.push(piece));
      reply.on('end', () => {
        const { statusCode: status = 0, headers: fields } = reply;
        const text = Buffer.concat(pieces).toString();
        done({ status, headers: fields, cookies: fields['set-cookie'] ?? [], body: text });
      });
    });
    sent.on('error', fail);
    sent.end(JSON.stringify(body ?? {}));
  });
}

function attributes(cookies: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    cookies.map((line) => {
      const [pair = '', ...rest] = line.split('; ');
      return [pair.split('=')[0] ?? '', rest.join('; ')];
    }),
  );
}

test('the cookies: HttpOnly, SameSite, each with its path and the life of its token', async (t) => {
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

test('the cookies are Secure but for plain HTTP to the machine itself', async (t) => {
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
  // Nobody has said that this proxy is to be believed.
  assert.deepEqual(await secure({ 'x-forwarded-proto': 'https' }), [false, false]);
});

test('the cookies are Secure over TLS, behind a trusted proxy with TLS, and where people come by TLS', async (t) => {
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

test('a page of another site whose origin is allowed gets cookies that come back from there', async (t) => {
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
  // Another port of one machine is one site, where the browser says so.
  assert.deepEqual(await set({ origin: app, host: `localhost:${port}`, 'sec-fetch-site': 'same-site' }), near);
  assert.deepEqual(await set({ origin }), near);
  assert.deepEqual(await set({}), near);
  const plain = await startServer(t, { ...OPEN, LADING_ALLOWED_ORIGINS: app, LADING_PUBLIC_URL: 'http://localhost' });
  await register(plain.origin);
  const lan = await send(plain.origin, '/v1/auth/login', { origin: app, host: 'localhost' }, anna);
  assert.ok(
    lan.cookies.every((line) => !/None|Secure/.test(line)),
    'without TLS nothing else is kept',
  );
  const { status, cookies } = await send(origin, '/v1/auth/login', { origin: 'http://localhost:3001' }, anna);
  assert.deepEqual([status, cookies], [403, []]);
});

test('every signed-in route takes the cookie where there is no Authorization', async (t) => {
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
  // A client that sends the field means it.
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
  // The refresh token opens no door but its own.
  assert.equal(await seen({ cookie: cookie.split('; ')[1] ?? '' }), 401);
  assert.equal((await ask(origin, '/api/files', { headers: { cookie } })).status, 200);
  assert.equal((await ask(origin, '/api/tokens', { headers: { cookie } })).status, 200);
  await assertProblemReply(await ask(origin, '/metrics', { headers: { cookie } }), 'insufficient_scope');
  await assertProblemReply(await ask(origin, '/api/clients', { headers: { cookie } }), 'insufficient_scope');
});

/** Who a browser says the request comes from, and whether such a request may count by its cookie. */
const SENDERS: [what: string, headers: (origin: string) => Record<string, string>, own: boolean, foreign: boolean][] = [
  ['a page of ours', (origin) => ({ origin, 'sec-fetch-site': 'same-origin' }), true, false],
  ['a page of ours in an old browser', (origin) => ({ origin }), true, false],
  [
    'a page of ours that a proxy hides',
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

test('a request with a cookie that changes something comes from a page of ours or from a program', async (t) => {
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
      // What changes nothing is answered, and so is what shows its token itself.
      assert.equal((await ask(origin, '/v1/auth/me', { headers: { cookie, ...headers } })).status, 200);
      assert.equal((await upload(`by-token-${i}`, { cookie, ...bearer, ...headers })).status, 200);
    });
  }
});

test('another site can neither sign its visitors in, nor renew or end their sign-ins', async (t) => {
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
        // The old token is used up and ends nothing; the access token of the same sign-in does.
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

test('behind a trusted proxy the origin is the one that the proxy tells, else that of the setting', async (t) => {
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
  // Nobody told this one to believe what a request says of a proxy.
  assert.equal(await login(named.origin, { ...forwarded, 'x-forwarded-host': 'evil.example', origin: EVIL }), 403);
});

test('a browser renews by its cookie; tabs that do so at one time all go on, and no refusal takes a cookie', async (t) => {
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
  assert.deepEqual(replayed.headers.getSetCookie(), [], 'they may be those of a new sign-in by now');
  await assertProblemReply(replayed, 'unauthorized');
  await assertProblemReply(await ask(origin, '/v1/auth/me', { headers: { cookie: fresh } }), 'unauthorized');
  await assertProblemReply(await refresh({}), 'unauthorized');
});

test('HTTP/2: a cookie for each, as browsers send them, and a page of its own origin', async (t) => {
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

test('HTTPS with HTTP/1.1 and a page of its own origin', async (t) => {
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
