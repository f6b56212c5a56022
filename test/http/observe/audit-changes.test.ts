/**
 * For every operation of the OpenAPI document by which administrators and people change something, the audit log has the object, the old
 * values and the new values. An operation that is not in the table fails the test. No entry contains a secret.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AuditPage } from '../../../src/protocol/schemas/audit.ts';
import { eventually } from '../../support/eventually.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { anna, ask, login, NEW_PASSWORD, PASSWORD, register } from '../../support/product/people.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { startVoiceProvider } from '../../support/servers/voice-provider.ts';
import { operationsOf } from '../../support/tables/openapi.ts';
import { type Headers, type Reply, type Step, World } from './audit-changes-world.ts';

const basic = ({ client: { id, secret } }: TestServer): Headers => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});
const PHONE = '+14155550123';
const DATE = '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z';

type Row = (world: World) => Promise<Step> | Step;

async function token(world: World): Promise<string> {
  return (await world.made('/api/tokens', { name: 'robot', expires_in: 60 }, world.own)).token_id ?? '';
}

function signUp(kind: string): Row {
  return (world) => {
    const username = world.name();
    const detail = `role: none → client; account: none → ${kind}; username: none → ${username}`;
    return { path: `/${kind}/signup`, body: { username, password: PASSWORD }, target: null, detail };
  };
}

function verified(path: string, phone: string): Row {
  return async (world) => {
    const { own, voice } = world;
    await world.made('/calls/otp', { phone }, own);
    await eventually(() => voice.placed.some(({ to }) => to === phone), 'the call');
    const code = voice.placed.find(({ to }) => to === phone)?.code ?? '';
    return { path, body: { phone, code }, headers: own, target: phone, detail: 'code: spoken → verified' };
  };
}

function replayed(path: string): Row {
  return async (world) => {
    await world.made('/calls/otp', { phone: PHONE }, world.own);
    return { path, body: { phone: PHONE }, headers: world.own, target: PHONE, detail: 'replay' };
  };
}

const CHANGES: Record<string, Row> = {
  'POST /api/clients': () => ({
    path: '/api/clients',
    body: { role: 'ops', name: 'the gate' },
    target: null,
    detail: 'role: none → ops; name: none → "the gate"',
  }),
  'PUT /api/clients/{client_id}': async ({ server }) => {
    const { id } = await server.enrol();
    const body = { role: 'ops', name: 'gate', disabled: true, end_sessions: true };
    const detail = 'role: client → ops; name: none → gate; disabled: false → true; sessions: open → ended';
    return { path: `/api/clients/${id}`, body, target: id, detail };
  },
  'DELETE /api/clients/{client_id}': async ({ server }) => {
    const { id } = await server.enrol();
    return { path: `/api/clients/${id}`, target: id, detail: 'role: client → none' };
  },
  'POST /api/tenants': () => ({
    path: '/api/tenants',
    body: { tenant_id: 'acme', name: 'Acme' },
    target: 'acme',
    detail: 'name: none → Acme',
  }),
  'DELETE /api/tenants/{tenant_id}': async (world) => {
    await world.made('/api/tenants', { tenant_id: 'wile', name: 'Wile' });
    return { path: '/api/tenants/wile', target: 'wile', detail: 'name: Wile → none' };
  },
  'POST /v1/user': () => ({
    path: '/v1/user',
    body: { ...anna, email: 'eve@x.example', role: 'ops' },
    target: null,
    detail: 'role: none → ops; email: none → eve@x.example; name: none → Anna; surname: none → Smith',
  }),
  'PUT /v1/user/update_user': async (world) => {
    const { id } = await world.person();
    const password = { password: NEW_PASSWORD, password2: NEW_PASSWORD };
    const body = { role: 'ops', name: 'Ann', disabled: true, end_sessions: true, ...password };
    const detail =
      'role: client → ops; name: Anna → Ann; disabled: false → true; password: old → new; sessions: open → ended';
    return { path: `/v1/user/update_user?pk=${id}`, body, target: id, detail };
  },
  'DELETE /v1/user/delete_user': async (world) => {
    const { id, email } = await world.person();
    const detail = `role: client → none; email: ${email} → none; name: Anna → none; surname: Smith → none`;
    return { path: `/v1/user/delete_user?pk=${id}`, target: id, detail };
  },
  'PUT /v1/auth/me': async (world) => {
    const { id, email } = await world.person();
    const { headers } = await login(world.server.origin, email);
    const body = { name: 'Ann', password: NEW_PASSWORD, password2: NEW_PASSWORD, old_password: PASSWORD };
    return { path: '/v1/auth/me', body, headers, target: id, detail: 'name: Anna → Ann; password: old → new' };
  },
  'POST /v1/auth/registration': () => ({
    path: '/v1/auth/registration',
    body: { ...anna, email: 'new@x.example' },
    headers: {},
    target: null,
    detail: 'role: none → client; email: none → new@x.example; name: none → Anna; surname: none → Smith',
  }),
  'POST /ops/signup': signUp('ops'),
  'POST /client/signup': signUp('client'),
  'DELETE /v1/auth/sessions': async ({ server }) => {
    const { person, headers } = await register(server.origin, { email: 'all@x.example' });
    return { path: '/v1/auth/sessions', headers, target: person.id, detail: 'sessions: open → ended' };
  },
  'DELETE /v1/auth/sessions/{session_id}': async ({ server: { origin } }) => {
    const { headers } = await register(origin, { email: 'one@x.example' });
    const reply = await ask(origin, '/v1/auth/sessions', { headers });
    const [session] = ((await reply.json()) as { sessions: { id: string }[] }).sessions;
    assert.ok(session);
    const path = `/v1/auth/sessions/${session.id}`;
    return { path, headers, target: session.id, detail: /^session: open → ended; agent: \S+ → none$/ };
  },
  'POST /api/tokens': ({ own, server }) => ({
    path: '/api/tokens',
    body: { name: 'robot', scopes: ['files:read', 'files:write'], expires_in: 3600 },
    headers: own,
    target: null,
    detail: new RegExp(
      `^owner: none → ${server.client.id}; name: none → robot; scopes: none → files:read files:write; expires: none → ${DATE}$`,
    ),
  }),
  'POST /api/tokens/{token_id}/rotate': async (world) => {
    const id = await token(world);
    return { path: `/api/tokens/${id}/rotate`, headers: world.own, target: id, detail: 'secret: old → new' };
  },
  'DELETE /api/tokens/{token_id}': async (world) => {
    const id = await token(world);
    const detail = new RegExp(
      `^owner: ${world.server.client.id} → none; name: robot → none; scopes: files:read files:write → none; expires: ${DATE} → none$`,
    );
    return { path: `/api/tokens/${id}`, target: id, detail };
  },
  'POST /api/oauth/revoke': async (world) => {
    const reply = await world.made('/api/tokens', {}, world.own);
    const form = { token: reply.token ?? '' };
    const headers = basic(world.server);
    return { path: '/api/oauth/revoke', form, headers, target: reply.token_id ?? '', detail: 'token: valid → revoked' };
  },
  'PUT /api/quotas/{kind}/{id}': ({ server: { client } }) => ({
    path: `/api/quotas/client/${client.id}`,
    body: { bytes: 5000, open_uploads: 9 },
    target: `client/${client.id}`,
    detail: 'bytes: unlimited → 5000; open_uploads: 10000 → 9',
  }),
  'PUT /api/phones/{kind}/{id}': async (world) => {
    const { id } = await world.server.enrol();
    const path = `/api/phones/client/${id}`;
    await world.made(path, { phone: PHONE }, world.root, 'PUT');
    const detail = `phone: ${PHONE} → +14155550199`;
    return { path, body: { phone: '+14155550199' }, target: `client/${id}`, detail };
  },
  'POST /api/files/share/{filename}': async (world) => {
    const name = await world.file(world.name());
    const body = { expires_in: 60, max_downloads: 3, password: PASSWORD };
    const detail = new RegExp(
      `^share: none → \\w+; file: none → ${name}; owner: none → \\w+; expires: none → ${DATE}; max_downloads: none → 3; password: none → true$`,
    );
    return { path: `/api/files/share/${name}`, body, headers: world.own, target: name, detail };
  },
  'DELETE /api/shares/{share_id}': async (world) => {
    const name = await world.file(world.name());
    const { share_id: id = '' } = await world.made(`/api/files/share/${name}`, {}, world.own);
    const detail = new RegExp(`^file: ${name} → none; owner: \\w+ → none; expires: ${DATE} → none$`);
    return { path: `/api/shares/${id}`, headers: world.own, target: id, detail };
  },
  'POST /api/grants': async (world) => {
    const { id } = await world.person();
    const name = await world.file(world.name());
    const { own, server } = world;
    const detail = `file: none → ${name}; owner: none → ${server.client.id}; grantee: none → ${id}`;
    return { path: '/api/grants', body: { filename: name, grantee: id }, headers: own, target: null, detail };
  },
  'DELETE /api/grants/{grant_id}': async (world) => {
    const { id } = await world.person();
    const { own, server } = world;
    const { grant_id: grant = '' } = await world.made('/api/grants', { prefix: 'a/', grantee: id }, own);
    const detail = `prefix: "a/" → none; owner: ${server.client.id} → none; grantee: ${id} → none`;
    return { path: `/api/grants/${grant}`, headers: own, target: grant, detail };
  },
  'POST /api/deliveries/targets': () => ({
    path: '/api/deliveries/targets',
    body: {
      ...{ kind: 'ftp', name: 'archive', host: 'ftp.invalid', username: 'ann', password: 'ftp-password' },
      ...{ directory: 'in', rule: { prefix: 'scans/', type: 'audio/*' } },
    },
    target: null,
    detail:
      'kind: none → ftp; name: none → archive; host: none → ftp.invalid; port: none → 21; username: none → ann; directory: none → in; ' +
      'pattern: none → "{date}_{time}_{client_id}_{name}"; rule_prefix: none → "scans/"; rule_type: none → "audio/"',
  }),
  'DELETE /api/deliveries/targets/{target_id}': async (world) => {
    const id = await world.target();
    const detail =
      /^kind: webhook → none; name: name\d+ → none; host: hook.invalid → none; events: file.completed → none; content: event → none$/;
    return { path: `/api/deliveries/targets/${id}`, target: id, detail };
  },
  'PATCH /api/deliveries/targets/{target_id}': async (world) => {
    const id = await world.target();
    const path = `/api/deliveries/targets/${id}`;
    return { path, body: { disabled: true }, target: id, detail: 'disabled: false → true' };
  },
  'POST /api/deliveries/{id}/retry': async (world) => {
    const { origin } = world.server;
    const targetId = await world.target();
    await world.file(world.name());
    let failed: string | undefined;
    await eventually(async () => {
      const path = `/api/deliveries?state=failed&target=${targetId}`;
      const page = (await (await ask(origin, path, { headers: world.root })).json()) as {
        deliveries: { id: string }[];
      };
      failed = page.deliveries[0]?.id;
      return failed !== undefined;
    }, 'a delivery that failed');
    return { path: `/api/deliveries/${failed}/retry`, target: failed ?? '', detail: 'state: failed → queued' };
  },
  'POST /calls/otp': ({ own }) => ({
    path: '/calls/otp',
    body: { phone: PHONE },
    headers: own,
    target: PHONE,
    detail: null,
  }),
  'POST /calls/verify': verified('/calls/verify', '+14155550124'),
  'POST /calls/otp/verify': verified('/calls/otp/verify', '+14155550125'),
  'POST /calls/replay': replayed('/calls/replay'),
  'POST /calls/otp/replay': replayed('/calls/otp/replay'),
  'POST /api/sweep': () => ({ path: '/api/sweep', target: 'uploads', detail: 'parked 0; removed 0; sealed 0' }),
};

/** Operations without a row, and why. */
const OTHERS: Readonly<Record<string, string>> = {
  'POST /auth/token': 'the entry of a sign-in or its end says who',
  'POST /api/oauth/token': 'the entry of a sign-in or its end says who',
  'POST /v1/auth/login': 'the entry of a sign-in or its end says who',
  'POST /v1/auth/refresh': 'the entry of a sign-in or its end says who',
  'POST /v1/auth/logout': 'the entry of a sign-in or its end says who',
  'POST /ops/login': 'the entry of a sign-in or its end says who',
  'POST /client/login': 'the entry of a sign-in or its end says who',
  'POST /v1/auth/oidc/login': 'the entry of a sign-in or its end says who',
  'POST /v1/auth/yandex/login': 'the entry of a sign-in or its end says who',
  'POST /calls/provider/{session_id}': 'the voice provider says how a call went',
  'POST /files/': 'stores or removes files, and says so in entries of its own',
  'PATCH /files/{address}': 'stores or removes files, and says so in entries of its own',
  'DELETE /files/{address}': 'stores or removes files, and says so in entries of its own',
  'PUT /api/files/content/{filename}': 'stores or removes files, and says so in entries of its own',
  'POST /api/files/content/{filename}': 'stores or removes files, and says so in entries of its own',
  'POST /api/uploads': 'stores or removes files, and says so in entries of its own',
  'PATCH /api/uploads/{address}': 'stores or removes files, and says so in entries of its own',
  'DELETE /api/uploads/{address}': 'stores or removes files, and says so in entries of its own',
  'DELETE /api/files/{filename}': 'stores or removes files, and says so in entries of its own',
  'POST /api/files/complete/{filename}': 'stores or removes files, and says so in entries of its own',
  'POST /api/files/upload': 'stores or removes files, and says so in entries of its own',
  'POST /v1/audio/file': 'stores or removes files, and says so in entries of its own',
  'POST /api/upload': 'stores or removes files, and says so in entries of its own',
  'POST /ops/upload': 'stores or removes files, and says so in entries of its own',
  'POST /api/files/player/{filename}': 'a right to play that ends by itself; its use has entries',
  'DELETE /api/players/{player_id}': 'a right to play that ends by itself; its use has entries',
  'POST /api/oauth/introspect': 'asks only',
  'POST /v1/user/get_user': 'asks only',
  'POST /api/files/verify/{filename}': 'asks only',
};

async function worldOf(t: TestContext): Promise<World> {
  const { dataDir } = await seededFolder(t, async ({ clients }) => {
    await clients.create({ id: 'root', secret: 'the-secret-of-the-root', role: 'root', name: null });
  });
  const voice = await startVoiceProvider(t);
  const settings = {
    ...voice.settings,
    ...{ LADING_REGISTRATION: 'open', LADING_DELIVERY_ATTEMPTS: '1', LADING_RATE_LIMIT: 'off' },
    ...{ LADING_OTP_PHONE_HOUR: '100', LADING_OTP_CALLER_HOUR: '100' },
  };
  return new World(await startServer(t, settings, {}, dataDir), voice);
}

test('the audit log has every change by an administrator or a person, with the old and the new values', async (t) => {
  const world = await worldOf(t);
  const { server, root } = world;
  const { origin } = server;
  const changing = (await operationsOf(origin)).filter(({ method }) => method !== 'GET' && method !== 'HEAD');
  const listed = [...Object.keys(CHANGES), ...Object.keys(OTHERS)];
  assert.deepEqual(listed.toSorted(), changing.map(({ name }) => name).toSorted(), 'every operation has its row');
  const entriesOf = async (query: string) => {
    const text = await (await ask(origin, `/api/audit${query}`, { headers: root })).text();
    return { text, ...(JSON.parse(text) as AuditPage) };
  };
  for (const [operation, row] of Object.entries(CHANGES)) {
    const { path, body, form, headers = root, target, detail } = await row(world);
    const method = operation.slice(0, operation.indexOf(' '));
    const sent = form
      ? fetch(`${origin}${path}`, { method, headers, body: new URLSearchParams(form) })
      : ask(origin, path, { method, body, headers });
    const heard = await world.heard(await sent);
    // The entry is stored before the answer is sent.
    const [entry] = (await entriesOf('?limit=1')).entries;
    const ids = [heard.client_id, heard.token_id, heard.user_id, heard.id, heard.grant_id];
    const id = ids.find((one) => one !== undefined) ?? (heard.user as unknown as Reply | undefined)?.id;
    const where = `${operation}: ${JSON.stringify(entry)}`;
    assert.equal(entry?.outcome, 'ok', where);
    assert.equal(entry.target, target ?? id, where);
    if (detail instanceof RegExp) assert.match(entry.detail ?? '', detail, where);
    else assert.equal(entry.detail, detail, where);
  }
  const { text } = await entriesOf('?limit=1000');
  for (const secret of world.secrets) assert.ok(!text.includes(secret), `a secret in the log: ${secret}`);
});
