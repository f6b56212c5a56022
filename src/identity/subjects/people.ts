/** People: an e-mail address or a name and a password, or an account at an outside provider. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import type { Principal } from '../../records/principal.ts';
import type { QuotaLimits } from '../../records/quota.ts';
import type { AccountKind, FederatedAccount, NamedAccount, PersonDocument } from '../../records/subjects.ts';
import { Secrets } from '../credentials/secrets.ts';
import type { Asker } from '../limits/fair-queue.ts';
import { DocumentCache } from '../state/document-cache.ts';
import { principalOf } from './principals.ts';

export interface NewPerson {
  tenant: string;
  role: Role;
  /** Null: signs in by `account`. */
  email: string | null;
  name: string;
  surname: string;
  /** Null: signs in by `outside` only. */
  password: string | null;
  outside?: FederatedAccount[];
  account?: NamedAccount;
}

/** What may be changed of a person; absent: stays. */
export type PersonChange = Partial<Pick<PersonDocument, 'email' | 'name' | 'surname' | 'role'>> & {
  password?: string;
  outside?: FederatedAccount[];
  disabled?: boolean | undefined;
};

/** What of a person nobody else may have. */
type ClaimedKeys = Pick<PersonDocument, 'id' | 'tenant' | 'email' | 'outside' | 'account'>;

export class People {
  readonly #kept: DocumentCache<PersonDocument>;
  readonly #clock: Clock;
  readonly #secrets: Secrets;
  /** E-mail address (with its tenant) → id; addresses being registered right now included, so that two sign-ups make one person. */
  readonly #byEmail = new Map<string, string>();
  readonly #byOutside = new Map<string, string>();
  /** Kind and name (with the tenant) → id, as `#byEmail`. */
  readonly #byName = new Map<string, string>();
  readonly #principals = new Map<string, Principal>();

  private constructor(kept: DocumentCache<PersonDocument>, clock: Clock, secrets: Secrets) {
    this.#kept = kept;
    this.#clock = clock;
    this.#secrets = secrets;
    for (const person of kept.values()) this.#index(person);
  }

  static async open(store: Collection<PersonDocument>, clock: Clock, secrets = new Secrets()): Promise<People> {
    return new People(await DocumentCache.open(store, ({ id }) => id), clock, secrets);
  }

  /**
   * Durable when it resolves.
   * @throws LadingError `already_exists` when the address, the name or the outside account is somebody's
   */
  async create(person: NewPerson, asker?: Asker): Promise<PersonDocument> {
    const id = randomBytes(12).toString('hex');
    const { tenant, role, name, surname, outside = [], account } = person;
    const email = person.email === null ? null : normalizeEmail(person.email);
    const named = account === undefined ? {} : { account };
    const release = this.#claim({ id, tenant, email, outside, ...named });
    try {
      const passwordHash = person.password === null ? null : await this.#secrets.hash(person.password, asker);
      const createdAt = this.#clock.now();
      const known = { id, tenant, role, email, name, surname, passwordHash, outside, ...named };
      const document = { ...known, createdAt, lastUsed: null };
      await this.#kept.put(document);
      return document;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Who this is, or null: an unknown address and a wrong password take the same time. */
  authenticate(tenant: string, email: string, password: string, asker?: Asker): Promise<PersonDocument | null> {
    return this.#authenticate(this.byEmail(tenant, email), password, asker);
  }

  /** The same for those who sign in by a name. */
  authenticateNamed(
    tenant: string,
    kind: AccountKind,
    username: string,
    password: string,
    asker?: Asker,
  ): Promise<PersonDocument | null> {
    return this.#authenticate(this.byName(tenant, kind, username), password, asker);
  }

  async #authenticate(
    person: PersonDocument | null,
    password: string,
    asker: Asker | undefined,
  ): Promise<PersonDocument | null> {
    const right = await this.#secrets.verify(password, person?.passwordHash ?? null, asker);
    // Looked up again: the person may have been deleted meanwhile.
    return right && person ? (this.#kept.get(person.id) ?? null) : null;
  }

  isPasswordOf(id: string, password: string, asker?: Asker): Promise<boolean> {
    return this.#secrets.verify(password, this.#kept.get(id)?.passwordHash ?? null, asker);
  }

  get(id: string): PersonDocument | null {
    return this.#kept.get(id) ?? null;
  }

  byEmail(tenant: string, email: string): PersonDocument | null {
    return this.get(this.#byEmail.get(emailKey(tenant, normalizeEmail(email))) ?? '');
  }

  byName(tenant: string, kind: AccountKind, username: string): PersonDocument | null {
    return this.get(this.#byName.get(nameKey(tenant, kind, username)) ?? '');
  }

  /** The person who signs in with this account. */
  byOutside(tenant: string, account: FederatedAccount): PersonDocument | null {
    return this.get(this.#byOutside.get(outsideKey(tenant, account)) ?? '');
  }

  /** The person as they are now, or null when they are gone; remembers that they were here. */
  principal(id: string): Principal | null {
    const document = this.#kept.get(id);
    if (!document || document.disabled) return null;
    this.#kept.use({ ...document, lastUsed: this.#clock.now() }, this.#clock.monotonic());
    let principal = this.#principals.get(id);
    if (!principal) {
      principal = principalOf({ id, kind: 'person', tenant: document.tenant, role: document.role });
      this.#principals.set(id, principal);
    }
    return principal;
  }

  /** Of one tenant, or all for null; oldest first. */
  list(tenant: string | null): PersonDocument[] {
    return [...this.#kept.values()]
      .filter((person) => tenant === null || person.tenant === tenant)
      .sort((a, b) => a.createdAt - b.createdAt);
  }

  /**
   * Durable when it resolves; null when there is no such person.
   * @throws LadingError `already_exists`
   */
  async update(id: string, change: PersonChange, asker?: Asker): Promise<PersonDocument | null> {
    const { password, disabled, ...rest } = change;
    const passwordHash = password === undefined ? undefined : await this.#secrets.hash(password, asker);
    const before = this.#kept.get(id);
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
      await this.#kept.replace(before, after);
    } catch (error) {
      // Somebody may have asked meanwhile who they are.
      this.#principals.delete(id);
      release();
      throw error;
    }
    this.#unindex(before);
    const now = this.#kept.get(id);
    // Removed while it was written: its address is free again.
    if (now === undefined) this.#unindex(after);
    else this.#index(now);
    return now ?? null;
  }

  /** Durable when it resolves; false when there is no such person. */
  setQuota(id: string, quota: QuotaLimits): Promise<boolean> {
    return this.#kept.change(id, { quota });
  }

  /** The number of the second factor; null takes it away. Durable when it resolves; false when there is none of this id. */
  async setPhone(id: string, phone: string | null): Promise<boolean> {
    const before = this.#kept.get(id);
    if (!before) return false;
    const { phone: _, ...rest } = before;
    await this.#kept.replace(before, phone === null ? rest : { ...rest, phone });
    return true;
  }

  /** Their tokens are worthless from this moment; false when there is no such person. */
  async remove(id: string): Promise<boolean> {
    const person = this.#kept.get(id);
    if (!person || !(await this.#kept.remove(id))) return false;
    this.#unindex(person);
    return true;
  }

  close(): Promise<void> {
    return this.#kept.close();
  }

  /** Takes the address and the accounts for this person; the returned function gives back what was free before. */
  #claim(person: ClaimedKeys): () => void {
    const { id } = person;
    const wanted = this.#keysOf(person);
    const taken = wanted.find(([map, key]) => (map.get(key) ?? id) !== id);
    if (taken) {
      const what = taken[0] === this.#byName ? 'name' : 'address';
      throw new LadingError('already_exists', `There is an account with this ${what} already; sign in instead.`);
    }
    const fresh = wanted.filter(([map, key]) => !map.has(key));
    for (const [map, key] of fresh) map.set(key, id);
    return () => {
      for (const [map, key] of fresh) map.delete(key);
    };
  }

  /** Where a person is found, besides by id. */
  #keysOf({ tenant, email, outside, account }: ClaimedKeys): [Map<string, string>, string][] {
    const keys: [Map<string, string>, string][] = [];
    if (email !== null) keys.push([this.#byEmail, emailKey(tenant, email)]);
    if (account) keys.push([this.#byName, nameKey(tenant, account.kind, account.username)]);
    for (const other of outside) keys.push([this.#byOutside, outsideKey(tenant, other)]);
    return keys;
  }

  #index(person: PersonDocument): void {
    this.#principals.delete(person.id);
    for (const [map, key] of this.#keysOf(person)) map.set(key, person.id);
  }

  #unindex(person: PersonDocument): void {
    this.#principals.delete(person.id);
    // What was freed may be somebody else's by now.
    for (const [map, key] of this.#keysOf(person)) if (map.get(key) === person.id) map.delete(key);
  }
}

/** Addresses are compared without regard to case and to how Unicode composes letters. */
export function normalizeEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase();
}

/** Names are compared without regard to case, to how Unicode composes letters, and to spaces that nobody sees. */
export function normalizeUsername(username: string): string {
  return composedName(username).toLowerCase();
}

/** A name in one form: letters composed, no spaces around it, one between words. */
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

function outsideKey(tenant: string, { issuer, subject }: FederatedAccount): string {
  return JSON.stringify([tenant, issuer, subject]);
}
