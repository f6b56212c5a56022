/**
 * All principals, their credentials and what they share, opened and closed together.
 *
 *     clients, people             owners of files
 *     sessions, apiTokens         their credentials
 *     revoked                     access tokens that were revoked before they expired
 *     shares                      links that open one file without an account
 *     grants                      permissions for other principals to read
 *     tenants                     groups that share nothing with each other
 */
import { createHash } from 'node:crypto';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import type { ApiTokenDocument, RevocationDocument, SessionDocument } from '../../records/credentials.ts';
import type { Creator, Principal, Subject } from '../../records/principal.ts';
import type { GrantDocument, ShareDocument } from '../../records/sharing.ts';
import type { DeviceDocument, PersonDocument, TenantDocument } from '../../records/subjects.ts';
import { ApiTokens } from '../credentials/api-tokens.ts';
import { Secrets } from '../credentials/secrets.ts';
import { Sessions } from '../credentials/sessions.ts';
import { DEFAULT_TENANT, mayRead, ownerKey } from '../rights/policy.ts';
import { Grants } from '../sharing/grants.ts';
import { Shares } from '../sharing/shares.ts';
import { DocumentCache } from '../state/document-cache.ts';
import { Clients, type Enrolled, type Issuance, type NewClient } from '../subjects/clients.ts';
import { People } from '../subjects/people.ts';
import { principalOf } from '../subjects/principals.ts';
import { Tenants } from '../subjects/tenants.ts';

/** Assumed lifetime of access tokens for offline commands, which do not know the setting. */
const MAX_ACCESS_SECONDS = 366 * 24 * 3600;

/** Collections of the stored documents. */
export interface IdentityStores {
  clients: Collection<DeviceDocument>;
  people: Collection<PersonDocument>;
  sessions: Collection<SessionDocument>;
  apiTokens: Collection<ApiTokenDocument>;
  revocations: Collection<RevocationDocument>;
  shares: Collection<ShareDocument>;
  grants: Collection<GrantDocument>;
  tenants: Collection<TenantDocument>;
}

/** Lifetimes of credentials. */
export interface IdentitySettings {
  /** Lifetime of a refresh token. */
  refreshSeconds: number;
  /** Lifetime of an access token. Callers that omit it issue no tokens. */
  accessSeconds?: number;
  /** Maximum age of a session, however often it is renewed. */
  sessionSeconds?: number;
}

/** Principals, credentials, share links, grants and tenants. */
export class Identity {
  readonly clients: Clients;
  readonly people: People;
  readonly sessions: Sessions;
  readonly apiTokens: ApiTokens;
  readonly revoked: DocumentCache<RevocationDocument>;
  readonly shares: Shares;
  readonly grants: Grants;
  readonly tenants: Tenants;
  readonly #clock: Clock;
  readonly #accessMs: number;
  readonly #tenantListeners: ((tenant: string) => Promise<void>)[] = [];

  private constructor(
    clock: Clock,
    accessSeconds: number,
    parts: Pick<
      Identity,
      'clients' | 'people' | 'sessions' | 'apiTokens' | 'revoked' | 'shares' | 'grants' | 'tenants'
    >,
  ) {
    this.#clock = clock;
    this.#accessMs = accessSeconds * 1000;
    this.clients = parts.clients;
    this.people = parts.people;
    this.sessions = parts.sessions;
    this.apiTokens = parts.apiTokens;
    this.revoked = parts.revoked;
    this.shares = parts.shares;
    this.grants = parts.grants;
    this.tenants = parts.tenants;
  }

  /** Reads all documents. */
  static async open(stores: IdentityStores, clock: Clock, settings: IdentitySettings): Promise<Identity> {
    // Shared, so that one limit on memory and threads covers all password hashes.
    const secrets = new Secrets();
    return new Identity(clock, settings.accessSeconds ?? MAX_ACCESS_SECONDS, {
      clients: await Clients.open(stores.clients, clock, secrets),
      people: await People.open(stores.people, clock, secrets),
      sessions: await Sessions.open(
        stores.sessions,
        clock,
        settings.refreshSeconds,
        settings.accessSeconds,
        settings.sessionSeconds,
      ),
      apiTokens: await ApiTokens.open(stores.apiTokens, clock),
      revoked: await DocumentCache.open(stores.revocations, ({ id }) => id),
      shares: await Shares.open(stores.shares, clock, secrets),
      grants: await Grants.open(stores.grants, clock),
      tenants: await Tenants.open(stores.tenants, clock),
    });
  }

  /**
   * The principal of a device or a person; null if they or their tenant are deleted, or if they are disabled.
   * @param issued when and for which generation the access token was issued; null is returned if the secret was renewed since
   */
  subject(kind: Subject['kind'], id: string, issued?: Issuance): Principal | null {
    if (kind === 'device' && issued !== undefined && !this.clients.isCurrent(id, issued)) return null;
    const principal = kind === 'device' ? this.clients.principal(id) : this.people.principal(id);
    return principal && this.tenants.has(principal.tenant) ? principal : null;
  }

  /** Telephone number of a principal's second factor (for an API token, its owner's); null: not registered. */
  phoneOf({ id, tenant }: Principal): string | null {
    const document = this.clients.find(id) ?? this.people.get(id);
    return document?.tenant === tenant ? (document.phone ?? null) : null;
  }

  /**
   * True while the creator of a share link or grant may read the files of this owner (an owner key), and the credential that it was
   * created with is valid.
   */
  mayStillRead({ id, kind, through }: Creator, owner: string): boolean {
    const document = kind === 'device' ? this.clients.find(id) : this.people.get(id);
    if (!document || document.disabled || !this.tenants.has(document.tenant)) return false;
    // `subject` would count as a use of the creator's account, which the use of a link is not.
    const { tenant, role } = document;
    if (!mayRead(principalOf({ id, kind, tenant, role }), owner)) return false;
    if (through?.kind === 'sign-in') return this.sessions.isAlive(through.id);
    return through === undefined || this.apiTokens.isLive(through.id);
  }

  /** True while a grant has not ended and its creator may still grant it. */
  isGrantValid({ id, maker, owner }: GrantDocument): boolean {
    return this.grants.isLive(id) && this.mayStillRead(maker, owner);
  }

  /** Ends the share links and grants of a file that was removed. Durable when it resolves. */
  async fileRemoved(id: string): Promise<void> {
    await Promise.all([this.shares.fileRemoved(id), this.grants.fileRemoved(id)]);
  }

  /**
   * At start: ends or moves share links and grants of files that were removed or replaced just before a crash.
   * @param current resolves with the id of the complete file of a name, and the id of the file that it replaced
   */
  async reconcileFiles(
    has: (id: string) => Promise<boolean>,
    current: (owner: string, name: string) => Promise<{ id: string; replaces: string | null } | null>,
  ): Promise<void> {
    for (const { owner, name, fileId } of this.grants.fileGrants()) {
      const file = await current(owner, name);
      if (file?.replaces === fileId) await this.grants.fileReplaced(fileId, file.id);
      else if (file?.id !== fileId) await this.grants.fileRemoved(fileId);
    }
    for (const id of [...this.shares.files]) if (!(await has(id))) await this.shares.fileRemoved(id);
  }

  /** True if the device or person exists in this tenant. */
  hasSubject(tenant: string, { id, kind }: Subject): boolean {
    const document = kind === 'device' ? this.clients.find(id) : this.people.get(id);
    return document?.tenant === tenant && this.tenants.has(tenant);
  }

  /**
   * Gives a device a new secret and role, and ends its sessions and API tokens. Null if it does not exist.
   * @param secret generated if absent
   */
  async renewClient(id: string, role: Role, secret?: string): Promise<Enrolled | null> {
    const subject: Subject = { kind: 'device', id };
    // The secret changes last: after an interruption, the old secret shows that the renewal must be repeated.
    await Promise.all([this.sessions.endAllOf(subject), this.apiTokens.revokeAllOf(subject)]);
    return this.clients.renew(id, role, secret);
  }

  /**
   * Creates a device with a chosen id. Durable when it resolves. Credentials of an earlier device with this id are not valid for the new
   * one, whatever the clock was at the time.
   */
  async createClient(client: NewClient & { id: string }): Promise<Enrolled> {
    const { id, tenant = DEFAULT_TENANT } = client;
    // Removes credentials that were created while the earlier device was being deleted.
    await this.#endAllOf({ kind: 'device', id }, tenant);
    return this.clients.create({ ...client, idWasUsed: this.revoked.get(tombstoneOf(id)) !== undefined });
  }

  /** Deletes a device or a person with their credentials, share links and grants; false if they do not exist. Their files stay. */
  async remove(subject: Subject): Promise<boolean> {
    const { id, kind } = subject;
    const found = kind === 'device' ? this.clients.find(id) : this.people.get(id);
    if (!found) return false;
    // Device ids can be chosen, so an id may be used again before access tokens of this device expire. Ids of people are unique.
    if (kind === 'device') {
      const until = this.#clock.steady() + this.#accessMs;
      await this.revoked.put({ id: tombstoneOf(id), until });
    }
    await this.#endAllOf(subject, found.tenant);
    return kind === 'device' ? this.clients.remove(id) : this.people.remove(id);
  }

  async #endAllOf(subject: Subject, tenant: string): Promise<void> {
    await Promise.all([
      this.sessions.endAllOf(subject),
      this.apiTokens.removeAllOf(subject),
      this.#endSharing(subject, ownerKey(tenant, subject.id)),
    ]);
  }

  /** Ends the links and grants that a subject created, received, or that others created for its files. */
  async #endSharing({ id, kind }: Subject, key: string): Promise<void> {
    const isSubject = (who: Subject): boolean => who.id === id && who.kind === kind;
    await Promise.all([
      this.shares.revokeWhere(({ maker, owner }) => owner === key || isSubject(maker)),
      this.grants.revokeWhere(({ maker, owner, grantee }) => owner === key || isSubject(maker) || isSubject(grantee)),
    ]);
  }

  /**
   * Creates an empty tenant. Durable when it resolves.
   * @throws LadingError `validation_failed`, `already_exists`
   */
  createTenant(id: string, name: string): Promise<TenantDocument> {
    return this.tenants.create(id, name, () => this.#removeAllIn(id));
  }

  /** Registers a function that removes other data of a deleted tenant. */
  onTenantRemoved(remove: (tenant: string) => Promise<void>): void {
    this.#tenantListeners.push(remove);
  }

  /**
   * Deletes a tenant with its clients and people; false if it does not exist. They cannot sign in from this moment. Files stay. Repeating
   * an interrupted deletion, or creating a tenant with this id, removes what is left.
   * @throws LadingError `invalid_request` for the default tenant
   */
  removeTenant(id: string): Promise<boolean> {
    return this.tenants.remove(id, () => this.#removeAllIn(id));
  }

  async #removeAllIn(tenant: string): Promise<void> {
    for (const { clientId: id } of this.clients.list(tenant)) await this.remove({ kind: 'device', id });
    for (const { id } of this.people.list(tenant)) await this.remove({ kind: 'person', id });
    for (const { id } of this.apiTokens.list(tenant, null)) await this.apiTokens.remove(id);
    for (const remove of this.#tenantListeners) await remove(tenant);
  }

  /** Removes credentials, links and grants that expired long ago, and revocations of such tokens. */
  async sweep(): Promise<void> {
    await this.sessions.sweep();
    await this.apiTokens.sweep();
    await this.shares.sweep();
    await this.grants.sweep();
    const expired = [...this.revoked.values()].filter(({ until }) => isLongPast(this.#clock, until));
    for (const { id } of expired) await this.revoked.remove(id);
  }

  /** Stores changes that are only in memory. */
  async close(): Promise<void> {
    await Promise.all([this.clients.close(), this.people.close(), this.apiTokens.close(), this.shares.close()]);
  }
}

/** Id of the document that marks a deleted device id while its access tokens may be in use. */
function tombstoneOf(clientId: string): string {
  return `client-${createHash('sha256').update(clientId).digest('hex').slice(0, 32)}`;
}
