/** Opens collections of small documents in the data directory. */
import type { Collection } from '../contracts/collection.ts';
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
import type { CollectionName } from '../storage/disk/directory/layout.ts';
import type { DiskStore } from '../storage/disk/store.ts';
import { openLowdbCollection } from '../storage/lowdb/collection.ts';
import type { Check, OnCorrectedDocument, OnDamaged } from '../storage/lowdb/documents.ts';

/** What is called for documents that are damaged, and for those whose numbers were corrected. */
export interface DocumentReports {
  onDamaged: OnDamaged;
  onCorrected?: OnCorrectedDocument;
}

export function openCollection<T extends { id: string }>(
  store: DiskStore,
  name: CollectionName,
  check: Check<T>,
  reports: DocumentReports,
): Promise<Collection<T>> {
  return openLowdbCollection({ files: store.documents(name), check, idOf: ({ id }: T) => id, ...reports });
}

export async function openIdentityStores(store: DiskStore, reports: DocumentReports): Promise<IdentityStores> {
  const open = <T extends { id: string }>(name: CollectionName, check: Check<T>): Promise<Collection<T>> =>
    openCollection(store, name, check, reports);
  const clients = openLowdbCollection({
    files: store.documents('clients'),
    check: checkDevice,
    idOf: ({ clientId }) => clientId,
    ...reports,
  });
  return {
    clients: await clients,
    people: await open('people', checkPerson),
    sessions: await open('sign-ins', checkSession),
    apiTokens: await open('api-tokens', checkApiToken),
    revocations: await open('revocations', checkRevocation),
    shares: await open('shares', checkShare),
    grants: await open('grants', checkGrant),
    tenants: await open('tenants', checkTenant),
  };
}
