/** Calls with codes: refusals, visibility, and the second factor. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallVerified } from '../../../src/protocol/schemas/identity/call.ts';
import type { ApiTokenCreated } from '../../../src/protocol/schemas/identity/token.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { begin, type Headers, PHONE, post, request, statusOf } from './calls-setup.ts';

// ---------------------------------------------------------------- as a second factor

async function register({ origin, admin, client }: TestServer, phone: string | null): Promise<Response> {
  return fetch(`${origin}/api/phones/client/${client.id}`, {
    method: 'PUT',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ phone }),
  });
}

test('invalid numbers, messages and codes are refused', async (t) => {
  const { server } = await begin(t);
  const { origin, client } = server;
  for (const body of [
    {},
    { phone: '4155552671' },
    { phone: '+1' },
    { phone: '+999999999999' },
    { phone: 'tel:+1415' },
  ]) {
    await assertProblemReply(await post(server, '/calls/otp', body), 'invalid_request');
  }
  for (const message of ['a\nb', '\u0000']) {
    await assertProblemReply(await post(server, '/calls/otp', { phone: PHONE, message }), 'invalid_request');
  }
  for (const body of [{ phone: 5 }, { phone: PHONE, message: 'x'.repeat(161) }, { phone: '+'.repeat(65) }]) {
    await assertProblemReply(await post(server, '/calls/otp', body), 'validation_failed');
  }
  await assertProblemReply(await post(server, '/calls/verify', { phone: PHONE }), 'invalid_request');
  await assertProblemReply(await post(server, '/calls/verify', { phone: PHONE, code: '1' }), 'not_found');
  await assertProblemReply(await post(server, '/calls/replay', { phone: PHONE }), 'not_found');
  const nothing = await fetch(`${origin}/calls/otp/status/${PHONE}`, { headers: client.headers });
  await assertProblemReply(nothing, 'not_found');
});

test('a caller cannot see the codes of another caller', async (t) => {
  const { server, provider } = await begin(t);
  const other = await server.enrol();
  const { call } = await request(server, provider);
  const stolen = await post(server, '/calls/verify', { phone: PHONE, code: call.code }, other.headers);
  await assertProblemReply(stolen, 'not_found');
  const url = `${server.origin}/calls/otp/status/${PHONE}`;
  await assertProblemReply(await fetch(url, { headers: other.headers }), 'not_found');
  assert.equal((await post(server, '/calls/verify', { phone: PHONE, code: call.code })).status, 200);
});

test('a refusal of the voice provider shows in the status, and its later reports count only if signed', async (t) => {
  const { server, provider } = await begin(t, { LADING_PUBLIC_URL: 'https://files.example.org' });
  provider.answer(500);
  assert.equal((await post(server, '/calls/otp', { phone: PHONE })).status, 200);
  await eventually(async () => (await statusOf(server)).call === 'failed', 'the failure');
  provider.answer(201);
  const { call, reply } = await request(server, provider);
  assert.equal(call.callback, `https://files.example.org/calls/provider/${reply.session_id}`);
  await eventually(async () => (await statusOf(server)).call === 'spoken', 'the call');
  const local = `${server.origin}/calls/provider/${reply.session_id}`;
  const fields = { CallSid: 'CA1', CallStatus: 'no-answer' };
  await assertProblemReply(await provider.tell(local, call.callback ?? '', fields, 'another token'), 'unauthorized');
  await assertProblemReply(await provider.tell(local, `${call.callback}x`, fields), 'unauthorized');
  assert.equal((await statusOf(server)).call, 'spoken');
  assert.equal((await provider.tell(local, call.callback ?? '', fields)).status, 200);
  assert.equal((await statusOf(server)).call, 'failed');
});

test('without a voice provider a call is refused with the setting that is missing', async (t) => {
  const server = await startServer(t);
  const reply = await post(server, '/calls/otp', { phone: PHONE });
  assert.match(await reply.clone().text(), /LADING_VOICE/);
  await assertProblemReply(reply, 'forbidden');
});

test('LADING_REQUIRE_OTP requires a verified call only for downloads and sharing', async (t) => {
  const { server, provider, clock, settings } = await begin(t, {
    LADING_REQUIRE_OTP: 'downloads,share',
    LADING_OTP_HOURS: '2',
  });
  const { origin, client } = server;
  await put(server, 'a.bin', 0, Buffer.from('abc'), { total_size: '3' });
  const download = (headers: Headers = client.headers) => fetch(`${origin}/api/files/download/a.bin`, { headers });
  const share = () => post(server, '/api/files/share/a.bin', {});
  for (const refused of [await download(), await share()]) {
    assert.equal(((await refused.clone().json()) as { second_factor: string }).second_factor, 'call');
    assert.match(await refused.clone().text(), /PUT \/api\/phones/);
    await assertProblemReply(refused, 'forbidden');
  }
  assert.equal((await fetch(`${origin}/api/files`, { headers: client.headers })).status, 200);

  // A telephone that the caller chooses proves nothing about the holder of the token.
  const own = await request(server, provider, { phone: '+14155552672' });
  await post(server, '/calls/verify', { phone: '+14155552672', code: own.call.code });
  assert.equal((await download()).status, 403);

  assert.equal((await register(server, PHONE)).status, 200);
  assert.match(await (await download()).text(), /POST \/calls\/otp/);
  const { call } = await request(server, provider);
  const verified = (await (
    await post(server, '/calls/verify', { phone: PHONE, code: call.code })
  ).json()) as CallVerified;
  assert.ok(verified.second_factor_until !== null);
  assert.equal((await download()).status, 200);
  const shared = await share();
  assert.equal(shared.status, 201);
  const { url } = (await shared.json()) as { url: string };
  assert.equal((await fetch(url)).status, 200, 'the link needs no second factor');

  // The proof counts only for this credential, not for others of the client.
  const made = await post(server, '/api/tokens', { scopes: ['read'] });
  const { token } = (await made.json()) as ApiTokenCreated;
  assert.equal((await download({ authorization: `Bearer ${token}` })).status, 403);

  // The proof survives a restart, and ends with its time or a change of the telephone.
  await server.close();
  const again = await startServer(t, settings, { clock }, server.dataDir);
  const later = () => fetch(`${again.origin}/api/files/download/a.bin`, { headers: client.headers });
  assert.equal((await later()).status, 200);
  await register({ ...again, client }, '+14155552673');
  assert.equal((await later()).status, 403);
  await register({ ...again, client }, PHONE);
  assert.equal((await later()).status, 200);
  clock.pass(2 * 3600_000);
  assert.equal((await later()).status, 403);
});

test('administrators register telephones of principals that they may manage in their tenant', async (t) => {
  const server = await startServer(t);
  const { origin, admin, client } = server;
  const url = `${origin}/api/phones/client/${client.id}`;
  const get = async () => (await fetch(url, { headers: admin.headers })).json();
  assert.deepEqual(await get(), { phone: null });
  const set = await register(server, '+1 415 555 2671');
  assert.deepEqual(await set.json(), { phone: PHONE });
  assert.deepEqual(await get(), { phone: PHONE });
  await assertProblemReply(await register(server, '12'), 'invalid_request');
  assert.deepEqual(await get(), { phone: PHONE });
  assert.equal((await register(server, null)).status, 200);
  assert.deepEqual(await get(), { phone: null });
  for (const path of ['client/nobody', 'person/nobody', 'tenant/default']) {
    const reply = await fetch(`${origin}/api/phones/${path}`, { headers: admin.headers });
    await assertProblemReply(reply, 'not_found');
  }
  await assertProblemReply(await fetch(url, { headers: client.headers }), 'insufficient_scope');
});
