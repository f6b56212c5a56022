/**
 * A recorder's day: a program for an older server that signs in with the id and secret of a client, refreshes its token without them, sends
 * a file of always the same name, and reads `expires_at`, `message` and the flat keys of the FTP target.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { wav } from '../support/audio.ts';
import { type HandClock, handClock } from '../support/product/clock.ts';
import { type Account, signIn, startServer, type TestServer } from '../support/product/server.ts';
import { startNginx } from '../support/servers/nginx.ts';
import { hasNginx } from '../support/servers/plain-nginx.ts';
import {
  type Ask,
  connectTo,
  multipart,
  type OldReply,
  pause,
  pythonDay,
  type Sent,
  urlencoded,
} from './old-client.ts';

// The certificate of the proxy is made for these tests; nobody signed it.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const HOUR = 3600;
const COMPAT = { LADING_COMPAT: 'audio-ftp' };
const PROXIED = { LADING_TRUST_PROXY: 'loopback' };
/** As these programs parse it. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/;

class Recorder {
  readonly #ask: Ask;
  readonly account: Pick<Account, 'id' | 'secret'>;
  token = '';
  refreshToken = '';
  expiresAt = '';

  constructor(ask: Ask, account: Pick<Account, 'id' | 'secret'>) {
    this.#ask = ask;
    this.account = account;
  }

  async signIn(): Promise<void> {
    const { id, secret } = this.account;
    const form = { grant_type: 'client_credentials', client_id: id, client_secret: secret };
    const reply = await this.#ask('POST', '/api/oauth/token', urlencoded(form));
    assert.equal(reply.status, 200, reply.text);
    this.#keep(reply);
    this.refreshToken = String(reply.json.refresh_token);
  }

  #keep({ json }: OldReply): void {
    this.token = String(json.access_token);
    this.expiresAt = String(json.expires_at);
    assert.match(this.expiresAt, TIME);
    assert.match(String(json.refresh_token_expires_at), TIME);
  }

  /** Without id and secret, and with the refresh token of the sign-in, whatever came since. */
  async refresh(): Promise<OldReply> {
    const form = { grant_type: 'refresh_token', refresh_token: this.refreshToken };
    const reply = await this.#ask('POST', '/api/oauth/token', urlencoded(form));
    if (reply.status === 200) this.#keep(reply);
    return reply;
  }

  ask(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<OldReply> {
    return this.#ask(method, path, { headers: { ...headers, authorization: `Bearer ${this.token}` }, body });
  }

  upload(bytes: Uint8Array, name = 'recording.wav', query = ''): Promise<OldReply> {
    return this.ask('POST', `/api/upload${query}`, multipart({}, { field: 'audio_file', name, bytes }));
  }
}

const FTP = {
  kind: 'ftp',
  name: 'archive',
  host: '127.0.0.1',
  port: 9,
  username: 'rec',
  password: 'wild-geese-1907',
  directory: '/in',
};

async function addTarget(server: TestServer): Promise<void> {
  const reply = await fetch(`${server.origin}/api/deliveries/targets`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ ...FTP, rule: { prefix: 'nothing/' } }),
  });
  assert.equal(reply.status, 201, await reply.text());
}

/** What works with every server, whatever its settings. */
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

  // The token lapses in a pause.
  await pause(server, clock, 2 * HOUR);
  for (const [method, path] of [
    ['GET', '/api/config'],
    ['GET', '/api/clients'],
    ['GET', '/api/token/verify'],
    ['POST', '/api/upload'],
  ] as const) {
    const lapsed = method === 'POST' ? await recorder.upload(wav()) : await recorder.ask(method, path);
    assert.equal(lapsed.status, 401, path);
    assert.equal(lapsed.json.error, 'token_expired', path);
    assert.equal(typeof lapsed.json.message, 'string');
    assert.equal(typeof lapsed.json.description, 'string');
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
  test(`a day of a recorder, ${way}, with the settings as they come`, async (t) => {
    const clock = handClock(Date.now());
    const server = await startServer(t, PROXIED, { clock });
    const ask = await connect(t, server);
    if (!ask) return t.skip('nginx is not installed');
    await addTarget(server);
    const recorder = new Recorder(ask, server.client);
    const names = await liveADay(recorder, server, clock);
    // A refresh that proves nothing is refused, and takes nothing away.
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

test('a refresh token without its client: what ends it, and whose it must be', async (t) => {
  const clock = handClock(Date.now());
  const server = await startServer(t, { ...COMPAT, LADING_REFRESH_DAYS: '2' }, { clock });
  const ask = await connectTo(t, server.origin);
  const recorder = new Recorder(ask, server.client);
  const other = await server.enrol();
  await recorder.signIn();
  const { refreshToken } = recorder;
  // It lapses when it was to lapse, however often it was used.
  await pause(server, clock, 30 * HOUR);
  assert.equal((await recorder.refresh()).status, 200);
  await pause(server, clock, 30 * HOUR);
  assert.deepEqual([(await recorder.refresh()).status, (await recorder.refresh()).json.error], [400, 'invalid_grant']);

  await recorder.signIn();
  for (const form of [{ client_id: other.id }, { client_id: other.id, client_secret: other.secret }]) {
    const all = { grant_type: 'refresh_token', refresh_token: recorder.refreshToken, ...form };
    assert.equal((await ask('POST', '/api/oauth/token', urlencoded(all))).status, 400, JSON.stringify(form));
  }
  const wrong = { client_id: server.client.id, client_secret: 'wrong' };
  const all = { grant_type: 'refresh_token', refresh_token: recorder.refreshToken, ...wrong };
  assert.equal((await ask('POST', '/api/oauth/token', urlencoded(all))).status, 401);
  assert.equal((await recorder.refresh()).status, 200);
  for (const made of [refreshToken, `${recorder.refreshToken.slice(0, -4)}aaaa`, 'lrt_', 'x']) {
    const form = urlencoded({ grant_type: 'refresh_token', refresh_token: made });
    assert.equal((await ask('POST', '/api/oauth/token', form)).status, 400, made);
  }
  assert.equal((await recorder.refresh()).status, 200, 'what was made up took nothing away');
  // A client that is disabled, and one that is deleted.
  const { access_token: token } = await signIn(server.origin, server.admin.id, server.admin.secret);
  const admin = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const change = async (method: string, body?: string): Promise<void> => {
    const reply = await ask(method, `/api/clients/${server.client.id}`, { headers: admin, body });
    assert.equal(reply.status, 200, reply.text);
  };
  await change('PUT', '{"disabled":true}');
  assert.equal((await recorder.refresh()).status, 400);
  await change('PUT', '{"disabled":false}');
  await recorder.signIn();
  assert.equal((await recorder.refresh()).status, 200);
  await change('DELETE');
  assert.equal((await recorder.refresh()).status, 400);
});

test('what is missing is 400: a secret, a role', async (t) => {
  const server = await startServer(t);
  const ask = await connectTo(t, server.origin);
  const form = { grant_type: 'client_credentials', client_id: server.client.id };
  const noSecret = await ask('POST', '/api/oauth/token', urlencoded(form));
  assert.deepEqual([noSecret.status, noSecret.json.error], [400, 'invalid_request']);
  assert.match(String(noSecret.json.message), /client_secret/);
  const wrong = await ask('POST', '/api/oauth/token', urlencoded({ ...form, client_secret: 'wrong' }));
  assert.deepEqual([wrong.status, wrong.json.error, typeof wrong.json.message], [401, 'invalid_client', 'string']);
  const headers = { ...server.admin.headers, 'content-type': 'application/json' };
  const noRole = await ask('POST', '/api/clients', { headers, body: '{"name":"recorder"}' });
  assert.equal(noRole.status, 400);
  assert.match(String(noRole.json.message), /role/);
  const made = await ask('POST', '/api/clients', { headers, body: '{"role":"client"}' });
  assert.equal(made.status, 201);
  const listed = (await ask('GET', '/api/clients', { headers: server.admin.headers })).json as {
    clients: { created_at: string }[];
  };
  for (const { created_at: at } of listed.clients) assert.match(at, TIME);
});

test('both are kept of two that are sent at once, and of /v1/audio/file', async (t) => {
  const server = await startServer(t);
  const ask = await connectTo(t, server.origin);
  const recorders = await Promise.all(
    Array.from({ length: 4 }, async () => new Recorder(await connectTo(t, server.origin), server.client)),
  );
  for (const recorder of recorders) recorder.token = server.client.token;
  const replies = await Promise.all(recorders.map((recorder, n) => recorder.upload(wav({ seconds: n + 1 }))));
  const names = replies.map(({ status, json }) => {
    assert.equal(status, 201);
    return json.filename;
  });
  assert.equal(new Set(names).size, 4);
  const send = (query: string, seconds: number): Promise<OldReply> => {
    const { headers = {}, body } = multipart({}, { field: 'file', name: 'song.wav', bytes: wav({ seconds }) });
    return ask('POST', `/v1/audio/file${query}`, { headers: { ...headers, ...server.client.headers }, body });
  };
  assert.equal((await send('', 1)).json.file_name, 'song.wav');
  assert.equal((await send('', 2)).json.file_name, 'song (2).wav');
  assert.equal((await send('', 3)).json.file_name, 'song (3).wav');
  assert.equal((await send('?overwrite=true', 4)).json.file_name, 'song.wav');
  const { headers = {}, body } = multipart({}, { field: 'file', name: 'song.wav', bytes: wav({ seconds: 5 }) });
  const only = { ...headers, ...server.client.headers, 'if-none-match': '*' };
  assert.equal((await ask('POST', '/v1/audio/file', { headers: only, body })).status, 412);
});

for (const compat of [false, true]) {
  test(`a day of a recorder by Python and requests${compat ? ', with LADING_COMPAT=audio-ftp' : ''}`, async (t) => {
    const clock = handClock(Date.now());
    const server = await startServer(t, compat ? COMPAT : {}, { clock });
    await addTarget(server);
    const { id, secret } = server.client;
    await pythonDay(t, server, clock, 'audio_ftp_day.py', compat ? [id, secret, 'compat'] : [id, secret]);
  });
}
