/** People. They sign in with an e-mail address or username and a password, or through a sign-in provider. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import type { Principal } from '../../records/principal.ts';
import type { QuotaLimits } from '../../records/quota.ts';
import type { AccountKind, FederatedAccount, NamedAccount, PersonDocument } from '../../records/subjects.ts';
import { Secrets } from '../credentials/secrets.ts';
import type { Requester } from '../limits/fair-queue.ts';
import { DocumentCache } from '../state/document-cache.ts';
import { principalOf } from './principals.ts';

/** A person to create. */
export interface NewPerson {
  tenant: string;
  role: Role;
  /** Null if the person signs in with `account`. */
  email: string | null;
  name: string;
  surname: string;
  /** Null if the person signs in only through `outside`. */
  password: string | null;
  outside?: FederatedAccount[];
  account?: NamedAccount;
}

/** Changes of a person; absent fields stay. */
export type PersonChange = Partial<Pick<PersonDocument, 'email' | 'name' | 'surname' | 'role'>> & {
  password?: string;
  outside?: FederatedAccount[];
  disabled?: boolean | undefined;
};

/** Fields by which a person is found. No two people share a value. */
type ClaimedKeys = Pick<PersonDocument, 'id' | 'tenant' | 'email' | 'outside' | 'account'>;

/** The people. */
export class People {
  readonly #cache: DocumentCache<PersonDocument>;
  readonly #clock: Clock;
  readonly #secrets: Secrets;
  /** Tenant and e-mail address → id. Includes addresses that are being registered, so that concurrent sign-ups cannot share one. */
  readonly #byEmail = new Map<string, string>();
  readonly #byFederatedAccount = new Map<string, string>();
  /** Tenant, kind and username → id, like `#byEmail`. */
  readonly #byName = new Map<string, string>();
  readonly #principals = new Map<string, Principal>();

  private constructor(cache: DocumentCache<PersonDocument>, clock: Clock, secrets: Secrets) {
    this.#cache = cache;
    this.#clock = clock;
    this.#secrets = secrets;
    for (const person of cache.values()) this.#index(person);
  }

  static async open(store: Collection<PersonDocument>, clock: Clock, secrets = new Secrets()): Promise<People> {
    return new People(await DocumentCache.open(store, ({ id }) => id), clock, secrets);
  }

  /**
   * Creates a person. Durable when it resolves.
   * @throws LadingError `already_exists` when the address, the username or the provider account is taken
   */
  async create(person: NewPerson, requester?: Requester): Promise<PersonDocument> {
    const id = randomBytes(12).toString('hex');
    const { tenant, role, name, surname, outside = [], account } = person;
    const email = person.email === null ? null : normalizeEmail(person.email);
    const named = account === undefined ? {} : { account };
    const release = this.#claim({ id, tenant, email, outside, ...named });
    try {
      const passwordHash = person.password === null ? null : await this.#secrets.hash(person.password, requester);
      const createdAt = this.#clock.now();
      const known = { id, tenant, role, email, name, surname, passwordHash, outside, ...named };
      const document = { ...known, createdAt, lastUsed: null };
      await this.#cache.put(document);
      return document;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The person; null for an unknown address and for a wrong password, after the same time. */
  authenticate(tenant: string, email: string, password: string, requester?: Requester): Promise<PersonDocument | null> {
    return this.#authenticate(this.byEmail(tenant, email), password, requester);
  }

  /** Like `authenticate`, for usernames. */
  authenticateNamed(
    tenant: string,
    kind: AccountKind,
    username: string,
    password: string,
    requester?: Requester,
  ): Promise<PersonDocument | null> {
    return this.#authenticate(this.byName(tenant, kind, username), password, requester);
  }

  async #authenticate(
    person: PersonDocument | null,
    password: string,
    requester: Requester | undefined,
  ): Promise<PersonDocument | null> {
    const isCorrect = await this.#secrets.verify(password, person?.passwordHash ?? null, requester);
    // Looked up after the check: the person may have been deleted meanwhile.
    return isCorrect && person ? (this.#cache.get(person.id) ?? null) : null;
  }

  /** True if this is the person's password. */
  isPasswordOf(id: string, password: string, requester?: Requester): Promise<boolean> {
    return this.#secrets.verify(password, this.#cache.get(id)?.passwordHash ?? null, requester);
  }

  get(id: string): PersonDocument | null {
    return this.#cache.get(id) ?? null;
  }

  byEmail(tenant: string, email: string): PersonDocument | null {
    return this.get(this.#byEmail.get(emailKey(tenant, normalizeEmail(email))) ?? '');
  }

  byName(tenant: string, kind: AccountKind, username: string): PersonDocument | null {
    return this.get(this.#byName.get(nameKey(tenant, kind, username)) ?? '');
  }

  /** The person with this account at a sign-in provider. */
  byFederatedAccount(tenant: string, account: FederatedAccount): PersonDocument | null {
    return this.get(this.#byFederatedAccount.get(federatedKey(tenant, account)) ?? '');
  }

  /** The principal of a person; null if the person is deleted or disabled. Counts as a use. */
  principal(id: string): Principal | null {
    const document = this.#cache.get(id);
    if (!document || document.disabled) return null;
    this.#cache.putLater({ ...document, lastUsed: this.#clock.now() }, this.#clock.monotonic());
    let principal = this.#principals.get(id);
    if (!principal) {
      principal = principalOf({ id, kind: 'person', tenant: document.tenant, role: document.role });
      this.#principals.set(id, principal);
    }
    return principal;
  }

  /** People of one tenant, or of all tenants for null; oldest first. */
  list(tenant: string | null): PersonDocument[] {
    return [...this.#cache.values()]
      .filter((person) => tenant === null || person.tenant === tenant)
      .sort((a, b) => a.createdAt - b.createdAt);
  }

  /**
   * Changes a person. Durable when it resolves; null if they do not exist.
   * @throws LadingError `already_exists`
   */
  async update(id: string, change: PersonChange, requester?: Requester): Promise<PersonDocument | null> {
    const { password, disabled, ...rest } = change;
    const passwordHash = password === undefined ? undefined : await this.#secrets.hash(password, requester);
    const before = this.#cache.get(id);
    if (!before) return null;
    const { disabled: was, ...known } = before;
    const after: PersonDocument = {
      ...known,
      ...rest,
      ...(passwordHash === undefined ? {} : { passwordHash }),
      ...((disabled ?? was) ? { disabled: true as const } : {}),
    };
    after.email = after.email === null ? null : normalizeEmail(after.email);
    const release = this.#claim(after);
    try {
      await this.#cache.replace(before, after);
    } catch (error) {
      // `principal` may have cached the failed change meanwhile.
      this.#principals.delete(id);
      release();
      throw error;
    }
    this.#unindex(before);
    const current = this.#cache.get(id);
    // If the person was deleted meanwhile, the new address is free again.
    if (current === undefined) this.#unindex(after);
    else this.#index(current);
    return current ?? null;
  }

  /** Sets a quota. Durable when it resolves; false if the person does not exist. */
  setQuota(id: string, quota: QuotaLimits): Promise<boolean> {
    return this.#cache.change(id, { quota });
  }

  /** Sets the telephone number of the second factor; null removes it. Durable when it resolves; false if the id does not exist. */
  async setPhone(id: string, phone: string | null): Promise<boolean> {
    const before = this.#cache.get(id);
    if (!before) return false;
    const { phone: _, ...rest } = before;
    await this.#cache.replace(before, phone === null ? rest : { ...rest, phone });
    return true;
  }

  /** Deletes a person. Their tokens are invalid at once; false if they do not exist. */
  async remove(id: string): Promise<boolean> {
    const person = this.#cache.get(id);
    if (!person || !(await this.#cache.remove(id))) return false;
    this.#unindex(person);
    return true;
  }

  close(): Promise<void> {
    return this.#cache.close();
  }

  /** Reserves the keys of a person. Returns a function that releases the keys that were free before. */
  #claim(person: ClaimedKeys): () => void {
    const { id } = person;
    const wanted = this.#keysOf(person);
    const taken = wanted.find(([map, key]) => (map.get(key) ?? id) !== id);
    if (taken) {
      const field = taken[0] === this.#byName ? 'name' : 'address';
      throw new LadingError('already_exists', `An account with this ${field} already exists; sign in instead.`);
    }
    const fresh = wanted.filter(([map, key]) => !map.has(key));
    for (const [map, key] of fresh) map.set(key, id);
    return () => {
      for (const [map, key] of fresh) map.delete(key);
    };
  }

  /** The index entries of a person. */
  #keysOf({ tenant, email, outside, account }: ClaimedKeys): [Map<string, string>, string][] {
    const keys: [Map<string, string>, string][] = [];
    if (email !== null) keys.push([this.#byEmail, emailKey(tenant, email)]);
    if (account) keys.push([this.#byName, nameKey(tenant, account.kind, account.username)]);
    for (const federated of outside) keys.push([this.#byFederatedAccount, federatedKey(tenant, federated)]);
    return keys;
  }

  #index(person: PersonDocument): void {
    this.#principals.delete(person.id);
    for (const [map, key] of this.#keysOf(person)) map.set(key, person.id);
  }

  #unindex(person: PersonDocument): void {
    this.#principals.delete(person.id);
    // A released key may belong to another person by now.
    for (const [map, key] of this.#keysOf(person)) if (map.get(key) === person.id) map.delete(key);
  }
}

/** Form in which addresses are compared: NFC, lower case. */
export function normalizeEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase();
}

/** Form in which usernames are compared: NFC, lower case, single spaces. */
export function normalizeUsername(username: string): string {
  return composedName(username).toLowerCase();
}

/** A name in NFC, with single spaces between words and none around them. */
export function composedName(name: string): string {
  const words = name.normalize('NFC').split(' ');
  return words.filter((word) => word !== '').join(' ');
}

function emailKey(tenant: string, email: string): string {
  return `${tenant} ${email}`;
}

function nameKey(tenant: string, kind: AccountKind, username: string): string {
  return `${tenant} ${kind} ${normalizeUsername(username)}`;
}

function federatedKey(tenant: string, { issuer, subject }: FederatedAccount): string {
  return JSON.stringify([tenant, issuer, subject]);
}
