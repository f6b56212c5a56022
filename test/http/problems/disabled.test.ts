/** Disabled clients and people: their credentials are refused, their data stays, and everything works again when they are enabled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf } from '../../support/product/clock.ts';
import { signIn, startServer } from '../../support/product/server.ts';

test('a disabled client is refused with its secret, tokens and API tokens until it is enabled', async (t) => {
  const { origin, admin, enrol } = await startServer(t);
  const device = await enrol();
  const change = (body: object) =>
    fetch(`${origin}/api/clients/${device.id}`, {
      method: 'PUT',
      headers: { ...admin.headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const list = (headers: Record<string, string>) => fetch(`${origin}/api/files`, { headers });
  const made = await fetch(`${origin}/api/tokens`, { method: 'POST', headers: device.headers });
  const { token } = (await made.json()) as { token: string };
  const api = { authorization: `Bearer ${token}` };
  assert.equal((await list(api)).status, 200);
  const disabled = await change({ disabled: true });
  assert.equal(disabled.status, 200);
  assert.equal(((await disabled.json()) as { disabled: boolean }).disabled, true);
  assert.equal((await list(device.headers)).status, 401);
  assert.equal((await list(api)).status, 401);
  await assert.rejects(signIn(origin, device.id, device.secret), /401/);
  const enabled = await change({ disabled: false, name: 'back' });
  assert.deepEqual(((await enabled.json()) as { name: string; disabled?: boolean }).disabled, undefined);
  const { access_token: fresh } = await signIn(origin, device.id, device.secret);
  assert.equal((await list({ authorization: `Bearer ${fresh}` })).status, 200);
  assert.equal((await list(api)).status, 200, 'its API token is good again');
  assert.equal((await list(device.headers)).status, 401, 'tokens of before are not');
});

test('ending the sessions of a client invalidates its tokens but not its secret', async (t) => {
  let now = Date.now();
  const { origin, admin, client } = await startServer(t, {}, { clock: clockOf(() => now) });
  const { access_token: token } = await signIn(origin, client.id, client.secret);
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await fetch(`${origin}/api/files`, { headers })).status, 200);
  now += 2_000;
  const ended = await fetch(`${origin}/api/clients/${client.id}`, {
    method: 'PUT',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: '{"end_sessions":true}',
  });
  assert.equal(ended.status, 200);
  assert.equal((await fetch(`${origin}/api/files`, { headers })).status, 401);
  now += 2_000;
  await signIn(origin, client.id, client.secret);
});

test('a principal can neither disable itself nor give a role above its own', async (t) => {
  const { origin, admin, client, enrol } = await startServer(t);
  const put = (id: string, body: object, headers: Record<string, string>) =>
    fetch(`${origin}/api/clients/${id}`, {
      method: 'PUT',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  assert.equal((await put(admin.id, { disabled: true }, admin.headers)).status, 403);
  assert.equal((await put(admin.id, { role: 'client' }, admin.headers)).status, 403);
  assert.equal((await put(client.id, { role: 'root' }, admin.headers)).status, 403);
  assert.equal((await put(client.id, { role: 'ops' }, client.headers)).status, 403);
  assert.equal((await put('nobody', { name: 'x' }, admin.headers)).status, 404);
  assert.equal((await put(client.id, { roll: 'ops' }, admin.headers)).status, 422);
  const other = await enrol();
  assert.equal((await put(other.id, { role: 'ops' }, admin.headers)).status, 200);
});

test('a disabled person cannot sign in, and their session ends', async (t) => {
  const { origin, admin } = await startServer(t);
  const json = { ...admin.headers, 'content-type': 'application/json' };
  const person = { name: 'Ada', surname: 'Example', email: 'ada@example.org', password: 'seven lamps over dim rivers' };
  const made = await fetch(`${origin}/v1/user`, { method: 'POST', headers: json, body: JSON.stringify(person) });
  const { id } = (await made.json()) as { id: string };
  const login = () =>
    fetch(`${origin}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: person.email, password: person.password }),
    });
  const { access_token: token } = (await (await login()).json()) as { access_token: string };
  const me = () => fetch(`${origin}/v1/auth/me`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await me()).status, 200);
  const update = (body: object) =>
    fetch(`${origin}/v1/user/update_user?pk=${id}`, { method: 'PUT', headers: json, body: JSON.stringify(body) });
  assert.equal((await update({ end_sessions: true })).status, 200);
  assert.equal((await me()).status, 401);
  assert.equal((await login()).status, 200);
  assert.equal(((await (await update({ disabled: true })).json()) as { disabled: boolean }).disabled, true);
  assert.equal((await login()).status, 401);
  assert.equal((await update({ disabled: false })).status, 200);
  assert.equal((await login()).status, 200);
});
