import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Person } from '../../../../src/protocol/schemas/identity/people.ts';
import { type Ask, anna, ask, NEW_PASSWORD } from '../../../support/product/people.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';
import { personOf, remove, staffed, update } from './people-admin-setup.ts';

test('an administrator finds people by id, by address and by name', async (t) => {
  const { as, id } = await staffed(t);
  const find = (body: object) => as('default admin', '/v1/user/get_user', { body });
  const reply = await find({ id: id('default ops') });
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  const text = await reply.text();
  assert.doesNotMatch(text, /hash|outside/i);
  const person = JSON.parse(text) as Person;
  assert.deepEqual(person, {
    id: id('default ops'),
    email: 'ops@default.example',
    name: 'Ada',
    surname: 'Byron',
    is_admin: false,
    role: 'ops',
    tenant: 'default',
    created_at: person.created_at,
    last_used: null,
  });
  assert.deepEqual(await personOf(await find({ email: ' OPS@default.Example ' })), person);
  const { id: key, email, name, surname } = person;
  for (const body of [
    { id: key, email, name, surname },
    { id: null, email, name },
    { id: key, surname },
  ]) {
    assert.deepEqual(await personOf(await find(body)), person);
  }
  assert.equal((await personOf(await find({ name, surname }))).name, name);
  for (const body of [{ id: key, email: 'admin@default.example' }, { email, name: 'Eve' }, { surname: 'Nobody' }]) {
    await assertProblemReply(await find(body), 'not_found');
  }
  const boss = await personOf(await find({ email: 'admin@default.example' }));
  assert.equal(boss.is_admin, true);
  for (const body of [{}, { id: null }, { id: ['x'] }, { id: 'x'.repeat(100) }, { key }]) {
    await assertProblemReply(await find(body), 'validation_failed');
  }
  for (const body of [
    { id: 'nobody' },
    { id: 7 },
    { name: 7.5 },
    { id: '__proto__' },
    { email: 'nobody@x.example' },
    { email: 'x' },
  ]) {
    await assertProblemReply(await find(body), 'not_found');
  }
});

test('only administrators and their programs with the scope manage people', async (t) => {
  const { as, id, origin } = await staffed(t);
  const target = id('default client');
  const requests: [string, Ask][] = [
    ['/v1/user', {}],
    ['/v1/user', { body: { ...anna, role: 'client' } }],
    ['/v1/user/get_user', { body: { id: target } }],
    [update(target), { method: 'PUT', body: { name: 'Bo' } }],
    [remove(target), { method: 'DELETE' }],
  ];
  for (const [path, what] of requests) {
    await assertProblemReply(await ask(origin, path, what), 'unauthorized');
    for (const who of ['default client', 'default ops']) {
      const problem = await assertProblemReply(await as(who, path, what), 'insufficient_scope');
      assert.equal(problem.scope, 'users:admin');
    }
  }
  const token = async (scopes: string[]) => {
    const made = await as('default admin', '/api/tokens', { body: { scopes } });
    return { authorization: `Bearer ${((await made.json()) as { token: string }).token}` };
  };
  const reader = await token(['read']);
  await assertProblemReply(await ask(origin, '/v1/user', { headers: reader }), 'insufficient_scope');
  const manager = await token(['users:admin']);
  assert.equal((await ask(origin, '/v1/user', { headers: manager })).status, 200);
  // Otherwise it could sign in as the created person and gain rights.
  const [, create, , change, drop] = requests;
  for (const request of [create, change, drop]) {
    const [path, what] = request ?? assert.fail();
    await assertProblemReply(await ask(origin, path, { ...what, headers: manager }), 'insufficient_scope');
  }
  const whole = await token(['read', 'write', 'files:delete', 'clients:admin', 'tokens:admin', 'users:admin']);
  const made = await ask(origin, '/v1/user', { headers: whole, body: { ...anna, role: 'client' } });
  assert.equal(made.status, 201);
  // A password would give the role, which API tokens never have.
  for (const role of ['ops', 'admin', 'root']) {
    const body = { ...anna, email: `${role}@x.example`, role };
    await assertProblemReply(await ask(origin, '/v1/user', { headers: whole, body }), 'insufficient_scope');
  }
});

test('a device with the role admin manages people', async (t) => {
  const { origin, admin, id } = await staffed(t);
  const change = { method: 'PUT', headers: admin.headers, body: { surname: 'King' } };
  assert.equal((await personOf(await ask(origin, update(id('default admin')), change))).surname, 'King');
  await assertProblemReply(await ask(origin, update(id('default root')), change), 'insufficient_scope');
});

test('an administrator cannot create, change or delete people of a higher role', async (t) => {
  const { as, id } = await staffed(t);
  const above = id('default root');
  for (const body of [{ name: 'Eve' }, { role: 'client' }, { password: NEW_PASSWORD }, { email: 'eve@x.example' }]) {
    const reply = await as('default admin', update(above), { method: 'PUT', body });
    await assertProblemReply(reply, 'insufficient_scope');
  }
  await assertProblemReply(await as('default admin', remove(above), { method: 'DELETE' }), 'insufficient_scope');
  const promoted = await as('default admin', update(id('default ops')), { method: 'PUT', body: { role: 'root' } });
  await assertProblemReply(promoted, 'insufficient_scope');
  const made = await as('default admin', '/v1/user', { body: { ...anna, role: 'root' } });
  await assertProblemReply(made, 'insufficient_scope');
  const unchanged = await personOf(await as('default root', '/v1/user/get_user', { body: { id: above } }));
  assert.deepEqual([unchanged.name, unchanged.role, unchanged.email], ['Ada', 'root', 'root@default.example']);
});

test('an administrator can change their own name, but not delete themselves or change their own role', async (t) => {
  const { as, id } = await staffed(t);
  for (const who of ['default admin', 'default root']) {
    await assertProblemReply(await as(who, remove(id(who)), { method: 'DELETE' }), 'invalid_request');
    for (const body of [{ role: 'client' }, { password: NEW_PASSWORD }]) {
      await assertProblemReply(await as(who, update(id(who)), { method: 'PUT', body }), 'forbidden');
    }
    const named = await personOf(await as(who, update(id(who)), { method: 'PUT', body: { name: 'Ida' } }));
    assert.equal(named.name, 'Ida');
  }
});
