/** Opens collections of small documents in the storage. */
import type { Collection } from '../contracts/collection.ts';
import type { Check, CollectionName, DocumentReports, Store } from '../contracts/store.ts';
import type { IdentityStores } from '../identity/directory/identity.ts';
import {
  checkApiToken,
  checkDevice,
  checkGrant,
  checkPerson,
  checkRevocation,
  checkSession,
  checkShare,
  checkTenant,
} from '../records/checks/identity.ts';
import type { DeviceDocument } from '../records/subjects.ts';

export function openCollection<T extends { id: string }>(
  store: Store,
  name: CollectionName,
  check: Check<T>,
  reports: DocumentReports,
): Promise<Collection<T>> {
  return store.openCollection({ name, check, idOf: ({ id }: T) => id }, reports);
}

export async function openIdentityStores(store: Store, reports: DocumentReports): Promise<IdentityStores> {
  const open = <T extends { id: string }>(name: CollectionName, check: Check<T>): Promise<Collection<T>> =>
    openCollection(store, name, check, reports);
  const clients = { name: 'clients' as const, check: checkDevice, idOf: ({ clientId }: DeviceDocument) => clientId };
  return {
    clients: await store.openCollection(clients, reports),
    people: await open('people', checkPerson),
    sessions: await open('sign-ins', checkSession),
    apiTokens: await open('api-tokens', checkApiToken),
    revocations: await open('revocations', checkRevocation),
    shares: await open('shares', checkShare),
    grants: await open('grants', checkGrant),
    tenants: await open('tenants', checkTenant),
  };
}
