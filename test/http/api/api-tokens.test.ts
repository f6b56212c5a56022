import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiTokenCreated } from '../../../src/protocol/schemas/identity/token.ts';
import { SCOPES } from '../../../src/protocol/scopes.ts';
import {
  ask,
  bearer,
  createToken,
  type Headers,
  listFilesStatus,
  listTokens,
} from '../../support/product/api-tokens.ts';
import { clockOf } from '../../support/product/clock.ts';
import { addPerson, seededFolder } from '../../support/product/identity.ts';
import { sign, startServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

test('a token is created, shown once, used, counted, rotated and revoked', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const reply = await ask(origin, 'POST', '/api/tokens', client.headers, {
    scopes: ['write', 'files:read'],
    expires_in: 3600,
    name: 'nightly build',
  });
  assert.equal(reply.status, 201);
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  const made = (await reply.json()) as ApiTokenCreated;
  assert.deepEqual(Object.keys(made).slice(0, 4), ['token_id', 'token', 'created_at', 'scopes']);
  assert.deepEqual(made.scopes, ['write', 'files:read'], 'the scopes as they were sent');
  assert.equal(Date.parse(made.expires_at ?? '') - Date.parse(made.created_at), 3_600_000);
  assert.match(made.token, /^lat_[0-9a-f]{16}_[\w-]{43}$/, '256 random bits after an id');

  assert.equal(await listFilesStatus(server, made.token), 200);
  assert.equal(await listFilesStatus(server, made.token), 200);
  const [shown, ...more] = await listTokens(server, client);
  assert.equal(more.length, 0);
  assert.deepEqual(
    [shown?.token_id, shown?.uses, shown?.owner_id, shown?.name, shown?.scopes, shown?.expires_at],
    [made.token_id, 2, client.id, 'nightly build', made.scopes, made.expires_at],
  );
  assert.match(shown?.last_used ?? '', /Z$/);
  assert.ok(!JSON.stringify(shown).includes(made.token) && !('token' in (shown ?? {})) && !('hash' in (shown ?? {})));

  const rotated = await ask(origin, 'POST', `/api/tokens/${made.token_id}/rotate`, client.headers);
  assert.equal(rotated.status, 200);
  assert.equal(rotated.headers.get('cache-control'), 'no-store');
  const next = (await rotated.json()) as ApiTokenCreated;
  assert.equal(next.token_id, made.token_id);
  assert.deepEqual([next.scopes, next.expires_at, next.name], [made.scopes, made.expires_at, 'nightly build']);
  assert.equal(await listFilesStatus(server, made.token), 401, 'the old secret is refused at once');
  assert.equal(await listFilesStatus(server, next.token), 200);

  const revoked = await ask(origin, 'DELETE', `/api/tokens/${made.token_id}`, client.headers);
  assert.equal(revoked.status, 200);
  assert.equal(await listFilesStatus(server, next.token), 401);
  assert.deepEqual(await listTokens(server, client), []);
  const again = await ask(origin, 'DELETE', `/api/tokens/${made.token_id}`, client.headers);
  assert.equal(again.status, 200, 'the first reply may have been lost');
  await assertProblemReply(
    await ask(origin, 'POST', `/api/tokens/${made.token_id}/rotate`, client.headers),
    'not_found',
  );
});

test('every key has a default, and the body is optional', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const bare = await ask(origin, 'POST', '/api/tokens', client.headers);
  assert.equal(bare.status, 201, await bare.clone().text());
  const made = [(await bare.json()) as ApiTokenCreated, await createToken(server, client)];
  made.push(await createToken(server, client, { user_id: null, scopes: null, expires_in: null, name: null }));
  for (const { scopes, expires_at, name, user_id, owner_id } of made) {
    assert.deepEqual([scopes, expires_at, name], [['read', 'write'], null, null]);
    assert.deepEqual([user_id, owner_id], ['default_user', client.id]);
  }
  const own = await createToken(server, client, { user_id: client.id });
  assert.deepEqual([own.user_id, own.owner_id], [client.id, client.id]);
});

test('values out of range are refused', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const wrong: object[] = [
    { scopes: ['files:own'] },
    { scopes: [] },
    { scopes: 'read' },
    { scopes: [1] },
    { expires_in: 0 },
    { expires_in: -1 },
    { expires_in: 1.5 },
    { expires_in: 315_360_001 },
    { expires_in: '60' },
    { name: '' },
    { name: 'x'.repeat(201) },
    { user_id: 7 },
    { user_id: 'x'.repeat(129) },
  ];
  for (const body of wrong) {
    const reply = await ask(origin, 'POST', '/api/tokens', client.headers, body);
    assert.equal(reply.status, 422, JSON.stringify(body));
    await assertProblemReply(reply, 'validation_failed');
  }
  await createToken(server, client, { expires_in: 1, name: 'x'.repeat(200) });
  await createToken(server, client, { expires_in: 315_360_000 });
});

test('an owner has at most a hundred live tokens, also for concurrent requests, and expired tokens do not count', async (t) => {
  let now = Date.now();
  const server = await startServer(t, {}, { clock: clockOf(() => now) });
  const { origin, client, admin } = server;
  for (let i = 0; i < 90; i += 1) await createToken(server, client, { expires_in: i < 5 ? 60 : 3600 });
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      ask(origin, 'POST', '/api/tokens', (i % 2 ? admin : client).headers, { user_id: client.id }),
    ),
  );
  assert.equal(replies.filter(({ status }) => status === 201).length, 10);
  for (const reply of replies) if (reply.status !== 201) await assertProblemReply(reply, 'quota_exceeded');
  await createToken(server, admin, {});
  now += 61_000;
  for (let i = 0; i < 5; i += 1) await createToken(server, client);
  assert.equal((await ask(origin, 'POST', '/api/tokens', client.headers, {})).status, 413);
  assert.equal((await listTokens(server, client)).length, 100);
});

interface Refused {
  error: string;
}

test('refusals have the fixed words in addition to the problem document', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin } = server;
  const mine = await createToken(server, client);
  const everywhere: [method: string, path: string][] = [
    ['POST', '/api/tokens'],
    ['GET', '/api/tokens'],
    ['DELETE', `/api/tokens/${mine.token_id}`],
    ['POST', `/api/tokens/${mine.token_id}/rotate`],
  ];
  const basic = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`;
  const missing = 'Missing or invalid authorization header';
  const bad = 'Invalid or revoked token';
  const cases: [headers: Headers, error: string][] = [
    [{}, missing],
    [{ authorization: basic }, missing],
    [{ authorization: 'Bearer' }, missing],
    [{ authorization: 'Bearer ' }, missing],
    [{ authorization: client.token }, missing],
    [bearer('x.y.z'), bad],
    [bearer(`${mine.token}x`), bad],
    [bearer(`lat_${'0'.repeat(16)}_${'A'.repeat(43)}`), bad],
    [bearer(`${mine.token.slice(0, -1)}${mine.token.endsWith('A') ? 'B' : 'A'}`), bad],
    [bearer('lat_'), bad],
  ];
  for (const [method, path] of everywhere) {
    for (const [headers, error] of cases) {
      const reply = await ask(origin, method, path, headers);
      const problem = (await reply.clone().json()) as Refused;
      assert.equal(problem.error, error, `${method} ${path} ${headers.authorization}`);
      assert.match(reply.headers.get('www-authenticate') ?? '', /^Bearer/);
      await assertProblemReply(reply, 'unauthorized');
    }
    const reply = await ask(origin, method, path, bearer(mine.token));
    assert.equal(((await reply.clone().json()) as Refused).error, 'Insufficient scopes');
    await assertProblemReply(reply, 'insufficient_scope');
  }
  const others = await ask(origin, 'GET', `/api/tokens?user_id=${admin.id}`, client.headers);
  assert.equal(((await others.json()) as Refused).error, 'Insufficient scopes');
  // Every route that requires a token.
  const files = await assertProblemReply(await ask(origin, 'GET', '/api/files'), 'unauthorized');
  assert.equal((files as Refused).error, missing);
});

test('a principal cannot grant scopes that it or the owner lacks', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin } = server;
  const refused = async (by: { headers: Headers }, body: object): Promise<void> => {
    await assertProblemReply(await ask(origin, 'POST', '/api/tokens', by.headers, body), 'insufficient_scope');
  };
  for (const scope of ['clients:admin', 'tokens:admin', 'users:admin']) {
    await refused(client, { scopes: ['files:read', scope] });
    // The administrator has the scope, but the owner of the token does not.
    await refused(admin, { user_id: client.id, scopes: [scope] });
  }
  await refused(client, { user_id: admin.id });
  await createToken(server, admin, { scopes: [...SCOPES] });
  const theirs = await createToken(server, admin, { user_id: client.id, scopes: ['read', 'write'] });
  assert.equal(theirs.user_id, client.id);

  const maker = await createToken(server, admin, { scopes: ['tokens:admin', 'files:read'] });
  const by = { headers: bearer(maker.token) };
  await refused(by, { scopes: ['files:write'] });
  await refused(by, { user_id: client.id, scopes: ['write'] });
  await refused(by, {});
  assert.equal((await createToken(server, by, { user_id: client.id, scopes: ['read'] })).owner_id, client.id);
  assert.equal((await createToken(server, by, { scopes: ['read'] })).owner_id, admin.id);
  // Rotation would return a token with more scopes than the principal has.
  const reply = await ask(origin, 'POST', `/api/tokens/${theirs.token_id}/rotate`, by.headers);
  await assertProblemReply(reply, 'insufficient_scope');
  assert.equal(await listFilesStatus(server, theirs.token), 200);
});

test('a token with reduced scopes neither creates API tokens nor revokes those with more scopes', async (t) => {
  const server = await startServer(t);
  const { app, origin, client, admin } = server;
  const narrow = sign(app, client.id, 'client', 'device', 'files:read').headers;
  const own = await createToken(server, client, { scopes: ['files:read'] });
  const broad = await createToken(server, client, { scopes: ['read', 'write'] });
  const refusals: [string, string, object?][] = [
    ['POST', '/api/tokens', { scopes: ['files:read'] }],
    ['POST', `/api/tokens/${own.token_id}/rotate`],
    ['POST', `/api/tokens/${broad.token_id}/rotate`],
    ['DELETE', `/api/tokens/${broad.token_id}`],
  ];
  for (const [method, path, body] of refusals) {
    await assertProblemReply(await ask(origin, method, path, narrow, body), 'insufficient_scope');
  }
  assert.equal(await listFilesStatus(server, broad.token), 200);
  assert.equal((await ask(origin, 'DELETE', `/api/tokens/${own.token_id}`, narrow)).status, 200);
  // With tokens:admin, within its own scopes.
  const clerk = sign(app, admin.id, 'admin', 'device', 'tokens:admin files:read').headers;
  assert.equal((await ask(origin, 'POST', '/api/tokens', clerk, { scopes: ['files:read'] })).status, 201);
  const before = `/api/tokens/${broad.token_id}`;
  await assertProblemReply(await ask(origin, 'DELETE', before, clerk), 'insufficient_scope');
  assert.equal((await ask(origin, 'DELETE', before, client.headers)).status, 200, 'an own token, with the full role');
});

test('principals manage their own tokens, and administrators those of the tenant up to their own role', async (t) => {
  const { dataDir, seeded } = await seededFolder(t, async (identity) => {
    await identity.tenants.create('other', 'Other');
    const secret = 'a-secret-for-a-test-of-tenants';
    await identity.clients.create({ id: 'far', secret, role: 'client', name: null, tenant: 'other' });
    await identity.clients.create({ id: 'far-admin', secret, role: 'admin', name: null, tenant: 'other' });
    await identity.clients.create({ id: 'top', secret, role: 'root', name: null });
    return { person: await addPerson(identity, 'ada@example.org') };
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { origin, client, admin, app } = server;
  const person = sign(app, seeded.person, 'client', 'person');
  const [far, farAdmin, top] = [sign(app, 'far', 'client'), sign(app, 'far-admin', 'admin'), sign(app, 'top', 'root')];
  const other = await server.enrol('client');
  const tokens = {
    mine: await createToken(server, client, { name: 'mine' }),
    other: await createToken(server, other, { name: 'other' }),
    person: await createToken(server, person, { name: 'person' }),
    admin: await createToken(server, admin, { name: 'admin' }),
    far: await createToken(server, far, { name: 'far' }),
    top: await createToken(server, top, { name: 'top' }),
  };
  const names = async (by: { headers: Headers }, query = ''): Promise<string> =>
    (await listTokens(server, by, query))
      .map(({ name }) => name)
      .sort()
      .join(' ');
  assert.equal(await names(client), 'mine');
  assert.equal(await names(client, `?user_id=${client.id}`), 'mine');
  assert.equal(await names(person), 'person');
  assert.equal(await names(admin), 'admin mine other person');
  assert.equal(await names(admin, `?user_id=${seeded.person}`), 'person');
  assert.equal(await names(farAdmin), 'far');
  assert.equal(await names(top), 'admin mine other person top');
  assert.equal(await names(top, '?user_id=far'), 'far');
  await assertProblemReply(await ask(origin, 'GET', '/api/tokens?user_id=top', admin.headers), 'not_found');
  await assertProblemReply(await ask(origin, 'POST', '/api/tokens', admin.headers, { user_id: 'top' }), 'not_found');
  // A text that is not an id of this tenant is a label, also if it is an id of another tenant.
  for (const id of ['far', 'nobody', '__proto__']) {
    assert.equal(await names(admin, `?user_id=${id}`), '');
    const labelled = await createToken(server, admin, { user_id: id, name: id });
    assert.deepEqual([labelled.user_id, labelled.owner_id], [id, admin.id]);
    assert.equal(await names(admin, `?user_id=${id}`), id);
    assert.equal(await names(farAdmin, '?user_id=nobody'), '');
    assert.equal((await ask(origin, 'DELETE', `/api/tokens/${labelled.token_id}`, admin.headers)).status, 200);
  }
  const strangers: [by: { headers: Headers }, token: ApiTokenCreated][] = [
    [client, tokens.other],
    [client, tokens.admin],
    [client, tokens.person],
    [person, tokens.mine],
    [admin, tokens.far],
    [admin, tokens.top],
    [farAdmin, tokens.mine],
  ];
  for (const [by, { token_id: id }] of strangers) {
    await assertProblemReply(await ask(origin, 'DELETE', `/api/tokens/${id}`, by.headers), 'not_found');
    await assertProblemReply(await ask(origin, 'POST', `/api/tokens/${id}/rotate`, by.headers), 'not_found');
  }
  for (const { token } of Object.values(tokens)) assert.equal(await listFilesStatus(server, token), 200);
  assert.equal((await ask(origin, 'DELETE', `/api/tokens/${tokens.person.token_id}`, admin.headers)).status, 200);
  assert.equal((await ask(origin, 'DELETE', `/api/tokens/${tokens.far.token_id}`, top.headers)).status, 200);
  assert.deepEqual(
    [await listFilesStatus(server, tokens.person.token), await listFilesStatus(server, tokens.far.token)],
    [401, 401],
  );
});
