/** Revocation (RFC 7009), introspection (RFC 7662) and verification of tokens, and their end on connections that stay open. */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { GrantReply, Introspection } from '../../../../src/protocol/schemas/identity/oauth.ts';
import type { ApiTokenCreated } from '../../../../src/protocol/schemas/identity/token.ts';
import { clockOf } from '../../../support/product/clock.ts';
import { addPerson, seededFolder } from '../../../support/product/identity.ts';
import {
  basic,
  type Credentials,
  form,
  grant,
  granted,
  isTokenValid,
  refused,
} from '../../../support/product/oauth.ts';
import { type Account, startServer, type TestServer } from '../../../support/product/server.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';

const CREDENTIALS = { grant_type: 'client_credentials' };

async function signedIn({ origin }: TestServer, client: Credentials, scope?: string): Promise<GrantReply> {
  return granted(await grant(origin, client, scope === undefined ? CREDENTIALS : { ...CREDENTIALS, scope }));
}

async function apiToken({ origin }: TestServer, { headers }: Account, body: object = {}): Promise<ApiTokenCreated> {
  const reply = await fetch(`${origin}/api/tokens`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(reply.status, 201);
  return (await reply.json()) as ApiTokenCreated;
}

/** Revokes a token as this client. The reply is always the same. */
async function revoke({ origin }: TestServer, client: Credentials, token: string, hint?: string): Promise<void> {
  const fields = { token, ...(hint === undefined ? {} : { token_type_hint: hint }) };
  const reply = await form(origin, '/api/oauth/revoke', fields, basic(client));
  assert.equal(reply.status, 200);
  assert.deepEqual(await reply.json(), { message: 'The token is invalid.' });
  assert.equal(reply.headers.get('cache-control'), 'no-store');
}

async function introspect({ origin }: TestServer, client: Credentials, token: string): Promise<Introspection> {
  const reply = await form(origin, '/api/oauth/introspect', { token }, basic(client));
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  return (await reply.json()) as Introspection;
}

async function inactive(server: TestServer, client: Credentials, token: string): Promise<void> {
  assert.deepEqual(await introspect(server, client, token), { active: false });
}

test('a revoked access token is refused at once and after a restart, and its session continues', async (t) => {
  const server = await startServer(t);
  const { client, dataDir } = server;
  const one = await signedIn(server, client);
  await revoke(server, client, one.access_token);
  assert.equal(await isTokenValid(server.origin, one.access_token), false);
  await revoke(server, client, one.access_token);
  const fields = { grant_type: 'refresh_token', refresh_token: one.refresh_token };
  const two = await granted(await grant(server.origin, client, fields));
  assert.equal(await isTokenValid(server.origin, two.access_token), true);
  await server.close();
  const { origin } = await startServer(t, {}, {}, dataDir);
  assert.equal(await isTokenValid(origin, one.access_token), false);
  assert.equal(await isTokenValid(origin, two.access_token), true);
});

test('a revoked refresh token ends its session with all access tokens, also after a restart', async (t) => {
  const server = await startServer(t);
  const { client, dataDir } = server;
  const one = await signedIn(server, client);
  const fields = { grant_type: 'refresh_token', refresh_token: one.refresh_token };
  const two = await granted(await grant(server.origin, client, fields));
  const other = await signedIn(server, client);
  const used = await signedIn(server, client);
  await granted(await grant(server.origin, client, { ...fields, refresh_token: used.refresh_token }));
  await revoke(server, client, two.refresh_token, 'access_token');
  await revoke(server, client, used.refresh_token, 'nonsense');
  const ended = async (origin: string): Promise<void> => {
    for (const { access_token } of [one, two, used]) assert.equal(await isTokenValid(origin, access_token), false);
    assert.equal(await isTokenValid(origin, other.access_token), true);
    const again = await grant(origin, client, { ...fields, refresh_token: two.refresh_token });
    await refused(again, 400, 'invalid_grant');
  };
  await ended(server.origin);
  await server.close();
  await ended((await startServer(t, {}, {}, dataDir)).origin);
});

test('revoking an unknown token or that of another client succeeds without effect', async (t) => {
  const server = await startServer(t);
  const { origin, client, enrol, admin } = server;
  const stranger = await enrol();
  const { access_token, refresh_token } = await signedIn(server, client);
  const { token } = await apiToken(server, client);
  for (const by of [stranger, admin]) {
    for (const theirs of [access_token, refresh_token, token]) await revoke(server, by, theirs);
  }
  for (const none of ['x', 'lat_', 'lrt_x', `${access_token}x`, 'a.b.c']) await revoke(server, client, none);
  for (const good of [access_token, token]) assert.equal(await isTokenValid(origin, good), true);
  assert.equal((await grant(origin, client, { grant_type: 'refresh_token', refresh_token })).status, 200);
});

test('a client revokes its own API token', async (t) => {
  const server = await startServer(t);
  const { token } = await apiToken(server, server.client);
  await revoke(server, server.client, token);
  assert.equal(await isTokenValid(server.origin, token), false);
});

test('revocation and introspection require a client and exactly one token', async (t) => {
  const { origin, client } = await startServer(t);
  for (const path of ['/api/oauth/revoke', '/api/oauth/introspect']) {
    await refused(await form(origin, path, { token: 'x' }), 401, 'invalid_client');
    await refused(await form(origin, path, { token: 'x' }, basic({ ...client, secret: 'no' })), 401, 'invalid_client');
    await refused(await form(origin, path, { token: 'x' }, client.headers), 401, 'invalid_client');
    await refused(await form(origin, path, {}, basic(client)), 400, 'invalid_request');
    await refused(await form(origin, path, { token: '' }, basic(client)), 400, 'invalid_request');
    await refused(
      await form(origin, path, { token: 'x', client_secret: client.secret }, basic(client)),
      400,
      'invalid_request',
    );
    const twice = await fetch(`${origin}${path}`, {
      method: 'POST',
      headers: { ...basic(client), 'content-type': 'application/x-www-form-urlencoded' },
      body: 'token=x&token=y',
    });
    await refused(twice, 400, 'invalid_request');
    const json = await fetch(`${origin}${path}`, {
      method: 'POST',
      headers: { ...basic(client), 'content-type': 'application/json' },
      body: '{"token":"x"}',
    });
    await refused(json, 415, 'invalid_request');
    const inForm = { token: 'x', client_id: client.id, client_secret: client.secret };
    assert.equal((await form(origin, path, inForm)).status, 200);
  }
});

test('introspection describes the tokens of the client', async (t) => {
  const now = Math.floor(Date.now() / 1000);
  const server = await startServer(t, { LADING_REFRESH_DAYS: '1' }, { clock: clockOf(() => now * 1000 + 5) });
  const { client } = server;
  const { access_token, refresh_token } = await signedIn(server, client, 'write read');
  const about = { active: true, client_id: client.id, username: client.id, sub: client.id, iat: now };
  const all = 'files:read files:write';
  const { jti, ...access } = await introspect(server, client, access_token);
  assert.match(jti ?? '', /^[\w-]{16}$/);
  assert.deepEqual(access, {
    ...about,
    scope: all,
    token_type: 'bearer',
    exp: now + 1800,
    iss: 'lading',
    aud: 'lading',
  });
  assert.deepEqual(await introspect(server, client, refresh_token), { ...about, scope: all, exp: now + 86_400 });
  const { token, token_id } = await apiToken(server, client, { scopes: ['read'] });
  const api = { ...about, scope: 'files:read', token_type: 'bearer', jti: token_id };
  const { exp: _exp, ...shown } = await introspect(server, client, token);
  assert.deepEqual(shown, api);
  const used = await fetch(`${server.origin}/api/tokens`, { headers: client.headers });
  const { tokens } = (await used.json()) as { tokens: { uses: number }[] };
  assert.deepEqual(
    tokens.map(({ uses }) => uses),
    [0],
    'introspection is not a use',
  );
});

test('unknown, expired, revoked and foreign tokens are only inactive', async (t) => {
  let now = Date.now();
  const server = await startServer(t, { LADING_TOKEN_MINUTES: '1' }, { clock: clockOf(() => now) });
  const { origin, client, enrol } = server;
  const stranger = await enrol();
  const { access_token, refresh_token } = await signedIn(server, client);
  for (const theirs of [access_token, refresh_token]) await inactive(server, stranger, theirs);
  for (const none of ['x', `${access_token}x`, refresh_token.slice(0, -1), 'lat_', 'a.b.c']) {
    await inactive(server, client, none);
  }
  const next = await granted(await grant(origin, client, { grant_type: 'refresh_token', refresh_token }));
  await inactive(server, client, refresh_token);
  assert.equal((await introspect(server, client, next.refresh_token)).active, true, 'introspection is not a reuse');
  now += 60_000;
  await inactive(server, client, next.access_token);
  const fresh = await signedIn(server, client);
  await revoke(server, client, fresh.access_token);
  await inactive(server, client, fresh.access_token);
  await revoke(server, client, fresh.refresh_token);
  await inactive(server, client, fresh.refresh_token);
});

async function tenantsFolder(t: TestContext): Promise<{ dataDir: string; secret: string; person: string }> {
  const secret = 'a-secret-for-a-test-of-tenants';
  const { dataDir, seeded } = await seededFolder(t, async (identity) => {
    await identity.tenants.create('other', 'Other');
    await identity.clients.create({ id: 'far', secret, role: 'client', name: null, tenant: 'other' });
    await identity.clients.create({ id: 'top', secret, role: 'root', name: null });
    await identity.clients.create({ id: 'ops', secret, role: 'ops', name: null });
    const id = await addPerson(identity, 'ada@example.org');
    return (await identity.sessions.begin({ id, kind: 'person' })).refreshToken;
  });
  return { dataDir, secret, person: seeded };
}

test('administrators introspect tokens of the tenant, root all tokens, others only their own', async (t) => {
  const { dataDir, secret, person } = await tenantsFolder(t);
  const server = await startServer(t, {}, {}, dataDir);
  const { client, admin } = server;
  const top = { id: 'top', secret };
  const near = await signedIn(server, client);
  const far = await signedIn(server, { id: 'far', secret });
  const above = await signedIn(server, top);
  const active = async (by: Credentials, token: string) => (await introspect(server, by, token)).active;
  for (const token of [near.access_token, near.refresh_token, person]) {
    assert.equal(await active(admin, token), true);
    assert.equal(await active(top, token), true);
    await inactive(server, { id: 'ops', secret }, token);
    await inactive(server, { id: 'far', secret }, token);
  }
  assert.equal(await active(top, far.access_token), true);
  await inactive(server, admin, far.access_token);
  await inactive(server, admin, above.access_token);
  const { client_id, username, token_type } = await introspect(server, admin, person);
  assert.deepEqual(
    { client_id, username, token_type },
    {
      client_id: undefined,
      username: 'ada@example.org',
      token_type: undefined,
    },
  );
});

test('verify returns the principal of a token and refuses an invalid token with 401', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin } = server;
  const verify = (token: string): Promise<Response> =>
    fetch(`${origin}/api/token/verify`, { headers: { authorization: `Bearer ${token}` } });
  const { access_token, refresh_token } = await signedIn(server, admin);
  const { token } = await apiToken(server, client);
  for (const [good, { id }, role] of [
    [access_token, admin, 'admin'],
    [token, client, 'client'],
  ] as const) {
    const reply = await verify(good);
    assert.equal(reply.status, 200);
    const { scopes, ...shown } = (await reply.json()) as { scopes: string[] };
    assert.deepEqual(shown, {
      status: 'success',
      message: 'The token is valid.',
      client_id: id,
      names: good === token ? [] : ['configured administrator'],
      role,
      tenant: 'default',
      kind: good === token ? 'token' : 'device',
      whole: good !== token,
    });
    assert.ok(scopes.includes('files:read'));
  }
  await assertProblemReply(await fetch(`${origin}/api/token/verify`), 'unauthorized');
  await revoke(server, admin, access_token);
  for (const bad of [access_token, refresh_token, 'x']) await assertProblemReply(await verify(bad), 'unauthorized');
});

test('a revoked token is refused on the connection that used it', async (t) => {
  const server = await startServer(t);
  const { port, client } = server;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const used = new Set<number | undefined>();
  const ask = (token: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      request({ port, host: '127.0.0.1', path: '/api/files', agent, headers }, (reply) => {
        used.add(reply.socket.localPort);
        text(reply).then(() => resolve(reply.statusCode), reject);
      })
        .on('error', reject)
        .end();
    });
  const { access_token, refresh_token } = await signedIn(server, client);
  const other = await signedIn(server, client);
  assert.equal(await ask(access_token), 200);
  assert.equal(await ask(other.access_token), 200);
  await revoke(server, client, access_token);
  assert.equal(await ask(access_token), 401);
  assert.equal(await ask(other.access_token), 200);
  await revoke(server, client, other.refresh_token);
  assert.equal(await ask(other.access_token), 401);
  assert.equal(used.size, 1, 'all requests use one connection');
  assert.notEqual(refresh_token, other.refresh_token);
});
