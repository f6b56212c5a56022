/**
 * Everything that is known of who may sign in, opened together and closed together.
 *
 *     clients, people             those who own files
 *     sessions, apiTokens         what they were given to show who they are
 *     revoked                     access tokens that were revoked before their time
 *     shares                      links by which anybody reads one file
 *     grants                      what others may read, by leave of its owner
 *     tenants                     those who share nothing with each other
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

/** Who does not say how long access tokens are valid is not the server, and must not cut them short. */
const MAX_ACCESS_SECONDS = 366 * 24 * 3600;

/** Where the documents are kept. */
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

export interface IdentitySettings {
  /** How long a refresh token is good. */
  refreshSeconds: number;
  /** How long an access token is; nothing is issued by those who do not say. */
  accessSeconds?: number;
  /** How old a session becomes, however often it is renewed. */
  sessionSeconds?: number;
}

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
  readonly #besides: ((tenant: string) => Promise<void>)[] = [];

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

  /** Reads everything. */
  static async open(stores: IdentityStores, clock: Clock, settings: IdentitySettings): Promise<Identity> {
    // One limit on the memory and threads of password hashes for all doors.
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
   * The client or the person as they are now, or null when they are gone or their tenant is.
   * @param issued what the access token that names them says of itself; null for one of before they were renewed
   */
  subject(kind: Subject['kind'], id: string, issued?: Issuance): Principal | null {
    if (kind === 'device' && issued !== undefined && !this.clients.isCurrent(id, issued)) return null;
    const principal = kind === 'device' ? this.clients.principal(id) : this.people.principal(id);
    return principal && this.tenants.has(principal.tenant) ? principal : null;
  }

  /** The number of the second factor of a principal, of an API token that of its owner; null: none was registered. */
  phoneOf({ id, tenant }: Principal): string | null {
    const document = this.clients.find(id) ?? this.people.get(id);
    return document?.tenant === tenant ? (document.phone ?? null) : null;
  }

  /**
   * True while whoever made something that outlives its request may read the files of this owner (as the engine knows it), and what it
   * was made with is good.
   */
  mayStillRead({ id, kind, through }: Creator, owner: string): boolean {
    const document = kind === 'device' ? this.clients.find(id) : this.people.get(id);
    if (!document || document.disabled || !this.tenants.has(document.tenant)) return false;
    // As they are now; that something they made is used is no use of their own.
    const { tenant, role } = document;
    if (!mayRead(principalOf({ id, kind, tenant, role }), owner)) return false;
    if (through?.kind === 'sign-in') return this.sessions.isAlive(through.id);
    return through === undefined || this.apiTokens.isLive(through.id);
  }

  /** True while a grant has not ended and who made it may grant it. */
  isGrantValid({ id, maker, owner }: GrantDocument): boolean {
    return this.grants.isLive(id) && this.mayStillRead(maker, owner);
  }

  /** A file is gone: what was shared of it ends. Durable when it resolves. */
  async fileRemoved(id: string): Promise<void> {
    await Promise.all([this.shares.fileRemoved(id), this.grants.fileRemoved(id)]);
  }

  /**
   * What a crash left of files that are gone, or that others took the place of.
   * @param now the id of the complete file of a name, and of the one that it replaced
   */
  async reconcileFiles(
    has: (id: string) => Promise<boolean>,
    now: (owner: string, name: string) => Promise<{ id: string; replaces: string | null } | null>,
  ): Promise<void> {
    for (const { owner, name, fileId } of this.grants.ofFiles()) {
      const file = await now(owner, name);
      if (file?.replaces === fileId) await this.grants.fileReplaced(fileId, file.id);
      else if (file?.id !== fileId) await this.grants.fileRemoved(fileId);
    }
    for (const id of [...this.shares.files]) if (!(await has(id))) await this.shares.fileRemoved(id);
  }

  /** True for a client or a person who is there, in this tenant. */
  subjectIn(tenant: string, { id, kind }: Subject): boolean {
    const document = kind === 'device' ? this.clients.find(id) : this.people.get(id);
    return document?.tenant === tenant && this.tenants.has(tenant);
  }

  /**
   * A client's new secret and role: what it was given before is worthless. Null when there is none.
   * @param secret made up if it is not given
   */
  async renewClient(id: string, role: Role, secret?: string): Promise<Enrolled | null> {
    const subject: Subject = { kind: 'device', id };
    // The secret last: when this is interrupted, the old one still shows that it is to be done.
    await Promise.all([this.sessions.endAllOf(subject), this.apiTokens.revokeAllOf(subject)]);
    return this.clients.renew(id, role, secret);
  }

  /**
   * Makes a client of a chosen id, durable when it resolves. Nothing that an earlier client of this id was given is valid for it, whatever
   * the date was then.
   */
  async createClient(client: NewClient & { id: string }): Promise<Enrolled> {
    const { id, tenant = DEFAULT_TENANT } = client;
    // What came in while the earlier one was being deleted.
    await this.#endAllOf({ kind: 'device', id }, tenant);
    return this.clients.create({ ...client, again: this.revoked.get(graveOf(id)) !== undefined });
  }

  /** Deletes a client or a person with everything they were given; false when there is none. Their files stay. */
  async remove(subject: Subject): Promise<boolean> {
    const { id, kind } = subject;
    const there = kind === 'device' ? this.clients.find(id) : this.people.get(id);
    if (!there) return false;
    // Ids of clients may be chosen, so one may come again while access tokens of this one have not expired. Ids of people never do.
    if (kind === 'device') {
      const until = this.#clock.steady() + this.#accessMs;
      await this.revoked.put({ id: graveOf(id), until });
    }
    await this.#endAllOf(subject, there.tenant);
    return kind === 'device' ? this.clients.remove(id) : this.people.remove(id);
  }

  async #endAllOf(subject: Subject, tenant: string): Promise<void> {
    await Promise.all([
      this.sessions.endAllOf(subject),
      this.apiTokens.forgetAllOf(subject),
      this.#endSharing(subject, ownerKey(tenant, subject.id)),
    ]);
  }

  /** What a subject shared, and what of its files was. */
  async #endSharing({ id, kind }: Subject, key: string): Promise<void> {
    const isTheirs = (who: Subject): boolean => who.id === id && who.kind === kind;
    await Promise.all([
      this.shares.revokeWhere(({ maker, owner }) => owner === key || isTheirs(maker)),
      this.grants.revokeWhere(({ maker, owner, grantee }) => owner === key || isTheirs(maker) || isTheirs(grantee)),
    ]);
  }

  /**
   * Makes a tenant in which nobody is, durable when it resolves.
   * @throws LadingError `validation_failed`, `already_exists`
   */
  createTenant(id: string, name: string): Promise<TenantDocument> {
    return this.tenants.create(id, name, () => this.#removeAllIn(id));
  }

  /** Others who keep something of a tenant: it goes with it. */
  onTenantRemoved(remove: (tenant: string) => Promise<void>): void {
    this.#besides.push(remove);
  }

  /**
   * Deletes a tenant with everybody in it and everything they were given; false when there is none. From the moment of asking nobody of
   * it is let in. Files stay. What an interruption leaves goes when it is asked for again, or when a tenant of the id is made.
   * @throws LadingError `invalid_request` for the default one
   */
  removeTenant(id: string): Promise<boolean> {
    return this.tenants.remove(id, () => this.#removeAllIn(id));
  }

  async #removeAllIn(tenant: string): Promise<void> {
    for (const { clientId: id } of this.clients.list(tenant)) await this.remove({ kind: 'device', id });
    for (const { id } of this.people.list(tenant)) await this.remove({ kind: 'person', id });
    for (const { id } of this.apiTokens.list(tenant, null)) await this.apiTokens.forget(id);
    for (const remove of this.#besides) await remove(tenant);
  }

  /** Removes what lapsed long ago, and revocations of tokens that did. */
  async sweep(): Promise<void> {
    await this.sessions.sweep();
    await this.apiTokens.sweep();
    await this.shares.sweep();
    await this.grants.sweep();
    const over = [...this.revoked.values()].filter(({ until }) => isLongPast(this.#clock, until));
    for (const { id } of over) await this.revoked.remove(id);
  }

  /** Writes down what is still only in memory. */
  async close(): Promise<void> {
    await Promise.all([this.clients.close(), this.people.close(), this.apiTokens.close(), this.shares.close()]);
  }
}

/** Where it is remembered that there was a client of this id, as long as access tokens of it may be in use. */
function graveOf(clientId: string): string {
  return `client-${createHash('sha256').update(clientId).digest('hex').slice(0, 32)}`;
}
