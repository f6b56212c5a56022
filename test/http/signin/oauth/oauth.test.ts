import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GrantReply } from '../../../../src/protocol/schemas/identity/oauth.ts';
import { clockOf } from '../../../support/product/clock.ts';
import { seededFolder } from '../../../support/product/identity.ts';
import { basic, type Fields, form, grant, granted, isTokenValid, refused } from '../../../support/product/oauth.ts';
import { type Account, startServer } from '../../../support/product/server.ts';
import { exchange } from '../../../support/wire/wire.ts';
import { CREDENTIALS } from './oauth-setup.ts';

const FORM = 'application/x-www-form-urlencoded';

function inForm({ id, secret }: Account): Fields {
  return { client_id: id, client_secret: secret };
}

test('client credentials by HTTP Basic or in the form give valid tokens', async (t) => {
  const second = Math.floor(Date.now() / 1000) * 1000;
  const now = second + 678;
  const clock = clockOf(() => now);
  const server = await startServer(t, { LADING_TOKEN_MINUTES: '5', LADING_REFRESH_DAYS: '2' }, { clock });
  const { origin, client } = server;
  for (const [fields, headers] of [
    [CREDENTIALS, basic(client)],
    [{ ...CREDENTIALS, ...inForm(client) }, {}],
    [{ ...CREDENTIALS, client_id: client.id, unknown: '1', scope: '' }, basic(client)],
  ] as const) {
    const reply = await form(origin, '/api/oauth/token', fields, headers);
    assert.equal(reply.status, 200);
    assert.match(reply.headers.get('content-type') ?? '', /^application\/json/);
    assert.equal(reply.headers.get('cache-control'), 'no-store');
    assert.equal(reply.headers.get('pragma'), 'no-cache');
    const { access_token: access, refresh_token: refresh, ...rest } = (await reply.json()) as GrantReply;
    assert.deepEqual(rest, {
      token_type: 'bearer',
      expires_in: 300,
      refresh_expires_in: 2 * 86_400,
      expires_at: new Date(second + 300_000).toISOString().slice(0, 19),
      access_token_expires_at: new Date(second + 300_000).toISOString().slice(0, 19),
      refresh_token_expires_at: new Date(now + 2 * 86_400_000).toISOString().slice(0, 19),
    });
    assert.equal(await isTokenValid(origin, access), true);
    assert.notEqual(refresh, access);
  }
});

test('id and secret are form-urlencoded before they are joined for Basic', async (t) => {
  const admin = { LADING_ADMIN_ID: 'boss', LADING_ADMIN_SECRET: 'a:b+c %41/é' };
  const { origin } = await startServer(t, admin);
  const encoded = 'a%3Ab%2Bc+%2541%2F%C3%A9';
  const header = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });
  const answer = (pair: string): Promise<Response> => form(origin, '/api/oauth/token', CREDENTIALS, header(pair));
  assert.equal((await answer(`boss:${encoded}`)).status, 200);
  await refused(await answer(`boss:${admin.LADING_ADMIN_SECRET}`), 401, 'invalid_client');
  await refused(await answer('boss:%zz'), 401, 'invalid_client');
});

test('an unknown client and invalid authentication are refused', async (t) => {
  const { origin, client } = await startServer(t);
  const ask = (fields: Fields, headers: Record<string, string> = {}): Promise<Response> =>
    form(origin, '/api/oauth/token', { ...CREDENTIALS, ...fields }, headers);
  const described: string[] = [];
  for (const reply of [
    await ask({}, basic({ ...client, secret: 'wrong' })),
    await ask({}, basic({ ...client, id: 'nobody' })),
    await ask({ client_id: client.id, client_secret: 'wrong' }),
    await ask({ client_id: 'nobody', client_secret: client.secret }),
  ]) {
    described.push(await refused(reply, 401, 'invalid_client'));
    assert.equal(reply.headers.get('www-authenticate'), 'Basic realm="lading"');
  }
  assert.equal(new Set(described).size, 1, 'an unknown client looks like a wrong secret');
  for (const [fields, headers] of [
    [{}, {}],
    [{ client_secret: client.secret }, {}],
    [{}, client.headers],
    [{}, { authorization: 'Basic' }],
    [{}, { authorization: 'Basic ???' }],
    [{}, { authorization: `Basic ${Buffer.from('no colon').toString('base64')}` }],
  ] as const) {
    await refused(await ask(fields, headers), 401, 'invalid_client');
  }
  await refused(await ask({ client_id: client.id }), 400, 'invalid_request');
  await refused(await ask(inForm(client), basic(client)), 400, 'invalid_request');
  await refused(await ask({ client_id: 'another' }, basic(client)), 400, 'invalid_request');
});

test('a client of a deleted tenant is unknown', async (t) => {
  const secret = 'a-secret-for-a-test-of-tenants';
  const { dataDir } = await seededFolder(t, async ({ tenants, clients }) => {
    await tenants.create('other', 'Other');
    await clients.create({ id: 'far', secret, role: 'client', name: null, tenant: 'other' });
    await clients.create({ id: 'top', secret, role: 'root', name: null });
  });
  const { origin } = await startServer(t, {}, {}, dataDir);
  await granted(await grant(origin, { id: 'far', secret }, CREDENTIALS));
  const { access_token: root } = await granted(await grant(origin, { id: 'top', secret }, CREDENTIALS));
  const headers = { authorization: `Bearer ${root}` };
  assert.equal((await fetch(`${origin}/api/tenants/other`, { method: 'DELETE', headers })).status, 200);
  await refused(await grant(origin, { id: 'far', secret }, CREDENTIALS), 401, 'invalid_client');
});

test('invalid token requests are refused', async (t) => {
  const { origin, port, client } = await startServer(t);
  const post = (body: string, type = FORM): Promise<Response> =>
    fetch(`${origin}/api/oauth/token`, {
      method: 'POST',
      headers: { ...basic(client), 'content-type': type },
      body,
    });
  await refused(await post(''), 400, 'invalid_request');
  await refused(await post('grant_type='), 400, 'invalid_request');
  await refused(await post('grant_type=client_credentials&grant_type=client_credentials'), 400, 'invalid_request');
  await refused(await post('grant_type=client_credentials&x=1&x=2'), 400, 'invalid_request');
  await refused(await post('grant_type=refresh_token'), 400, 'invalid_request');
  for (const grant of ['password', 'authorization_code', 'Client_Credentials', '__proto__']) {
    await refused(await post(`grant_type=${grant}&username=a&password=b`), 400, 'unsupported_grant_type');
  }
  await refused(await post('{"grant_type":"client_credentials"}', 'application/json'), 415, 'invalid_request');
  await refused(await post(`grant_type=client_credentials&x=${'y'.repeat(20_000)}`), 413, 'invalid_request');
  const empty = await exchange(port, 'POST /api/oauth/token HTTP/1.1', 'Host: x', 'Content-Length: 0');
  assert.equal(empty.status, 400, empty.body);
  assert.equal((JSON.parse(empty.body) as { error: string }).error, 'invalid_request');
  const query = await fetch(`${origin}/api/oauth/token?grant_type=client_credentials`, {
    method: 'POST',
    headers: basic(client),
  });
  await refused(query, 400, 'invalid_request');
  const got = await fetch(`${origin}/api/oauth/token`);
  assert.equal(got.status, 405);
  assert.equal(got.headers.get('allow'), 'OPTIONS, POST');
});

test('requested scopes must be within those of the client and limit the token', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin } = server;
  const scoped = (scope: string, account = client): Promise<Response> =>
    form(origin, '/api/oauth/token', { ...CREDENTIALS, scope }, basic(account));
  const words: [asked: string, given: string][] = [
    ['read', 'files:read'],
    ['write', 'files:write'],
    ['files:delete  files:read files:read', 'files:read files:delete'],
    ['read write', 'files:read files:write'],
  ];
  for (const [asked, given] of words) assert.equal((await granted(await scoped(asked))).scope, given);
  for (const bad of [
    'everything',
    'files:read everything',
    'read\t',
    'clients:admin',
    'read clients:admin',
    ' ',
    '"\\é',
  ]) {
    await refused(await scoped(bad), 400, 'invalid_scope');
  }
  const { access_token: token } = await granted(await scoped('read'));
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await fetch(`${origin}/api/files`, { headers })).status, 200);
  const denied = await fetch(`${origin}/api/files/a`, { method: 'DELETE', headers });
  assert.equal(denied.status, 403);
  const limited = await granted(await scoped('read', admin));
  const swept = await fetch(`${origin}/api/sweep`, {
    method: 'POST',
    headers: { authorization: `Bearer ${limited.access_token}` },
  });
  assert.equal(swept.status, 403, 'a token limited to reading does not have the role of its client');
});

test('a refresh may reduce the scopes of its access token and never extends them', async (t) => {
  const { origin, client } = await startServer(t);
  const first = await granted(await grant(origin, client, { ...CREDENTIALS, scope: 'read write' }));
  const refresh = (refresh_token: string, scope?: string): Promise<Response> =>
    grant(origin, client, { grant_type: 'refresh_token', refresh_token, ...(scope === undefined ? {} : { scope }) });
  const second = await granted(await refresh(first.refresh_token, 'read'));
  assert.equal(second.scope, 'files:read');
  const third = await granted(await refresh(second.refresh_token));
  assert.equal(third.scope, 'files:read files:write');
  const reader = await granted(await grant(origin, client, { ...CREDENTIALS, scope: 'read' }));
  await refused(await refresh(reader.refresh_token, 'write'), 400, 'invalid_scope');
  await refused(await refresh(reader.refresh_token, 'nonsense'), 400, 'invalid_scope');
  const again = await granted(await refresh(reader.refresh_token));
  assert.equal(again.scope, 'files:read', 'a refused request did not use the token');
});

test('the scopes of a session survive a restart', async (t) => {
  const first = await startServer(t);
  const { client, dataDir } = first;
  const narrow = await granted(await grant(first.origin, client, { ...CREDENTIALS, scope: 'read' }));
  const wide = await granted(await grant(first.origin, client, CREDENTIALS));
  await first.close();
  const { origin } = await startServer(t, {}, {}, dataDir);
  assert.equal(await isTokenValid(origin, narrow.access_token), true);
  for (const [{ refresh_token }, scope] of [
    [narrow, 'files:read'],
    [wide, undefined],
  ] as const) {
    const next = await granted(await grant(origin, client, { grant_type: 'refresh_token', refresh_token }));
    assert.equal(next.scope, scope);
    assert.equal(await isTokenValid(origin, next.access_token), true);
  }
});
