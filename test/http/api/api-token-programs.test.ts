/** API tokens for programs of older servers: labels, other names of scopes, `error` in every refusal and, by a setting, no sign-in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiTokenCreated, ApiTokenList, Protected } from '../../../src/protocol/schemas/identity/token.ts';
import type { Problem } from '../../../src/protocol/schemas/problem.ts';
import { ask, bearer, createToken, listFilesStatus, listTokens } from '../../support/product/api-tokens.ts';
import { startServer } from '../../support/product/server.ts';
import { assertProblemReply, exchange } from '../../support/wire/wire.ts';

test('tokens are listed by their label, which is free text', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin } = server;
  const other = await server.enrol('client');
  const mine = await createToken(server, client, { user_id: 'my_app', scopes: ['write', 'read'] });
  const theirs = await createToken(server, other, { user_id: 'my_app' });
  await createToken(server, client, {});
  assert.deepEqual(mine.scopes, ['write', 'read']);
  const ids = async (by: { headers: Record<string, string> }, query: string) =>
    (await listTokens(server, by, query)).map(({ token_id: id }) => id);
  assert.deepEqual(await ids(client, '?user_id=my_app'), [mine.token_id]);
  assert.deepEqual(await ids(admin, '?user_id=my_app'), [mine.token_id, theirs.token_id]);
  assert.deepEqual(await ids(client, '?user_id=unknown'), []);
  assert.equal((await ids(client, '?user_id=default_user')).length, 1);
  assert.equal((await ids(client, `?user_id=${client.id}`)).length, 2, 'the own id lists all own tokens');
  // An id of the tenant is not accepted as a label, because the token would look like that of another principal.
  await assertProblemReply(
    await ask(origin, 'POST', '/api/tokens', client.headers, { user_id: other.id }),
    'insufficient_scope',
  );
  await assertProblemReply(
    await ask(origin, 'GET', `/api/tokens?user_id=${other.id}`, client.headers),
    'insufficient_scope',
  );
  for (const label of ['', 'a\nb', 'x'.repeat(129)]) {
    const reply = await ask(origin, 'POST', '/api/tokens', client.headers, { user_id: label });
    await assertProblemReply(reply, 'validation_failed');
  }
  const seen = await ask(origin, 'GET', '/api/protected', bearer(mine.token));
  const { user_id, scopes } = (await seen.json()) as Protected;
  assert.deepEqual([user_id, scopes], ['my_app', ['write', 'read']]);
});

test('the scopes read and write do not include deletion', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const { token } = await createToken(server, client);
  const put = await fetch(`${origin}/api/files/content/a`, { method: 'PUT', headers: bearer(token), body: 'text' });
  assert.equal(put.status, 201, await put.text());
  assert.equal(await listFilesStatus(server, token), 200);
  await assertProblemReply(await ask(origin, 'DELETE', '/api/files/a', bearer(token)), 'insufficient_scope');
  assert.equal((await ask(origin, 'DELETE', '/api/files/a', client.headers)).status, 200);
});

test('revoked tokens are listed on request as inactive, also after a restart', async (t) => {
  const server = await startServer(t);
  const { origin, client, dataDir } = server;
  const made = await createToken(server, client, { user_id: 'my_app' });
  const kept = await createToken(server, client, { user_id: 'my_app' });
  assert.equal((await ask(origin, 'DELETE', `/api/tokens/${made.token_id}`, client.headers)).status, 200);
  const state = async (at: typeof server, query: string) =>
    (await listTokens(at, client, query)).map(({ token_id: id, active, revoked_at: when }) => [
      id,
      active,
      when !== null,
    ]);
  const both = [
    [made.token_id, false, true],
    [kept.token_id, true, false],
  ];
  assert.deepEqual(await state(server, '?revoked=true'), both);
  assert.deepEqual(await state(server, '?user_id=my_app&revoked=true'), both);
  assert.deepEqual(await state(server, '?revoked=false'), [[kept.token_id, true, false]]);
  await server.close();
  const again = await startServer(t, {}, {}, dataDir);
  assert.deepEqual(await state(again, '?revoked=true'), both);
  assert.equal(await listFilesStatus(again, made.token), 401);
  assert.equal((await ask(again.origin, 'DELETE', `/api/tokens/${made.token_id}`, client.headers)).status, 200);
});

test('every refusal of tokens and calls has the reason in error', async (t) => {
  const server = await startServer(t, { LADING_RATE_ADDRESS: '60' });
  const { origin, client, port } = server;
  const { token } = await createToken(server, client, { scopes: ['read'] });
  const json = { ...client.headers, 'content-type': 'application/json' };
  const post = (path: string, body: string, headers: Record<string, string> = json) =>
    fetch(`${origin}${path}`, { method: 'POST', headers, body });
  const refusals: [status: number, reply: Promise<Response>][] = [
    [401, fetch(`${origin}/api/tokens`)],
    [401, fetch(`${origin}/api/protected`, { headers: bearer('lat_wrong') })],
    [401, fetch(`${origin}/calls/otp/status/%2B14155552671`)],
    [403, ask(origin, 'GET', '/api/tokens', bearer(token))],
    [403, ask(origin, 'POST', '/calls/otp', bearer(token), { phone: '+14155552671' })],
    [404, fetch(`${origin}/api/tokens/none/nowhere`, { headers: client.headers })],
    [404, fetch(`${origin}/calls/nowhere`)],
    [404, ask(origin, 'DELETE', '/api/tokens/none', client.headers)],
    [405, fetch(`${origin}/api/tokens`, { method: 'PUT', headers: client.headers })],
    [405, fetch(`${origin}/calls/verify`)],
    [413, post('/api/tokens', `{"name":"${'x'.repeat(70_000)}"}`)],
    [415, post('/api/tokens', '{}', { ...client.headers, 'content-type': 'text/csv' })],
    [400, post('/api/tokens', '{')],
    [400, fetch(`${origin}/api/tokens?user_id=a&user_id=b`, { headers: client.headers })],
    [422, post('/api/tokens', '{"scopes":["everything"]}')],
    [422, post('/api/tokens', '{"scope":"read"}')],
    [400, post('/calls/otp', '{}')],
    [403, post('/calls/otp', '{"phone":"+14155552671"}')],
  ];
  for (const [status, pending] of refusals) {
    const reply = await pending;
    const { error, detail } = (await reply.json()) as Problem & { error?: string };
    assert.equal(reply.status, status, detail);
    assert.ok(typeof error === 'string' && error !== '', `${reply.url} ${status} ${detail}`);
  }
  const long = await exchange(port, 'GET /api/tokens HTTP/1.1', 'Host: a', `X-Long: ${'x'.repeat(40_000)}`);
  assert.equal(long.status, 431);
  assert.ok((JSON.parse(long.body) as { error?: string }).error);
  // Other routes have only `detail`.
  const other = (await (await fetch(`${origin}/api/nowhere`)).json()) as Problem & { error?: string };
  assert.equal(other.error, undefined);
  let limited: Response | undefined;
  for (let n = 0; n < 80 && limited?.status !== 429; n += 1) limited = await fetch(`${origin}/api/tokens`);
  assert.equal(limited?.status, 429);
  assert.ok(((await limited.json()) as { error?: string }).error);
  const page = await exchange(port, 'GET /api/tokens/dashboard HTTP/1.1', 'Host: a', 'Connection: close');
  assert.ok(page.status === 429 || page.status === 303);
});

const LOCAL = { LADING_COMPAT: 'talk' };
const JSON_TYPE = { 'content-type': 'application/json' };

test('with LADING_COMPAT=talk, local programs create, list and revoke tokens without a sign-in', async (t) => {
  const server = await startServer(t, LOCAL);
  const { origin, client } = server;
  const create = (body: object, headers: Record<string, string> = {}) =>
    ask(origin, 'POST', '/api/tokens', headers, body);
  const both = await Promise.all([create({ user_id: 'my_app' }), create({})]);
  assert.deepEqual(
    both.map(({ status }) => status),
    [201, 201],
  );
  const made = (await both[0]?.json()) as ApiTokenCreated;
  assert.deepEqual([made.user_id, made.owner_id, made.scopes], ['my_app', 'talk', ['read', 'write']]);
  assert.equal(await listFilesStatus(server, made.token), 200);
  await createToken(server, client, { user_id: 'my_app' });
  const listed = (await (await ask(origin, 'GET', '/api/tokens?user_id=my_app')).json()) as ApiTokenList;
  assert.deepEqual(
    listed.tokens.map(({ token_id: id }) => id),
    [made.token_id],
    'tokens of others keep their owners',
  );
  const audit = await ask(origin, 'GET', '/api/audit?limit=100', server.admin.headers);
  const { entries } = (await audit.json()) as { entries: { action: string; target: string | null }[] };
  const enrolled = entries.filter(({ action, target }) => action === 'client_created' && target === 'talk');
  assert.equal(enrolled.length, 1, 'two concurrent requests create it once');
  await assertProblemReply(await create({ scopes: ['tokens:admin'] }), 'insufficient_scope');
  await assertProblemReply(await create({ user_id: client.id }), 'insufficient_scope');
  // The routes that verify a token require one.
  await assertProblemReply(await ask(origin, 'GET', '/api/protected'), 'unauthorized');
  await assertProblemReply(await ask(origin, 'POST', `/api/tokens/${made.token_id}/rotate`), 'unauthorized');
  assert.equal(await listFilesStatus(server, made.token), 200);
  assert.equal((await ask(origin, 'DELETE', `/api/tokens/${made.token_id}`)).status, 200);
  assert.equal(await listFilesStatus(server, made.token), 401);
  // Other routes require a sign-in, and invalid credentials are refused.
  await assertProblemReply(await ask(origin, 'GET', '/api/files'), 'unauthorized');
  await assertProblemReply(await create({}, bearer('lat_wrong')), 'unauthorized');
  await assertProblemReply(await create({}, { cookie: 'access_token=wrong' }), 'unauthorized');
});

test('a request through a proxy or from a page does not count as a local program', async (t) => {
  const server = await startServer(t, { ...LOCAL, LADING_ALLOWED_ORIGINS: 'http://localhost:3000' });
  const { port } = server;
  const status = async (at: number, ...fields: string[]) => {
    const host = fields.some((field) => field.startsWith('Host:')) ? [] : [`Host: 127.0.0.1:${at}`];
    return (await exchange(at, 'GET /api/tokens HTTP/1.1', ...host, ...fields)).status;
  };
  for (const host of ['127.0.0.1', 'localhost', `localhost:${port}`, '[::1]:8005', 'LOCALHOST']) {
    assert.equal(await status(port, `Host: ${host}`), 200, host);
  }
  assert.equal(await status(port, `Origin: http://127.0.0.1:${port}`), 200);
  for (const field of [
    'X-Forwarded-For: 127.0.0.1',
    'X-Forwarded-For: 203.0.113.7',
    'Forwarded: for=127.0.0.1',
    'X-Real-IP: 127.0.0.1',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: localhost',
    'Via: 1.1 proxy',
    'Host: rebound.example',
    'Host: 127.0.0.1.example.org',
    'Host: 192.168.1.7',
    'Origin: https://evil.example',
    'Origin: http://localhost:3000',
    'Origin: null',
    'Sec-Fetch-Site: cross-site',
    'Sec-Fetch-Site: same-site',
  ]) {
    assert.equal(await status(port, field), 401, field);
  }
  const rebound = ['Host: rebound.example', 'Origin: http://rebound.example', 'Sec-Fetch-Site: same-origin'];
  assert.equal(await status(port, ...rebound), 401);

  assert.equal((await exchange(port, 'GET /api/tokens HTTP/1.0', `Host: 127.0.0.1:${port}`)).status, 401);

  const proxied = await startServer(t, { ...LOCAL, LADING_TRUST_PROXY: 'loopback' });
  const through = (...fields: string[]) => status(proxied.port, ...fields);
  assert.equal(await through('X-Forwarded-For: 127.0.0.1'), 200, 'the client of the proxy is local');
  assert.equal(await through('X-Forwarded-For: 203.0.113.7'), 401);
  assert.equal(await through('X-Forwarded-For: 127.0.0.1, 203.0.113.7'), 401);
  assert.equal(await through('X-Forwarded-For: unknown'), 401);
  assert.equal(await through('X-Forwarded-Proto: http'), 401, 'the proxy names no client');
  assert.equal(await through('X-Real-IP: 127.0.0.1'), 401);
  assert.equal(await through('X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Host: files.example.org'), 401);

  const closed = await startServer(t);
  await assertProblemReply(await fetch(`${closed.origin}/api/tokens`), 'unauthorized');
  const made = await fetch(`${closed.origin}/api/tokens`, { method: 'POST', headers: JSON_TYPE, body: '{}' });
  await assertProblemReply(made, 'unauthorized');
});
