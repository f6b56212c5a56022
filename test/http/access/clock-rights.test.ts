/**
 * Credentials that expire, on a machine whose date is set permanently: expired ones stay expired and others stay valid, also after restarts.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { CONFIRM_MS } from '../../../src/clock/clock.ts';
import type { Grant } from '../../../src/protocol/schemas/grant.ts';
import type { CallStatus } from '../../../src/protocol/schemas/identity/call.ts';
import type { ShareCreated } from '../../../src/protocol/schemas/share.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, createToken } from '../../support/product/api-tokens.ts';
import { type Machine, machine } from '../../support/product/clock.ts';
import { basic, form, grant, granted, isTokenValid } from '../../support/product/oauth.ts';
import { anna, ask, login, register } from '../../support/product/people.ts';
import { ADMIN, startServer, type TestServer } from '../../support/product/server.ts';
import { startVoiceProvider, type VoiceProvider } from '../../support/servers/voice-provider.ts';
import { put } from '../../support/wire/downloads.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const PHONE = '+14155552671';
const SETTINGS = {
  LADING_REGISTRATION: 'open',
  LADING_TOKEN_MINUTES: '30',
  LADING_REFRESH_DAYS: '1',
  LADING_REQUIRE_OTP: 'share',
  LADING_OTP_HOURS: '1',
};

interface Scene {
  server: TestServer;
  voice: VoiceProvider;
}

/** True if a credential is valid now. */
type IsGood = (server: TestServer) => Promise<boolean>;

async function status(reply: Promise<Response>): Promise<number> {
  const got = await reply;
  await got.arrayBuffer();
  return got.status;
}

function headersOf({ app }: TestServer, id: string): { authorization: string } {
  const claims = { sub: id, kind: 'device', role: id === ADMIN.id ? 'admin' : 'client', iss: 'lading', aud: 'lading' };
  const iat = Math.floor(Date.now() / 1000);
  const token = app.server.jwt.sign({ ...claims, jti: randomUUID(), iat, exp: iat + 20 * 365 * 86_400 });
  return { authorization: `Bearer ${token}` };
}

/** An administrator that never expires. */
function lasting(server: TestServer): TestServer {
  const [admin, client] = [server.admin, server.client].map((who) => ({ ...who, headers: headersOf(server, who.id) }));
  return { ...server, admin: admin ?? server.admin, client: client ?? server.client };
}

const post = (server: TestServer, path: string, body: object, headers: Record<string, string>) =>
  ask(server.origin, path, { headers, body });

const RIGHTS: Record<string, (scene: Scene) => Promise<IsGood>> = {
  'access token': async ({ server: { origin, client } }) => {
    const { access_token: token } = await granted(await grant(origin, client, { grant_type: 'client_credentials' }));
    return (server) => isTokenValid(server.origin, token);
  },
  'refresh token': async ({ server: { origin, client } }) => {
    const { refresh_token: token = '' } = await granted(
      await grant(origin, client, { grant_type: 'client_credentials' }),
    );
    return async (server) => {
      const reply = await form(server.origin, '/api/oauth/introspect', { token }, basic(client));
      return ((await reply.json()) as { active: boolean }).active;
    };
  },
  session: async ({ server: { origin } }) => {
    const { cookie } = await login(origin);
    return async (server) => (await status(ask(server.origin, '/v1/auth/me', { headers: { cookie } }))) === 200;
  },
  'API token': async ({ server }) => {
    const { token } = await createToken(server, server.client, { scopes: ['files:read'], expires_in: 3600 });
    return (now) => isTokenValid(now.origin, token);
  },
  'share link': async ({ server, voice }) => {
    const headers = await verified(server, voice);
    const reply = await post(server, '/api/files/share/a.bin', { expires_in: 3600 }, headers);
    assert.equal(reply.status, 201, await reply.clone().text());
    const { token } = (await reply.json()) as ShareCreated;
    return async (now) => (await status(fetch(`${now.origin}/s/${token}`))) === 200;
  },
  grant: async ({ server }) => {
    const made = await post(server, '/api/clients', { role: 'client' }, server.admin.headers);
    const { client_id: grantee } = (await made.json()) as { client_id: string };
    const body = { prefix: 'a', grantee, expires_in: 3600 };
    const reply = await post(server, '/api/grants', body, server.client.headers);
    assert.equal(reply.status, 201, await reply.clone().text());
    const { owner } = (await reply.json()) as Grant;
    const path = `/api/files/download/a.bin?owner=${owner}`;
    return async (now) => (await status(fetch(`${now.origin}${path}`, { headers: headersOf(now, grantee) }))) === 200;
  },
  'second factor': async ({ server, voice }) => {
    const headers = await verified(server, voice);
    return async (now) => (await status(post(now, '/api/files/share/a.bin', {}, headers))) === 201;
  },
};

/** Credentials that expire before the date counts as kept. */
const SHORT: typeof RIGHTS = {
  'one-time code': async ({ server }) => {
    const phone = `+1415555${String(Math.floor(Math.random() * 9000) + 1000)}`;
    assert.equal(await status(post(server, '/calls/otp', { phone }, server.client.headers)), 200);
    return async (now) => {
      const headers = headersOf(now, server.client.id);
      const reply = await fetch(`${now.origin}/calls/otp/status/${encodeURIComponent(phone)}`, { headers });
      return ((await reply.json()) as CallStatus).status === 'pending';
    };
  },
  player: async ({ server }) => {
    const reply = await fetch(`${server.origin}/api/files/player/a.bin`, {
      method: 'POST',
      headers: server.client.headers,
    });
    assert.equal(reply.status, 201, await reply.clone().text());
    const { url } = (await reply.json()) as { url: string };
    const cookie = reply.headers.get('set-cookie')?.split(';')[0] ?? '';
    return async (now) => (await status(fetch(`${now.origin}${url}`, { headers: { cookie } }))) === 200;
  },
};

/** An API token without expiry for which a call was verified. */
async function verified(server: TestServer, voice: VoiceProvider): Promise<Record<string, string>> {
  const { token } = await createToken(server, server.client, { scopes: ['files:read', 'files:write'] });
  const placed = voice.placed.length;
  assert.equal(await status(post(server, '/calls/otp', { phone: PHONE }, bearer(token))), 200);
  await eventually(() => voice.placed.length > placed, 'the call');
  const code = voice.placed.at(-1)?.code ?? '';
  assert.equal(await status(post(server, '/calls/verify', { phone: PHONE, code }, bearer(token))), 200);
  return bearer(token);
}

async function given(scene: Scene, rights: typeof RIGHTS): Promise<[string, IsGood][]> {
  const all: [string, IsGood][] = [];
  for (const [name, give] of Object.entries(rights)) all.push([name, await give(scene)]);
  return all;
}

async function assertAll(server: TestServer, rights: [string, IsGood][], good: boolean, when: string): Promise<void> {
  for (const [name, isGood] of rights) assert.equal(await isGood(server), good, `${name} ${when}`);
}

async function begin(t: TestContext): Promise<{ on: Machine; voice: VoiceProvider; server: TestServer }> {
  const voice = await startVoiceProvider(t);
  const on = machine(Date.now());
  const limits = { LADING_OTP_PHONE_HOUR: '0', LADING_OTP_CALLER_HOUR: '0', LADING_OTP_DAY: '0' };
  const server = lasting(await startServer(t, { ...SETTINGS, ...limits, ...voice.settings }, { clock: on.clock }));
  await put(server, 'a.bin', 0, Buffer.from('abc'), { total_size: '3' });
  const path = `/api/phones/client/${server.client.id}`;
  const body = { phone: PHONE };
  assert.equal(await status(ask(server.origin, path, { method: 'PUT', headers: server.admin.headers, body })), 200);
  await register(server.origin, anna);
  return { on, voice, server };
}

for (const days of [-365, -2, 2, 365]) {
  test(`a date that was set by ${days} days and kept: expired credentials stay expired, and others stay valid for as long as before`, async (t) => {
    const { on, voice, server } = await begin(t);
    const settings = { ...SETTINGS, ...voice.settings };
    const scene = { server, voice };
    const old = await given(scene, { ...RIGHTS, ...SHORT });
    await assertAll(server, old, true, 'just given');
    on.pass(DAY + HOUR);
    await assertAll(server, old, false, 'a day later');
    const fresh = await given(scene, RIGHTS);
    on.step(days * DAY);
    on.clock.now();
    on.pass(5 * MINUTE);
    const brief = await given(scene, SHORT);
    on.pass(CONFIRM_MS / 2);
    const date = await fetch(`${server.origin}/health`);
    assert.ok(date.ok);
    assert.ok(Math.abs(on.clock.now() - Date.now() - (days + 1) * DAY) < 3 * HOUR, 'the date counts');
    await assertAll(server, old, false, 'when the date counts');
    await assertAll(server, fresh, true, 'when the date counts');
    await assertAll(server, brief.slice(1), true, 'when the date counts');
    const later = await given(scene, RIGHTS);
    await assertAll(server, later, true, 'given by the new date');
    const kept = on.clock.keep();
    await server.close();
    on.restart(kept);
    const again = await startServer(t, settings, { clock: on.clock }, server.dataDir);
    await assertAll(again, old, false, 'after a restart');
    await assertAll(again, [...fresh, ...later], true, 'after a restart');
    on.pass(CONFIRM_MS);
    on.step(-days * DAY);
    on.clock.now();
    on.pass(CONFIRM_MS);
    await assertAll(again, old, false, 'when the date was put right');
    await assertAll(again, later, true, 'when the date was put right');
    on.pass(DAY);
    await assertAll(again, [...fresh, ...later, ...brief], false, 'another day later');
  });
}

test('shown expiry dates and token claims use the clock as it is set now', async (t) => {
  const { on, server } = await begin(t);
  const { token_id: id, expires_at: before } = await createToken(server, server.client, { expires_in: 3 * 3600 });
  on.step(365 * DAY);
  on.clock.now();
  on.pass(CONFIRM_MS);
  const near = (date: string | number, expected: number) =>
    assert.ok(Math.abs(new Date(date).getTime() - expected) < 5000, `${date}`);
  near(before ?? '', on.clock.now() - 365 * DAY - CONFIRM_MS + 3 * HOUR);
  const reply = await ask(server.origin, '/api/tokens', { headers: server.client.headers });
  const { tokens } = (await reply.json()) as { tokens: { token_id: string; expires_at: string }[] };
  near(tokens.find((token) => token.token_id === id)?.expires_at ?? '', on.clock.now() - CONFIRM_MS + 3 * HOUR);
  const made = await granted(await grant(server.origin, server.client, { grant_type: 'client_credentials' }));
  const claims = JSON.parse(Buffer.from(made.access_token.split('.')[1] ?? '', 'base64url').toString()) as {
    iat: number;
    exp: number;
  };
  near(claims.iat * 1000, on.clock.now());
  assert.equal(claims.exp - claims.iat, 1800);
  near(made.access_token_expires_at ?? '', claims.exp * 1000);
  const asked = await form(server.origin, '/api/oauth/introspect', { token: made.access_token }, basic(server.client));
  const { exp, iat } = (await asked.json()) as { exp: number; iat: number };
  near(exp * 1000, claims.exp * 1000);
  near(iat * 1000, claims.iat * 1000);
});
