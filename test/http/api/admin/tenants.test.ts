/** Two tenants on one server with equal names: no route shows data of the other tenant. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { encodeChunk } from '../../../../src/protocol/chunk.ts';
import type { FileList, FileStatus } from '../../../../src/protocol/schemas/files.ts';
import type { ClientList } from '../../../../src/protocol/schemas/identity/client.ts';
import type { Role } from '../../../../src/protocol/schemas/role.ts';
import { seededFolder } from '../../../support/product/identity.ts';
import { signIn, startServer, type TestServer } from '../../../support/product/server.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';

interface Somebody {
  id: string;
  headers: { authorization: string };
}

interface World {
  server: TestServer;
  root: Somebody;
  /** Accounts by tenant and role. */
  who: Record<'acme' | 'other', Record<'client' | 'admin' | 'ops', Somebody>>;
}

async function make(server: TestServer, by: Somebody, role: Role, tenant: string): Promise<Somebody> {
  const reply = await fetch(`${server.origin}/api/clients?tenant=${tenant}`, {
    method: 'POST',
    headers: { ...by.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ role }),
  });
  assert.equal(reply.status, 201, await reply.clone().text());
  const { client_id: id, client_secret: secret } = (await reply.json()) as { client_id: string; client_secret: string };
  const { access_token: token } = await signIn(server.origin, id, secret);
  return { id, headers: { authorization: `Bearer ${token}` } };
}

async function world(t: TestContext): Promise<World> {
  const { dataDir, seeded } = await seededFolder(t, ({ clients }) => clients.create({ role: 'root', name: null }));
  const server = await startServer(t, {}, {}, dataDir);
  const { access_token: token } = await signIn(server.origin, seeded.clientId, seeded.secret);
  const root = { id: seeded.clientId, headers: { authorization: `Bearer ${token}` } };
  const members = async (tenant: string): Promise<World['who']['acme']> => {
    const made = await fetch(`${server.origin}/api/tenants`, {
      method: 'POST',
      headers: { ...root.headers, 'content-type': 'application/json' },
      body: JSON.stringify({ tenant_id: tenant }),
    });
    assert.equal(made.status, 201);
    return {
      client: await make(server, root, 'client', tenant),
      admin: await make(server, root, 'admin', tenant),
      ops: await make(server, root, 'ops', tenant),
    };
  };
  return { server, root, who: { acme: await members('acme'), other: await members('other') } };
}

async function put({ origin }: TestServer, { headers }: Somebody, data: string): Promise<void> {
  const reply = await fetch(`${origin}/api/files/upload?filename=same&total_size=${data.length}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/octet-stream' },
    body: encodeChunk(0, Buffer.from(data)),
  });
  assert.equal(reply.status, 200, await reply.text());
}

test('no route shows the files of another tenant, for any role and also for equal names', async (t) => {
  const { server, root, who } = await world(t);
  const { origin } = server;
  const get = (path: string, { headers }: Somebody, method = 'GET'): Promise<Response> =>
    fetch(`${origin}${path}`, { method, headers });
  await put(server, who.acme.client, 'of acme');
  await put(server, who.other.client, 'of other');
  for (const [mine, theirs] of [
    [who.acme, who.other],
    [who.other, who.acme],
  ] as const) {
    const own = await get('/api/files/download/same', mine.client);
    assert.equal(await own.text(), mine === who.acme ? 'of acme' : 'of other');
    for (const by of [mine.admin, mine.ops]) {
      const owned = await get(`/api/files/download/same?owner=${mine.client.id}`, by);
      assert.equal(
        await owned.text(),
        mine === who.acme ? 'of acme' : 'of other',
        'ops and administrators see their tenant',
      );
      const owner = theirs.client.id;
      await assertProblemReply(await get(`/api/files/download/same?owner=${owner}`, by), 'not_found');
      const status = (await (await get(`/api/files/status/same?owner=${owner}`, by)).json()) as FileStatus;
      assert.equal(status.status, 'pending');
      const list = (await (await get(`/api/files?owner=${owner}`, by)).json()) as FileList;
      assert.deepEqual(list.files, []);
      for (const odd of [`acme/${owner}`, `other/${owner}`, `default/${owner}`, `/${owner}`, `../${owner}`]) {
        await assertProblemReply(await get(`/api/files?owner=${encodeURIComponent(odd)}`, by), 'forbidden');
      }
    }
    const { admin } = mine;
    await assertProblemReply(await get(`/api/files/same?owner=${theirs.client.id}`, admin, 'DELETE'), 'not_found');
    await assertProblemReply(
      await get(`/api/files/complete/same?owner=${theirs.client.id}`, admin, 'POST'),
      'not_found',
    );
    const clients = (await (await get('/api/clients', admin)).json()) as ClientList;
    assert.deepEqual(
      new Set(clients.clients.map(({ client_id: id }) => id)),
      new Set([mine.client.id, mine.admin.id, mine.ops.id]),
    );
    await assertProblemReply(await get(`/api/clients/${theirs.client.id}`, admin, 'DELETE'), 'not_found');
    // An id of another tenant counts as a label, and no token has this label.
    const labelled = await get(`/api/tokens?user_id=${theirs.client.id}`, admin);
    assert.deepEqual(await labelled.json(), { tokens: [], count: 0 });
    await assertProblemReply(await get(`/api/quotas/client/${theirs.client.id}`, admin), 'not_found');
    const tenant = theirs === who.acme ? 'acme' : 'other';
    for (const path of ['/api/clients', '/api/audit', '/v1/user']) {
      await assertProblemReply(await get(`${path}?tenant=${tenant}`, admin), 'forbidden');
    }
    const { entries } = (await (await get('/api/audit', admin)).json()) as { entries: { tenant: string }[] };
    assert.ok(entries.length > 0);
    assert.ok(entries.every((entry) => entry.tenant !== tenant));
  }
  const own = await get(`/api/files/download/same?owner=acme%2F${who.acme.client.id}`, root);
  assert.equal(await own.text(), 'of acme', 'root names the tenant');
});
