/** Administrators change people: passwords, roles, tenants, and lists in pages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../../../src/protocol/chunk.ts';
import type { PeopleList } from '../../../../src/protocol/schemas/identity/people.ts';
import { createToken, listFilesStatus } from '../../../support/product/api-tokens.ts';
import { anna, ask, login, NEW_PASSWORD, PASSWORD, register } from '../../../support/product/people.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';
import { personOf, ROLES, remove, staffed, update } from './people-admin-setup.ts';

test('a new password or role ends all sessions of the person, and a new name does not', async (t) => {
  const { origin, as } = await staffed(t, { LADING_REGISTRATION: 'open' });
  const member = await register(origin);
  const change = (body: object) => as('default admin', update(member.person.id), { method: 'PUT', body });
  assert.equal((await personOf(await change({ name: 'Annette' }))).name, 'Annette');
  assert.equal((await ask(origin, '/v1/auth/me', { headers: member.headers })).status, 200);
  assert.equal((await personOf(await change({ role: 'client' }))).role, 'client');
  assert.equal((await ask(origin, '/v1/auth/me', { headers: member.headers })).status, 200, 'the same role');

  const ended = async ({ headers, signedIn }: typeof member) => {
    await assertProblemReply(await ask(origin, '/v1/auth/me', { headers }), 'unauthorized');
    const { refresh_token } = signedIn;
    await assertProblemReply(await ask(origin, '/v1/auth/refresh', { body: { refresh_token } }), 'unauthorized');
  };
  assert.equal((await personOf(await change({ role: 'ops' }))).role, 'ops');
  await ended(member);
  const second = await login(origin);
  assert.equal(second.person.role, 'ops');
  const text = await (await change({ password: NEW_PASSWORD, password2: NEW_PASSWORD })).text();
  assert.doesNotMatch(text, /hash|scrypt|lantern/i);
  await ended(second);
  await assertProblemReply(await ask(origin, '/v1/auth/login', { body: anna }), 'unauthorized');
  const third = await login(origin, anna.email, NEW_PASSWORD);
  assert.equal((await personOf(await change({ email: 'New@x.example' }))).email, 'new@x.example');
  await login(origin, 'new@x.example', NEW_PASSWORD);

  await assertProblemReply(await change({ email: 'ops@default.example' }), 'already_exists');
  for (const body of [
    { password: 'password1' },
    { password: 'annette smith' },
    { email: 'x' },
    { name: '' },
    { role: 'king' },
  ]) {
    await assertProblemReply(await change(body), 'validation_failed');
  }
  await assertProblemReply(await change({ password: NEW_PASSWORD, password2: 'x' }), 'validation_failed');
  assert.equal((await as('default admin', remove(member.person.id), { method: 'DELETE' })).status, 200);
  await ended(third);
  await assertProblemReply(await change({ name: 'X' }), 'not_found');
  await assertProblemReply(await as('default admin', remove(member.person.id), { method: 'DELETE' }), 'not_found');
  for (const path of ['/v1/user/update_user', '/v1/user/delete_user']) {
    const method = path.includes('delete') ? 'DELETE' : 'PUT';
    const what = method === 'PUT' ? { method, body: { name: 'X' } } : { method };
    await assertProblemReply(await as('default admin', path, what), 'validation_failed');
  }
});

test('a new password by an administrator revokes the API tokens of the person, unlike a new role or an own password change', async (t) => {
  const server = await staffed(t, { LADING_REGISTRATION: 'open' });
  const { origin, as } = server;
  const member = await register(origin);
  const change = (body: object) => as('default admin', update(member.person.id), { method: 'PUT', body });
  const { token } = await createToken(server, member);
  const device = await createToken(server, server.client);
  await personOf(await change({ role: 'ops' }));
  const second = await login(origin);
  const own = { password: NEW_PASSWORD, password2: NEW_PASSWORD, old_password: PASSWORD };
  assert.equal((await ask(origin, '/v1/auth/me', { method: 'PUT', headers: second.headers, body: own })).status, 200);
  assert.equal(await listFilesStatus(server, token), 200);
  await personOf(await change({ password: PASSWORD, password2: PASSWORD }));
  assert.equal(await listFilesStatus(server, token), 401);
  assert.equal(await listFilesStatus(server, device.token), 200, 'tokens of others stay');
});

test('an administrator creates people, also while registration is closed', async (t) => {
  const { origin, as } = await staffed(t);
  const create = (body: object, query = '') => as('default admin', `/v1/user${query}`, { body });
  const reply = await create({ ...anna, role: 'ops' });
  assert.equal(reply.status, 201);
  assert.deepEqual(reply.headers.getSetCookie(), []);
  const made = await personOf(reply);
  assert.deepEqual([made.role, made.tenant, made.email], ['ops', 'default', anna.email]);
  assert.equal((await login(origin)).person.id, made.id);
  const { password2: _again, ...once } = anna;
  assert.equal((await personOf(await create({ ...once, email: 'b@x.example' }))).role, 'client');

  const numbered = { ...once, name: '42', surname: null, email: 'n@x.example' };
  assert.equal((await personOf(await create(numbered))).surname, '');
  const found = await as('default admin', '/v1/user/get_user', { body: { name: 42, surname: '', id: null } });
  assert.equal((await personOf(found)).email, 'n@x.example');

  await assertProblemReply(await create(anna), 'already_exists');
  for (const changes of [
    { role: 'king' },
    { email: 'x' },
    { password: 'password1' },
    { password2: 'x' },
    { surname: '\n' },
  ]) {
    await assertProblemReply(await create({ ...anna, email: 'c@x.example', ...changes }), 'validation_failed');
  }
  await assertProblemReply(await create({ ...anna, email: 'c@x.example' }, '?tenant=acme'), 'forbidden');
});

test('people of two tenants cannot see each other', async (t) => {
  const { origin, as, id, headersOf } = await staffed(t);
  const other = id('acme client');
  const find = (body: object, query = '') => as('default admin', `/v1/user/get_user${query}`, { body });
  await assertProblemReply(await find({ id: other }), 'not_found');
  await assertProblemReply(await find({ email: 'client@acme.example' }), 'not_found');
  await assertProblemReply(await find({ email: 'client@acme.example' }, '?tenant=acme'), 'forbidden');
  await assertProblemReply(await as('default admin', '/v1/user?tenant=acme'), 'forbidden');
  for (const body of [{ name: 'Eve' }, { password: NEW_PASSWORD }]) {
    await assertProblemReply(await as('default admin', update(other), { method: 'PUT', body }), 'not_found');
  }
  await assertProblemReply(await as('default admin', remove(other), { method: 'DELETE' }), 'not_found');
  for (const tenant of ['default', 'acme']) {
    const { users } = (await (await as(`${tenant} admin`, '/v1/user')).json()) as PeopleList;
    assert.equal(users.length, 4);
    assert.ok(users.every((user) => user.tenant === tenant));
  }
  // The tenants have separate files, also of equal names.
  const upload = await fetch(`${origin}/api/files/upload?filename=same.bin&total_size=1`, {
    method: 'POST',
    headers: { ...headersOf('acme client'), 'content-type': 'application/octet-stream' },
    body: encodeChunk(0, Buffer.from('x')),
  });
  assert.equal(upload.status, 200);
  const download = `/api/files/download/same.bin?owner=${other}`;
  assert.equal((await as('acme admin', download)).status, 200);
  await assertProblemReply(await as('default admin', download), 'not_found');
  await assertProblemReply(await as('default client', '/api/files/download/same.bin'), 'not_found');

  // Root creates people in any tenant, and they sign in only there.
  assert.equal((await personOf(await as('default root', '/v1/user/get_user', { body: { id: other } }))).id, other);
  const renamed = await as('default root', update(other), { method: 'PUT', body: { name: 'Io' } });
  assert.equal((await personOf(renamed)).name, 'Io');
  const { users } = (await (await as('default root', '/v1/user?tenant=acme')).json()) as PeopleList;
  assert.equal(users.length, 4);
  const made = await personOf(await as('default root', '/v1/user?tenant=acme', { body: anna }));
  assert.equal(made.tenant, 'acme');
  await assertProblemReply(await as('default root', '/v1/user?tenant=nowhere', { body: anna }), 'not_found');
  await assertProblemReply(await ask(origin, '/v1/auth/login', { body: anna }), 'unauthorized');
  const member = await login(origin, anna.email, PASSWORD, 'acme');
  assert.equal(member.person.id, made.id);
  // The same address in the default tenant is another person.
  const twin = await personOf(await as('default admin', '/v1/user', { body: anna }));
  assert.notEqual(twin.id, made.id);
  assert.equal((await login(origin)).person.id, twin.id);
  // People of a deleted tenant cannot sign in, and their sessions have ended.
  assert.equal((await as('default root', '/api/tenants/acme', { method: 'DELETE' })).status, 200);
  await assertProblemReply(await ask(origin, '/v1/auth/me', { headers: member.headers }), 'unauthorized');
  await assertProblemReply(await ask(origin, '/v1/auth/login', { body: { ...anna, tenant: 'acme' } }), 'unauthorized');
  const { refresh_token } = member.signedIn;
  await assertProblemReply(await ask(origin, '/v1/auth/refresh', { body: { refresh_token } }), 'unauthorized');
});

test('the list has pages, oldest first, and continues after a deleted person', async (t) => {
  const { as, id } = await staffed(t);
  const page = async (query: string) => (await (await as('default admin', `/v1/user?${query}`)).json()) as PeopleList;
  const whole = await page('');
  assert.equal(whole.next_cursor, null);
  const ids = whole.users.map((user) => user.id);
  assert.deepEqual([...ids].sort(), ROLES.map((role) => id(`default ${role}`)).sort());
  const first = await page('limit=3');
  assert.deepEqual(
    first.users.map((user) => user.id),
    ids.slice(0, 3),
  );
  const victim = first.users.filter((user) => user.role === 'client' || user.role === 'ops').at(-1);
  assert.ok(victim && first.next_cursor);
  assert.equal((await as('default admin', remove(victim.id), { method: 'DELETE' })).status, 200);
  const second = await page(`limit=3&cursor=${first.next_cursor}`);
  assert.deepEqual(
    second.users.map((user) => user.id),
    ids.slice(3),
  );
  assert.equal(second.next_cursor, null);
  assert.deepEqual((await page('cursor=9999999999999999-ff')).users, []);
  for (const query of ['cursor=', 'cursor=x', 'cursor=1-', 'limit=0', 'limit=1001', 'limit=x']) {
    await assertProblemReply(await as('default admin', `/v1/user?${query}`), 'invalid_request');
  }
});
