/** Recorders: refresh tokens, missing fields, and concurrent uploads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wav } from '../../support/audio.ts';
import { handClock } from '../../support/product/clock.ts';
import { signIn, startServer } from '../../support/product/server.ts';
import { connectTo, multipart, type OldReply, pause, pythonDay, urlencoded } from '../old-client.ts';
import { addTarget, COMPAT, HOUR, Recorder, TIME } from './audio-ftp-setup.ts';

// The proxy uses a self-signed certificate.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

test('a refresh token without credentials works until it expires or its client is disabled or deleted', async (t) => {
  const clock = handClock(Date.now());
  const server = await startServer(t, { ...COMPAT, LADING_REFRESH_DAYS: '2' }, { clock });
  const ask = await connectTo(t, server.origin);
  const recorder = new Recorder(ask, server.client);
  const other = await server.enrol();
  await recorder.signIn();
  const { refreshToken } = recorder;
  // Use does not extend its lifetime.
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
  for (const invalid of [refreshToken, `${recorder.refreshToken.slice(0, -4)}aaaa`, 'lrt_', 'x']) {
    const form = urlencoded({ grant_type: 'refresh_token', refresh_token: invalid });
    assert.equal((await ask('POST', '/api/oauth/token', form)).status, 400, invalid);
  }
  assert.equal((await recorder.refresh()).status, 200, 'an invalid token does not end the valid one');
  // The client is disabled, then deleted.
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

test('a missing secret or role is refused with 400', async (t) => {
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
  const created = await ask('POST', '/api/clients', { headers, body: '{"role":"client"}' });
  assert.equal(created.status, 201);
  const listed = (await ask('GET', '/api/clients', { headers: server.admin.headers })).json as {
    clients: { created_at: string }[];
  };
  for (const { created_at: at } of listed.clients) assert.match(at, TIME);
});

test('concurrent uploads of one name are all kept, also by /v1/audio/file', async (t) => {
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
