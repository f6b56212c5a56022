/**
 * Who may sign in. All clients are held in memory: a token of a deleted client must be refused on the very next request, and a
 * request must not wait for a disk to know that. Changes go to the store one after another.
 */
import { randomBytes } from 'node:crypto';
import type { ClientDocument, Clock, CredentialStore, Principal } from '../contracts.ts';
import type { Role } from '../protocol/schemas.ts';
import { generateSecret, Secrets } from './secrets.ts';

/** How often "last used" of one client is written down. */
const KEEP_LAST_USED_MS = 60_000;

interface Entry {
  document: ClientDocument;
  principal: Principal;
  /** When `lastUsed` was last handed to the store. */
  keptAt: number;
}

/** A new client; the only time that its secret is known. */
export interface Enrolled {
  clientId: string;
  secret: string;
  role: Role;
}

export class Credentials {
  readonly #store: CredentialStore;
  readonly #clock: Clock;
  readonly #secrets: Secrets;
  readonly #entries = new Map<string, Entry>();
  readonly #touched = new Set<string>();
  #writes: Promise<unknown> = Promise.resolve();

  private constructor(store: CredentialStore, clock: Clock, secrets: Secrets) {
    this.#store = store;
    this.#clock = clock;
    this.#secrets = secrets;
  }

  /** Reads every client from the store. */
  static async open(store: CredentialStore, clock: Clock, secrets = new Secrets()): Promise<Credentials> {
    const credentials = new Credentials(store, clock, secrets);
    for (const document of await store.list()) credentials.#remember(document);
    return credentials;
  }

  /** Durable when it resolves. Without `id` and `secret` both are made up. */
  async create(client: { role: Role; name: string | null; id?: string; secret?: string }): Promise<Enrolled> {
    const clientId = client.id ?? randomBytes(12).toString('hex');
    const secret = client.secret ?? generateSecret();
    const document: ClientDocument = {
      clientId,
      role: client.role,
      name: client.name,
      secretHash: await this.#secrets.hash(secret),
      createdAt: this.#clock.now(),
      lastUsed: null,
    };
    await this.#inTurn(() => this.#store.put(document));
    this.#remember(document);
    return { clientId, secret, role: client.role };
  }

  /** Who this is, or null: unknown id and wrong secret take the same time. */
  async authenticate(clientId: string, secret: string): Promise<Principal | null> {
    // Looked up again after the check: the client may have been deleted meanwhile.
    return (await this.isSecretOf(clientId, secret)) ? this.principal(clientId) : null;
  }

  isSecretOf(clientId: string, secret: string): Promise<boolean> {
    return this.#secrets.verify(secret, this.#entries.get(clientId)?.document.secretHash ?? null);
  }

  /** The client as it is now, or null when it is gone; remembers that it was used. */
  principal(clientId: string): Principal | null {
    const entry = this.#entries.get(clientId);
    if (!entry) return null;
    const now = this.#clock.now();
    entry.document.lastUsed = now;
    if (now - entry.keptAt >= KEEP_LAST_USED_MS) this.#keepLastUsed(entry, now);
    return entry.principal;
  }

  list(): ClientDocument[] {
    return [...this.#entries.values()].map((entry) => ({ ...entry.document }));
  }

  find(clientId: string): ClientDocument | null {
    return this.#entries.get(clientId)?.document ?? null;
  }

  /** Its tokens are worthless from this moment; false when there is no such client. */
  async remove(clientId: string): Promise<boolean> {
    if (!this.#entries.delete(clientId)) return false;
    await this.#inTurn(() => this.#store.remove(clientId));
    return true;
  }

  /** Writes down what is still only in memory. */
  async close(): Promise<void> {
    for (const entry of this.#entries.values()) {
      const { lastUsed } = entry.document;
      if (lastUsed !== null && lastUsed > entry.keptAt) this.#keepLastUsed(entry, lastUsed);
    }
    await this.#writes;
  }

  #remember(document: ClientDocument): void {
    const { clientId: id, role } = document;
    this.#entries.set(id, {
      document: { ...document },
      principal: Object.freeze({ id, role }),
      keptAt: document.lastUsed ?? 0,
    });
  }

  /** Queues one write; a client that was deleted before its turn is not written back. */
  #keepLastUsed(entry: Entry, now: number): void {
    const { clientId } = entry.document;
    entry.keptAt = now;
    if (this.#touched.has(clientId)) return;
    this.#touched.add(clientId);
    const write = this.#inTurn(async () => {
      this.#touched.delete(clientId);
      if (this.#entries.get(clientId) === entry) await this.#store.put({ ...entry.document });
    });
    // "Last used" is a convenience: a full disk must not make a request fail. The next minute tries again.
    write.catch(() => {});
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const turn = this.#writes.then(write);
    this.#writes = turn.catch(() => {});
    return turn;
  }
}
