/** Who may sign in: one document a client on disk, all of them in memory. */
import type { ClientDocument, CredentialStore } from '../../contracts.ts';
import { type DocumentFiles, Documents, type OnDamaged } from './documents.ts';
import { Fields } from './fields.ts';

export interface LowdbCredentialsOptions {
  files: DocumentFiles;
  onDamaged: OnDamaged;
}

/** Reads every document; resolves when the store is ready. */
export async function openLowdbCredentials(options: LowdbCredentialsOptions): Promise<LowdbCredentials> {
  const documents = new Documents(options.files, checkClientDocument);
  const clients = new Map<string, ClientDocument>();
  await documents.load((clientId, document) => clients.set(clientId, document), options.onDamaged);
  return new LowdbCredentials(documents, clients);
}

export class LowdbCredentials implements CredentialStore {
  readonly #documents: Documents<ClientDocument>;
  readonly #clients: Map<string, ClientDocument>;

  constructor(documents: Documents<ClientDocument>, clients: Map<string, ClientDocument>) {
    this.#documents = documents;
    this.#clients = clients;
  }

  find(clientId: string): Promise<ClientDocument | null> {
    return Promise.resolve(this.#clients.get(clientId) ?? null);
  }

  /** In the order of their ids. */
  list(): Promise<ClientDocument[]> {
    return Promise.resolve([...this.#clients.values()].sort((a, b) => (a.clientId < b.clientId ? -1 : 1)));
  }

  async put(document: ClientDocument): Promise<void> {
    const copy = Object.freeze({ ...document });
    await this.#documents.put(copy.clientId, copy, () => this.#clients.set(copy.clientId, copy));
  }

  async remove(clientId: string): Promise<boolean> {
    if (!this.#clients.has(clientId)) return false;
    return this.#documents.remove(clientId, () => this.#clients.delete(clientId));
  }
}

/** Throws when `value` is not the document of client `clientId`. */
function checkClientDocument(value: unknown, clientId: string): ClientDocument {
  const fields = new Fields(value);
  if (fields.text('clientId') !== clientId) throw new Error('"clientId" is another client\'s');
  return Object.freeze({
    clientId,
    role: fields.oneOf('role', ['admin', 'client']),
    name: fields.textOrNull('name'),
    secretHash: fields.text('secretHash'),
    createdAt: fields.count('createdAt'),
    lastUsed: fields.countOrNull('lastUsed'),
  });
}
