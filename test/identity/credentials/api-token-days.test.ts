/** API tokens: uses by day, and the rights of their owners. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../../src/errors.ts';
import { Tokens } from '../../../src/identity/access-tokens.ts';
import { Access } from '../../../src/identity/authenticate.ts';
import { ApiTokens, dayOf, usesByDay } from '../../../src/identity/credentials/api-tokens.ts';
import type { Identity } from '../../../src/identity/directory/identity.ts';
import { managesTokensOf, type TokenOwner } from '../../../src/identity/rights/policy.ts';
import { principalOf } from '../../../src/identity/subjects/principals.ts';
import type { Scope } from '../../../src/protocol/scopes.ts';
import { clockOf } from '../../support/product/clock.ts';
import { addPerson, seededFolder, withIdentity } from '../../support/product/identity.ts';
import { bench, READ } from './api-tokens-setup.ts';

/** Accepts API tokens. The tests have no other tokens. */
function accessOf(identity: Identity): Access {
  const never = (): never => assert.fail('no access token is looked at');
  const deps = {
    issuer: 'lading',
    sign: never,
    verify: never,
    subject: never,
    generationOf: never,
    isAlive: never,
    seconds: 60,
  };
  return new Access(identity, new Tokens({ ...deps, clock: clockOf(never) }, identity.revoked));
}

test('a date that was set back does not begin a new day, and the next day does', async (t) => {
  const { tokens, clock } = await bench(t);
  const { document, token } = await tokens.create(READ);
  const today = (): number | undefined => usesByDay(tokens.get(document.id)?.days, dayOf(clock.now())).at(-1);
  for (let n = 0; n < 3; n += 1) tokens.use(token);
  clock.time -= 365 * 86_400_000;
  for (let n = 0; n < 3; n += 1) tokens.use(token);
  assert.equal(today(), 6);
  clock.pass(86_400_000);
  tokens.use(token);
  assert.equal(today(), 1);
});

test('uses are counted by day for thirty days and survive a restart', async (t) => {
  const { tokens, store, clock } = await bench(t);
  const owner = { id: 'a', kind: 'device', tenant: 'default' } as const;
  const { token, document } = await tokens.create({ owner, name: null, scopes: ['files:read'], lifeMs: null });
  const day = 24 * 3600 * 1000;
  const counted = (from = tokens) => usesByDay(from.get(document.id)?.days, dayOf(clock.now()));
  assert.deepEqual(counted(), new Array(30).fill(0));
  for (const uses of [3, 0, 2]) {
    for (let use = 0; use < uses; use += 1) tokens.use(token);
    clock.pass(day);
  }
  tokens.use(token);
  assert.deepEqual(counted().slice(-5), [0, 3, 0, 2, 1]);
  await tokens.close();
  const again = await ApiTokens.open(store, clock);
  assert.deepEqual(counted(again).slice(-5), [0, 3, 0, 2, 1]);
  clock.pass(27 * day);
  assert.deepEqual(counted(again), [0, 2, 1, ...new Array(27).fill(0)]);
  again.use(token);
  clock.pass(40 * day);
  again.use(token);
  assert.deepEqual(counted(again), [...new Array(29).fill(0), 1]);
  assert.equal(again.get(document.id)?.uses, 8);
  await again.close();
});

test('a token never has more rights than its owner has now', async (t) => {
  const { dataDir } = await seededFolder(t, async () => undefined);
  await withIdentity(dataDir, async (identity) => {
    const id = await addPerson(identity, 'ada@example.org', 'admin');
    const scopes: Scope[] = ['files:read', 'users:admin'];
    const owner = { id, kind: 'person', tenant: 'default' } as const;
    const { token } = await identity.apiTokens.create({ owner, name: null, scopes, lifeMs: null });
    const access = accessOf(identity);
    const held = (): string => {
      const { role, kind, scopes: now } = access.bearer(token);
      return `${kind} ${role}: ${[...now].join(' ')}`;
    };
    assert.equal(held(), 'token admin: files:read users:admin');
    await identity.people.update(id, { role: 'client' });
    assert.equal(held(), 'token client: files:read');
    await identity.people.update(id, { role: 'ops' });
    assert.equal(held(), 'token ops: files:read');
    await identity.people.update(id, { role: 'admin' });
    assert.equal(held(), 'token admin: files:read users:admin');
    const refused = (error: unknown) => error instanceof LadingError && error.code === 'unauthorized';
    await identity.remove({ kind: 'person', id });
    assert.throws(held, refused);
    assert.deepEqual(identity.apiTokens.list('default', null), []);
  });
});

test('a principal manages the API tokens that its role and scopes allow', () => {
  const who = (
    id: string,
    role: TokenOwner['role'],
    tenant = 'default',
    kind: TokenOwner['kind'] | 'token' = 'device',
  ) => principalOf({ id, role, tenant, kind });
  const owner = (id: string, role: TokenOwner['role'], tenant = 'default'): TokenOwner => {
    return { id, role, tenant, kind: 'device' };
  };
  const cases: [who: ReturnType<typeof who>, owner: TokenOwner, may: boolean][] = [
    [who('a', 'client'), owner('a', 'client'), true],
    [who('a', 'client', 'default', 'person'), owner('a', 'client'), false],
    [who('a', 'client', 'default', 'token'), owner('a', 'client'), false],
    [who('a', 'client'), owner('b', 'client'), false],
    [who('a', 'ops'), owner('b', 'client'), false],
    [who('a', 'admin'), owner('b', 'client'), true],
    [who('a', 'admin'), owner('b', 'admin'), true],
    [who('a', 'admin'), owner('b', 'root'), false],
    [who('a', 'admin'), owner('b', 'client', 'other'), false],
    [who('a', 'admin', 'default', 'token'), owner('a', 'admin'), true],
    [who('a', 'root'), owner('b', 'root', 'other'), true],
    [who('a', 'root', 'default', 'token'), owner('b', 'client', 'other'), false],
    [
      principalOf({ id: 'a', role: 'admin', tenant: 'default', kind: 'token' }, ['files:read']),
      owner('a', 'admin'),
      false,
    ],
  ];
  for (const [principal, of, may] of cases) {
    assert.equal(managesTokensOf(principal, of), may, `${JSON.stringify(principal)} ${JSON.stringify(of)}`);
  }
});
