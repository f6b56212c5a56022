import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Collection, CredentialStore } from '../../../src/contracts/collection.ts';
import { type TokenDeps, Tokens } from '../../../src/identity/access-tokens.ts';
import { ensureAdmin, type FirstAdmin, makeSigningKey } from '../../../src/identity/directory/bootstrap.ts';
import { checkGrant, ownerOf, requireRole, requireScope, tenantOf } from '../../../src/identity/rights/policy.ts';
import { DocumentCache } from '../../../src/identity/state/document-cache.ts';
import { Clients } from '../../../src/identity/subjects/clients.ts';
import { principalOf } from '../../../src/identity/subjects/principals.ts';
import type { Role } from '../../../src/protocol/schemas/role.ts';
import { checkDevice, checkRevocation } from '../../../src/records/checks/identity.ts';
import type { RevocationDocument } from '../../../src/records/credentials.ts';
import type { Principal } from '../../../src/records/principal.ts';
import type { DeviceDocument } from '../../../src/records/subjects.ts';
import { openLowdbCollection } from '../../../src/storage/lowdb/collection.ts';
import { openTestStore } from '../../support/disk/storage.ts';
import { type HandClock, handClock } from '../../support/product/clock.ts';
import { seededFolder, withIdentity } from '../../support/product/identity.ts';

interface Bench {
  credentials: Clients;
  revocations: Collection<RevocationDocument>;
  /** The real store, which records writes. */
  store: CredentialStore;
  written: DeviceDocument[];
  clock: HandClock;
}

async function bench(t: TestContext): Promise<Bench> {
  const { documents } = await openTestStore(t);
  const onDamaged = (key: string) => assert.fail(key);
  const store: CredentialStore = await openLowdbCollection({
    files: documents('clients'),
    check: checkDevice,
    idOf: ({ clientId }) => clientId,
    onDamaged,
  });
  const revocations = await openLowdbCollection<RevocationDocument>({
    files: documents('revocations'),
    check: checkRevocation,
    idOf: ({ id }) => id,
    onDamaged,
  });
  const written: DeviceDocument[] = [];
  const put = store.put.bind(store);
  store.put = async (document) => {
    written.push(document);
    await put(document);
  };
  const clock = handClock();
  return { credentials: await Clients.open(store, clock), revocations, store, written, clock };
}

test('a created client survives a restart and is authenticated only by its secret', async (t) => {
  const { credentials, store, clock } = await bench(t);
  const { clientId, secret } = await credentials.create({ role: 'client', name: 'device' });
  for (const known of [credentials, await Clients.open(store, clock)]) {
    assert.deepEqual(
      await known.authenticate(clientId, secret),
      principalOf({ id: clientId, tenant: 'default', kind: 'device', role: 'client' }),
    );
    assert.equal(await known.authenticate(clientId, `${secret}x`), null);
    assert.equal(await known.authenticate('nobody', secret), null);
  }
  const document = await store.find(clientId);
  assert.ok(!JSON.stringify(document).includes(secret));
});

test('the last use is stored at most once a minute, and at the stop', async (t) => {
  const { credentials, store, written, clock } = await bench(t);
  const { clientId } = await credentials.create({ role: 'client', name: null });
  written.length = 0;
  const settled = async (count: number): Promise<void> => {
    while (written.length < count) await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(written.length, count);
  };
  credentials.principal(clientId);
  await settled(0);
  for (let i = 0; i < 599; i += 1) {
    clock.pass(100);
    credentials.principal(clientId);
  }
  await settled(0);
  clock.pass(100);
  credentials.principal(clientId);
  await settled(1);
  clock.pass(100);
  credentials.principal(clientId);
  await credentials.close();
  assert.equal(written.length, 2);
  assert.equal((await store.find(clientId))?.lastUsed, clock.now());
  await credentials.close();
  assert.equal(written.length, 2, 'no change, no write');
});

test('a deleted client does not exist at once and is not restored by a write of its last use', async (t) => {
  const { credentials, store } = await bench(t);
  const { clientId, secret } = await credentials.create({ role: 'client', name: null });
  const checking = credentials.authenticate(clientId, secret);
  credentials.principal(clientId);
  const removing = credentials.remove(clientId);
  assert.equal(credentials.principal(clientId), null);
  assert.equal(await removing, true);
  assert.equal(await checking, null, 'deleted during the check of its secret');
  assert.equal(await credentials.remove(clientId), false);
  await credentials.close();
  assert.equal(await store.find(clientId), null);
});

test('an administrator is created once, and a configured one gets the configured secret', async (t) => {
  const { dataDir } = await seededFolder(t, async () => {});
  await withIdentity(dataDir, async (identity) => {
    const { clients } = identity;
    const shown: FirstAdmin[] = [];
    const show = (admin: FirstAdmin): void => {
      assert.equal(clients.find(admin.id), null, 'it is shown before it is stored');
      shown.push(admin);
    };
    const broken = new Error('the terminal is gone');
    const breaks = ensureAdmin(identity, null, () => {
      throw broken;
    });
    await assert.rejects(breaks, broken);
    assert.deepEqual(clients.list(null), [], 'no administrator with an unknown secret');
    await ensureAdmin(identity, null, show);
    const [first] = shown;
    assert.ok(first);
    assert.equal((await clients.authenticate(first.id, first.secret))?.role, 'admin');
    await ensureAdmin(identity, null, show);
    await ensureAdmin(identity, { id: 'boss', secret: 'one' }, show);
    assert.equal(shown.length, 1);
    assert.equal((await clients.authenticate('boss', 'one'))?.role, 'admin');
    await ensureAdmin(identity, { id: 'boss', secret: 'two' });
    assert.equal(await clients.authenticate('boss', 'one'), null);
    assert.equal((await clients.authenticate('boss', 'two'))?.role, 'admin');
    const before = clients.find('boss');
    await ensureAdmin(identity, { id: 'boss', secret: 'two' });
    const { lastUsed: _, ...same } = clients.find('boss') ?? assert.fail();
    assert.deepEqual({ ...same, lastUsed: before?.lastUsed }, before, 'no change, no write');
  });
});

test('a changed configured secret keeps the role, tenant and quota of the administrator and ends its credentials', async (t) => {
  const { dataDir } = await seededFolder(t, async () => {});
  await withIdentity(dataDir, async (identity) => {
    const { clients, tenants, apiTokens, sessions: signIns } = identity;
    await tenants.create('acme', 'Acme');
    const quota = { bytes: 7, openUploads: null, dayBytes: null };
    await clients.create({ id: 'boss', secret: 'one', role: 'root', name: 'Boss', tenant: 'acme' });
    await clients.setQuota('boss', quota);
    const owner = { id: 'boss', kind: 'device' as const, tenant: 'acme' };
    await ensureAdmin(identity, { id: 'boss', secret: 'one' });
    const { token } = await apiTokens.create({ owner, name: null, scopes: ['files:read'], lifeMs: null });
    const { session: signIn } = await signIns.begin(owner);
    const first = { generation: clients.find('boss')?.generation, issuedAt: Date.now() };
    assert.ok(identity.subject('device', 'boss', first));
    await ensureAdmin(identity, { id: 'boss', secret: 'two' });
    const { role, tenant, name, quota: kept, generation } = clients.find('boss') ?? assert.fail();
    assert.deepEqual([role, tenant, name, kept], ['root', 'acme', 'Boss', quota]);
    assert.notEqual(generation, undefined);
    assert.equal(apiTokens.findLive(token), null);
    assert.equal(signIns.isAlive(signIn.id), false);
    assert.equal(identity.subject('device', 'boss', { ...first, issuedAt: Date.now() + 1e9 }), null, 'for any date');
    assert.ok(identity.subject('device', 'boss', { generation, issuedAt: 0 }));
    assert.ok(identity.subject('device', 'boss'), 'without a token');

    await clients.create({ id: 'small', secret: 'one', role: 'client', name: null });
    await ensureAdmin(identity, { id: 'small', secret: 'one' });
    assert.equal(clients.find('small')?.role, 'admin');
    await identity.removeTenant('acme');
    await clients.create({ id: 'boss', secret: 'two', role: 'root', name: null, tenant: 'acme' });
    await ensureAdmin(identity, { id: 'boss', secret: 'two' });
    assert.equal(clients.find('boss')?.tenant, 'default', 'its tenant was deleted');
  });
});

test('a change of the secret invalidates earlier access tokens, but none issued later in the same second', async (t) => {
  const { credentials, revocations, clock } = await bench(t);
  const { clientId } = await credentials.create({ role: 'client', name: null });
  const deps: TokenDeps = {
    issuer: 'lading',
    sign: (claims) => JSON.stringify(claims),
    verify: (token) => JSON.parse(token) as unknown,
    subject: (_kind, id, issued) => (credentials.isCurrent(id, issued) ? credentials.principal(id) : null),
    generationOf: (id) => credentials.find(id)?.generation,
    isAlive: () => true,
    clock,
    seconds: 60,
  };
  const tokens = new Tokens(deps, await DocumentCache.open(revocations, ({ id }) => id));
  clock.pass(200);
  const before = tokens.issue(device(clientId, 'client')).access_token;
  tokens.verify(before);
  clock.pass(200);
  await credentials.renew(clientId, 'client');
  clock.pass(200);
  assert.throws(() => tokens.verify(before), { code: 'unauthorized' });
  tokens.verify(tokens.issue(device(clientId, 'client')).access_token);
});

test('signing keys are long and unique', () => {
  assert.ok(makeSigningKey().length >= 64);
  assert.notDeepEqual(makeSigningKey(), makeSigningKey());
});

function device(id: string, role: Role, tenant = 'default'): Principal {
  return principalOf({ id, tenant, kind: 'device', role });
}

test('roles and scopes allow what the policy says', () => {
  const client = device('c', 'client');
  const ops = device('o', 'ops');
  const admin = device('a', 'admin');
  assert.equal(ownerOf(client, undefined), 'c');
  assert.equal(ownerOf(client, 'c'), 'c');
  assert.equal(ownerOf(admin, undefined), 'a');
  assert.equal(ownerOf(admin, 'c', 'files:delete'), 'c');
  assert.equal(ownerOf(ops, 'c'), 'c');
  assert.throws(() => ownerOf(ops, 'c', 'files:delete'), { code: 'forbidden' });
  for (const other of ['a', '', 'C']) assert.throws(() => ownerOf(client, other), { code: 'forbidden' });
  assert.throws(() => requireRole(client, 'ops'), { code: 'insufficient_scope' });
  assert.throws(() => requireRole(ops, 'admin'), { code: 'insufficient_scope' });
  assert.throws(() => requireRole(admin, 'root'), { code: 'insufficient_scope' });
  requireRole(admin, 'ops');
  requireScope(client, 'files:write');
  assert.throws(() => requireScope(client, 'clients:admin'), { code: 'insufficient_scope' });
});

test('an owner key cannot name a principal of another tenant, except for root', () => {
  const here = device('c', 'admin', 'acme');
  assert.equal(ownerOf(here), 'acme/c');
  assert.equal(ownerOf(here, 'd'), 'acme/d');
  for (const other of ['../c', 'default/c', '/c', 'other/c']) {
    assert.throws(() => ownerOf(here, other), { code: 'forbidden' });
  }
  assert.throws(() => tenantOf(here, 'other'), { code: 'forbidden' });
  assert.equal(tenantOf(here, 'acme'), 'acme');
  const root = device('r', 'root');
  assert.equal(ownerOf(root, 'acme/c'), 'acme/c');
  assert.equal(ownerOf(root, 'c'), 'c');
  assert.equal(tenantOf(root, 'acme'), 'acme');
});

test('an API token has the scopes it was created with that its owner still has, and no role', () => {
  const owner = device('a', 'admin');
  const token = principalOf({ ...owner, kind: 'token' }, ['files:read', 'clients:admin']);
  requireScope(token, 'clients:admin');
  assert.throws(() => requireScope(token, 'files:write'), { code: 'insufficient_scope' });
  assert.throws(() => requireRole(token, 'ops'), { code: 'insufficient_scope' });
  const ofClient = principalOf({ ...device('c', 'client'), kind: 'token' }, ['files:read', 'clients:admin']);
  assert.throws(() => requireScope(ofClient, 'clients:admin'), { code: 'insufficient_scope' });
  assert.throws(() => checkGrant(token, ['files:write']), { code: 'insufficient_scope' });
  checkGrant(token, ['files:read']);
});

test('a cached token is refused once it expires or its client is deleted', async (t) => {
  const { credentials, revocations, clock } = await bench(t);
  const { clientId } = await credentials.create({ role: 'client', name: null });
  let verified = 0;
  const deps: TokenDeps = {
    issuer: 'lading',
    sign: (claims) => JSON.stringify(claims),
    verify: (token) => {
      verified += 1;
      return JSON.parse(token) as unknown;
    },
    generationOf: () => undefined,
    subject: (_kind, id) => credentials.principal(id),
    isAlive: () => true,
    clock,
    seconds: 60,
  };
  const tokens = new Tokens(deps, await DocumentCache.open(revocations, ({ id }) => id));
  const principal = device(clientId, 'client');
  const { access_token: token, expires_in: seconds } = tokens.issue(principal);
  assert.equal(seconds, 60);
  for (let i = 0; i < 10; i += 1) assert.deepEqual(tokens.verify(token), principal);
  assert.equal(verified, 1);
  clock.pass(60_000);
  assert.throws(() => tokens.verify(token), { code: 'unauthorized' });
  const fresh = tokens.issue(principal).access_token;
  tokens.verify(fresh);
  await credentials.remove(clientId);
  assert.throws(() => tokens.verify(fresh), { code: 'unauthorized' });
  for (const garbage of ['', 'x', 'null', '{}', '{"sub":1,"exp":1}', '[]']) {
    assert.throws(() => tokens.verify(garbage), { code: 'unauthorized' });
  }
});
