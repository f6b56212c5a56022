import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ClientDocument, CredentialStore } from '../../src/contracts.ts';
import { ensureAdmin, makeSigningKey } from '../../src/identity/bootstrap.ts';
import { Credentials } from '../../src/identity/credentials.ts';
import { ownerOf, requireAdmin } from '../../src/identity/policy.ts';
import { Tokens } from '../../src/identity/tokens.ts';
import { openLowdbCredentials } from '../../src/storage/lowdb/credentials.ts';
import { openTestStore } from '../support/storage.ts';

interface Bench {
  credentials: Credentials;
  /** The real store, with a record of what was written. */
  store: CredentialStore;
  written: ClientDocument[];
  clock: { now(): number; pass(ms: number): void };
}

async function bench(t: TestContext): Promise<Bench> {
  const { clientDocuments: files } = await openTestStore(t);
  const store = await openLowdbCredentials({ files, onDamaged: (key) => assert.fail(key) });
  const written: ClientDocument[] = [];
  const put = store.put.bind(store);
  store.put = async (document) => {
    written.push(document);
    await put(document);
  };
  let now = 1_700_000_000_000;
  const clock = {
    now: () => now,
    pass: (ms: number) => {
      now += ms;
    },
  };
  return { credentials: await Credentials.open(store, clock), store, written, clock };
}

test('a client made is known to the next run, by its secret alone', async (t) => {
  const { credentials, store, clock } = await bench(t);
  const { clientId, secret } = await credentials.create({ role: 'client', name: 'device' });
  for (const known of [credentials, await Credentials.open(store, clock)]) {
    assert.deepEqual(await known.authenticate(clientId, secret), { id: clientId, role: 'client' });
    assert.equal(await known.authenticate(clientId, `${secret}x`), null);
    assert.equal(await known.authenticate('nobody', secret), null);
  }
  const document = await store.find(clientId);
  assert.ok(!JSON.stringify(document).includes(secret));
});

test('last use is written down once a minute at most, and at the end', async (t) => {
  const { credentials, store, written, clock } = await bench(t);
  const { clientId } = await credentials.create({ role: 'client', name: null });
  written.length = 0;
  const settled = async (count: number): Promise<void> => {
    while (written.length < count) await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(written.length, count);
  };
  credentials.principal(clientId);
  await settled(1);
  for (let i = 0; i < 599; i += 1) {
    clock.pass(100);
    credentials.principal(clientId);
  }
  await settled(1);
  clock.pass(100);
  credentials.principal(clientId);
  await settled(2);
  clock.pass(100);
  credentials.principal(clientId);
  await credentials.close();
  assert.equal(written.length, 3);
  assert.equal((await store.find(clientId))?.lastUsed, clock.now());
  await credentials.close();
  assert.equal(written.length, 3, 'nothing new, nothing written');
});

test('a deleted client is gone at once and is not written back by its last use', async (t) => {
  const { credentials, store } = await bench(t);
  const { clientId, secret } = await credentials.create({ role: 'client', name: null });
  const checking = credentials.authenticate(clientId, secret);
  credentials.principal(clientId);
  const removing = credentials.remove(clientId);
  assert.equal(credentials.principal(clientId), null);
  assert.equal(await removing, true);
  assert.equal(await checking, null, 'deleted while its secret was checked');
  assert.equal(await credentials.remove(clientId), false);
  await credentials.close();
  assert.equal(await store.find(clientId), null);
});

test('an administrator is made once; a configured one has the configured secret from then on', async (t) => {
  const { credentials } = await bench(t);
  const first = await ensureAdmin(credentials, null);
  assert.ok(first);
  assert.equal((await credentials.authenticate(first.id, first.secret))?.role, 'admin');
  assert.equal(await ensureAdmin(credentials, null), null);

  assert.equal(await ensureAdmin(credentials, { id: 'boss', secret: 'one' }), null);
  assert.equal((await credentials.authenticate('boss', 'one'))?.role, 'admin');
  await ensureAdmin(credentials, { id: 'boss', secret: 'two' });
  assert.equal(await credentials.authenticate('boss', 'one'), null);
  assert.equal((await credentials.authenticate('boss', 'two'))?.role, 'admin');
  const before = credentials.find('boss')?.secretHash;
  await ensureAdmin(credentials, { id: 'boss', secret: 'two' });
  assert.equal(credentials.find('boss')?.secretHash, before, 'nothing to change, nothing changed');
});

test('signing keys are long and new', () => {
  assert.ok(makeSigningKey().length >= 64);
  assert.notDeepEqual(makeSigningKey(), makeSigningKey());
});

test('who may do what', () => {
  const client = { id: 'c', role: 'client' } as const;
  const admin = { id: 'a', role: 'admin' } as const;
  assert.equal(ownerOf(client, undefined), 'c');
  assert.equal(ownerOf(client, 'c'), 'c');
  assert.equal(ownerOf(admin, undefined), 'a');
  assert.equal(ownerOf(admin, 'c'), 'c');
  for (const other of ['a', '', 'C']) assert.throws(() => ownerOf(client, other), { code: 'forbidden' });
  assert.throws(() => requireAdmin(client), { code: 'insufficient_scope' });
  requireAdmin(admin);
});

test('a token is looked at again when it runs out and when its client goes, however often it was good', async (t) => {
  const { credentials, clock } = await bench(t);
  const { clientId } = await credentials.create({ role: 'client', name: null });
  let verified = 0;
  const tokens = new Tokens({
    sign: (claims) => JSON.stringify(claims),
    verify: (token) => {
      verified += 1;
      return JSON.parse(token) as unknown;
    },
    credentials,
    clock,
    seconds: 60,
  });
  const principal = { id: clientId, role: 'client' } as const;
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
