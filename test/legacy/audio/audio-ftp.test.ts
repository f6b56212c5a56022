/**
 * A day of a recorder: a program for an older server that signs in with the id and secret of a client, refreshes its token without them,
 * always sends the same file name, and reads `expires_at`, `message` and the flat keys of the FTP target.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { wav } from '../../support/audio.ts';
import { type HandClock, handClock } from '../../support/product/clock.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { startNginx } from '../../support/servers/nginx.ts';
import { hasNginx } from '../../support/servers/plain-nginx.ts';
import { type Ask, connectTo, pause, urlencoded } from '../old-client.ts';
import { addTarget, COMPAT, FTP, HOUR, Recorder, TIME } from './audio-ftp-setup.ts';

// The proxy uses a self-signed certificate.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const PROXIED = { LADING_TRUST_PROXY: 'loopback' };

/** The part of the day that works with any settings. */
async function liveADay(recorder: Recorder, server: TestServer, clock: HandClock): Promise<string[]> {
  await recorder.signIn();
  assert.equal(Date.parse(`${recorder.expiresAt}Z`), Math.floor(clock.now() / 1000) * 1000 + 1_800_000);
  const names: string[] = [];
  for (let take = 0; take < 3; take += 1) {
    const reply = await recorder.upload(wav({ seconds: take + 1 }));
    assert.equal(reply.status, 201, reply.text);
    assert.equal(reply.json.message, 'File uploaded successfully');
    assert.equal(reply.json.filename, reply.json.local_path);
    names.push(String(reply.json.filename));
  }
  const stamp = new Date(clock.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_');
  const second = `${stamp}_${recorder.account.id}_recording.wav`;
  assert.deepEqual(names, ['recording.wav', second, second.replace('.wav', ' (2).wav')]);
  for (const [take, name] of names.entries()) {
    const file = await recorder.ask('GET', `/api/files/download/${encodeURIComponent(name)}`);
    assert.ok(file.body.equals(Buffer.from(wav({ seconds: take + 1 }))), name);
  }
  const refused = await recorder.upload(Buffer.from('no sound'));
  assert.equal(refused.status, 400);
  assert.equal(typeof refused.json.message, 'string');

  // The token expires during a pause.
  await pause(server, clock, 2 * HOUR);
  for (const [method, path] of [
    ['GET', '/api/config'],
    ['GET', '/api/clients'],
    ['GET', '/api/token/verify'],
    ['POST', '/api/upload'],
  ] as const) {
    const expired = method === 'POST' ? await recorder.upload(wav()) : await recorder.ask(method, path);
    assert.equal(expired.status, 401, path);
    assert.equal(expired.json.error, 'token_expired', path);
    assert.equal(typeof expired.json.message, 'string');
    assert.equal(typeof expired.json.description, 'string');
  }
  return names;
}

async function endTheDay(ask: Ask, recorder: Recorder, names: readonly string[]): Promise<void> {
  const guarded = await recorder.ask('GET', '/api/clients');
  assert.equal(guarded.status, 403);
  assert.equal(guarded.json.error, 'insufficient_scope');
  assert.equal(typeof guarded.json.message, 'string');
  const stranger = await ask('GET', '/api/config');
  assert.deepEqual([stranger.status, stranger.json.error], [401, 'missing_token']);

  const reply = await recorder.upload(wav({ seconds: 9 }), 'recording.wav', '?overwrite=true');
  assert.deepEqual([reply.status, reply.json.filename], [201, 'recording.wav']);
  const listed = (await recorder.ask('GET', '/v1/audio/')).json as unknown as { file_name: string }[];
  assert.deepEqual(listed.map(({ file_name: name }) => name).sort(), [...names].sort());

  const { id, secret } = recorder.account;
  const revoked = await ask(
    'POST',
    '/api/oauth/revoke',
    urlencoded({ token: recorder.token, client_id: id, client_secret: secret }),
  );
  assert.equal(revoked.status, 200);
  assert.equal(typeof revoked.json.message, 'string');
  assert.equal((await recorder.ask('GET', '/api/config')).status, 401);
}

const ways: [string, (t: TestContext, server: TestServer) => Promise<Ask> | null][] = [
  ['by itself', (t, { origin }) => connectTo(t, origin)],
  [
    'through the proxy of deploy/nginx.conf',
    (t, { port }) =>
      hasNginx ? startNginx(t, port).then(({ origin, certificate }) => connectTo(t, origin, certificate)) : null,
  ],
];

for (const [way, connect] of ways) {
  test(`a day of a recorder, ${way}, with default settings`, async (t) => {
    const clock = handClock(Date.now());
    const server = await startServer(t, PROXIED, { clock });
    const ask = await connect(t, server);
    if (!ask) return t.skip('nginx is not installed');
    await addTarget(server);
    const recorder = new Recorder(ask, server.client);
    const names = await liveADay(recorder, server, clock);
    // A refresh without credentials is refused, and the token stays valid.
    const refused = await recorder.refresh();
    assert.deepEqual([refused.status, refused.json.error], [401, 'invalid_client']);
    const { id, secret } = server.client;
    const form = { grant_type: 'refresh_token', refresh_token: recorder.refreshToken };
    const proven = await ask('POST', '/api/oauth/token', urlencoded({ ...form, client_id: id, client_secret: secret }));
    assert.equal(proven.status, 200, proven.text);
    assert.notEqual(proven.json.refresh_token, recorder.refreshToken);
    assert.match(String(proven.json.expires_at), TIME);
    recorder.token = String(proven.json.access_token);
    const { json } = await recorder.ask('GET', '/api/config');
    assert.deepEqual(
      [json.host, json.port, json.username, json.password, json.directory],
      [null, null, null, null, null],
    );
    await endTheDay(ask, recorder, names);
  });

  test(`a day of a recorder, ${way}, with LADING_COMPAT=audio-ftp`, async (t) => {
    const clock = handClock(Date.now());
    const server = await startServer(t, { ...PROXIED, ...COMPAT }, { clock });
    const ask = await connect(t, server);
    if (!ask) return t.skip('nginx is not installed');
    await addTarget(server);
    const recorder = new Recorder(ask, server.client);
    const names = await liveADay(recorder, server, clock);
    for (let n = 0; n < 5; n += 1) {
      const reply = await recorder.refresh();
      assert.equal(reply.status, 200, reply.text);
      assert.equal(reply.json.refresh_token, recorder.refreshToken);
      await pause(server, clock, HOUR);
    }
    assert.equal((await recorder.refresh()).status, 200);
    const { json } = await recorder.ask('GET', '/api/config');
    assert.deepEqual(
      [json.host, json.port, json.username, json.password, json.directory],
      [FTP.host, FTP.port, FTP.username, '********', FTP.directory],
    );
    await endTheDay(ask, recorder, names);
  });
}
