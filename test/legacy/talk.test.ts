/**
 * A day of programs that create API tokens for others and request spoken codes. They use their own names for users, read `error` in every
 * refusal, and delete twice. With LADING_COMPAT=talk they need not sign in.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ApiToken, ApiTokenCreated } from '../../src/protocol/schemas/identity/token.ts';
import { eventually } from '../support/eventually.ts';
import { bearer, createToken } from '../support/product/api-tokens.ts';
import { type HandClock, handClock } from '../support/product/clock.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { startNginx } from '../support/servers/nginx.ts';
import { hasNginx } from '../support/servers/plain-nginx.ts';
import { startVoiceProvider, type VoiceProvider } from '../support/servers/voice-provider.ts';
import { CookieJar } from './cookie-jar.ts';
import { type Ask, connectTo, type OldReply, pause, pythonDay, urlencoded } from './old-client.ts';

// The proxy uses a self-signed certificate.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const DAY = 24 * 3600;
const PHONE = '+14155552671';
const PASSWORD = 'only for the tokens of this test';

interface Stage {
  server: TestServer;
  clock: HandClock;
  provider: VoiceProvider;
  ask: Ask;
  /** Header fields with which the program creates tokens; empty if it needs no credentials. */
  own: Record<string, string>;
}

function post(ask: Ask, path: string, body: unknown, headers: Record<string, string>): Promise<OldReply> {
  const type = { 'content-type': 'application/json' };
  return ask('POST', path, { headers: { ...type, ...headers }, body: JSON.stringify(body) });
}

/** Fails unless the reply is a refusal with the reason in `error`, as these programs expect. */
function refused(reply: OldReply, status: number): void {
  assert.equal(reply.status, status, reply.text);
  assert.ok(typeof reply.json.error === 'string' && reply.json.error !== '', reply.text);
}

async function listed({ ask, own }: Stage, query: string): Promise<ApiToken[]> {
  const reply = await ask('GET', `/api/tokens${query}`, { headers: own });
  assert.equal(reply.status, 200, reply.text);
  return reply.json.tokens as ApiToken[];
}

async function create({ ask, own }: Stage, body: unknown): Promise<ApiTokenCreated> {
  const reply = await post(ask, '/api/tokens', body, own);
  assert.equal(reply.status, 201, reply.text);
  return reply.json as unknown as ApiTokenCreated;
}

async function speak({ ask, provider, clock }: Stage, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const before = provider.placed.length;
  refused(await post(ask, '/calls/otp', {}, headers), 400);
  assert.equal((await post(ask, '/calls/otp', { phone_number: PHONE }, headers)).status, 200);
  await eventually(() => provider.placed.length > before, 'the call');
  const code = provider.placed.at(-1)?.code ?? '';
  const status = async (): Promise<Record<string, unknown>> => {
    const reply = await ask('GET', `/calls/otp/status/${encodeURIComponent(PHONE)}`, { headers });
    assert.equal(reply.status, 200, reply.text);
    return reply.json;
  };
  const { phone_number, created_at, expires_at, is_expired, verified, attempts } = await status();
  assert.deepEqual([phone_number, is_expired, verified, attempts], [PHONE, false, false, 0]);
  assert.equal(Date.parse(String(expires_at)) - Date.parse(String(created_at)), 300_000);
  refused(await post(ask, '/calls/otp/verify', { phone_number: PHONE, code: (Number(code) + 1) % 1e6 }, headers), 400);
  const right = await post(ask, '/calls/otp/verify', { phone_number: PHONE, code: Number(code) }, headers);
  assert.equal(right.status, 200, right.text);
  assert.deepEqual([right.json.verified, right.json.user_id], [true, 'my_app']);
  assert.equal((await status()).attempts, 2);
  clock.pass(301_000);
  assert.deepEqual([(await status()).is_expired, (await status()).verified], [true, true]);
  refused(await post(ask, '/calls/otp/verify', { phone_number: PHONE, code }, headers), 404);
}

async function useDashboard({ server }: Stage, ask: Ask): Promise<void> {
  const browser = new CookieJar(ask);
  const path = '/api/tokens/dashboard';
  const wrong = await browser.ask('POST', path, urlencoded({ password: 'a wrong one' }));
  assert.equal(wrong.status, 200);
  assert.match(wrong.text, /<form.*password.*The password is wrong/s);
  assert.equal((await browser.ask('POST', path, urlencoded({ password: PASSWORD }))).status, 303);
  const made = await browser.ask('POST', `${path}/tokens/create`, urlencoded({ user_id: 'shop', scopes: 'read' }));
  assert.equal(made.status, 201, made.text);
  const [, token = ''] = /<code>(lat_[^<]+)</.exec(made.text) ?? [];
  const seen = await ask('GET', '/api/protected', { headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual([seen.json.user_id, seen.json.scopes], ['shop', ['read']]);
  const names = await ask('GET', '/api/tokens?user_id=shop', { headers: server.admin.headers });
  assert.equal((names.json.tokens as unknown[]).length, 1);
  assert.equal((await browser.ask('GET', `${path}/logout`)).status, 303);
  assert.deepEqual(browser.names(), []);
  assert.equal((await browser.ask('GET', `${path}/tokens`)).headers.location, path);
}

async function liveADay(stage: Stage): Promise<void> {
  const { ask, own, server, clock } = stage;
  assert.equal((await ask('GET', '/health')).status, 200);
  const made: ApiTokenCreated[] = [];
  for (let n = 0; n < 3; n += 1) made.push(await create(stage, { user_id: 'my_app', scopes: ['read', 'write'] }));
  for (const { scopes, user_id, token } of made) {
    assert.deepEqual([scopes, user_id, token.length > 40], [['read', 'write'], 'my_app', true]);
  }
  const bare = await create(stage, {});
  assert.deepEqual([bare.scopes, bare.user_id], [['read', 'write'], 'default_user']);
  assert.equal((await listed(stage, '?user_id=my_app')).length, 3);
  assert.equal((await listed(stage, '?user_id=default_user')).length, 1);
  assert.deepEqual(await listed(stage, '?user_id=unknown'), []);

  const [first] = made;
  assert.ok(first);
  const headers = { authorization: `Bearer ${first.token}` };
  const seen = await ask('GET', '/api/protected', { headers });
  assert.deepEqual([seen.status, seen.json.user_id, seen.json.scopes], [200, 'my_app', ['read', 'write']]);
  await speak(stage, first.token);
  await speak(stage, (await create(stage, { user_id: 'my_app', scopes: ['calls'] })).token);
  await useDashboard(stage, ask);

  await pause(server, clock, 400 * DAY);
  assert.equal((await ask('GET', '/api/protected', { headers })).status, 200, 'a token is valid until it is revoked');
  for (let n = 0; n < 2; n += 1) {
    const deleted = await ask('DELETE', `/api/tokens/${first.token_id}`, { headers: own });
    assert.equal(deleted.status, 200, deleted.text);
  }
  refused(await ask('GET', '/api/protected', { headers }), 401);
  assert.equal((await listed(stage, '?user_id=my_app')).length, 3);
  const all = await listed(stage, '?user_id=my_app&revoked=true');
  assert.equal(all.find(({ token_id: id }) => id === first.token_id)?.active, false);
  assert.equal(all.length, 4);
  refused(await ask('DELETE', '/api/tokens/none', { headers: own }), 404);
  refused(await ask('PUT', '/api/tokens', { headers: own }), 405);
  refused(await post(ask, '/api/tokens', { scopes: ['everything'] }, own), 422);
  refused(await post(ask, '/calls/otp', { phone_number: PHONE }, {}), 401);
}

async function begin(
  t: TestContext,
  compat: boolean,
  settings: Record<string, string> = {},
): Promise<Omit<Stage, 'ask'>> {
  const provider = await startVoiceProvider(t);
  const clock = handClock(Date.now());
  const all = {
    ...provider.settings,
    ...settings,
    ...(compat ? { LADING_COMPAT: 'talk' } : {}),
    DASHBOARD_PASSWORD: PASSWORD,
  };
  const server = await startServer(t, all, { clock });
  if (compat) return { server, clock, provider, own: {} };
  const scopes = ['tokens:admin', 'read', 'write', 'calls'];
  const { token } = await createToken(server, server.admin, { user_id: server.admin.id, scopes });
  return { server, clock, provider, own: bearer(token) };
}

for (const compat of [false, true]) {
  const what = compat ? 'without a sign-in' : 'with a token that creates tokens';

  test(`a day ${what}`, async (t) => {
    const stage = await begin(t, compat);
    await liveADay({ ...stage, ask: await connectTo(t, stage.server.origin) });
  });

  test(`a day through a proxy, ${what}`, { skip: !hasNginx && 'nginx is not installed' }, async (t) => {
    const stage = await begin(t, compat, { LADING_TRUST_PROXY: 'loopback' });
    const { origin, certificate } = await startNginx(t, stage.server.port);
    await liveADay({ ...stage, ask: await connectTo(t, origin, certificate) });
  });

  test(`a day by Python's requests, ${what}`, async (t) => {
    const { server, clock, own } = await begin(t, compat);
    await pythonDay(t, server, clock, 'talk_day.py', [own.authorization ?? '']);
  });
}

test('without LADING_COMPAT=talk a token cannot be created without a sign-in', async (t) => {
  const server = await startServer(t);
  refused(await post(await connectTo(t, server.origin), '/api/tokens', { user_id: 'my_app' }, {}), 401);
});
