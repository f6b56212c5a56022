/** People renew and end sessions, and change their own account. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditPage } from '../../../../src/protocol/schemas/audit.ts';
import type { Person, SignedIn } from '../../../../src/protocol/schemas/identity/people.ts';
import { handClock } from '../../../support/product/clock.ts';
import { anna, ask, cookiesOf, login, NEW_PASSWORD, PASSWORD, register } from '../../../support/product/people.ts';
import { startServer } from '../../../support/product/server.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';
import { OPEN } from './people-setup.ts';

test('a refresh gives new tokens, and reuse of the old one after the grace period ends the session', async (t) => {
  const clock = handClock(Date.now());
  const { origin } = await startServer(t, OPEN, { clock });
  const first = await register(origin);
  const other = await login(origin);
  const refresh = (token: string) => ask(origin, '/v1/auth/refresh', { body: { refresh_token: token } });
  const reply = await refresh(first.signedIn.refresh_token);
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.getSetCookie().length, 2);
  const second = (await reply.json()) as SignedIn;
  assert.notEqual(second.refresh_token, first.signedIn.refresh_token);
  assert.notEqual(second.access_token, first.signedIn.access_token);
  assert.deepEqual(second.user.id, first.person.id);
  const headers = { authorization: `Bearer ${second.access_token}` };
  assert.equal((await ask(origin, '/v1/auth/me', { headers })).status, 200);

  const again = await refresh(first.signedIn.refresh_token);
  assert.equal(((await again.json()) as SignedIn).refresh_token, second.refresh_token, 'the reply may have been lost');
  clock.pass(30_000);
  const replayed = await refresh(first.signedIn.refresh_token);
  assert.deepEqual(replayed.headers.getSetCookie(), []);
  await assertProblemReply(replayed, 'unauthorized');
  await assertProblemReply(await refresh(second.refresh_token), 'unauthorized');
  await assertProblemReply(await ask(origin, '/v1/auth/me', { headers }), 'unauthorized');
  await assertProblemReply(await ask(origin, '/v1/auth/me', { headers: first.headers }), 'unauthorized');
  assert.equal((await ask(origin, '/v1/auth/me', { headers: other.headers })).status, 200);
});

test('invalid refresh tokens are refused', async (t) => {
  const { origin, client } = await startServer(t, OPEN);
  const { signedIn } = await register(origin);
  const grant = await fetch(`${origin}/api/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: client.id,
      client_secret: client.secret,
    }),
  });
  const device = (await grant.json()) as SignedIn;
  for (const token of ['', 'x', signedIn.access_token.slice(0, 190), device.refresh_token]) {
    const reply = await ask(origin, '/v1/auth/refresh', { body: { refresh_token: token } });
    await assertProblemReply(reply, 'unauthorized');
  }
  await assertProblemReply(await ask(origin, '/v1/auth/refresh', { method: 'POST' }), 'unauthorized');
  const long = await ask(origin, '/v1/auth/refresh', { body: { refresh_token: 'x'.repeat(300) } });
  await assertProblemReply(long, 'validation_failed');
  // The OAuth route of devices still accepts it.
  const renewed = await fetch(`${origin}/api/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: device.refresh_token,
      client_id: client.id,
      client_secret: client.secret,
    }),
  });
  assert.equal(renewed.status, 200);
});

test('signing out with any token ends its session at once, and no other', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const kept = await register(origin);
  const ways = [
    ({ headers }: typeof kept) => ({ headers, method: 'POST' }),
    ({ signedIn }: typeof kept) => ({ body: { refresh_token: signedIn.refresh_token } }),
    ({ cookie }: typeof kept) => ({ headers: { cookie, origin }, method: 'POST' }),
  ];
  for (const way of ways) {
    const member = await login(origin);
    const reply = await ask(origin, '/v1/auth/logout', way(member));
    assert.equal(reply.status, 200);
    assert.equal(cookiesOf(reply), '');
    assert.equal(reply.headers.getSetCookie().length, 2);
    await assertProblemReply(await ask(origin, '/v1/auth/me', { headers: member.headers }), 'unauthorized');
    const { refresh_token } = member.signedIn;
    await assertProblemReply(await ask(origin, '/v1/auth/refresh', { body: { refresh_token } }), 'unauthorized');
    // A repetition succeeds.
    assert.equal((await ask(origin, '/v1/auth/logout', way(member))).status, 200);
  }
  assert.equal((await ask(origin, '/v1/auth/me', { headers: kept.headers })).status, 200);
  await assertProblemReply(await ask(origin, '/v1/auth/logout', { method: 'POST' }), 'unauthorized');
});

test('only people may use /v1/auth/me', async (t) => {
  const { origin, client } = await startServer(t, OPEN);
  await assertProblemReply(await ask(origin, '/v1/auth/me'), 'unauthorized');
  await assertProblemReply(await ask(origin, '/v1/auth/me', { headers: client.headers }), 'forbidden');
  const { headers } = await register(origin);
  const made = await ask(origin, '/api/tokens', { headers, body: { scopes: ['read'] } });
  const { token } = (await made.json()) as { token: string };
  const program = { authorization: `Bearer ${token}` };
  await assertProblemReply(await ask(origin, '/v1/auth/me', { headers: program }), 'forbidden');
  const change = await ask(origin, '/v1/auth/me', { method: 'PUT', headers: program, body: { name: 'Eve' } });
  await assertProblemReply(change, 'forbidden');
});

test('a person changes their name and, with the old password, their password, which ends all sessions', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const first = await register(origin);
  const second = await login(origin);
  const change = (body: object, { headers } = first) => ask(origin, '/v1/auth/me', { method: 'PUT', headers, body });
  for (const more of [{ role: 'admin' }, { email: 'eve@x.example' }]) {
    await assertProblemReply(await change({ name: 'Eve', ...more }), 'validation_failed');
  }
  const named = await change({ name: ' Jose\u0301 ' });
  assert.equal(named.status, 200);
  assert.deepEqual(named.headers.getSetCookie(), []);
  const { name, surname, role, email } = (await named.json()) as Person;
  assert.deepEqual(
    { name, surname, role, email },
    { name: 'José', surname: 'Smith', role: 'client', email: anna.email },
  );

  const password = { password: NEW_PASSWORD, password2: NEW_PASSWORD };
  await assertProblemReply(await change(password), 'forbidden');
  await assertProblemReply(await change({ ...password, old_password: NEW_PASSWORD }), 'forbidden');
  await assertProblemReply(await change({ ...password, password2: 'x', old_password: PASSWORD }), 'validation_failed');
  await assertProblemReply(await change({ password: 'letmein123', old_password: PASSWORD }), 'validation_failed');
  await assertProblemReply(await change({ name: '\n' }), 'validation_failed');
  // A password made of the new name is refused.
  const named2 = { name: 'Bartholomew', password: 'bartholomew!', old_password: PASSWORD };
  await assertProblemReply(await change(named2), 'validation_failed');

  const changed = await change({ ...password, old_password: PASSWORD });
  assert.equal(changed.status, 200);
  assert.doesNotMatch(await changed.text(), /hash|scrypt|lantern/i);
  assert.equal(changed.headers.getSetCookie().length, 2);
  assert.equal(cookiesOf(changed), '');
  for (const { headers, signedIn } of [first, second]) {
    await assertProblemReply(await ask(origin, '/v1/auth/me', { headers }), 'unauthorized');
    const { refresh_token } = signedIn;
    await assertProblemReply(await ask(origin, '/v1/auth/refresh', { body: { refresh_token } }), 'unauthorized');
  }
  await assertProblemReply(await ask(origin, '/v1/auth/login', { body: anna }), 'unauthorized');
  await login(origin, anna.email, NEW_PASSWORD);
});

test('the holder of a token cannot guess the old password', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const { headers } = await register(origin);
  const body = { password: NEW_PASSWORD, old_password: 'a guess' };
  const change = () => ask(origin, '/v1/auth/me', { method: 'PUT', headers, body });
  for (let i = 0; i < 10; i += 1) await assertProblemReply(await change(), 'forbidden');
  await assertProblemReply(await change(), 'rate_limited');
});

test('the audit log has the creation of accounts, sign-ins, sign-outs and guesses', async (t) => {
  const { origin, admin } = await startServer(t, OPEN);
  const member = await register(origin);
  const { id } = member.person;
  await login(origin);
  await ask(origin, '/v1/auth/login', { body: { ...anna, password: 'a wrong guess' } });
  await ask(origin, '/v1/auth/login', { body: { ...anna, email: 'my-password-by-mistake' } });
  await ask(origin, '/v1/auth/me', { method: 'PUT', headers: member.headers, body: { name: 'Ann' } });
  await ask(origin, '/v1/auth/logout', { method: 'POST', headers: member.headers });
  await ask(origin, `/v1/user/update_user?pk=${id}`, { method: 'PUT', headers: admin.headers, body: { role: 'ops' } });
  await ask(origin, `/v1/user/delete_user?pk=${id}`, { method: 'DELETE', headers: admin.headers });
  const reply = await ask(origin, '/api/audit', { headers: admin.headers });
  const text = await reply.text();
  assert.doesNotMatch(text, /guess|by-mistake|violet/);
  const { entries } = JSON.parse(text) as AuditPage;
  const seen = entries.map(({ action, outcome, principal, target }) => [action, outcome, principal, target]);
  for (const expected of [
    ['user_created', 'ok', null, id],
    ['sign_in', 'ok', id, null],
    ['sign_in', 'refused', null, id],
    ['user_updated', 'ok', id, id],
    ['sign_out', 'ok', id, null],
    ['user_updated', 'ok', admin.id, id],
    ['user_deleted', 'ok', admin.id, id],
  ]) {
    assert.ok(
      seen.some((entry) => JSON.stringify(entry) === JSON.stringify(expected)),
      `${JSON.stringify(expected)} is not in ${JSON.stringify(seen)}`,
    );
  }
});
