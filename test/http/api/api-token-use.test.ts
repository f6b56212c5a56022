import assert from 'node:assert/strict';
import { Agent, request as httpRequest } from 'node:http';
import { type TestContext, test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { ApiTokenCreated } from '../../../src/protocol/schemas/identity/token.ts';
import { SCOPES } from '../../../src/protocol/scopes.ts';
import { realDisk } from '../../../src/storage/disk/io/disk.ts';
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
import { sign, startServer, type TestServer } from '../../support/product/server.ts';
import { through } from '../../support/wire/through.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

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

test('every file route accepts an API token only with its scope', async (t) => {
  const server = await startServer(t);
  const { origin, admin } = server;
  for (const scope of SCOPES) {
    const { token } = await createToken(server, admin, { scopes: [scope] });
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

test('a token works on the files of its owner', async (t) => {
  const server = await startServer(t);
  const { origin, admin, client } = server;
  const { token } = await createToken(server, admin, { user_id: client.id, scopes: ['read', 'write'] });
  assert.ok((await upload(origin, '/api/files/upload?filename=f&total_size=5', bearer(token))).ok);
  const reply = await ask(origin, 'GET', '/api/files/download/f', client.headers);
  assert.equal(await reply.text(), 'hello');
  assert.equal((await ask(origin, 'GET', '/api/files/download/f', admin.headers)).status, 404);
  const foreign = await ask(origin, 'GET', `/api/files?owner=${admin.id}`, bearer(token));
  await assertProblemReply(foreign, 'forbidden');
});

test('a thousand uses of a token are stored in a few writes, and a clean stop stores the count', async (t) => {
  let now = Date.now();
  let writes = 0;
  const disk = through(realDisk, (operation, target, work) => {
    // A document is written to a temporary file and then renamed, so count the renames.
    if (operation === 'open' && typeof target === 'string' && counting && /tmp/.test(target)) writes += 1;
    return work();
  });
  let counting = false;
  const first = await startServer(t, {}, { clock: clockOf(() => now), disk });
  const { token } = await createToken(first, first.client);
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
  const [before] = await listTokens(first, first.client);
  assert.equal(before?.uses, 1000);
  await first.close();
  const second = await startServer(t, {}, { clock: clockOf(() => now) }, first.dataDir);
  const [after] = await listTokens(second, first.client);
  assert.deepEqual([after?.uses, after?.last_used], [1000, before?.last_used]);
  assert.equal(await listFilesStatus(second, token), 200, 'the token survives a restart');
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

/** Sends two requests on one connection and runs `between` in between. */
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

test('a revoked, rotated or expired token is refused at once, also on an open connection', async (t) => {
  let now = Date.now();
  const server = await startServer(t, {}, { clock: clockOf(() => now) });
  const { origin, client } = server;
  const ends: Record<string, (made: ApiTokenCreated) => Promise<unknown>> = {
    revoked: ({ token_id: id }) => ask(origin, 'DELETE', `/api/tokens/${id}`, client.headers),
    rotated: ({ token_id: id }) => ask(origin, 'POST', `/api/tokens/${id}/rotate`, client.headers),
    expired: async () => {
      now += 60_000;
    },
  };
  for (const [what, end] of Object.entries(ends)) {
    const made = await createToken(server, client, { expires_in: 60 });
    assert.deepEqual(await onOneConnection(t, server, made.token, () => end(made)), [200, 401], what);
  }
  const late = await createToken(server, client, { expires_in: 60 });
  now += 60_000;
  const rotated = await ask(origin, 'POST', `/api/tokens/${late.token_id}/rotate`, client.headers);
  await assertProblemReply(rotated, 'not_found');
  assert.ok(!(await listTokens(server, client)).some(({ token_id: id }) => id === late.token_id));
});

test('the tokens of a deleted client or tenant are refused at once and for good', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    await identity.tenants.create('other', 'Other');
    const secret = 'a-secret-for-a-test-of-tenants';
    await identity.clients.create({ id: 'far', secret, role: 'client', name: null, tenant: 'other' });
    await identity.clients.create({ id: 'top', secret, role: 'root', name: null });
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { origin, admin, client, app } = server;
  const mine = await createToken(server, client);
  const far = await createToken(server, sign(app, 'far', 'client'));
  const top = sign(app, 'top', 'root');
  const removeClient = () => ask(origin, 'DELETE', `/api/clients/${client.id}`, admin.headers);
  assert.deepEqual(await onOneConnection(t, server, mine.token, removeClient), [200, 401]);
  const removeTenant = () => ask(origin, 'DELETE', '/api/tenants/other', top.headers);
  assert.deepEqual(await onOneConnection(t, server, far.token, removeTenant), [200, 401]);
  assert.deepEqual(await listTokens(server, top, '?user_id=far'), []);
  await server.close();
  const again = await startServer(t, {}, {}, dataDir);
  assert.deepEqual([await listFilesStatus(again, mine.token), await listFilesStatus(again, far.token)], [401, 401]);
});

test('a token loses rights at once with its owner, and all of them when the owner is deleted', async (t) => {
  const { dataDir, seeded: person } = await seededFolder(t, (identity) =>
    addPerson(identity, 'ada@example.org', 'admin'),
  );
  const server = await startServer(t, {}, {}, dataDir);
  const { origin, admin, app, port } = server;
  const own = sign(app, person, 'admin', 'person');
  const { token } = await createToken(server, own, { scopes: ['clients:admin', 'files:read'] });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const statuses = async (): Promise<number[]> => {
    const paths = ['/api/clients', '/api/files', `/api/files?owner=${admin.id}`];
    const found: number[] = [];
    for (const path of paths) found.push(await get(port, agent, path, token));
    return found;
  };
  assert.deepEqual(await statuses(), [200, 200, 403]);
  const shrunk = await ask(origin, 'PUT', `/v1/user/update_user?pk=${person}`, admin.headers, { role: 'client' });
  assert.equal(shrunk.status, 200, await shrunk.text());
  assert.deepEqual(await statuses(), [403, 200, 403]);
  const shown = await listTokens(server, admin, `?user_id=${person}`);
  assert.deepEqual(
    shown.map(({ scopes }) => scopes),
    [['clients:admin', 'files:read']],
    'the scopes of its creation',
  );
  const removed = await ask(origin, 'DELETE', `/v1/user/delete_user?pk=${person}`, admin.headers);
  assert.equal(removed.status, 200);
  assert.deepEqual(await statuses(), [401, 401, 401]);
});
