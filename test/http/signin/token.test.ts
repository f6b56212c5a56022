import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf } from '../../support/product/clock.ts';
import { grant, granted, isTokenValid } from '../../support/product/oauth.ts';
import { signIn, startServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

function post(origin: string, form: string): Promise<Response> {
  return fetch(`${origin}/auth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body: form,
  });
}

test('an id and a secret give a valid token', async (t) => {
  const { origin, client } = await startServer(t, { LADING_TOKEN_MINUTES: '5' });
  const reply = await post(origin, `grant_type=password&username=${client.id}&password=${client.secret}&scope=`);
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  const token = (await reply.json()) as Record<string, unknown>;
  assert.deepEqual(Object.keys(token).sort(), ['access_token', 'expires_in', 'token_type']);
  assert.equal(token.token_type, 'bearer');
  assert.equal(token.expires_in, 300);
  const used = await fetch(`${origin}/api/files`, { headers: { authorization: `Bearer ${token.access_token}` } });
  assert.equal(used.status, 200);
});

test('an unknown id and a wrong secret are refused alike', async (t) => {
  const { origin, client } = await startServer(t);
  const answers: unknown[] = [];
  for (const form of [`username=${client.id}&password=wrong`, 'username=nobody&password=wrong']) {
    const { instance: _, ...problem } = await assertProblemReply(await post(origin, form), 'unauthorized');
    answers.push(problem);
  }
  assert.deepEqual(answers[0], answers[1]);
});

test('invalid forms are refused, and unknown fields are ignored', async (t) => {
  const { origin, client } = await startServer(t);
  const both = `username=${client.id}&password=${client.secret}`;
  await assertProblemReply(await post(origin, `${both}&grant_type=client_credentials`), 'invalid_request');
  await assertProblemReply(await post(origin, `${both}&username=${client.id}`), 'invalid_request');
  await assertProblemReply(await post(origin, `username=${client.id}&password=`), 'validation_failed');
  await assertProblemReply(await post(origin, ''), 'validation_failed');
  const lacking = await assertProblemReply(await post(origin, `username=${client.id}`), 'validation_failed');
  assert.equal(lacking.detail, 'The body lacks password.');
  assert.equal((await post(origin, `${both}&grant_type=&unknown=1`)).status, 200);
});

test('guesses are throttled with the time to wait, and so is the correct secret', async (t) => {
  let now = Date.now();
  const { origin, client, admin } = await startServer(t, {}, { clock: clockOf(() => now) });
  const guess = (): Promise<Response> => post(origin, `username=${client.id}&password=wrong`);
  const first = await Promise.all(Array.from({ length: 10 }, guess));
  for (const reply of first) await assertProblemReply(reply, 'unauthorized');
  const refused = await guess();
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  const { retry_after: wait = 0 } = await assertProblemReply(refused, 'rate_limited');
  await assert.rejects(signIn(origin, client.id, client.secret), /429/);
  assert.ok((await signIn(origin, admin.id, admin.secret)).access_token, 'other clients need not wait');
  now += wait * 1000;
  assert.ok((await signIn(origin, client.id, client.secret)).access_token);
});

test('with the password grant turned off, the route does not exist and the others do', async (t) => {
  const { origin, client } = await startServer(t, { LADING_PASSWORD_GRANT: 'off' });
  const form = `username=${client.id}&password=${client.secret}`;
  await assertProblemReply(await post(origin, form), 'not_found');
  await assertProblemReply(await post(origin, `grant_type=password&${form}`), 'not_found');
  for (const path of ['/health', '/ready']) assert.equal((await fetch(`${origin}${path}`)).status, 200);
  const document = (await (await fetch(`${origin}/openapi.json`)).json()) as { paths: object };
  assert.ok(!('/auth/token' in document.paths) && '/api/oauth/token' in document.paths);
  const { access_token: token } = await granted(await grant(origin, client, { grant_type: 'client_credentials' }));
  assert.ok(await isTokenValid(origin, token));
});
