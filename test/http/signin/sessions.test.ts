/** Sessions: listing them, ending them one by one and by logging out, and restarts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, type IncomingMessage, get as request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { SessionList } from '../../../src/protocol/schemas/identity/account.ts';
import { clockOf } from '../../support/product/clock.ts';
import { ask, login, NEW_PASSWORD, PASSWORD, register } from '../../support/product/people.ts';
import { atEnd, signIn, startServer, type TestServer } from '../../support/product/server.ts';
import { put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

const OPEN = { LADING_REGISTRATION: 'open' };
type Headers = Record<string, string>;

async function account({ origin }: TestServer, username = 'anna'): Promise<Headers> {
  const body = { username, password: PASSWORD };
  await (await ask(origin, '/ops/signup', { body })).arrayBuffer();
  const reply = await ask(origin, '/ops/login', { body, headers: { 'user-agent': `program of ${username}` } });
  assert.equal(reply.status, 200);
  return { authorization: `Bearer ${await reply.text()}` };
}

async function sessions(origin: string, headers: Headers): Promise<SessionList['sessions']> {
  const reply = await ask(origin, '/v1/auth/sessions', { headers });
  assert.equal(reply.status, 200, await reply.clone().text());
  return ((await reply.json()) as SessionList).sessions;
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'lading-sessions-'));
  atEnd(t, () => rm(path, { recursive: true, force: true }));
  return path;
}

test('sessions are listed, and ended one by one', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin } = server;
  const first = await account(server);
  const second = await account(server);
  const seen = await sessions(origin, second);
  assert.deepEqual(
    seen.map(({ current, user_agent }) => [current, user_agent]),
    [
      [false, 'program of anna'],
      [true, 'program of anna'],
    ],
  );
  const [other, own] = seen;
  const stranger = await account(server, 'ben');
  const path = `/v1/auth/sessions/${other?.id}`;
  await assertProblemReply(await ask(origin, path, { method: 'DELETE', headers: stranger }), 'not_found');
  assert.equal((await ask(origin, path, { method: 'DELETE', headers: second })).status, 200);
  await assertProblemReply(await ask(origin, '/api/files', { headers: first }), 'unauthorized');
  await assertProblemReply(await ask(origin, path, { method: 'DELETE', headers: second }), 'not_found');
  assert.deepEqual(
    (await sessions(origin, second)).map(({ id }) => id),
    [own?.id],
  );
  const page = await (await ask(origin, '/api/audit', { headers: server.admin.headers })).text();
  assert.match(page, /"action":"session_ended"/);
});

test('people and devices have sessions, and a token with reduced scopes ends only its own', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin, client } = server;
  const anna = await register(origin);
  const again = await login(origin);
  const [one] = await sessions(origin, again.headers);
  assert.equal((await sessions(origin, anna.headers)).length, 2);
  const body = { refresh_token: again.signedIn.refresh_token };
  assert.equal((await ask(origin, '/v1/auth/refresh', { body })).status, 200);
  const renewed = (await sessions(origin, anna.headers)).map(({ renewed_at }) => renewed_at !== null);
  assert.deepEqual(renewed, [false, true]);
  assert.equal(
    (await ask(origin, `/v1/auth/sessions/${one?.id}`, { method: 'DELETE', headers: again.headers })).status,
    200,
  );

  const basic = { authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}` };
  const granted = async (scope: string): Promise<Headers> => {
    const form = new URLSearchParams({ grant_type: 'client_credentials', scope });
    const reply = await fetch(`${origin}/api/oauth/token`, { method: 'POST', headers: basic, body: form });
    return { authorization: `Bearer ${((await reply.json()) as { access_token: string }).access_token}` };
  };
  const whole = await granted('read write files:delete');
  const less = await granted('read');
  const all = await sessions(origin, less);
  assert.equal(all.length, 2);
  const own = all.find(({ current }) => current);
  const other = all.find(({ current }) => !current);
  const end = (id: string | undefined, headers: Headers): Promise<Response> =>
    ask(origin, `/v1/auth/sessions/${id}`, { method: 'DELETE', headers });
  await assertProblemReply(await end(other?.id, less), 'insufficient_scope');
  assert.equal((await end(own?.id, less)).status, 200);
  assert.equal((await end(other?.id, whole)).status, 200);
  await assertProblemReply(await ask(origin, '/api/files', { headers: whole }), 'unauthorized');
});

test('all sessions of a person end together, and those of others continue', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin, client } = server;
  const [first, second] = [await account(server), await account(server)];
  const other = await account(server, 'ben');
  assert.equal((await ask(origin, '/v1/auth/sessions', { method: 'DELETE', headers: second })).status, 200);
  for (const headers of [first, second]) {
    await assertProblemReply(await ask(origin, '/api/files', { headers }), 'unauthorized');
  }
  assert.equal((await sessions(origin, other)).length, 1);
  const { access_token: token } = await signIn(origin, client.id, client.secret);
  const device = { authorization: `Bearer ${token}` };
  assert.equal((await ask(origin, '/v1/auth/sessions', { method: 'DELETE', headers: device })).status, 200);
  await assertProblemReply(await ask(origin, '/api/files', { headers: device }), 'unauthorized');
});

test('a new password ends the sessions of an account and allows a new sign-in', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin } = server;
  const [first, second] = [await account(server), await account(server)];
  const change = (password: string, old: string): Promise<Response> =>
    ask(origin, '/v1/auth/me', { method: 'PUT', headers: first, body: { password, old_password: old } });
  await assertProblemReply(await change(NEW_PASSWORD, 'wrong'), 'forbidden');
  assert.equal((await change(NEW_PASSWORD, PASSWORD)).status, 200);
  for (const headers of [first, second]) {
    await assertProblemReply(await ask(origin, '/api/files', { headers }), 'unauthorized');
  }
  const login = (password: string): Promise<Response> =>
    ask(origin, '/ops/login', { body: { username: 'anna', password } });
  await assertProblemReply(await login(PASSWORD), 'not_found');
  assert.equal((await login(NEW_PASSWORD)).status, 200);
});

test('API tokens have no sessions', async (t) => {
  const { origin, client } = await startServer(t);
  const made = await ask(origin, '/api/tokens', { headers: client.headers, body: { scopes: ['read', 'write'] } });
  const headers = { authorization: `Bearer ${((await made.json()) as { token: string }).token}` };
  for (const path of ['/v1/auth/sessions', '/logout']) {
    await assertProblemReply(await ask(origin, path, { headers }), 'forbidden');
  }
  await assertProblemReply(await ask(origin, '/v1/auth/sessions/x', { method: 'DELETE', headers }), 'forbidden');
  assert.equal((await ask(origin, '/api/files', { headers })).status, 200);
});

test('logging out ends the session at once, also on open connections', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin, port } = server;
  const headers = await account(server);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const status = async (path: string): Promise<number | undefined> => {
    const [answer] = (await once(request({ port, path, headers, agent }), 'response')) as [IncomingMessage];
    answer.resume();
    await once(answer, 'end');
    return answer.statusCode;
  };
  assert.equal(await status('/api/files'), 200);
  assert.equal((await ask(origin, '/logout', { headers })).status, 200);
  assert.equal(await status('/api/files'), 401);
  assert.equal(await status('/logout'), 401);
  const device = await signIn(origin, server.client.id, server.client.secret);
  const bearer = { authorization: `Bearer ${device.access_token}` };
  assert.equal((await ask(origin, '/logout', { headers: bearer })).status, 200);
  await assertProblemReply(await ask(origin, '/api/files', { headers: bearer }), 'unauthorized');
});

test('a running download ends with its session', async (t) => {
  const server = await startServer(t);
  const size = 64 * 1024 * 1024;
  await put(server, 'large', 0, Buffer.alloc(size, 7), { total_size: String(size) });
  const { access_token: token } = await signIn(server.origin, server.client.id, server.client.secret);
  const headers = { authorization: `Bearer ${token}` };
  const asked = request({ port: server.port, path: '/api/files/download/large', headers });
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  // The client has not read anything yet, so the server cannot have sent the whole file.
  let got = 0;
  assert.equal((await ask(server.origin, '/logout', { headers })).status, 200);
  const cut = once(answer, 'error');
  answer.on('data', (piece: Buffer) => {
    got += piece.length;
  });
  await cut;
  assert.ok(got < size);
});

test('a page of another site cannot sign a person out, and a page of this server can', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const { cookie, headers } = await register(origin);
  const foreign = { cookie, 'sec-fetch-site': 'cross-site' };
  await assertProblemReply(await ask(origin, '/logout', { headers: foreign }), 'forbidden');
  assert.equal((await ask(origin, '/v1/auth/me', { headers })).status, 200);
  const own = await ask(origin, '/logout', { headers: { cookie, 'sec-fetch-site': 'same-origin' } });
  assert.equal(own.status, 200);
  assert.equal(own.headers.getSetCookie().filter((line) => /Max-Age=0/.test(line)).length, 2);
  await assertProblemReply(await ask(origin, '/v1/auth/me', { headers }), 'unauthorized');
});

test('accounts, sessions and their ends survive a restart, and a session has a maximum age', async (t) => {
  const dataDir = await folder(t);
  let now = Date.now();
  const clock = clockOf(() => now);
  const before = await startServer(
    t,
    { ...OPEN, LADING_SESSION_DAYS: '10', LADING_REFRESH_DAYS: '9' },
    { clock },
    dataDir,
  );
  const kept = await account(before);
  const ended = await account(before);
  const person = await register(before.origin);
  assert.equal((await ask(before.origin, '/logout', { headers: ended })).status, 200);
  await before.close();

  const settings = { LADING_SESSION_DAYS: '10', LADING_REFRESH_DAYS: '9' };
  const { origin } = await startServer(t, settings, { clock }, dataDir);
  assert.equal((await ask(origin, '/api/files', { headers: kept })).status, 200);
  await assertProblemReply(await ask(origin, '/api/files', { headers: ended }), 'unauthorized');
  const body = { username: 'anna', password: PASSWORD };
  assert.equal((await ask(origin, '/ops/login', { body })).status, 200);
  await assertProblemReply(await ask(origin, '/ops/signup', { body }), 'forbidden');

  now += 8 * 24 * 3600_000;
  let token = person.signedIn.refresh_token;
  const renew = async (): Promise<Response> => {
    const reply = await ask(origin, '/v1/auth/refresh', { body: { refresh_token: token } });
    if (reply.status === 200) token = ((await reply.clone().json()) as { refresh_token: string }).refresh_token;
    return reply;
  };
  assert.equal((await renew()).status, 200);
  assert.equal((await ask(origin, '/api/files', { headers: kept })).status, 200);
  now += 3 * 24 * 3600_000;
  await assertProblemReply(await renew(), 'unauthorized');
  await assertProblemReply(await ask(origin, '/api/files', { headers: kept }), 'unauthorized');
});
