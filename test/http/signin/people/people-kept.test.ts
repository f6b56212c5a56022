/** People and sessions after a restart, and secrets that must not be on disk. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { SignedIn } from '../../../../src/protocol/schemas/identity/people.ts';
import { handClock } from '../../../support/product/clock.ts';
import { anna, ask, login, NEW_PASSWORD, PASSWORD, register } from '../../../support/product/people.ts';
import { atEnd, signIn, startServer } from '../../../support/product/server.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';

const OPEN = { LADING_REGISTRATION: 'open' };

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'lading-people-'));
  atEnd(t, () => rm(path, { recursive: true, force: true }));
  return path;
}

test('people, sessions and their ends survive a restart', async (t) => {
  const dataDir = await folder(t);
  const before = await startServer(t, OPEN, {}, dataDir);
  const kept = await register(before.origin);
  const ended = await login(before.origin);
  const used = await login(before.origin);
  assert.equal((await ask(before.origin, '/v1/auth/logout', { method: 'POST', headers: ended.headers })).status, 200);
  const body = { refresh_token: used.signedIn.refresh_token };
  const renewed = (await (await ask(before.origin, '/v1/auth/refresh', { body })).json()) as SignedIn;
  const gone = await register(before.origin, { email: 'gone@x.example' });
  const { headers } = before.admin;
  const deleted = await ask(before.origin, `/v1/user/delete_user?pk=${gone.person.id}`, { method: 'DELETE', headers });
  assert.equal(deleted.status, 200);
  await before.close();

  const clock = handClock(Date.now());
  const { origin } = await startServer(t, {}, { clock }, dataDir);
  const me = await ask(origin, '/v1/auth/me', { headers: kept.headers });
  assert.equal(me.status, 200);
  assert.equal(((await me.json()) as { id: string }).id, kept.person.id);
  assert.equal((await login(origin)).person.id, kept.person.id);
  for (const { headers: old } of [ended, gone]) {
    await assertProblemReply(await ask(origin, '/v1/auth/me', { headers: old }), 'unauthorized');
  }
  await assertProblemReply(
    await ask(origin, '/v1/auth/login', { body: { ...anna, email: 'gone@x.example' } }),
    'unauthorized',
  );
  const fresh = await ask(origin, '/v1/auth/refresh', { body: { refresh_token: kept.signedIn.refresh_token } });
  assert.equal(fresh.status, 200);
  const again = (await (await ask(origin, '/v1/auth/refresh', { body })).json()) as SignedIn;
  assert.equal(again.refresh_token, renewed.refresh_token, 'the reply may have been lost');
  // The reuse of an old token still ends its session.
  clock.pass(30_000);
  await assertProblemReply(await ask(origin, '/v1/auth/refresh', { body }), 'unauthorized');
  const last = { refresh_token: renewed.refresh_token };
  await assertProblemReply(await ask(origin, '/v1/auth/refresh', { body: last }), 'unauthorized');
});

/** The bytes of every file below a directory. */
async function* filesOf(path: string): AsyncGenerator<[name: string, bytes: Buffer]> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const inside = join(path, entry.name);
    if (entry.isDirectory()) yield* filesOf(inside);
    else if (entry.isFile()) yield [inside, await readFile(inside)];
  }
}

test('no file of the data directory contains a password or a token', async (t) => {
  const dataDir = await folder(t);
  const configured = {
    LADING_JWT_SECRET: 'the key of all tokens, 7 kettles long',
    LADING_YANDEX_CLIENT_ID: 'a-client-id',
    LADING_YANDEX_CLIENT_SECRET: 'what Yandex knows this server by',
  };
  const { origin, admin, client, close } = await startServer(t, { ...OPEN, ...configured }, {}, dataDir);
  const member = await register(origin);
  const again = await login(origin);
  const wrong = 'a wrong guess of somebody else';
  await ask(origin, '/v1/auth/login', { body: { email: anna.email, password: wrong } });
  await ask(origin, '/v1/auth/login', { body: { email: wrong, password: wrong } });
  const body = { refresh_token: member.signedIn.refresh_token };
  const renewed = (await (await ask(origin, '/v1/auth/refresh', { body })).json()) as SignedIn;
  const change = { password: NEW_PASSWORD, old_password: PASSWORD };
  assert.equal((await ask(origin, '/v1/auth/me', { method: 'PUT', headers: again.headers, body: change })).status, 200);
  const made = { ...anna, email: 'ben@x.example', password: `${PASSWORD} 3`, password2: `${PASSWORD} 3` };
  assert.equal((await ask(origin, '/v1/user', { headers: admin.headers, body: made })).status, 201);
  const late = await login(origin, anna.email, NEW_PASSWORD);
  const secrets = [PASSWORD, NEW_PASSWORD, wrong, admin.secret, client.secret];
  secrets.push(configured.LADING_JWT_SECRET, configured.LADING_YANDEX_CLIENT_SECRET);
  // A device: tokens of both routes, and an API token before and after its rotation.
  const device = await signIn(origin, client.id, client.secret);
  const credentials = { grant_type: 'client_credentials', client_id: client.id, client_secret: client.secret };
  const oauth = await fetch(`${origin}/api/oauth/token`, { method: 'POST', body: new URLSearchParams(credentials) });
  const { access_token: granted, refresh_token: family } = (await oauth.json()) as SignedIn;
  const { headers } = client;
  const apiToken = await ask(origin, '/api/tokens', { headers, body: { scopes: ['read'] } });
  const { token, token_id } = (await apiToken.json()) as { token: string; token_id: string };
  const rotated = await ask(origin, `/api/tokens/${token_id}/rotate`, { method: 'POST', headers });
  const { token: next } = (await rotated.json()) as { token: string };
  // An account with a username.
  const named = { username: 'nina', password: `${PASSWORD} 4` };
  assert.equal((await ask(origin, '/ops/signup', { body: named })).status, 201);
  const long = await (await ask(origin, '/ops/login', { body: named })).text();
  secrets.push(
    named.password,
    family,
    ...[device.access_token, granted, token, next, long].map((one) => one.slice(-43)),
  );
  for (const { access_token, refresh_token } of [member.signedIn, again.signedIn, renewed, late.signedIn]) {
    const [, claims = '', signature = ''] = access_token.split('.');
    secrets.push(access_token, claims, signature, refresh_token, refresh_token.slice(-43));
  }
  const forms = secrets.flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64').replaceAll('=', ''),
    Buffer.from(secret).toString('hex'),
  ]);
  const look = async (): Promise<number> => {
    let files = 0;
    for await (const [name, bytes] of filesOf(dataDir)) {
      files += 1;
      for (const form of forms) assert.ok(!bytes.includes(form), `${name} holds ${form}`);
    }
    return files;
  };
  assert.ok((await look()) > 5);
  await close();
  assert.ok((await look()) > 5);
  let documents = '';
  for await (const [, bytes] of filesOf(dataDir)) documents += bytes.toString('latin1');
  // The search finds a text that is present.
  assert.ok(documents.includes(anna.email) && documents.includes('scrypt$'));
});
