/** Machines that sign in with an id and a secret of their own. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import type { Principal } from '../../records/principal.ts';
import type { QuotaLimits } from '../../records/quota.ts';
import type { DeviceDocument } from '../../records/subjects.ts';
import { isForeignHash } from '../credentials/foreign-hashes.ts';
import { generateSecret, hashGenerated, isGeneratedHash, Secrets } from '../credentials/secrets.ts';
import type { Asker } from '../limits/fair-queue.ts';
import { DEFAULT_TENANT } from '../rights/policy.ts';
import { DocumentCache } from '../state/document-cache.ts';
import { principalOf } from './principals.ts';

/** An id as `create` makes it: nobody guesses that one exists. */
const MADE_UP = /^[0-9a-f]{24}$/;

/** A new client; the only time that its secret is known. */
export interface Enrolled {
  clientId: string;
  secret: string;
  role: Role;
}

export interface NewClient {
  role: Role;
  name: string | null;
  tenant?: string;
  id?: string;
  secret?: string;
  /** Another client had this id: access tokens of that one must not be valid. */
  again?: boolean;
}

export interface ClientChange {
  role?: Role | undefined;
  name?: string | undefined;
  disabled?: boolean | undefined;
  endSessions?: boolean | undefined;
}

/** What an access token says of how it came to be. */
export interface Issuance {
  /** Of the client it was issued to; undefined for a person, or in a token of an earlier version. */
  generation: string | undefined;
  /** Milliseconds since the epoch. */
  issuedAt: number;
}

export class Clients {
  readonly #kept: DocumentCache<DeviceDocument>;
  readonly #clock: Clock;
  readonly #secrets: Secrets;
  /** Principals by client id, made anew when the document says something else. */
  readonly #principals = new Map<string, Principal>();

  private constructor(kept: DocumentCache<DeviceDocument>, clock: Clock, secrets: Secrets) {
    this.#kept = kept;
    this.#clock = clock;
    this.#secrets = secrets;
  }

  static async open(store: Collection<DeviceDocument>, clock: Clock, secrets = new Secrets()): Promise<Clients> {
    return new Clients(await DocumentCache.open(store, ({ clientId }) => clientId), clock, secrets);
  }

  /** Durable when it resolves. Without `id` and `secret` both are made up; `tell` is called with them before anything is kept. */
  async create(client: NewClient, tell?: (client: Enrolled) => void): Promise<Enrolled> {
    const clientId = client.id ?? randomBytes(12).toString('hex');
    const { secret = generateSecret() } = client;
    const enrolled: Enrolled = { clientId, secret, role: client.role };
    tell?.(enrolled);
    await this.#kept.put({
      clientId,
      tenant: client.tenant ?? DEFAULT_TENANT,
      role: client.role,
      name: client.name,
      secretHash: await this.#hashOf(secret, client.secret === undefined),
      createdAt: this.#clock.now(),
      lastUsed: null,
      notBefore: null,
      ...(client.again ? { generation: newGeneration() } : {}),
    });
    this.#principals.delete(clientId);
    return enrolled;
  }

  /**
   * The same client with a new secret and the role; null when there is none. Its access tokens of before are worthless. Durable when it
   * resolves.
   * @param chosen its secret; made up if it is not given
   */
  async renew(clientId: string, role: Role, chosen?: string): Promise<Enrolled | null> {
    const secret = chosen ?? generateSecret();
    const secretHash = await this.#hashOf(secret, chosen === undefined);
    const before = this.#kept.get(clientId);
    if (!before) return null;
    await this.#kept.put({ ...before, role, secretHash, generation: newGeneration() });
    this.#principals.delete(clientId);
    return { clientId, secret, role };
  }

  /** Who this is, or null: unknown id and wrong secret take the same time. */
  async authenticate(clientId: string, secret: string, asker?: Asker): Promise<Principal | null> {
    // Looked up again after the check: the client may have been deleted meanwhile.
    return (await this.isSecretOf(clientId, secret, asker)) ? this.principal(clientId) : null;
  }

  /** False too when it was changed while it was looked at. A right one that was generated, or was right before, waits for no turn. */
  async isSecretOf(clientId: string, secret: string, asker?: Asker): Promise<boolean> {
    const hash = this.#kept.get(clientId)?.secretHash ?? null;
    if (hash === null ? MADE_UP.test(clientId) : isGeneratedHash(hash)) {
      const right = hash !== null && (await this.#secrets.verify(secret, hash));
      // A name that somebody chose can be guessed: that there is such a client must not show in the time that a refusal takes.
      if (right || MADE_UP.test(clientId)) return right;
      return this.#secrets.verify(secret, null, asker);
    }
    const right = await this.#secrets.verifyOften(secret, hash, asker);
    const before = this.#kept.get(clientId);
    if (!right || !before || hash === null || !isForeignHash(hash)) return right && before?.secretHash === hash;
    // Another sign-in may have upgraded it meanwhile.
    if (before.secretHash !== hash) return this.isSecretOf(clientId, secret, asker);
    // The secret was right, whatever becomes of the hash; the next sign-in tries again.
    await this.#upgrade(before, secret, asker).catch(() => {});
    return true;
  }

  /** The hash of an older server gives way to one of ours now that the secret is known. Of no consequence for its tokens. */
  async #upgrade(before: DeviceDocument, secret: string, asker?: Asker): Promise<void> {
    const secretHash = await this.#secrets.hash(secret, asker);
    if (this.#kept.get(before.clientId)?.secretHash !== before.secretHash) return;
    await this.#kept.change(before.clientId, { secretHash });
  }

  /**
   * A client of an older server. Durable when it resolves; false when there is one of this id already.
   * @param secretHash as that server wrote it; see `isForeignHash`
   */
  async adopt({ id, role, secretHash }: { id: string; role: Role; secretHash: string }): Promise<boolean> {
    if (this.#kept.get(id)) return false;
    const made = { clientId: id, tenant: DEFAULT_TENANT, role, name: null, secretHash };
    await this.#kept.put({ ...made, createdAt: this.#clock.now(), lastUsed: null, notBefore: null });
    this.#principals.delete(id);
    return true;
  }

  /** True when an access token that says this of itself was issued to the client as it is now. */
  isCurrent(clientId: string, { generation, issuedAt }: Issuance): boolean {
    const document = this.#kept.get(clientId);
    if (document?.generation !== undefined) return document.generation === generation;
    // Neither knows of generations: both are of an earlier version.
    return generation === undefined && issuedAt >= (document?.notBefore ?? 0);
  }

  /** The client as it is now, or null when it is gone; remembers that it was used. */
  principal(clientId: string): Principal | null {
    const document = this.#kept.get(clientId);
    if (!document || document.disabled) return null;
    this.#kept.use({ ...document, lastUsed: this.#clock.now() }, this.#clock.monotonic());
    let principal = this.#principals.get(clientId);
    if (!principal) {
      principal = principalOf({ id: clientId, kind: 'device', tenant: document.tenant, role: document.role });
      this.#principals.set(clientId, principal);
    }
    return principal;
  }

  /** Of one tenant, or all for null. */
  list(tenant: string | null): DeviceDocument[] {
    return [...this.#kept.values()].filter((client) => tenant === null || client.tenant === tenant);
  }

  find(clientId: string): DeviceDocument | null {
    return this.#kept.get(clientId) ?? null;
  }

  /** Durable when it resolves; false when there is no such client. */
  setQuota(clientId: string, quota: QuotaLimits): Promise<boolean> {
    return this.#kept.change(clientId, { quota });
  }

  /** The number of the second factor; null takes it away. Durable when it resolves; false when there is none of this id. */
  async setPhone(clientId: string, phone: string | null): Promise<boolean> {
    const before = this.#kept.get(clientId);
    if (!before) return false;
    const { phone: _, ...rest } = before;
    await this.#kept.replace(before, phone === null ? rest : { ...rest, phone });
    return true;
  }

  /**
   * What is absent stays. Durable when it resolves; null when there is no such client.
   * @param endSessions access tokens of before are refused
   */
  async update(
    clientId: string,
    { role, name, disabled, endSessions = false }: ClientChange,
  ): Promise<DeviceDocument | null> {
    const before = this.#kept.get(clientId);
    if (!before) return null;
    const { disabled: was, ...rest } = before;
    const after: DeviceDocument = {
      ...rest,
      role: role ?? before.role,
      name: name ?? before.name,
      ...(endSessions || disabled ? { generation: newGeneration() } : {}),
      ...((disabled ?? was) ? { disabled: true } : {}),
    };
    await this.#kept.replace(before, after);
    this.#principals.delete(clientId);
    return this.#kept.get(clientId) ?? null;
  }

  /** Its tokens are worthless from this moment; false when there is no such client. */
  async remove(clientId: string): Promise<boolean> {
    this.#principals.delete(clientId);
    return this.#kept.remove(clientId);
  }

  #hashOf(secret: string, generated: boolean): Promise<string> | string {
    return generated ? hashGenerated(secret) : this.#secrets.hash(secret);
  }

  close(): Promise<void> {
    return this.#kept.close();
  }
}

function newGeneration(): string {
  return randomBytes(6).toString('base64url');
}
