/** Devices: machines that sign in with an id and a secret. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import type { Principal } from '../../records/principal.ts';
import type { QuotaLimits } from '../../records/quota.ts';
import type { DeviceDocument } from '../../records/subjects.ts';
import { isForeignHash } from '../credentials/foreign-hashes.ts';
import { generateSecret, hashGenerated, isGeneratedHash, Secrets } from '../credentials/secrets.ts';
import type { Requester } from '../limits/fair-queue.ts';
import { DEFAULT_TENANT } from '../rights/policy.ts';
import { DocumentCache } from '../state/document-cache.ts';
import { principalOf } from './principals.ts';

/** The form of a generated id. Such an id cannot be guessed. */
const GENERATED_ID = /^[0-9a-f]{24}$/;

/** A new device. Its secret is not stored. */
export interface Enrolled {
  clientId: string;
  secret: string;
  role: Role;
}

/** A device to create. */
export interface NewClient {
  role: Role;
  name: string | null;
  tenant?: string;
  id?: string;
  secret?: string;
  /** True if a deleted device had this id: access tokens of that device must not be valid for the new one. */
  idWasUsed?: boolean;
}

/** Changes of a device; absent fields stay. */
export interface ClientChange {
  role?: Role | undefined;
  name?: string | undefined;
  disabled?: boolean | undefined;
  endSessions?: boolean | undefined;
}

/** When an access token was issued, and for which credentials. */
export interface Issuance {
  /** Generation of the device; undefined for people and for tokens of earlier versions. */
  generation: string | undefined;
  /** Milliseconds since the epoch. */
  issuedAt: number;
}

/** The devices. */
export class Clients {
  readonly #cache: DocumentCache<DeviceDocument>;
  readonly #clock: Clock;
  readonly #secrets: Secrets;
  /** Principals by device id, dropped when the document changes. */
  readonly #principals = new Map<string, Principal>();

  private constructor(cache: DocumentCache<DeviceDocument>, clock: Clock, secrets: Secrets) {
    this.#cache = cache;
    this.#clock = clock;
    this.#secrets = secrets;
  }

  static async open(store: Collection<DeviceDocument>, clock: Clock, secrets = new Secrets()): Promise<Clients> {
    return new Clients(await DocumentCache.open(store, ({ clientId }) => clientId), clock, secrets);
  }

  /**
   * Creates a device. Id and secret are generated if absent. Durable when it resolves.
   * @param beforeStored receives id and secret before they are stored
   */
  async create(client: NewClient, beforeStored?: (client: Enrolled) => void): Promise<Enrolled> {
    const clientId = client.id ?? randomBytes(12).toString('hex');
    const { secret = generateSecret() } = client;
    const enrolled: Enrolled = { clientId, secret, role: client.role };
    beforeStored?.(enrolled);
    await this.#cache.put({
      clientId,
      tenant: client.tenant ?? DEFAULT_TENANT,
      role: client.role,
      name: client.name,
      secretHash: await this.#hashOf(secret, client.secret === undefined),
      createdAt: this.#clock.now(),
      lastUsed: null,
      notBefore: null,
      ...(client.idWasUsed ? { generation: newGeneration() } : {}),
    });
    this.#principals.delete(clientId);
    return enrolled;
  }

  /**
   * Gives a device a new secret and role, and invalidates its access tokens. Durable when it resolves; null if it does not exist.
   * @param chosen the secret; generated if absent
   */
  async renew(clientId: string, role: Role, chosen?: string): Promise<Enrolled | null> {
    const secret = chosen ?? generateSecret();
    const secretHash = await this.#hashOf(secret, chosen === undefined);
    const before = this.#cache.get(clientId);
    if (!before) return null;
    await this.#cache.put({ ...before, role, secretHash, generation: newGeneration() });
    this.#principals.delete(clientId);
    return { clientId, secret, role };
  }

  /** The principal; null for an unknown id and for a wrong secret, after the same time. */
  async authenticate(clientId: string, secret: string, requester?: Requester): Promise<Principal | null> {
    // Looked up after the check: the device may have been deleted meanwhile.
    return (await this.isSecretOf(clientId, secret, requester)) ? this.principal(clientId) : null;
  }

  /** True if the secret is correct and was not changed during the check. Generated and recently verified secrets do not wait in the queue. */
  async isSecretOf(clientId: string, secret: string, requester?: Requester): Promise<boolean> {
    const hash = this.#cache.get(clientId)?.secretHash ?? null;
    if (hash === null ? GENERATED_ID.test(clientId) : isGeneratedHash(hash)) {
      const isCorrect = hash !== null && (await this.#secrets.verify(secret, hash));
      // A chosen id can be guessed. The time of a refusal must not reveal whether the device exists.
      if (isCorrect || GENERATED_ID.test(clientId)) return isCorrect;
      return this.#secrets.verify(secret, null, requester);
    }
    const isCorrect = await this.#secrets.verifyCached(secret, hash, requester);
    const before = this.#cache.get(clientId);
    if (!isCorrect || !before || hash === null || !isForeignHash(hash)) return isCorrect && before?.secretHash === hash;
    // Another sign-in may have upgraded the hash meanwhile.
    if (before.secretHash !== hash) return this.isSecretOf(clientId, secret, requester);
    // The secret is correct even if the upgrade fails. The next sign-in tries again.
    await this.#upgrade(before, secret, requester).catch(() => {});
    return true;
  }

  /** Replaces a hash of an older server with one of this server. Tokens stay valid. */
  async #upgrade(before: DeviceDocument, secret: string, requester?: Requester): Promise<void> {
    const secretHash = await this.#secrets.hash(secret, requester);
    if (this.#cache.get(before.clientId)?.secretHash !== before.secretHash) return;
    await this.#cache.change(before.clientId, { secretHash });
  }

  /**
   * Imports a device of an older server. Durable when it resolves; false if the id exists already.
   * @param secretHash in the format of that server; see `isForeignHash`
   */
  async importDevice({ id, role, secretHash }: { id: string; role: Role; secretHash: string }): Promise<boolean> {
    if (this.#cache.get(id)) return false;
    const imported = { clientId: id, tenant: DEFAULT_TENANT, role, name: null, secretHash };
    await this.#cache.put({ ...imported, createdAt: this.#clock.now(), lastUsed: null, notBefore: null });
    this.#principals.delete(id);
    return true;
  }

  /** True if an access token was issued for the current secret of the device. */
  isCurrent(clientId: string, { generation, issuedAt }: Issuance): boolean {
    const document = this.#cache.get(clientId);
    if (document?.generation !== undefined) return document.generation === generation;
    // Tokens and documents of earlier versions have no generation: compare dates.
    return generation === undefined && issuedAt >= (document?.notBefore ?? 0);
  }

  /** The principal of a device; null if the device is deleted or disabled. Counts as a use. */
  principal(clientId: string): Principal | null {
    const document = this.#cache.get(clientId);
    if (!document || document.disabled) return null;
    this.#cache.putLater({ ...document, lastUsed: this.#clock.now() }, this.#clock.monotonic());
    let principal = this.#principals.get(clientId);
    if (!principal) {
      principal = principalOf({ id: clientId, kind: 'device', tenant: document.tenant, role: document.role });
      this.#principals.set(clientId, principal);
    }
    return principal;
  }

  /** Devices of one tenant, or of all tenants for null. */
  list(tenant: string | null): DeviceDocument[] {
    return [...this.#cache.values()].filter((client) => tenant === null || client.tenant === tenant);
  }

  find(clientId: string): DeviceDocument | null {
    return this.#cache.get(clientId) ?? null;
  }

  /** Sets a quota. Durable when it resolves; false if the device does not exist. */
  setQuota(clientId: string, quota: QuotaLimits): Promise<boolean> {
    return this.#cache.change(clientId, { quota });
  }

  /** Sets the telephone number of the second factor; null removes it. Durable when it resolves; false if the id does not exist. */
  async setPhone(clientId: string, phone: string | null): Promise<boolean> {
    const before = this.#cache.get(clientId);
    if (!before) return false;
    const { phone: _, ...rest } = before;
    await this.#cache.replace(before, phone === null ? rest : { ...rest, phone });
    return true;
  }

  /**
   * Changes the given fields. Durable when it resolves; null if the device does not exist.
   * @param endSessions invalidates earlier access tokens
   */
  async update(
    clientId: string,
    { role, name, disabled, endSessions = false }: ClientChange,
  ): Promise<DeviceDocument | null> {
    const before = this.#cache.get(clientId);
    if (!before) return null;
    const { disabled: was, ...rest } = before;
    const after: DeviceDocument = {
      ...rest,
      role: role ?? before.role,
      name: name ?? before.name,
      ...(endSessions || disabled ? { generation: newGeneration() } : {}),
      ...((disabled ?? was) ? { disabled: true } : {}),
    };
    await this.#cache.replace(before, after);
    this.#principals.delete(clientId);
    return this.#cache.get(clientId) ?? null;
  }

  /** Deletes a device. Its tokens are invalid at once; false if it does not exist. */
  async remove(clientId: string): Promise<boolean> {
    this.#principals.delete(clientId);
    return this.#cache.remove(clientId);
  }

  #hashOf(secret: string, generated: boolean): Promise<string> | string {
    return generated ? hashGenerated(secret) : this.#secrets.hash(secret);
  }

  close(): Promise<void> {
    return this.#cache.close();
  }
}

function newGeneration(): string {
  return randomBytes(6).toString('base64url');
}
