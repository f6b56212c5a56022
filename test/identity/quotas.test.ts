import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UsageTotals } from '../../src/contracts/quota.ts';
import { LadingError } from '../../src/errors.ts';
import type { Identity } from '../../src/identity/directory/identity.ts';
import { Quotas } from '../../src/identity/quotas.ts';
import { addPerson, seededFolder, withIdentity } from '../support/product/identity.ts';

const DEFAULTS: UsageTotals = { bytes: 100, openUploads: 2, dayBytes: 0 };
const use = (members: Partial<UsageTotals> = {}): UsageTotals => ({
  bytes: 0,
  openUploads: 0,
  dayBytes: 0,
  ...members,
});

interface Refusal {
  expected: unknown;
  actual: unknown;
}

/** The error code and values of a refusal, or null. */
function ask(
  quotas: Quotas,
  owner: string,
  own: Partial<UsageTotals>,
  more: Partial<UsageTotals>,
  group = own,
): Refusal | null {
  try {
    quotas.admit(owner, { own: use(own), group: use(group) }, more);
    return null;
  } catch (error) {
    assert.ok(error instanceof LadingError && error.code === 'quota_exceeded');
    return { expected: error.members.expected, actual: error.members.actual };
  }
}

async function seed(identity: Identity): Promise<{ device: string; person: string; foreign: string }> {
  await identity.tenants.create('acme', 'Acme');
  return {
    device: (await identity.clients.create({ role: 'client', name: null })).clientId,
    person: await addPerson(identity, 'ada@example.org'),
    foreign: (await identity.clients.create({ role: 'client', name: null, tenant: 'acme' })).clientId,
  };
}

test('the defaults apply exactly to every principal, and 0 means unlimited', async (t) => {
  const { dataDir, seeded } = await seededFolder(t, seed);
  await withIdentity(dataDir, async (identity) => {
    const quotas = new Quotas(identity, DEFAULTS);
    for (const owner of [seeded.device, seeded.person, `acme/${seeded.foreign}`, 'gone']) {
      assert.equal(ask(quotas, owner, { bytes: 60 }, { bytes: 40 }), null);
      assert.deepEqual(ask(quotas, owner, { bytes: 60 }, { bytes: 41 }), { expected: 100, actual: 101 });
      assert.deepEqual(ask(quotas, owner, { openUploads: 2 }, { openUploads: 1 }), { expected: 2, actual: 3 });
      assert.equal(
        ask(quotas, owner, { openUploads: 2, bytes: 900 }, {}),
        null,
        'a change that adds nothing is allowed',
      );
      assert.equal(ask(quotas, owner, { dayBytes: 1e15 }, { dayBytes: 1 }), null);
    }
  });
});

test('a quota of a client, person or tenant replaces the default and survives a restart', async (t) => {
  const { dataDir, seeded } = await seededFolder(t, seed);
  const foreign = `acme/${seeded.foreign}`;
  const none = { bytes: null, openUploads: null, dayBytes: null };
  await withIdentity(dataDir, async (identity) => {
    const quotas = new Quotas(identity, DEFAULTS);
    assert.equal(await quotas.set('client', seeded.device, { ...none, bytes: 10, dayBytes: 5 }), true);
    assert.equal(await quotas.set('person', seeded.person, { ...none, bytes: 0 }), true);
    assert.equal(await quotas.set('tenant', 'acme', { ...none, bytes: 150 }), true);
    assert.equal(await quotas.set('tenant', 'default', { ...none, openUploads: 7 }), true);
    for (const kind of ['client', 'person', 'tenant'] as const) {
      assert.equal(await quotas.set(kind, 'nobody', none), false);
    }
    assert.equal(identity.clients.principal(seeded.device)?.id, seeded.device, 'a use does not revert it');
  });
  await withIdentity(dataDir, async (identity) => {
    const quotas = new Quotas(identity, DEFAULTS);
    assert.deepEqual(ask(quotas, seeded.device, { bytes: 1 }, { bytes: 10 }), { expected: 10, actual: 11 });
    assert.deepEqual(ask(quotas, seeded.device, {}, { dayBytes: 6 }), { expected: 5, actual: 6 });
    assert.deepEqual(ask(quotas, seeded.device, { openUploads: 2 }, { openUploads: 1 }), { expected: 2, actual: 3 });
    assert.equal(ask(quotas, seeded.person, { bytes: 1e12 }, { bytes: 1 }, {}), null);
    assert.deepEqual(ask(quotas, foreign, {}, { bytes: 60 }, { bytes: 100 }), { expected: 150, actual: 160 });
    assert.deepEqual(ask(quotas, seeded.person, {}, { openUploads: 1 }, { openUploads: 7 }), {
      expected: 7,
      actual: 8,
    });
    assert.deepEqual(
      identity.tenants.list().map(({ id }) => id),
      ['default', 'acme'],
    );
  });
});

test('a principal does not get the quota of an equal id in another tenant', async (t) => {
  const { dataDir, seeded } = await seededFolder(t, seed);
  await withIdentity(dataDir, async (identity) => {
    const quotas = new Quotas(identity, DEFAULTS);
    await quotas.set('client', seeded.foreign, { bytes: 0, openUploads: 0, dayBytes: 0 });
    assert.equal(quotas.ofPrincipal('acme', seeded.foreign).bytes, 0);
    assert.equal(quotas.ofPrincipal('default', seeded.foreign).bytes, 100);
    const { owner, tenant } = quotas.find('client', seeded.foreign) ?? {};
    assert.deepEqual([owner, tenant], [`acme/${seeded.foreign}`, 'acme']);
    assert.equal(quotas.find('client', 'nobody'), null);
    assert.equal(quotas.find('tenant', 'nobody'), null);
    assert.equal(quotas.groupOf(quotas.find('tenant', 'acme')?.owner ?? ''), 'acme');
    assert.equal(quotas.groupOf(quotas.find('tenant', 'default')?.owner ?? 'x/'), 'default');
  });
});
