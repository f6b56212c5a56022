import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LINGER_MS } from '../../../src/clock/clock.ts';
import { LadingError } from '../../../src/errors.ts';
import { ApiTokens } from '../../../src/identity/credentials/api-tokens.ts';
import { bench, OWNER, READ } from './api-tokens-setup.ts';

interface Step {
  kind: 'create' | 'rotate' | 'revoke' | 'pass' | 'restart';
  which: number;
  life: number | null;
}

/** The expected state of a token. */
interface Model {
  id: string;
  token: string;
  /** Its earlier secrets. */
  old: string[];
  until: number;
  revoked: boolean;
  uses: number;
}

test('uses of a token are counted in memory and stored once a minute and at a clean stop', async (t) => {
  const { tokens, store, written, clock } = await bench(t);
  const { document, token } = await tokens.create(READ);
  written.length = 0;
  for (let i = 0; i < 1000; i += 1) {
    assert.ok(tokens.use(token));
    clock.pass(100);
  }
  assert.equal(written.length, 1, 'one write in a hundred seconds');
  await tokens.close();
  assert.equal(written.length, 2);
  const again = await ApiTokens.open(store, clock);
  const { uses, lastUsed } = again.get(document.id) ?? {};
  assert.deepEqual([uses, lastUsed], [1000, clock.now() - 100]);
});

test('revoking all tokens of an owner includes one that is being created', async (t) => {
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

test('a text that is not exactly a token is refused', async (t) => {
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
  assert.equal(tokens.use(token)?.uses, 1, 'refused uses are not counted');
  assert.ok(!JSON.stringify([...tokens.list('default', null)]).includes(mine), 'no document contains the token');
});

test('only live tokens are valid after any order of creations, rotations and revocations', async (t) => {
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

test('the limit of a hundred tokens applies to each owner, also to a person and a device of one id', async (t) => {
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
  assert.equal(live().length, 2, 'the token of the person stays');
  assert.equal(tokens.list('default', OWNER.id).length, 102, 'revoked tokens stay listed');
  for (let n = 0; n < 3; n += 1) await tokens.revoke((await tokens.create(READ)).document.id);
  assert.equal(tokens.list('default', OWNER.id).length, 102, 'the latest hundred of them');
  clock.pass(30 * 24 * 3600 * 1000);
  assert.equal(await tokens.sweep(), 0, 'the date may be wrong');
  clock.pass(LINGER_MS);
  assert.equal(await tokens.sweep(), 100);
  assert.equal(live().length, 2);
});
