/** Failed guesses slow down further guesses, and lock nobody out. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { handClock } from '../../support/product/clock.ts';
import { anna, ask, NEW_PASSWORD, PASSWORD } from '../../support/product/people.ts';
import { atEnd, startServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

const SETTINGS = { LADING_REGISTRATION: 'open', LADING_TRUST_PROXY: 'loopback' };
const OWNER = '198.51.100.7';
const from = (address: string) => ({ 'x-forwarded-for': address });
const guesser = (n: number) => from(`203.0.113.${1 + (n % 15)}`);

function form(path: string, fields: Record<string, string>, headers: Record<string, string>): Promise<Response> {
  return fetch(path, { method: 'POST', body: new URLSearchParams(fields), headers });
}

test('guesses from fifteen addresses never block the owner of a client', async (t) => {
  const clock = handClock(Date.now());
  const { origin, admin } = await startServer(t, SETTINGS, { clock });
  const basic = (secret: string) => `Basic ${Buffer.from(`${admin.id}:${secret}`).toString('base64')}`;
  const doors: ((secret: string, headers: Record<string, string>) => Promise<Response>)[] = [
    (password, headers) => form(`${origin}/auth/token`, { username: admin.id, password }, headers),
    (secret, headers) =>
      form(
        `${origin}/api/oauth/token`,
        { grant_type: 'client_credentials' },
        { ...headers, authorization: basic(secret) },
      ),
    (secret, headers) => fetch(`${origin}/metrics`, { headers: { ...headers, authorization: basic(secret) } }),
  ];
  for (const door of doors) {
    // The first address uses all free places.
    if (door === doors[0]) await Promise.all(Array.from({ length: 105 }, (_, n) => door(`wrong ${n}`, guesser(n))));
    for (let n = 0; n < 4; n += 1) {
      await door(`wrong still ${n}`, guesser(n));
      clock.pass(600);
      assert.equal((await door(admin.secret, from(OWNER))).status, 200);
    }
  }
  const guesses = await Promise.all(Array.from({ length: 12 }, (_, n) => doors[0]?.(`wrong again ${n}`, guesser(0))));
  assert.ok(
    guesses.some((reply) => reply?.status === 429),
    'who guesses waits',
  );
});

test('a person can sign in from a known network while others guess, also after a restart', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'lading-test-'));
  atEnd(t, () => rm(dataDir, { recursive: true, force: true }));
  const login = (origin: string, password: string, headers: Record<string, string>) =>
    ask(origin, '/v1/auth/login', { body: { email: anna.email, password }, headers });
  const first = await startServer(t, SETTINGS, {}, dataDir);
  assert.equal((await ask(first.origin, '/v1/auth/registration', { body: anna, headers: from(OWNER) })).status, 201);
  await first.close();
  const { origin } = await startServer(t, SETTINGS, { clock: handClock(Date.now()) }, dataDir);
  const guesses = await Promise.all(Array.from({ length: 105 }, (_, n) => login(origin, `wrong ${n}`, guesser(n))));
  assert.ok(
    guesses.some(({ status }) => status === 429),
    'who guesses waits',
  );
  await assertProblemReply(await login(origin, PASSWORD, from('192.0.2.1')), 'rate_limited');
  assert.equal((await login(origin, PASSWORD, from(OWNER))).status, 200);
});

test('a token does not speed up guesses of the old password from many networks, and the person can still change it', async (t) => {
  const { origin } = await startServer(t, SETTINGS, { clock: handClock(Date.now()) });
  const made = await ask(origin, '/v1/auth/registration', { body: anna, headers: from(OWNER) });
  const { access_token: token } = (await made.json()) as { access_token: string };
  const change = (old: string, address: string) =>
    ask(origin, '/v1/auth/me', {
      method: 'PUT',
      body: { password: NEW_PASSWORD, old_password: old },
      headers: { ...from(address), authorization: `Bearer ${token}` },
    });
  const statuses: number[] = [];
  for (let n = 0; n < 110; n += 1)
    statuses.push((await change(`wrong ${n}`, `2001:db8:0:${n.toString(16)}::1`)).status);
  assert.equal(statuses[0], 403);
  assert.equal(statuses.at(-1), 429, 'who guesses waits');
  assert.equal((await change(PASSWORD, OWNER)).status, 200);
});

test('many sign-ups from an address do not block sign-ins from it', async (t) => {
  const { origin, client } = await startServer(t, SETTINGS, { clock: handClock(Date.now()) });
  const mine = from(OWNER);
  assert.equal((await ask(origin, '/v1/auth/registration', { body: anna, headers: mine })).status, 201);
  const tries = Array.from({ length: 27 }, (_, n) => [
    () => ask(origin, '/v1/auth/registration', { body: { ...anna, email: `p${n}@x.example` }, headers: mine }),
    () => ask(origin, '/client/signup', { body: { username: `user-${n}`, password: PASSWORD }, headers: mine }),
  ]).flat();
  const statuses: number[] = [];
  for (const one of tries) statuses.push((await one()).status);
  assert.ok(statuses.filter((status) => status === 201).length >= 40);
  assert.equal(statuses.at(-1), 429, 'sign-ups are bounded themselves');
  const login = await ask(origin, '/v1/auth/login', {
    body: { email: anna.email, password: PASSWORD },
    headers: mine,
  });
  assert.equal(login.status, 200);
  const token = await form(`${origin}/auth/token`, { username: client.id, password: client.secret }, mine);
  assert.equal(token.status, 200);
  const named = await ask(origin, '/client/login', {
    body: { username: 'user-0', password: PASSWORD },
    headers: mine,
  });
  assert.equal(named.status, 200);
});

test('the right password or secret works while a hundred networks guess as fast as they can', async (t) => {
  const { origin, admin, client } = await startServer(t, SETTINGS, { clock: handClock(Date.now()) });
  assert.equal((await ask(origin, '/v1/auth/registration', { body: anna, headers: from(OWNER) })).status, 201);
  let answered = 0;
  const guess = async (n: number): Promise<number> => {
    const password = `wrong ${n}`;
    const headers = from(`203.${n % 100}.113.9`);
    const { status } = await ask(origin, '/v1/auth/login', { body: { email: `p${n}@x.example`, password }, headers });
    answered += 1;
    return status;
  };
  const guesses = Array.from({ length: 500 }, (_, n) => guess(n));
  // The first attempts are refused, because all places are in use.
  await Promise.race(guesses);
  const signIn = (headers: Record<string, string>) =>
    ask(origin, '/v1/auth/login', { body: { email: anna.email, password: PASSWORD }, headers });
  const right = async (reply: Promise<Response>): Promise<number> => {
    assert.equal((await reply).status, 200);
    return answered;
  };
  const [secret, configured, known, stranger] = await Promise.all([
    right(form(`${origin}/auth/token`, { username: client.id, password: client.secret }, from('192.0.2.1'))),
    right(form(`${origin}/auth/token`, { username: admin.id, password: admin.secret }, from('192.0.2.2'))),
    right(signIn(from(OWNER))),
    right(signIn(from('198.18.0.1'))),
  ]);
  for (const before of [secret, configured, known, stranger]) assert.ok(before < guesses.length, `${before} before`);
  const statuses = new Set(await Promise.all(guesses));
  assert.deepEqual([...statuses].sort(), [401, 503]);
});
