import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Person, SignedIn } from '../../../../src/protocol/schemas/identity/people.ts';
import { clockOf } from '../../../support/product/clock.ts';
import { anna, ask, login, PASSWORD, register } from '../../../support/product/people.ts';
import { startServer } from '../../../support/product/server.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';
import { OPEN } from './people-setup.ts';

test('registration creates a person with the role client and signs them in, without a hash in the reply', async (t) => {
  let now = Date.UTC(2026, 10, 22, 12);
  const { origin } = await startServer(t, OPEN, { clock: clockOf(() => now) });
  const body = { ...anna, email: ' Anna@X.example', name: ' Anna ' };
  for (const more of [{ role: 'admin' }, { tenant: 'other' }, { id: 'x' }]) {
    const refused = await ask(origin, '/v1/auth/registration', { body: { ...body, ...more } });
    await assertProblemReply(refused, 'validation_failed');
  }
  const reply = await ask(origin, '/v1/auth/registration', { body });
  assert.equal(reply.status, 201);
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  const text = await reply.text();
  assert.doesNotMatch(text, /hash|scrypt|violet/i);
  const signedIn = JSON.parse(text) as SignedIn;
  const { access_token: access, refresh_token: refresh, user, ...rest } = signedIn;
  const { id, name, surname, email, is_admin } = user;
  assert.match(refresh, /^lrt_/);
  assert.deepEqual(rest, {
    token_type: 'bearer',
    expires_in: 1800,
    refresh_expires_in: 30 * 24 * 3600,
    access_token_expires_at: '2026-11-22T12:30:00.000Z',
    refresh_token_expires_at: '2026-12-22T12:00:00.000Z',
    ...{ id, name, surname, email, is_admin },
  });
  assert.deepEqual(user, {
    id: user.id,
    email: 'anna@x.example',
    name: 'Anna',
    surname: 'Smith',
    is_admin: false,
    role: 'client',
    tenant: 'default',
    created_at: '2026-11-22T12:00:00.000Z',
    last_used: '2026-11-22T12:00:00.000Z',
  });
  now += 1000;
  const headers = { authorization: `Bearer ${access}` };
  const me = await ask(origin, '/v1/auth/me', { headers });
  assert.equal(me.status, 200);
  assert.equal(me.headers.get('cache-control'), 'no-store');
  assert.deepEqual(await me.json(), { ...user, last_used: '2026-11-22T12:00:01.000Z' });
  assert.equal((await ask(origin, '/api/files', { headers })).status, 200);
  await assertProblemReply(await ask(origin, '/api/clients', { headers }), 'insufficient_scope');
});

test('a surname is optional', async (t) => {
  const { origin } = await startServer(t, OPEN);
  for (const [i, surname] of [undefined, null, ''].entries()) {
    const body = { ...anna, email: `p${i}@x.example`, surname };
    const reply = await ask(origin, '/v1/auth/registration', { body });
    assert.equal(reply.status, 201, await reply.clone().text());
    assert.equal(((await reply.json()) as SignedIn).surname, '');
    assert.equal((await ask(origin, '/v1/auth/login', { body })).status, 200);
  }
});

test('registration is closed unless the operator opens it', async (t) => {
  const { origin } = await startServer(t);
  const problem = await assertProblemReply(await ask(origin, '/v1/auth/registration', { body: anna }), 'forbidden');
  assert.match(problem.detail, /administrator/);
  await assertProblemReply(await ask(origin, '/v1/auth/login', { body: anna }), 'unauthorized');
});

test('invalid registrations are refused', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const refuse = async (changes: object, code: Parameters<typeof assertProblemReply>[1], detail = /./) => {
    const reply = await ask(origin, '/v1/auth/registration', { body: { ...anna, ...changes } });
    assert.deepEqual(reply.headers.getSetCookie(), []);
    assert.match((await assertProblemReply(reply, code)).detail, detail, JSON.stringify(changes));
  };
  for (const field of Object.keys(anna)) {
    if (field !== 'surname') {
      await refuse({ [field]: undefined }, 'validation_failed');
      await refuse({ [field]: null }, 'validation_failed');
    }
    await refuse({ [field]: 7 }, 'validation_failed');
    await refuse({ [field]: 'x'.repeat(2000) }, 'validation_failed');
  }
  for (const email of ['', 'anna', 'a@b', 'a b@x.example', `${'x'.repeat(65)}@x.example`, 'a@x.example\r\nX: y']) {
    await refuse({ email }, 'validation_failed', /e-mail/);
  }
  for (const name of ['', '   ', 'a\u0000b', 'a\nb', 'x'.repeat(101)]) {
    await refuse({ name }, 'validation_failed', /name must be 1 to 100/);
    if (name !== '') await refuse({ surname: name }, 'validation_failed', /surname must be 1 to 100/);
  }
  await refuse({ password2: `${PASSWORD}.` }, 'validation_failed', /do not match/);
  const twice = (password: string) => ({ password, password2: password });
  await refuse(twice('hT9$kq2'), 'validation_failed', /at least 8/);
  await refuse(twice(`${PASSWORD} `.repeat(5)), 'validation_failed', /at most 128/);
  await refuse(twice('P@ssw0rd2026'), 'validation_failed', /easy to guess/);
  await refuse(twice('anna@x.example'), 'validation_failed', /your name, your e-mail address/);
  await refuse(twice('abcdefgh12345678'), 'validation_failed', /easy to guess/);

  await register(origin);
  await refuse({ email: 'ANNA@X.EXAMPLE' }, 'already_exists', /sign in instead/);
  await register(origin, { email: 'ben@x.example' });
  const send = (headers: Record<string, string>, body: string) =>
    fetch(`${origin}/v1/auth/registration`, { method: 'POST', headers, body });
  await assertProblemReply(await send({ 'content-type': 'application/json' }, '{'), 'invalid_request');
  await assertProblemReply(await send({ 'content-type': 'application/json' }, '{"__proto__":{}}'), 'invalid_request');
  await assertProblemReply(
    await send({ 'content-type': 'text/plain' }, JSON.stringify(anna)),
    'unsupported_media_type',
  );
  await assertProblemReply(await send({ 'content-type': 'application/json' }, ' '.repeat(70_000)), 'chunk_too_large');
});

test('one of several concurrent registrations of an address succeeds', async (t) => {
  const { origin, admin } = await startServer(t, OPEN);
  const replies = await Promise.all(
    Array.from({ length: 6 }, () => ask(origin, '/v1/auth/registration', { body: anna })),
  );
  assert.deepEqual(replies.map(({ status }) => status).sort(), [201, 409, 409, 409, 409, 409]);
  const list = (await (await ask(origin, '/v1/user', { headers: admin.headers })).json()) as { users: Person[] };
  assert.equal(list.users.length, 1);
});

test('people sign in by JSON or a form, and an unknown address is refused like a wrong password', async (t) => {
  const { origin, client } = await startServer(t, OPEN);
  const { person } = await register(origin);
  assert.equal((await login(origin, 'ANNA@x.example')).person.id, person.id);
  const form = await fetch(`${origin}/v1/auth/login`, {
    method: 'POST',
    body: new URLSearchParams({ email: anna.email, password: PASSWORD }),
  });
  assert.equal(form.status, 200);
  assert.equal(form.headers.get('cache-control'), 'no-store');
  const { user } = (await form.json()) as SignedIn;
  assert.equal(user.id, person.id);

  const wrong = [
    { email: anna.email, password: `${PASSWORD}.` },
    { email: 'nobody@x.example', password: PASSWORD },
    { email: 'no address', password: PASSWORD },
    { email: anna.email, password: PASSWORD, tenant: 'nowhere' },
    { email: client.id, password: client.secret },
    { email: anna.email, password: '' },
  ];
  const details = new Set<string>();
  for (const body of wrong) {
    const reply = await ask(origin, '/v1/auth/login', { body });
    assert.deepEqual(reply.headers.getSetCookie(), []);
    details.add((await assertProblemReply(reply, 'unauthorized')).detail);
  }
  assert.equal(details.size, 1);
  for (const body of [{}, { email: anna.email }, { email: anna.email, password: 7 }, []]) {
    await assertProblemReply(await ask(origin, '/v1/auth/login', { body }), 'validation_failed');
  }
  const text = await fetch(`${origin}/v1/auth/login`, { method: 'POST', body: JSON.stringify(anna) });
  await assertProblemReply(text, 'unsupported_media_type');
});

test('guesses are throttled for known and unknown addresses, and so is the correct password', async (t) => {
  let now = Date.now();
  const { origin } = await startServer(t, OPEN, { clock: clockOf(() => now) });
  await register(origin);
  for (const email of [anna.email, 'nobody@x.example']) {
    const guess = (password: string) => ask(origin, '/v1/auth/login', { body: { email, password } });
    for (let i = 0; i < 10; i += 1) await assertProblemReply(await guess(`guess number ${i}`), 'unauthorized');
    const reply = await guess(PASSWORD);
    assert.ok(Number(reply.headers.get('retry-after')) >= 1);
    await assertProblemReply(reply, 'rate_limited');
  }
  now += 60_000;
  await login(origin);
});

test('sign-ups from one address are limited', async (t) => {
  let now = Date.now();
  const { origin } = await startServer(t, OPEN, { clock: clockOf(() => now) });
  await register(origin);
  const again = () => ask(origin, '/v1/auth/registration', { body: anna });
  for (let i = 0; i < 9; i += 1) await assertProblemReply(await again(), 'already_exists');
  const reply = await again();
  assert.ok(Number(reply.headers.get('retry-after')) >= 1);
  await assertProblemReply(reply, 'rate_limited');
  now += 60_000;
  await assertProblemReply(await again(), 'already_exists');
});
