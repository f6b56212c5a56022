/** Ops and client accounts: tenants, kinds, refusals, and guessed passwords. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccount } from '../../../src/identity/accounts.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { ask, NEW_PASSWORD, PASSWORD } from '../../support/product/people.ts';
import { ADMIN, sign, startServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { type Kind, login, member, OPEN, upload } from './accounts-setup.ts';

test('a sign-up for another tenant is refused and creates no account', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    await identity.createTenant('acme', 'Acme');
    await identity.clients.create({ id: 'the-root', secret: ADMIN.secret, role: 'root', name: null });
  });
  const server = await startServer(t, OPEN, {}, dataDir);
  const { origin, admin } = server;
  const signUp = (query: string, username: string, headers = {}): Promise<Response> =>
    ask(origin, `/client/signup${query}`, { body: { username, password: PASSWORD }, headers });
  await assertProblemReply(await signUp('?tenant=acme', 'anna'), 'forbidden');
  await assertProblemReply(await signUp('?tenant=acme', 'anna', admin.headers), 'forbidden');
  assert.equal((await signUp('?tenant=default', 'anna')).status, 201);
  assert.equal((await signUp('?tenant=default', 'ben', admin.headers)).status, 201);
  await assertProblemReply(await signUp('?tenent=acme', 'cem'), 'validation_failed');
  const root = sign(server.app, 'the-root', 'root').headers;
  await assertProblemReply(await signUp('?tenant=nowhere', 'cem', root), 'not_found');
  assert.equal((await signUp('?tenant=acme', 'cem', root)).status, 201);
  const there = { username: 'cem', password: PASSWORD };
  await assertProblemReply(await ask(origin, '/client/login', { body: there }), 'not_found');
  assert.equal((await ask(origin, '/client/login', { body: { ...there, tenant: 'acme' } })).status, 200);
});

test('GET neither signs up nor in, and a request without a token is refused with 401', async (t) => {
  const { origin } = await startServer(t, OPEN);
  for (const path of ['/ops/signup', '/client/signup', '/ops/login', '/client/login']) {
    await assertProblemReply(await fetch(`${origin}${path}`), 'method_not_allowed');
  }
  for (const path of ['/client/files/anna', '/client/files/anna/a', '/logout']) {
    await assertProblemReply(await fetch(`${origin}${path}`), 'unauthorized');
  }
  await assertProblemReply(await fetch(`${origin}/ops/upload`, { method: 'POST' }), 'unauthorized');
});

test('a username is unique within its kind in any case, and each kind signs in at its own route', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin } = server;
  await member(server, 'ops', 'Anna');
  await assertProblemReply(
    await ask(origin, '/ops/signup', { body: { username: 'aNNa', password: PASSWORD } }),
    'already_exists',
  );
  const wrongDoor = await ask(origin, '/client/login', { body: { username: 'anna', password: PASSWORD } });
  await assertProblemReply(wrongDoor, 'not_found');
  await member(server, 'client', 'anna');
  const racing = await Promise.all(
    Array.from({ length: 5 }, () => ask(origin, '/ops/signup', { body: { username: 'ben', password: PASSWORD } })),
  );
  assert.deepEqual(racing.map(({ status }) => status).sort(), [201, 409, 409, 409, 409]);
});

test('invalid forms are refused and create no account', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const cases: [body: object, code: Parameters<typeof assertProblemReply>[1]][] = [
    [{}, 'invalid_request'],
    [{ username: 'anna' }, 'invalid_request'],
    [{ username: 'anna', password: null }, 'invalid_request'],
    [{ password: PASSWORD }, 'invalid_request'],
    [{ username: '', password: PASSWORD }, 'invalid_request'],
    [{ username: '../anna', password: PASSWORD }, 'validation_failed'],
    [{ username: 'anna\n', password: PASSWORD }, 'validation_failed'],
    [{ username: 'a'.repeat(65), password: PASSWORD }, 'validation_failed'],
    [{ username: 'anna', password: 'password' }, 'validation_failed'],
    [{ username: 'anna', password: PASSWORD, email: 'nowhere' }, 'validation_failed'],
    [{ username: 5, password: [] }, 'validation_failed'],
  ];
  for (const [body, code] of cases) {
    await assertProblemReply(await ask(origin, '/client/signup', { body }), code);
    if (code === 'invalid_request') await assertProblemReply(await ask(origin, '/ops/login', { body }), code);
  }
  const post = (body: NonNullable<RequestInit['body']>, type: string): Promise<Response> =>
    fetch(`${origin}/client/signup`, { method: 'POST', headers: { 'content-type': type }, body });
  await assertProblemReply(await post('{', 'application/json'), 'invalid_request');
  await assertProblemReply(await post('--x\r\nbroken', 'multipart/form-data; boundary=x'), 'invalid_request');
  await assertProblemReply(await post('x', 'multipart/form-data'), 'invalid_request');
  await assertProblemReply(
    await post('username=anna&password=', 'application/x-www-form-urlencoded'),
    'invalid_request',
  );
  await assertProblemReply(await post('username=a&username=b', 'application/x-www-form-urlencoded'), 'invalid_request');
  await assertProblemReply(await post('username=anna', 'text/plain'), 'unsupported_media_type');
  await assertProblemReply(
    await post(`a=${'x'.repeat(70_000)}`, 'application/x-www-form-urlencoded'),
    'chunk_too_large',
  );
  const file = new FormData();
  file.set('username', new Blob(['anna']), 'a.txt');
  await assertProblemReply(await fetch(`${origin}/client/signup`, { method: 'POST', body: file }), 'invalid_request');
  const login = await ask(origin, '/client/login', { body: { username: 'anna', password: PASSWORD } });
  await assertProblemReply(login, 'not_found');
});

test('an account of the wrong kind is refused before its file is read', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin, client: device, admin } = server;
  const ops = await member(server, 'ops', 'anna');
  const client = await member(server, 'client', 'ben');
  assert.equal((await upload(server, ops, 'a', 'text')).status, 201);
  for (const headers of [client, device.headers, admin.headers]) {
    await assertProblemReply(await upload(server, headers, 'b', 'text'), 'forbidden');
  }
  for (const path of ['/client/files/anna', '/client/files/nobody', '/client/files/anna/a']) {
    for (const headers of [ops, device.headers, admin.headers]) {
      await assertProblemReply(await fetch(`${origin}${path}`, { headers }), 'forbidden');
    }
    await assertProblemReply(await fetch(`${origin}${path}`), 'unauthorized');
  }
  for (const path of ['/client/files/nobody', '/client/files/ben', '/client/files/anna/none']) {
    await assertProblemReply(await fetch(`${origin}${path}`, { headers: client }), 'not_found');
  }
  await assertProblemReply(await fetch(`${origin}/client/files/anna/a%0Ab`, { headers: client }), 'invalid_name');
  await assertProblemReply(await fetch(`${origin}/client/files/anna?cursor=!`, { headers: client }), 'invalid_request');
  // Neither kind of account sees files of others by the ordinary routes.
  const id = (
    JSON.parse(Buffer.from(ops.authorization?.split('.')[1] ?? '', 'base64url').toString()) as { sub: string }
  ).sub;
  for (const headers of [client, ops]) {
    await assertProblemReply(await fetch(`${origin}/api/files?owner=${device.id}`, { headers }), 'forbidden');
  }
  await assertProblemReply(await fetch(`${origin}/api/files?owner=${id}`, { headers: client }), 'forbidden');
});

test('a form without the file leaves nothing', async (t) => {
  const server = await startServer(t, OPEN);
  const ops = await member(server, 'ops', 'anna');
  const post = (body: FormData | string): Promise<Response> =>
    fetch(`${server.origin}/ops/upload`, { method: 'POST', headers: ops, body });
  await assertProblemReply(await post('text'), 'unsupported_media_type');
  const other = new FormData();
  other.set('file', new Blob(['text']), 'a');
  await assertProblemReply(await post(other), 'invalid_request');
  await assertProblemReply(await upload(server, ops, 'a'.repeat(1025), 'text'), 'invalid_name');
  const files = (await (await fetch(`${server.origin}/api/files`, { headers: ops })).json()) as { files: unknown[] };
  assert.deepEqual(files.files, []);
});

test('while registration is closed, administrators create accounts in their own tenant', async (t) => {
  const server = await startServer(t);
  const { origin, admin, client } = server;
  const body = { username: 'anna', password: PASSWORD };
  await assertProblemReply(await ask(origin, '/ops/signup', { body }), 'forbidden');
  await assertProblemReply(await ask(origin, '/ops/signup', { body, headers: client.headers }), 'forbidden');
  const bad = { authorization: 'Bearer nothing' };
  await assertProblemReply(await ask(origin, '/ops/signup', { body, headers: bad }), 'unauthorized');
  assert.equal((await ask(origin, '/ops/signup', { body, headers: admin.headers })).status, 201);
  const ops = await login(server, 'ops', 'anna');
  assert.equal((await upload(server, ops, 'a', 'text')).status, 201);
  // Administrators see the account and delete it.
  const people = (await (await ask(origin, '/v1/user', { headers: admin.headers })).json()) as {
    users: { id: string; username?: string; account_kind?: string; email: string | null }[];
  };
  const found = people.users.find(({ username }) => username === 'anna');
  assert.deepEqual([found?.account_kind, found?.email], ['ops', null]);
  const gone = await ask(origin, `/v1/user/delete_user?pk=${found?.id}`, { method: 'DELETE', headers: admin.headers });
  assert.equal(gone.status, 200);
  await assertProblemReply(await fetch(`${origin}/api/files`, { headers: ops }), 'unauthorized');
  await assertProblemReply(await ask(origin, '/ops/login', { body }), 'not_found');
});

test('accounts of another tenant are separate, and their files are not visible', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    await identity.createTenant('acme', 'Acme');
    await createAccount(identity, 'acme', 'ops', { username: 'anna', password: PASSWORD });
    await createAccount(identity, 'default', 'client', { username: 'ben', password: PASSWORD });
    await createAccount(identity, 'acme', 'client', { username: 'ben', password: PASSWORD });
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { origin } = server;
  const there = async (kind: Kind, username: string): Promise<Record<string, string>> => {
    const reply = await ask(origin, `/${kind}/login`, { body: { username, password: PASSWORD, tenant: 'acme' } });
    assert.equal(reply.status, 200);
    return { authorization: `Bearer ${await reply.text()}` };
  };
  assert.equal((await upload(server, await there('ops', 'anna'), 'a', 'text')).status, 201);
  const here = await login(server, 'client', 'ben');
  for (const path of ['/client/files/anna', '/client/files/anna/a']) {
    await assertProblemReply(await fetch(`${origin}${path}`, { headers: here }), 'not_found');
    assert.equal((await fetch(`${origin}${path}`, { headers: await there('client', 'ben') })).status, 200);
  }
  await assertProblemReply(
    await ask(origin, '/ops/login', { body: { username: 'anna', password: PASSWORD } }),
    'not_found',
  );
});

test('guesses are throttled, and the audit log has every refusal without the password', async (t) => {
  const server = await startServer(t, OPEN);
  const { origin, admin } = server;
  await member(server, 'ops', 'anna');
  let last = 0;
  for (let n = 0; n < 12 && last !== 429; n += 1) {
    last = (await ask(origin, '/ops/login', { body: { username: 'anna', password: NEW_PASSWORD } })).status;
  }
  assert.equal(last, 429);
  const unknown = await ask(origin, '/ops/login', { body: { username: 'a secret typed here', password: 'x' } });
  assert.ok([404, 429].includes(unknown.status));
  const client = await member(server, 'client', 'ben');
  await assertProblemReply(await upload(server, client, 'a', 'text'), 'forbidden');
  const page = await (await ask(origin, '/api/audit?limit=100', { headers: admin.headers })).text();
  assert.match(page, /"action":"sign_in","outcome":"refused"[^}]*not_found: POST \/ops\/login/);
  assert.match(page, /"action":"refusal"[^}]*forbidden: POST \/ops\/upload/);
  assert.match(page, /"action":"user_created"/);
  assert.ok(!page.includes(NEW_PASSWORD) && !page.includes('a secret typed here') && !page.includes(PASSWORD));
});
