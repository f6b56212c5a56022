import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type NewPerson, People } from '../../../src/identity/subjects/people.ts';
import { checkPerson } from '../../../src/records/checks/identity.ts';
import { failingStore } from '../../support/disk/failing-store.ts';
import { withCode } from '../../support/disk/storage.ts';
import { handClock } from '../../support/product/clock.ts';

const PASSWORD = 'violet kettle under nine bridges';
const anna: NewPerson & { email: string } = {
  tenant: 'default',
  role: 'client',
  email: 'anna@x.example',
  name: 'Anna',
  surname: 'Smith',
  password: PASSWORD,
};
/** Without a password, so that no hash is computed. */
const ben: typeof anna = { ...anna, email: 'ben@x.example', name: 'Ben', password: null };

async function bench(t: TestContext) {
  const { store, fail } = await failingStore(t, 'people', checkPerson);
  const clock = handClock();
  return { people: await People.open(store, clock), store, fail, clock, reopen: () => People.open(store, clock) };
}

test('a person is authenticated by address and password, also after a restart', async (t) => {
  const { people, store, reopen } = await bench(t);
  const made = await people.create({ ...anna, email: ' Anna@X.Example' });
  assert.equal(made.email, 'anna@x.example');
  for (const known of [people, await reopen()]) {
    assert.deepEqual(await known.authenticate('default', 'ANNA@x.example ', PASSWORD), made);
    assert.equal(await known.authenticate('default', 'anna@x.example', `${PASSWORD}!`), null);
    assert.equal(await known.authenticate('default', 'nobody@x.example', PASSWORD), null);
    assert.equal(await known.authenticate('other', 'anna@x.example', PASSWORD), null);
    assert.equal(known.principal(made.id)?.kind, 'person');
  }
  assert.ok(!JSON.stringify(await store.list()).includes(PASSWORD));
});

test('one of several concurrent sign-ups for an address succeeds', async (t) => {
  const { people, store, reopen } = await bench(t);
  const spellings = ['anna@x.example', 'ANNA@x.example', ' anna@X.example', 'Anna@x.example'];
  const tries = [...spellings, ...spellings].map((email, i) => people.create({ ...anna, email, name: `Anna ${i}` }));
  const results = await Promise.allSettled(tries);
  const made = results.filter((result) => result.status === 'fulfilled');
  assert.equal(made.length, 1);
  for (const result of results) {
    if (result.status === 'rejected') assert.ok(withCode('already_exists')(result.reason), String(result.reason));
  }
  assert.deepEqual(await store.list(), [made[0]?.value]);
  assert.equal((await reopen()).list('default').length, 1);
});

test('composed and decomposed letters are the same address, and tenants have separate addresses', async (t) => {
  const { people } = await bench(t);
  await people.create({ ...ben, email: 'jos\u00e9@x.example' });
  await assert.rejects(people.create({ ...ben, email: 'jose\u0301@x.example' }), { code: 'already_exists' });
  await people.create({ ...ben, email: 'jose@x.example' });
  const other = await people.create({ ...ben, email: 'jos\u00e9@x.example', tenant: 'acme' });
  assert.equal(people.byEmail('acme', 'JOSE\u0301@x.example')?.id, other.id);
  assert.deepEqual(
    people.list('acme').map(({ id }) => id),
    [other.id],
  );
  assert.equal(people.list(null).length, 3);
});

test('a failed creation leaves the address free', async (t) => {
  const { people, fail, reopen } = await bench(t);
  const outside = [{ issuer: 'https://id.example', subject: '7' }];
  fail(true);
  await assert.rejects(people.create({ ...ben, outside }), { code: 'insufficient_storage' });
  assert.equal(people.byEmail('default', ben.email), null);
  assert.equal(people.list(null).length, 0);
  fail(false);
  const made = await people.create({ ...ben, outside });
  assert.equal(people.byFederatedAccount('default', { issuer: 'https://id.example', subject: '7' })?.id, made.id);
  assert.equal((await reopen()).list(null).length, 1);
});

test('a sign-up during a failing one is refused, and succeeds after it', async (t) => {
  const { people, fail } = await bench(t);
  fail(true);
  const first = people.create(ben);
  await assert.rejects(people.create(ben), { code: 'already_exists' });
  await assert.rejects(first, { code: 'insufficient_storage' });
  fail(false);
  await people.create(ben);
});

test('a change is visible at once and after a restart, and frees the old address', async (t) => {
  const { people, reopen } = await bench(t);
  const { id } = await people.create(anna);
  const principal = people.principal(id);
  const changed = await people.update(id, { email: 'Anna.Smith@x.example', role: 'ops', password: `${PASSWORD} 2` });
  assert.equal(changed?.email, 'anna.smith@x.example');
  for (const known of [people, await reopen()]) {
    assert.equal(await known.authenticate('default', 'anna.smith@x.example', PASSWORD), null);
    assert.equal((await known.authenticate('default', 'anna.smith@x.example', `${PASSWORD} 2`))?.id, id);
    assert.equal(known.byEmail('default', 'anna@x.example'), null);
    assert.equal(known.principal(id)?.role, 'ops');
  }
  assert.equal(principal?.role, 'client', 'a principal in use does not change');
  await people.create({ ...ben, email: 'anna@x.example' });
  await assert.rejects(people.create({ ...ben, email: 'anna.smith@x.example' }), { code: 'already_exists' });
  await assert.rejects(people.update(id, { email: 'anna@x.example' }), { code: 'already_exists' });
  assert.equal(people.byEmail('default', 'anna.smith@x.example')?.id, id);
  assert.equal(await people.update('nobody', { name: 'X' }), null);
});

test('a failed change is reverted, also with uses in between', async (t) => {
  const { people, fail, clock } = await bench(t);
  const { id } = await people.create(anna);
  fail(true);
  const changing = people.update(id, { email: 'new@x.example', role: 'admin', name: 'Eve' });
  clock.pass(10);
  // A request of the person in between, which records a use.
  people.principal(id);
  await assert.rejects(changing, { code: 'insufficient_storage' });
  fail(false);
  const { email, role, name } = people.get(id) ?? {};
  assert.deepEqual({ email, role, name }, { email: 'anna@x.example', role: 'client', name: 'Anna' });
  assert.equal(people.principal(id)?.role, 'client');
  assert.equal((await people.authenticate('default', 'anna@x.example', PASSWORD))?.id, id);
  await people.create({ ...ben, email: 'new@x.example' });
});

test('after concurrent changes of a person, only the last address is taken', async (t) => {
  const { people, reopen } = await bench(t);
  const { id } = await people.create(ben);
  const addresses = ['a@x.example', 'b@x.example', 'c@x.example', 'd@x.example'];
  await Promise.all(addresses.map((email) => people.update(id, { email })));
  for (const known of [people, await reopen()]) {
    assert.equal(known.get(id)?.email, 'd@x.example');
    assert.equal(known.byEmail('default', 'd@x.example')?.id, id);
  }
  for (const email of ['ben@x.example', 'a@x.example', 'b@x.example', 'c@x.example']) {
    await people.create({ ...ben, email });
  }
  await assert.rejects(people.create({ ...ben, email: 'd@x.example' }), { code: 'already_exists' });
});

test('one of two concurrent changes to an address succeeds', async (t) => {
  const { people } = await bench(t);
  const one = await people.create(ben);
  const two = await people.create({ ...ben, email: 'two@x.example' });
  const results = await Promise.allSettled([
    people.update(one.id, { email: 'wanted@x.example' }),
    people.update(two.id, { email: 'wanted@x.example' }),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  assert.equal(people.byEmail('default', 'wanted@x.example')?.id, one.id);
  assert.equal(people.byEmail('default', 'two@x.example')?.id, two.id);
});

test('a deleted person does not exist at once, also during a sign-in or a change', async (t) => {
  const { people, store, reopen } = await bench(t);
  const { id } = await people.create(anna);
  const checking = people.authenticate('default', anna.email, PASSWORD);
  const changing = people.update(id, { email: 'new@x.example' });
  const removing = people.remove(id);
  assert.equal(people.principal(id), null);
  assert.equal(people.get(id), null);
  assert.equal(await removing, true);
  assert.equal(await checking, null);
  assert.equal(await changing, null);
  assert.equal(await people.remove(id), false);
  assert.deepEqual(await store.list(), []);
  assert.equal((await reopen()).list(null).length, 0);
  for (const email of [anna.email, 'new@x.example']) await people.create({ ...ben, email });
});

test('a failed deletion leaves the person', async (t) => {
  const { people, fail } = await bench(t);
  const { id } = await people.create(ben);
  fail(true);
  await assert.rejects(people.remove(id), { code: 'insufficient_storage' });
  fail(false);
  assert.equal(people.principal(id)?.id, id);
  assert.equal(people.byEmail('default', ben.email)?.id, id);
  await assert.rejects(people.create(ben), { code: 'already_exists' });
  assert.equal(await people.remove(id), true);
  await people.create(ben);
});

test('a provider account belongs to one person of a tenant', async (t) => {
  const { people } = await bench(t);
  const account = { issuer: 'https://id.example', subject: 'a b' };
  const made = await people.create({ ...ben, outside: [account] });
  const second = { ...ben, email: 'second@x.example', outside: [account] };
  await assert.rejects(people.create(second), { code: 'already_exists' });
  assert.equal(people.byEmail('default', 'second@x.example'), null, 'the refused change leaves no index entry');
  await people.create({ ...second, tenant: 'acme' });
  await people.create({ ...second, outside: [{ issuer: 'https://id.example a', subject: 'b' }] });
  assert.equal(people.byFederatedAccount('default', account)?.id, made.id);
  await people.update(made.id, { outside: [] });
  assert.equal(people.byFederatedAccount('default', account), null);
  assert.equal(await people.authenticate('default', ben.email, ''), null, 'an empty password is not accepted');
});

test('the last use is stored at the stop', async (t) => {
  const { people, clock, reopen } = await bench(t);
  const { id } = await people.create(ben);
  clock.pass(5);
  people.principal(id);
  await people.close();
  assert.equal((await reopen()).get(id)?.lastUsed, clock.now());
});
