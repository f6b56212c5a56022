/** Ops and client accounts over real sockets: signing up and in, uploading, listing and downloading. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Account, OpsStored, SessionList } from '../../../src/protocol/schemas/identity/account.ts';
import { ask, NEW_PASSWORD, PASSWORD, register } from '../../support/product/people.ts';
import { startServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { login, member, OPEN, upload } from './accounts-setup.ts';

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}

test('ops upload files, clients list and download them, also by ranges', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin } = server;
  const ops = await member(server, 'ops', 'anna');
  const client = await member(server, 'client', 'anna');
  const bytes = randomBytes(300_000);
  const stored = await upload(server, ops, 'C:\\scans\\report.bin', bytes);
  assert.equal(stored.status, 201);
  const { file_name, file_size, uploaded_by } = (await stored.json()) as OpsStored;
  assert.deepEqual([file_name, file_size, uploaded_by], ['report.bin', 300_000, 'anna']);
  assert.equal((await upload(server, ops, 'äöü 100%.txt', 'text')).status, 201);

  const list = await fetch(`${origin}/client/files/anna`, { headers: client });
  assert.deepEqual(await list.json(), ['report.bin', 'äöü 100%.txt']);
  const lines = await fetch(`${origin}/client/files/ANNA`, { headers: { ...client, accept: 'text/plain' } });
  assert.match(lines.headers.get('content-type') ?? '', /^text\/plain/);
  assert.equal(await lines.text(), 'report.bin\näöü 100%.txt\n');
  const json = await fetch(`${origin}/client/files/anna`, {
    headers: { ...client, accept: 'text/plain;q=0.5, application/json' },
  });
  assert.match(json.headers.get('content-type') ?? '', /^application\/json/);

  const whole = await fetch(`${origin}/client/files/anna/report.bin`, { headers: client });
  assert.ok(Buffer.from(await whole.arrayBuffer()).equals(bytes));
  const part = await fetch(`${origin}/client/files/anna/report.bin`, { headers: { ...client, range: 'bytes=10-19' } });
  assert.equal(part.status, 206);
  assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(10, 20)));
  const named = await fetch(`${origin}/client/files/anna/${encodeURIComponent('äöü 100%.txt')}`, { headers: client });
  assert.equal(await named.text(), 'text');
  const files = (await (await fetch(`${origin}/api/files`, { headers: ops })).json()) as { files: unknown[] };
  assert.equal(files.files.length, 2, 'they are ordinary files');
});

test('the list has pages and no unfinished files', async (t) => {
  const server = await startServer(t, OPEN);
  const ops = await member(server, 'ops', 'anna');
  const client = await member(server, 'client', 'ben');
  for (const name of ['a', 'b', 'c']) assert.equal((await upload(server, ops, name, name)).status, 201);
  const chunk = Buffer.concat([Buffer.alloc(15), Buffer.from([0, 5]), Buffer.from([5])]);
  const partial = await fetch(`${server.origin}/api/files/upload?filename=d&total_size=9`, {
    method: 'POST',
    headers: { ...ops, 'content-type': 'application/octet-stream' },
    body: chunk,
  });
  assert.equal(partial.status, 200, await partial.text());
  const first = await fetch(`${server.origin}/client/files/anna?limit=2`, { headers: client });
  assert.deepEqual(await first.json(), ['a', 'b']);
  const next = /^<([^>]+)>; rel="next"$/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
  const second = await fetch(`${server.origin}${next}`, { headers: client });
  assert.deepEqual(await second.json(), ['c']);
  assert.equal(second.headers.get('link'), null);
  const none = await fetch(`${server.origin}/client/files/anna/d`, { headers: client });
  await assertProblemReply(none, 'not_complete');
});

test('a second upload of a name is refused with 409, and with overwrite=true replaces the file', async (t) => {
  const server = await startServer(t, OPEN);
  const ops = await member(server, 'ops', 'anna');
  assert.equal((await upload(server, ops, 'a', 'one')).status, 201);
  await assertProblemReply(await upload(server, ops, 'a', 'two'), 'already_exists');
  const client = await member(server, 'client', 'ben');
  const read = async (): Promise<string> =>
    (await fetch(`${server.origin}/client/files/anna/a`, { headers: client })).text();
  assert.equal(await read(), 'one');
  assert.equal((await upload(server, ops, 'a', 'two', '?overwrite=true')).status, 201);
  assert.equal(await read(), 'two');
});

test('urlencoded, multipart and JSON bodies are equivalent', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const fields = { username: 'anna', password: PASSWORD, name: 'Anna  Smith', email: 'Anna@X.example' };
  const multipart = new FormData();
  for (const [name, value] of Object.entries({ ...fields, username: 'ben' })) multipart.set(name, value);
  const forms = [
    await fetch(`${origin}/ops/signup`, { method: 'POST', body: new URLSearchParams(fields) }),
    await fetch(`${origin}/ops/signup`, { method: 'POST', body: multipart }),
    await ask(origin, '/ops/signup', { body: { ...fields, username: 'cem' } }),
  ];
  for (const reply of forms) {
    const account = (await reply.json()) as Account;
    assert.equal(reply.status, 201, JSON.stringify(account));
    assert.deepEqual([account.kind, account.name, account.email], ['ops', 'Anna Smith', 'anna@x.example']);
  }
  multipart.delete('name');
  multipart.delete('email');
  for (const body of [new URLSearchParams({ username: 'anna', password: PASSWORD }), multipart]) {
    const reply = await fetch(`${origin}/ops/login`, { method: 'POST', body });
    assert.equal(reply.status, 200);
    assert.match(reply.headers.get('content-type') ?? '', /^text\/plain/);
    assert.equal(reply.headers.get('cache-control'), 'no-store');
    assert.match(await reply.text(), /^[\w-]+\.[\w-]+\.[\w-]+$/);
  }
});

test('the token has subject, issuer, audience, session and expiry', async (t) => {
  const server = await startServer(t, {
    ...OPEN,
    LADING_ACCOUNT_DAYS: '400',
    LADING_SESSION_DAYS: '9',
    LADING_REFRESH_DAYS: '7',
  });
  const { authorization = '' } = await member(server, 'client', 'Anna  Smith');
  const claims = claimsOf(authorization);
  for (const claim of ['iss', 'sub', 'aud', 'sid']) assert.equal(typeof claims[claim], 'string', claim);
  assert.deepEqual([claims.username, claims.account_kind], ['Anna Smith', 'client']);
  assert.equal(Number(claims.exp) - Number(claims.iat), 400 * 24 * 3600);

  const { signedIn } = await register(server.origin);
  assert.equal(signedIn.refresh_expires_in, 7 * 24 * 3600, 'other sessions are not longer');
  const other = claimsOf(signedIn.access_token);
  assert.deepEqual([other.username, other.account_kind], [undefined, undefined]);
});

test('a token is valid for a year by default', async (t) => {
  const server = await startServer(t, OPEN);
  const { authorization = '' } = await member(server, 'ops', 'anna');
  const { exp, iat } = claimsOf(authorization);
  assert.equal(Number(exp) - Number(iat), 365 * 24 * 3600);
  const sessions = (await (
    await fetch(`${server.origin}/v1/auth/sessions`, { headers: { authorization } })
  ).json()) as SessionList;
  const until = Date.parse(sessions.sessions[0]?.expires_at ?? '');
  assert.ok(Math.abs(until / 1000 - Number(exp)) < 2);
});

test('empty fields count as absent', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const made = await ask(origin, '/ops/signup', {
    body: { username: 'anna', password: PASSWORD, name: '', email: '' },
  });
  assert.equal(made.status, 201, await made.clone().text());
  const { name, email } = (await made.json()) as Account;
  assert.deepEqual([name, email], [null, null]);
});

test('a username may contain spaces, and extra spaces do not make another username', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin } = server;
  const ops = await member(server, 'ops', 'Anna  Smith');
  await assertProblemReply(
    await ask(origin, '/ops/signup', { body: { username: ' anna smith ', password: PASSWORD } }),
    'already_exists',
  );
  await login(server, 'ops', 'anna   smith ');
  assert.equal((await upload(server, ops, 'a.txt', 'text')).status, 201);
  const client = await member(server, 'client', 'ben');
  const file = await fetch(`${origin}/client/files/${encodeURIComponent('Anna Smith')}/a.txt`, { headers: client });
  assert.equal(await file.text(), 'text');
  for (const spaces of [' ', '   ', '\u00a0', 'a\u2003b', 'a\tb']) {
    await assertProblemReply(
      await ask(origin, '/ops/signup', { body: { username: spaces, password: PASSWORD } }),
      'validation_failed',
    );
  }
  // Guesses count together for all spacings of a username.
  let refused = 0;
  for (let i = 0; i < 40 && refused !== 429; i += 1) {
    const username = `anna${' '.repeat(i + 1)}smith`;
    refused = (await ask(origin, '/ops/login', { body: { username, password: NEW_PASSWORD } })).status;
  }
  assert.equal(refused, 429);
});
