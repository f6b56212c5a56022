/** Codes by telephone, through a voice provider on loopback: the spoken text, verification, and limits. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CallVerified } from '../../../src/protocol/schemas/identity/call.ts';
import type { ApiTokenCreated } from '../../../src/protocol/schemas/identity/token.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { begin, type Headers, PHONE, post, request, statusOf } from './calls-setup.ts';

function wrong(code: string): string {
  return code === '000000' ? '111111' : '000000';
}

test('a code is spoken and can be verified once', async (t) => {
  const { server, provider } = await begin(t);
  const { reply, call } = await request(server, provider, { phone: '+1 (415) 555-2671', message: 'Tom & <Jerry> say' });
  assert.equal(reply.expires_in, 300);
  assert.match(reply.message, /\+14155552671/);
  assert.deepEqual([call.to, call.from, call.code.length], [PHONE, '+14155550100', 6]);
  assert.ok(call.words.startsWith('Tom & <Jerry> say: '), call.words);
  await eventually(async () => (await statusOf(server)).call === 'spoken', 'word of the call');
  const status = await statusOf(server);
  assert.deepEqual(
    [status.status, status.session_id, status.tries_left, status.expires_in],
    ['pending', reply.session_id, 3, 300],
  );
  const verified = await post(server, '/calls/verify', { phone: PHONE, code: call.code });
  assert.equal(verified.status, 200);
  const said = (await verified.json()) as CallVerified;
  const user_id = server.client.id;
  assert.deepEqual(said, { message: 'Verified.', verified: true, user_id, second_factor_until: null });
  const after = await statusOf(server);
  assert.equal(after.status, 'verified');
  assert.deepEqual([after.phone_number, after.is_expired, after.verified, after.attempts], [PHONE, false, true, 1]);
  assert.equal(Date.parse(after.expires_at) - Date.parse(after.created_at), 300_000);
  await assertProblemReply(await post(server, '/calls/verify', { phone: PHONE, code: call.code }), 'not_found');
});

test('the alternative paths, field names and forms are accepted', async (t) => {
  const { server, provider } = await begin(t);
  const { origin, client } = server;
  const form = (path: string, fields: Headers) =>
    fetch(`${origin}${path}`, { method: 'POST', headers: client.headers, body: new URLSearchParams(fields) });
  assert.equal((await form('/calls/otp', { phone_number: PHONE })).status, 200);
  await eventually(() => provider.placed.length === 1, 'the call');
  await eventually(async () => (await statusOf(server)).call === 'spoken', 'its end');
  const replay = await form('/calls/otp/replay', { phone_number: PHONE });
  assert.equal(replay.status, 200, await replay.clone().text());
  await eventually(() => provider.placed.length === 2, 'the second call');
  const [first, second] = provider.placed;
  assert.equal(first?.code, second?.code);
  const verified = await form('/calls/otp/verify', { phone_number: PHONE, otp: first?.code ?? '' });
  assert.equal(verified.status, 200);
});

test('the scope calls is sufficient, and a code may be a number without its leading zeros', async (t) => {
  const { server, provider } = await begin(t, { LADING_OTP_CALLER_HOUR: '0' });
  const made = await post(server, '/api/tokens', { user_id: 'my_app', scopes: ['calls'] });
  const { token } = (await made.json()) as ApiTokenCreated;
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await fetch(`${server.origin}/api/files`, { headers })).status, 403);
  // One code of ten begins with a zero. Request codes until one does.
  for (let n = 0; ; n += 1) {
    const phone = `+141555527${String(n % 100).padStart(2, '0')}`;
    const { call } = await request(server, provider, { phone }, headers);
    const lost = await post(server, '/calls/verify', { phone, code: -1 }, headers);
    await assertProblemReply(lost, 'validation_failed');
    const verified = await post(server, '/calls/otp/verify', { phone_number: phone, code: Number(call.code) }, headers);
    assert.equal(verified.status, 200, await verified.clone().text());
    assert.equal(((await verified.json()) as CallVerified).user_id, 'my_app');
    if (call.code.startsWith('0')) break;
  }
});

test('three wrong attempts invalidate a code, also concurrent ones', async (t) => {
  const { server, provider } = await begin(t);
  const { call } = await request(server, provider);
  for (const left of [2, 1, 0]) {
    const reply = await post(server, '/calls/verify', { phone: PHONE, code: wrong(call.code) });
    assert.equal(((await reply.clone().json()) as { tries_left: number }).tries_left, left);
    await assertProblemReply(reply, 'invalid_request');
  }
  await assertProblemReply(await post(server, '/calls/verify', { phone: PHONE, code: call.code }), 'not_found');
  assert.deepEqual([(await statusOf(server)).status, (await statusOf(server)).tries_left], ['failed', 0]);

  const again = await request(server, provider);
  const guesses = Array.from({ length: 12 }, (_, n) => String(n).padStart(6, '9')).filter((g) => g !== again.call.code);
  const replies = await Promise.all(guesses.map((code) => post(server, '/calls/verify', { phone: PHONE, code })));
  assert.equal(replies.filter(({ status }) => status === 400).length, 3);
  assert.ok(replies.every(({ status }) => status === 400 || status === 404));
});

test('a code expires after five minutes, and a new code invalidates it', async (t) => {
  const { server, provider, clock } = await begin(t);
  const first = await request(server, provider);
  let second = await request(server, provider);
  while (second.call.code === first.call.code) second = await request(server, provider);
  const old = await post(server, '/calls/verify', { phone: PHONE, code: first.call.code });
  await assertProblemReply(old, 'invalid_request');
  clock.pass(300_000);
  await assertProblemReply(await post(server, '/calls/verify', { phone: PHONE, code: second.call.code }), 'not_found');
  await assertProblemReply(await post(server, '/calls/replay', { phone: PHONE }), 'not_found');
  assert.deepEqual([(await statusOf(server)).status, (await statusOf(server)).expires_in], ['expired', 0]);
});

test('calls are limited by number, by caller and by day, and each refusal has the time to wait', async (t) => {
  const { server, provider, clock } = await begin(t, {
    LADING_OTP_PHONE_HOUR: '2',
    LADING_OTP_CALLER_HOUR: '3',
    LADING_OTP_DAY: '5',
  });
  const other = await server.enrol();
  const refused = async (body: object, headers?: Headers): Promise<number> => {
    const reply = await post(server, '/calls/otp', body, headers);
    const wait = Number(reply.headers.get('retry-after'));
    await assertProblemReply(reply, 'rate_limited');
    return wait;
  };
  await request(server, provider);
  clock.pass(600_000);
  await request(server, provider);
  assert.equal(await refused({ phone: PHONE }, other.headers), 3000);
  await assertProblemReply(await post(server, '/calls/replay', { phone: PHONE }), 'rate_limited');
  await request(server, provider, { phone: '+14155552672' });
  assert.equal(await refused({ phone: '+14155552673' }), 3000);
  await request(server, provider, { phone: '+14155552674' }, other.headers);
  await request(server, provider, { phone: '+14155552675' }, other.headers);
  assert.equal(await refused({ phone: '+14155552676' }, other.headers), 24 * 3600 - 600);
  // The limits survive a restart.
  await server.close();
  const again = await startServer(t, { ...provider.settings, LADING_OTP_DAY: '5' }, { clock }, server.dataDir);
  await assertProblemReply(
    await post({ ...again, client: server.client }, '/calls/otp', { phone: PHONE }),
    'rate_limited',
  );
  clock.pass(24 * 3600_000 + 300_000);
  await again.close();
  // Its first request.
  await startServer(t, provider.settings, { clock }, server.dataDir);
  await eventually(async () => (await readdir(join(server.dataDir, 'v1/calls'))).length === 0, 'nothing is kept');
});

test('a code survives a restart and is not on disk, in replies or in the audit log', async (t) => {
  const { server, provider, clock, settings } = await begin(t);
  const { reply, call } = await request(server, provider);
  await server.close();
  assert.ok(!JSON.stringify(reply).includes(call.code));
  for (const entry of await readdir(join(server.dataDir, 'v1'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === 'spare') continue;
    const text = await readFile(join(entry.parentPath, entry.name), 'latin1');
    assert.ok(!text.includes(`"${call.code}"`) && !text.includes(`:${call.code}`), entry.name);
  }
  const again = await startServer(t, settings, { clock }, server.dataDir);
  const verified = await post({ ...again, client: server.client }, '/calls/verify', { phone: PHONE, code: call.code });
  assert.equal(verified.status, 200);
  const log = await fetch(`${again.origin}/api/audit`, { headers: again.admin.headers });
  const text = await log.text();
  assert.ok(text.includes('call_requested') && text.includes('call_verified') && !text.includes(call.code));
});
