/**
 * A day of programs and of a page that stay signed in with cookies only. They send JSON, read flat keys, and upload and download sound. A
 * program sends neither Origin nor Sec-Fetch-Site; the page has a different origin.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NEW_PASSWORD, PASSWORD } from '../../support/product/people.ts';
import { startNginx } from '../../support/servers/nginx.ts';
import { hasNginx } from '../../support/servers/plain-nginx.ts';
import { type Ask, connectTo, type OldReply, pause, pythonDay } from '../old-client.ts';
import { ANNA, BOSS, begin, Program, type Stage, TONE } from './audio-hosting-setup.ts';

// The proxy uses a self-signed certificate.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const MINUTE = 60;

const DAY = 24 * 3600;

function flat({ json }: OldReply): unknown[] {
  const { id, name, surname, email, is_admin } = json;
  assert.equal(typeof id, 'string');
  return [name, surname, email, is_admin];
}

async function administer(program: Program, anna: string): Promise<void> {
  assert.equal((await program.signIn(BOSS.email)).status, 200);
  assert.deepEqual(flat(await program.ask('GET', '/v1/auth/me')), ['Boss', 'Byron', BOSS.email, true]);
  for (const wanted of [
    { id: anna },
    { email: ANNA.email },
    { id: null, email: ANNA.email, name: 'Anna', surname: null },
    { name: 'Anna' },
    { id: anna, name: 'Anna', surname: '' },
  ]) {
    const found = await program.json('POST', '/v1/user/get_user', wanted);
    assert.equal(found.status, 200, found.text);
    assert.equal(found.json.id, anna);
  }
  const numbered = { name: '42', email: 'n@x.example', password: NEW_PASSWORD };
  assert.equal((await program.json('POST', '/v1/user', numbered)).status, 201);
  const found = await program.json('POST', '/v1/user/get_user', { name: 42, surname: null });
  assert.equal(found.json.email, 'n@x.example');
  for (const nobody of [{ id: 42 }, { id: anna, email: BOSS.email }]) {
    assert.equal((await program.json('POST', '/v1/user/get_user', nobody)).status, 404);
  }
}

async function keepSound(program: Program): Promise<string> {
  const sent = await program.send('tone.wav');
  assert.equal(sent.status, 200, sent.text);
  assert.ok(!sent.text.includes('file_path'));
  const { id } = sent.json;
  assert.equal(typeof id, 'string');
  // Recordings of the same name are separate files.
  const more = [await program.send('tone.wav'), await program.send('tone.wav')];
  const list = await program.ask('GET', '/v1/audio/');
  assert.deepEqual(
    (list.json as unknown as { id: string }[]).map((one) => one.id).sort(),
    [id, ...more.map(({ json }) => json.id)].sort(),
  );
  assert.equal((await program.ask('GET', '/v1/audio')).text, list.text);
  const back = await program.ask('GET', `/v1/audio/file/${id}`);
  assert.ok(TONE.equals(back.body));
  return String(id);
}

async function liveADay({ server, clock }: Stage, sent: Ask): Promise<void> {
  const program = new Program(sent);
  assert.equal((await program.ask('GET', '/v1/auth/me')).status, 401, 'without a cookie');
  assert.equal((await program.signIn(ANNA.email)).status, 401, 'the account does not exist yet');
  const registered = await program.json('POST', '/v1/auth/registration', ANNA);
  assert.equal(registered.status, 201, registered.text);
  assert.ok(!/hash|scrypt/.test(registered.text));
  assert.deepEqual(flat(registered), ['Anna', '', ANNA.email, false]);
  assert.deepEqual(flat(await program.ask('GET', '/v1/auth/me')), ['Anna', '', ANNA.email, false]);
  assert.deepEqual(program.names(), ['access_token', 'refresh_token']);
  const anna = String(registered.json.id);
  const file = await keepSound(program);
  const boss = new Program(sent);
  await administer(boss, anna);
  assert.equal((await boss.ask('GET', `/v1/audio/file/${file}`)).status, 404, 'a file of a different user');

  await pause(server, clock, 31 * MINUTE);
  // The program sends its whole form, with null for empty fields.
  const form = { name: null, surname: 'Smith', password: null, password2: null, old_password: null };
  const change = () => program.json('PUT', '/v1/auth/me', form);
  assert.equal((await program.again(change)).status, 200);
  // Two tabs refresh with the same cookies at once, and again after a lost reply.
  await pause(server, clock, 31 * MINUTE);
  const [one, two] = [program.copy(), program.copy()];
  const tabs = await Promise.all([one, two].map((tab) => tab.json('POST', '/v1/auth/refresh', {})));
  assert.deepEqual(
    tabs.map(({ status }) => status),
    [200, 200],
  );
  for (const tab of [one, two]) assert.equal((await tab.ask('GET', '/v1/auth/me')).status, 200);
  assert.equal((await program.refresh()).status, 200);
  await pause(server, clock, 29 * DAY);
  assert.equal((await program.again(() => program.ask('GET', '/v1/audio/'))).status, 200);
  await pause(server, clock, 31 * DAY);
  assert.equal((await program.refresh()).status, 401, 'the refresh token expired after a month');
  assert.equal((await program.signIn(ANNA.email)).status, 200);

  const begun = await program.ask('POST', '/v1/auth/yandex/login');
  assert.equal(begun.status, 303);
  assert.match(String(begun.headers.location), /\/authorize\?/);
  const answered = await program.ask('POST', '/v1/auth/yandex/login', { headers: { accept: 'application/json' } });
  assert.match(String(answered.json.authorization_url), /\/authorize\?/);

  assert.equal((await program.json('POST', '/v1/auth/logout', { refresh_token: null })).status, 200);
  assert.ok(!program.names().includes('access_token'));
  assert.equal((await program.ask('GET', '/v1/auth/me')).status, 401);
}

const WAYS: [Record<string, string>, string][] = [
  [{}, 'by default'],
  [{ LADING_COMPAT: 'audio-hosting' }, 'with LADING_COMPAT=audio-hosting'],
];

for (const [settings, what] of WAYS) {
  test(`a day by cookies, ${what}`, async (t) => {
    const stage = await begin(t, settings);
    await liveADay(stage, await connectTo(t, stage.server.origin));
  });

  test(`a day through a proxy, ${what}`, { skip: !hasNginx && 'nginx is not installed' }, async (t) => {
    const stage = await begin(t, { ...settings, LADING_TRUST_PROXY: 'loopback' });
    const { origin, certificate } = await startNginx(t, stage.server.port);
    await liveADay(stage, await connectTo(t, origin, certificate));
  });

  test(`a day by Python's requests, ${what}`, async (t) => {
    const { server, clock } = await begin(t, settings);
    await pythonDay(t, server, clock, 'audio_hosting_day.py', [PASSWORD]);
  });
}
