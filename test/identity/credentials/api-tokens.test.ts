import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { LINGER_MS } from '../../../src/clock/clock.ts';
import type { Collection } from '../../../src/contracts/collection.ts';
import { LadingError } from '../../../src/errors.ts';
import { Tokens } from '../../../src/identity/access-tokens.ts';
import { Access } from '../../../src/identity/authenticate.ts';
import { ApiTokens, dayOf, usesByDay } from '../../../src/identity/credentials/api-tokens.ts';
import type { Identity } from '../../../src/identity/directory/identity.ts';
import { managesTokensOf, type TokenOwner } from '../../../src/identity/rights/policy.ts';
import { principalOf } from '../../../src/identity/subjects/principals.ts';
import type { Scope } from '../../../src/protocol/scopes.ts';
import { checkApiToken } from '../../../src/records/checks/identity.ts';
import type { ApiTokenDocument } from '../../../src/records/credentials.ts';
import { openLowdbCollection } from '../../../src/storage/lowdb/collection.ts';
import { openTestStore } from '../../support/disk/storage.ts';
import { clockOf, type HandClock, handClock } from '../../support/product/clock.ts';
import { addPerson, seededFolder, withIdentity } from '../../support/product/identity.ts';

interface Bench {
  tokens: ApiTokens;
  store: Collection<ApiTokenDocument>;
  /** Ids of the documents in the order in which they were written. */
  written: string[];
  clock: HandClock;
}

async function bench(t: TestContext): Promise<Bench> {
  const { documents } = await openTestStore(t);
  const store: Collection<ApiTokenDocument> = await openLowdbCollection({
    files: documents('api-tokens'),
    check: checkApiToken,
    idOf: ({ id }: ApiTokenDocument) => id,
    onDamaged: (key: string) => assert.fail(key),
  });
  const written: string[] = [];
  const put = store.put.bind(store);
  store.put = async (document) => {
    written.push(document.id);
    await put(document);
  };
  const clock = handClock();
  return { tokens: await ApiTokens.open(store, clock), store, written, clock };
}

const OWNER: TokenOwner = { id: 'device-1', kind: 'device', tenant: 'default', role: 'client' };
const READ = { owner: OWNER, name: null, scopes: ['files:read'], lifeMs: null } as const;

test('the use of a token is counted in memory and written once a minute, and by a clean stop', async (t) => {
  const { tokens, store, written, clock } = await bench(t);
  const { document, token } = await tokens.create(READ);
  written.length = 0;
  for (let i = 0; i < 1000; i += 1) {
    assert.ok(tokens.use(token));
    clock.pass(100);
  }
  assert.equal(written.length, 1, 'a hundred seconds hold one minute');
  await tokens.close();
  assert.equal(written.length, 2);
  const again = await ApiTokens.open(store, clock);
  const { uses, lastUsed } = again.get(document.id) ?? {};
  assert.deepEqual([uses, lastUsed], [1000, clock.now() - 100]);
});

test('when all of an owner are revoked, so is one that is being made', async (t) => {
  const { tokens } = await bench(t);
  const other = { ...READ, owner: { ...OWNER, id: 'device-2' } };
  const making = [tokens.create(READ), tokens.create(other)];
  await tokens.revokeAllOf(OWNER);
  const [mine, theirs] = await Promise.allSettled(making);
  assert.equal(mine?.status, 'rejected');
  assert.equal(theirs?.status, 'fulfilled');
  assert.deepEqual(
    tokens.list('default', OWNER.id).map(({ hash, revokedAt }) => [hash, revokedAt !== undefined]),
    [['', true]],
  );
  assert.equal(tokens.list('default', 'device-2').length, 1);
});

test('what does not fit exactly is nobody’s token', async (t) => {
  const { tokens } = await bench(t);
  const { token, document } = await tokens.create(READ);
  const other = await tokens.create(READ);
  const [mine, theirs] = [token.slice(-43), other.token.slice(-43)];
  const wrong = [
    '',
    'lat_',
    token.slice(0, -1),
    `${token}A`,
    ` ${token}`,
    token.replace(/^lat/, 'LAT'),
    `lat_${document.id}_${theirs}`,
    `lat_${other.document.id}_${mine}`,
    `lat_${document.id}_${document.hash.slice(0, 43)}`,
    document.hash,
  ];
  for (const text of wrong) assert.equal(tokens.use(text), null, text);
  assert.equal(tokens.use(token)?.uses, 1, 'what was refused is not counted');
  assert.ok(!JSON.stringify([...tokens.list('default', null)]).includes(mine), 'nothing stored gives it away');
});

interface Step {
  kind: 'create' | 'rotate' | 'revoke' | 'pass' | 'restart';
  which: number;
  life: number | null;
}

/** What one token should be. */
interface Model {
  id: string;
  token: string;
  /** Its secrets of before. */
  old: string[];
  until: number;
  revoked: boolean;
  uses: number;
}

test('whatever order they are made, rotated and revoked in, only the tokens work that should', async (t) => {
  const { tokens: first, store, clock } = await bench(t);
  let tokens = first;
  const take = async ({ kind, which, life }: Step, models: Model[]): Promise<void> => {
    const one = models[which % Math.max(1, models.length)];
    if (kind === 'pass') clock.pass(20);
    if (kind === 'restart') {
      await tokens.close();
      tokens = await ApiTokens.open(store, clock);
    }
    if (kind === 'create') {
      const { document, token } = await tokens.create({ ...READ, lifeMs: life });
      const until = clock.now() + (life ?? Number.POSITIVE_INFINITY);
      models.push({ id: document.id, token, old: [], until, revoked: false, uses: 0 });
    }
    if (kind === 'revoke' && one) {
      assert.equal(await tokens.revoke(one.id), true);
      one.revoked = true;
    }
    if (kind === 'rotate' && one) {
      const rotated = await tokens.rotate(one.id);
      assert.equal(rotated === undefined, one.revoked);
      one.old.push(one.token);
      one.token = rotated?.token ?? one.token;
    }
  };
  const check = ({ id, token, old, until, revoked, uses }: Model): number => {
    const good = !revoked && until > clock.now();
    const used = tokens.use(token);
    assert.deepEqual(used && [used.id, used.uses], good ? [id, uses + 1] : null);
    for (const former of old) if (former !== token) assert.equal(tokens.use(former), null);
    return good ? uses + 1 : uses;
  };
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom('create', 'create', 'rotate', 'revoke', 'pass', 'restart'),
    which: fc.nat(9),
    life: fc.constantFrom(null, 50, 500),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const models: Model[] = [];
      for (const next of steps) {
        await take(next, models);
        for (const model of models) model.uses = check(model);
      }
      for (const { id } of models) await tokens.revoke(id);
    }),
    { numRuns: 40 },
  );
});

test('a hundred live tokens an owner: other owners, and a person of the same id, have their own', async (t) => {
  const { tokens, clock } = await bench(t);
  const short = await tokens.create({ ...READ, lifeMs: 1000 });
  const many = await Promise.allSettled(Array.from({ length: 120 }, () => tokens.create(READ)));
  assert.equal(many.filter(({ status }) => status === 'fulfilled').length, 99);
  const full = (error: unknown) => error instanceof LadingError && error.code === 'quota_exceeded';
  await assert.rejects(tokens.create(READ), full);
  await tokens.create({ ...READ, owner: { ...OWNER, id: 'device-2' } });
  await tokens.create({ ...READ, owner: { ...OWNER, kind: 'person' } });
  clock.pass(1000);
  assert.equal(tokens.use(short.token), null);
  await tokens.create(READ);
  await assert.rejects(tokens.create(READ), full);
  assert.equal(await tokens.sweep(), 0, 'the date may be wrong');
  clock.pass(LINGER_MS);
  assert.equal(await tokens.sweep(), 1);
  await tokens.revokeAllOf(OWNER);
  await tokens.create(READ);
  const live = () => tokens.list('default', OWNER.id).filter(({ revokedAt }) => revokedAt === undefined);
  assert.equal(live().length, 2, 'the person’s is still there');
  assert.equal(tokens.list('default', OWNER.id).length, 102, 'revoked ones are listed for a while');
  for (let n = 0; n < 3; n += 1) await tokens.revoke((await tokens.create(READ)).document.id);
  assert.equal(tokens.list('default', OWNER.id).length, 102, 'the youngest hundred of them');
  clock.pass(30 * 24 * 3600 * 1000);
  assert.equal(await tokens.sweep(), 0, 'the date may be wrong');
  clock.pass(LINGER_MS);
  assert.equal(await tokens.sweep(), 100);
  assert.equal(live().length, 2);
});

/** Accepts API tokens; this test has no other tokens. */
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

test('a date that is set back begins no new day, and the next one does', async (t) => {
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

test('uses are counted by the day, the last thirty of them, and kept over a restart', async (t) => {
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

test('a token may never more than its owner may now', async (t) => {
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

test('whose tokens one may look after', () => {
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
