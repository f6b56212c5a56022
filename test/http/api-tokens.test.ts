import assert from 'node:assert/strict';
import { Agent, request as httpRequest } from 'node:http';
import { type TestContext, test } from 'node:test';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { SCOPES } from '../../src/protocol/scopes.ts';
import type { ApiToken, ApiTokenCreated, ApiTokenList } from '../../src/protocol/token-schemas.ts';
import { realDisk } from '../../src/storage/disk/disk.ts';
import { addPerson, seededFolder } from '../support/identity.ts';
import { sign, startServer, type TestServer } from '../support/server.ts';
import { through } from '../support/through.ts';
import { assertProblemReply } from '../support/wire.ts';

type Headers = Record<string, string>;

const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });

function ask(origin: string, method: string, path: string, headers: Headers = {}, body?: object): Promise<Response> {
  if (body === undefined) return fetch(`${origin}${path}`, { method, headers });
  const json = { ...headers, 'content-type': 'application/json' };
  return fetch(`${origin}${path}`, { method, headers: json, body: JSON.stringify(body) });
}

async function make({ origin }: TestServer, by: { headers: Headers }, body: object = {}): Promise<ApiTokenCreated> {
  const reply = await ask(origin, 'POST', '/api/tokens', by.headers, body);
  assert.equal(reply.status, 201, await reply.clone().text());
  return (await reply.json()) as ApiTokenCreated;
}

async function list({ origin }: TestServer, by: { headers: Headers }, query = ''): Promise<ApiToken[]> {
  const reply = await ask(origin, 'GET', `/api/tokens${query}`, by.headers);
  assert.equal(reply.status, 200, await reply.clone().text());
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  const { tokens, count } = (await reply.json()) as ApiTokenList;
  assert.equal(count, tokens.length);
  return tokens;
}

/** Status of a listing of files, which needs files:read. */
async function reads({ origin }: TestServer, token: string): Promise<number> {
  const reply = await ask(origin, 'GET', '/api/files', bearer(token));
  await reply.arrayBuffer();
  return reply.status;
}

test('a token is made, shown once, used, counted, rotated and revoked', async (t) => {
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
  assert.deepEqual(made.scopes, ['files:read', 'files:write', 'files:delete']);
  assert.equal(Date.parse(made.expires_at ?? '') - Date.parse(made.created_at), 3_600_000);
  assert.match(made.token, /^lat_[0-9a-f]{16}_[\w-]{43}$/, '256 random bits after an id');

  assert.equal(await reads(server, made.token), 200);
  assert.equal(await reads(server, made.token), 200);
  const [shown, ...more] = await list(server, client);
  assert.equal(more.length, 0);
  assert.deepEqual(
    [shown?.token_id, shown?.uses, shown?.user_id, shown?.name, shown?.scopes, shown?.expires_at],
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
  assert.equal(await reads(server, made.token), 401, 'the old one is refused at once');
  assert.equal(await reads(server, next.token), 200);

  const revoked = await ask(origin, 'DELETE', `/api/tokens/${made.token_id}`, client.headers);
  assert.equal(revoked.status, 200);
  assert.equal(await reads(server, next.token), 401);
  assert.deepEqual(await list(server, client), []);
  for (const [method, path] of [
    ['DELETE', ''],
    ['POST', '/rotate'],
  ] as const) {
    await assertProblemReply(
      await ask(origin, method, `/api/tokens/${made.token_id}${path}`, client.headers),
      'not_found',
    );
  }
});

test('everything has a default, and nothing at all is a request too', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const bare = await ask(origin, 'POST', '/api/tokens', client.headers);
  assert.equal(bare.status, 201, await bare.clone().text());
  const made = [(await bare.json()) as ApiTokenCreated, await make(server, client)];
  made.push(await make(server, client, { user_id: null, scopes: null, expires_in: null, name: null }));
  made.push(await make(server, client, { user_id: client.id }));
  for (const { scopes, expires_at, name, user_id } of made) {
    assert.deepEqual([scopes, expires_at, name, user_id], [['files:read'], null, null, client.id]);
  }
});

test('what is asked for is bounded', async (t) => {
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
    { user_id: 'x'.repeat(65) },
  ];
  for (const body of wrong) {
    const reply = await ask(origin, 'POST', '/api/tokens', client.headers, body);
    assert.equal(reply.status, 422, JSON.stringify(body));
    await assertProblemReply(reply, 'validation_failed');
  }
  await make(server, client, { expires_in: 1, name: 'x'.repeat(200) });
  await make(server, client, { expires_in: 315_360_000 });
});

test('a hundred live tokens an owner, however many are asked for at once; what expired makes room', async (t) => {
  let now = Date.now();
  const server = await startServer(t, {}, { clock: { now: () => now } });
  const { origin, client, admin } = server;
  for (let i = 0; i < 90; i += 1) await make(server, client, { expires_in: i < 5 ? 60 : 3600 });
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      ask(origin, 'POST', '/api/tokens', (i % 2 ? admin : client).headers, { user_id: client.id }),
    ),
  );
  assert.equal(replies.filter(({ status }) => status === 201).length, 10);
  for (const reply of replies) if (reply.status !== 201) await assertProblemReply(reply, 'quota_exceeded');
  await make(server, admin, {});
  now += 61_000;
  for (let i = 0; i < 5; i += 1) await make(server, client);
  assert.equal((await ask(origin, 'POST', '/api/tokens', client.headers, {})).status, 413);
  assert.equal((await list(server, client)).length, 100);
});

interface Refused {
  error: string;
}

test('refusals carry the fixed words besides the problem document', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin } = server;
  const mine = await make(server, client);
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
  // Of other refusals the member is not there, nor of those of other families.
  const unknown = await ask(origin, 'DELETE', '/api/tokens/none', client.headers);
  assert.ok(!('error' in (await assertProblemReply(unknown, 'not_found'))));
  assert.ok(!('error' in (await assertProblemReply(await ask(origin, 'GET', '/api/files'), 'unauthorized'))));
});

test('nobody grants more than they have, nor more than the owner has', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin } = server;
  const refused = async (by: { headers: Headers }, body: object): Promise<void> => {
    await assertProblemReply(await ask(origin, 'POST', '/api/tokens', by.headers, body), 'insufficient_scope');
  };
  for (const scope of ['clients:admin', 'tokens:admin', 'users:admin']) {
    await refused(client, { scopes: ['files:read', scope] });
    // The administrator has it, but who the token acts for does not.
    await refused(admin, { user_id: client.id, scopes: [scope] });
  }
  await refused(client, { user_id: admin.id });
  await refused(client, { user_id: 'nobody' });
  await make(server, admin, { scopes: [...SCOPES] });
  const theirs = await make(server, admin, { user_id: client.id, scopes: ['read', 'write'] });
  assert.equal(theirs.user_id, client.id);

  const maker = await make(server, admin, { scopes: ['tokens:admin', 'files:read'] });
  const by = { headers: bearer(maker.token) };
  await refused(by, { scopes: ['files:write'] });
  await refused(by, { user_id: client.id, scopes: ['write'] });
  assert.equal((await make(server, by, { user_id: client.id })).user_id, client.id);
  assert.equal((await make(server, by)).user_id, admin.id);
  // Rotating would hand over a token that may more than who asks for it.
  const reply = await ask(origin, 'POST', `/api/tokens/${theirs.token_id}/rotate`, by.headers);
  await assertProblemReply(reply, 'insufficient_scope');
  assert.equal(await reads(server, theirs.token), 200);
});

test('one sees and touches one’s own tokens, an administrator those of the tenant, nobody those above them', async (t) => {
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
    mine: await make(server, client, { name: 'mine' }),
    other: await make(server, other, { name: 'other' }),
    person: await make(server, person, { name: 'person' }),
    admin: await make(server, admin, { name: 'admin' }),
    far: await make(server, far, { name: 'far' }),
    top: await make(server, top, { name: 'top' }),
  };
  const names = async (by: { headers: Headers }, query = ''): Promise<string> =>
    (await list(server, by, query))
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
  for (const id of ['far', 'top', 'nobody', '__proto__']) {
    await assertProblemReply(await ask(origin, 'GET', `/api/tokens?user_id=${id}`, admin.headers), 'not_found');
    await assertProblemReply(await ask(origin, 'POST', '/api/tokens', admin.headers, { user_id: id }), 'not_found');
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
  for (const { token } of Object.values(tokens)) assert.equal(await reads(server, token), 200);
  assert.equal((await ask(origin, 'DELETE', `/api/tokens/${tokens.person.token_id}`, admin.headers)).status, 200);
  assert.equal((await ask(origin, 'DELETE', `/api/tokens/${tokens.far.token_id}`, top.headers)).status, 200);
  assert.deepEqual([await reads(server, tokens.person.token), await reads(server, tokens.far.token)], [401, 401]);
});

/** Every operation on files with the scope that it needs. */
const FILE_ROUTES: [method: string, path: string, scope: string][] = [
  ['POST', '/api/files/upload?filename=new&total_size=5', 'files:write'],
  ['GET', '/api/files/status/f', 'files:read'],
  ['GET', '/api/files/download/f', 'files:read'],
  ['HEAD', '/api/files/download/f', 'files:read'],
  ['GET', '/api/files', 'files:read'],
  ['POST', '/api/files/verify/f', 'files:read'],
  ['POST', '/api/files/complete/f', 'files:write'],
  ['DELETE', '/api/files/f', 'files:delete'],
];

function upload(origin: string, path: string, headers: Headers): Promise<Response> {
  const octets = { ...headers, 'content-type': 'application/octet-stream' };
  return fetch(`${origin}${path}`, { method: 'POST', headers: octets, body: encodeChunk(0, Buffer.from('hello')) });
}

function send(origin: string, method: string, path: string, headers: Headers): Promise<Response> {
  return path.includes('/upload') ? upload(origin, path, headers) : ask(origin, method, path, headers);
}

test('every file route takes an API token with its scope and no other', async (t) => {
  const server = await startServer(t);
  const { origin, admin } = server;
  for (const scope of SCOPES) {
    const { token } = await make(server, admin, { scopes: [scope] });
    const stored = await upload(origin, '/api/files/upload?filename=f&total_size=5', admin.headers);
    assert.ok(stored.ok);
    for (const [method, path, needed] of FILE_ROUTES) {
      const what = `${method} ${path} with ${scope}`;
      const reply = await send(origin, method, path, bearer(token));
      if (needed === scope) assert.equal(reply.status, 200, `${what}: ${await reply.clone().text()}`);
      else {
        assert.equal(reply.status, 403, what);
        assert.match(reply.headers.get('www-authenticate') ?? '', new RegExp(`scope="${needed}"`), what);
      }
      await reply.arrayBuffer();
    }
  }
});

test('a token works on the files of who it was made for', async (t) => {
  const server = await startServer(t);
  const { origin, admin, client } = server;
  const { token } = await make(server, admin, { user_id: client.id, scopes: ['read', 'write'] });
  assert.ok((await upload(origin, '/api/files/upload?filename=f&total_size=5', bearer(token))).ok);
  const reply = await ask(origin, 'GET', '/api/files/download/f', client.headers);
  assert.equal(await reply.text(), 'hello');
  assert.equal((await ask(origin, 'GET', '/api/files/download/f', admin.headers)).status, 404);
  const foreign = await ask(origin, 'GET', `/api/files?owner=${admin.id}`, bearer(token));
  await assertProblemReply(foreign, 'forbidden');
});

test('a thousand requests write the use down a couple of times at most, and a clean stop keeps the count', async (t) => {
  let now = Date.now();
  let writes = 0;
  const disk = through(realDisk, (operation, target, work) => {
    // A document is written beside its place and then renamed to it; only then its place is known.
    if (operation === 'open' && typeof target === 'string' && counting && /tmp/.test(target)) writes += 1;
    return work();
  });
  let counting = false;
  const first = await startServer(t, {}, { clock: { now: () => now }, disk });
  const { token } = await make(first, first.client);
  counting = true;
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  t.after(() => agent.destroy());
  const one = () => get(first.port, agent, '/api/files/status/f', token);
  for (let i = 0; i < 250; i += 1) {
    assert.deepEqual(await Promise.all([one(), one(), one(), one()]), [200, 200, 200, 200]);
    now += 100;
  }
  assert.ok(writes <= 4, `${writes} documents were written`);
  counting = false;
  const [before] = await list(first, first.client);
  assert.equal(before?.uses, 1000);
  await first.close();
  const second = await startServer(t, {}, { clock: { now: () => now } }, first.dataDir);
  const [after] = await list(second, first.client);
  assert.deepEqual([after?.uses, after?.last_used], [1000, before?.last_used]);
  assert.equal(await reads(second, token), 200, 'the token outlives the server');
});

/** Status of a request on a connection of `agent`. */
function get(port: number, agent: Agent, path: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ port, host: '127.0.0.1', agent, path, headers: bearer(token) }, (reply) => {
      reply.resume().on('end', () => resolve(reply.statusCode ?? 0));
    });
    sent.on('error', reject).end();
  });
}

/** Asks twice on one connection; `between` happens meanwhile. */
async function onOneConnection(
  t: TestContext,
  server: TestServer,
  token: string,
  between: () => Promise<unknown>,
): Promise<[before: number, after: number]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let connections = 0;
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...given) => {
    connections += 1;
    return connect(...given);
  };
  t.after(() => agent.destroy());
  const before = await get(server.port, agent, '/api/files', token);
  await between();
  const after = await get(server.port, agent, '/api/files', token);
  assert.equal(connections, 1);
  return [before, after];
}

test('a revoked, rotated or expired token is refused at once, on an open connection too', async (t) => {
  let now = Date.now();
  const server = await startServer(t, {}, { clock: { now: () => now } });
  const { origin, client } = server;
  const ends: Record<string, (made: ApiTokenCreated) => Promise<unknown>> = {
    revoked: ({ token_id: id }) => ask(origin, 'DELETE', `/api/tokens/${id}`, client.headers),
    rotated: ({ token_id: id }) => ask(origin, 'POST', `/api/tokens/${id}/rotate`, client.headers),
    expired: async () => {
      now += 60_000;
    },
  };
  for (const [what, end] of Object.entries(ends)) {
    const made = await make(server, client, { expires_in: 60 });
    assert.deepEqual(await onOneConnection(t, server, made.token, () => end(made)), [200, 401], what);
  }
  const late = await make(server, client, { expires_in: 60 });
  now += 60_000;
  const rotated = await ask(origin, 'POST', `/api/tokens/${late.token_id}/rotate`, client.headers);
  await assertProblemReply(rotated, 'not_found');
  assert.ok(!(await list(server, client)).some(({ token_id: id }) => id === late.token_id));
});

test('the tokens of a deleted client and of a deleted tenant are refused at once, and stay so', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    await identity.tenants.create('other', 'Other');
    const secret = 'a-secret-for-a-test-of-tenants';
    await identity.clients.create({ id: 'far', secret, role: 'client', name: null, tenant: 'other' });
    await identity.clients.create({ id: 'top', secret, role: 'root', name: null });
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { origin, admin, client, app } = server;
  const mine = await make(server, client);
  const far = await make(server, sign(app, 'far', 'client'));
  const top = sign(app, 'top', 'root');
  const removeClient = () => ask(origin, 'DELETE', `/api/clients/${client.id}`, admin.headers);
  assert.deepEqual(await onOneConnection(t, server, mine.token, removeClient), [200, 401]);
  const removeTenant = () => ask(origin, 'DELETE', '/api/tenants/other', top.headers);
  assert.deepEqual(await onOneConnection(t, server, far.token, removeTenant), [200, 401]);
  await assertProblemReply(await ask(origin, 'GET', '/api/tokens?user_id=far', top.headers), 'not_found');
  await server.close();
  const again = await startServer(t, {}, {}, dataDir);
  assert.deepEqual([await reads(again, mine.token), await reads(again, far.token)], [401, 401]);
});
