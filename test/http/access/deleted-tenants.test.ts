import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Identity } from '../../../src/identity/directory/identity.ts';
import { SCOPES } from '../../../src/protocol/scopes.ts';
import type { Principal } from '../../../src/records/principal.ts';
import { ask, bearer, createToken, listFilesStatus } from '../../support/product/api-tokens.ts';
import { addPerson, seededFolder, withIdentity } from '../../support/product/identity.ts';
import { sign, signIn, startServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

const SECRET = 'the-secret-of-the-administrator-of-acme';

/** A tenant with an administrator, a person and an API token of each, and a root in another tenant. */
async function populate(identity: Identity) {
  await identity.clients.create({ id: 'root', secret: 'the-secret-of-root', role: 'root', name: null });
  await identity.tenants.create('acme', 'Acme');
  const quota = { bytes: 7, openUploads: null, dayBytes: null };
  await identity.tenants.setQuota('acme', quota);
  await identity.clients.create({ id: 'wile', secret: SECRET, role: 'admin', name: null, tenant: 'acme' });
  const ada = await addPerson(identity, 'ada@acme.example', 'client', 'acme');
  const tokens = [];
  for (const owner of [
    { id: 'wile', kind: 'device' as const },
    { id: ada, kind: 'person' as const },
  ]) {
    const wanted = { owner: { ...owner, tenant: 'acme' }, name: null, scopes: ['files:read'] as const, lifeMs: null };
    tokens.push((await identity.apiTokens.create(wanted)).token);
    await identity.sessions.begin(owner);
  }
  return { ada, tokens };
}

function remains({ clients, people, apiTokens }: Identity) {
  return [clients.list('acme').length, people.list('acme').length, apiTokens.list('acme', null).length];
}

async function withTenant(t: TestContext) {
  const { dataDir, seeded } = await seededFolder(t, populate);
  const server = await startServer(t, {}, {}, dataDir);
  const root = sign(server.app, 'root', 'root').headers;
  return { ...seeded, server, root, wile: sign(server.app, 'wile', 'admin'), dataDir };
}

test('a new tenant with the id of a deleted one has none of its accounts and files', async (t) => {
  const { server, root, ada, tokens, wile, dataDir } = await withTenant(t);
  const { origin, app } = server;
  for (const token of tokens) assert.equal(await listFilesStatus(server, token), 200);
  assert.equal((await ask(origin, 'DELETE', '/api/tenants/acme', root)).status, 200);
  await assertProblemReply(await ask(origin, 'DELETE', '/api/tenants/acme', root), 'not_found');
  assert.equal((await ask(origin, 'POST', '/api/tenants', root, { tenant_id: 'acme' })).status, 201);
  await assert.rejects(signIn(origin, 'wile', SECRET));
  for (const token of [...tokens, wile.token, sign(app, ada, 'client', 'person').token]) {
    assert.equal(await listFilesStatus(server, token), 401);
  }
  await server.close();
  await withIdentity(dataDir, async (identity) => {
    assert.deepEqual(remains(identity), [0, 0, 0]);
    assert.equal(identity.tenants.get('acme')?.quota, undefined);
  });
});

test('root cannot delete its own tenant', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    await identity.tenants.create('acme', 'Acme');
    await identity.clients.create({ id: 'inside', secret: SECRET, role: 'root', name: null, tenant: 'acme' });
  });
  const { app, origin } = await startServer(t, {}, {}, dataDir);
  const { headers } = sign(app, 'inside', 'root');
  await assertProblemReply(await ask(origin, 'DELETE', '/api/tenants/acme', headers), 'invalid_request');
  assert.equal((await ask(origin, 'GET', '/api/tenants', headers)).status, 200);
});

test('a deletion is visible at once, and the id cannot be reused before it is complete', async (t) => {
  const { dataDir, seeded } = await seededFolder(t, populate);
  await withIdentity(dataDir, async (identity) => {
    const removing = identity.removeTenant('acme');
    assert.equal(identity.subject('device', 'wile'), null);
    assert.equal(identity.subject('person', seeded.ada), null);
    await assert.rejects(identity.createTenant('acme', 'Again'), { code: 'already_exists' });
    assert.equal(await identity.removeTenant('acme'), false, 'once is enough');
    assert.equal(await removing, true);
    assert.deepEqual(remains(identity), [0, 0, 0]);
    await identity.createTenant('acme', 'Again');
  });
});

test('an interrupted deletion can be repeated, and its leftovers never enter a new tenant', async (t) => {
  const { dataDir } = await seededFolder(t, populate);
  await withIdentity(dataDir, async (identity) => {
    const { clients } = identity;
    const remove = clients.remove.bind(clients);
    clients.remove = () => Promise.reject(new Error('no room'));
    await assert.rejects(identity.removeTenant('acme'), /no room/);
    assert.ok(identity.tenants.has('acme'));
    clients.remove = remove;
    assert.equal(await identity.removeTenant('acme'), true);
    assert.deepEqual(remains(identity), [0, 0, 0]);
  });
  const { dataDir: other } = await seededFolder(t, populate);
  // The state that earlier versions left: the tenant is deleted, its people are not.
  await rm(join(other, 'v1', 'tenants', 'acme.json'));
  await withIdentity(other, async (identity) => {
    assert.deepEqual(remains(identity), [1, 1, 2]);
    await identity.createTenant('acme', 'Again');
    const wile: Principal | null = identity.subject('device', 'wile');
    assert.equal(wile, null);
    assert.deepEqual(remains(identity), [0, 0, 0]);
  });
});

test('only root with all scopes can access another tenant', async (t) => {
  const { server, root, ada } = await withTenant(t);
  const { origin, app } = server;
  const { token } = await createToken(server, { headers: root }, { scopes: SCOPES });
  const narrow = SCOPES.filter((scope) => scope !== 'files:delete').join(' ');
  const lesser = [bearer(token), sign(app, 'root', 'root', 'device', narrow).headers];
  const person = `pk=${ada}`;
  const uses = [
    ['POST', '/v1/user/get_user', { id: ada }],
    ['PUT', `/v1/user/update_user?${person}`, { name: 'Eve' }],
    ['DELETE', `/v1/user/delete_user?${person}`],
    ['DELETE', '/api/clients/wile'],
  ] as const;
  for (const [method, path, body] of uses) {
    for (const headers of lesser) {
      await assertProblemReply(await ask(origin, method, path, headers, body), 'not_found');
    }
  }
  for (const [method, path, body] of uses)
    assert.equal((await ask(origin, method, path, root, body)).status, 200, path);
});
