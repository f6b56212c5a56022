/** What every collection of small documents must do, shown by the collection of devices. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { CredentialStore } from '../../../src/contracts/collection.ts';
import type { DocumentKind } from '../../../src/contracts/store.ts';
import { checkDevice } from '../../../src/records/checks/identity.ts';
import type { DeviceDocument } from '../../../src/records/subjects.ts';
import type { BackendUnderTest } from './backends.ts';
import { NEVER_DAMAGED } from './catalog.suite.ts';

export const DEVICES: DocumentKind<DeviceDocument> = {
  name: 'clients',
  check: checkDevice,
  idOf: ({ clientId }) => clientId,
};

export function client(clientId: string, members: Partial<DeviceDocument> = {}): DeviceDocument {
  return {
    clientId,
    tenant: 'default',
    role: 'client',
    name: null,
    secretHash: 'scrypt$16384$8$1$c2FsdA==$aGFzaA==',
    createdAt: 1_700_000_000_000,
    lastUsed: null,
    notBefore: null,
    ...members,
  };
}

export function collectionSuite(backend: BackendUnderTest): void {
  const name = `${backend.name} collection`;

  async function make(t: TestContext) {
    const under = await backend.open(t);
    const devices = await under.store.openCollection(DEVICES, NEVER_DAMAGED);
    const nowAndLater = async (check: (devices: CredentialStore) => Promise<void>): Promise<void> => {
      await check(devices);
      await check(await (await under.reopen()).openCollection(DEVICES, NEVER_DAMAGED));
    };
    return { credentials: devices, nowAndLater };
  }

  test(`${name}: a stored document is found, also by a new collection`, async (t) => {
    const { credentials, nowAndLater } = await make(t);
    const device = client('dev_A-1.b', { name: 'Pumpe 7 — Dach', lastUsed: 5, notBefore: 6 });
    const admin = client('admin', { role: 'admin' });
    await credentials.put(device);
    await credentials.put(admin);
    await nowAndLater(async (one) => {
      assert.deepEqual(await one.find('dev_A-1.b'), device);
      assert.deepEqual(await one.find('admin'), admin);
      assert.equal(await one.find('nobody'), null);
      assert.deepEqual(await one.list(), [admin, device]);
    });
  });

  test(`${name}: putting a document again replaces it, and the last of several concurrent puts wins`, async (t) => {
    const { credentials, nowAndLater } = await make(t);
    await Promise.all(Array.from({ length: 10 }, (_, n) => credentials.put(client('one', { lastUsed: n }))));
    await nowAndLater(async (one) => {
      assert.equal((await one.find('one'))?.lastUsed, 9);
      assert.equal((await one.list()).length, 1);
    });
  });

  test(`${name}: remove reports whether the document existed`, async (t) => {
    const { credentials, nowAndLater } = await make(t);
    await credentials.put(client('one'));
    await credentials.put(client('two'));
    assert.equal(await credentials.remove('one'), true);
    assert.equal(await credentials.remove('one'), false);
    assert.equal(await credentials.remove('../two'), false);
    await nowAndLater(async (one) => {
      assert.equal(await one.find('one'), null);
      assert.deepEqual(await one.list(), [client('two')]);
    });
  });

  test(`${name}: looking up any string is harmless`, async (t) => {
    const { credentials } = await make(t);
    for (const odd of ['', '..', '../../etc/passwd', 'a/b', '__proto__', 'constructor', 'x'.repeat(10_000), '\0']) {
      assert.equal(await credentials.find(odd), null);
    }
  });

  test(`${name}: an id that is not a valid file name is refused, and nothing is stored`, async (t) => {
    const { credentials } = await make(t);
    for (const odd of ['', '../x', 'a/b', 'ü', 'x'.repeat(129)]) await assert.rejects(credentials.put(client(odd)));
    assert.deepEqual(await credentials.list(), []);
  });
}
