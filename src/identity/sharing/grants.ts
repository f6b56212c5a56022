/**
 * Grants: an owner allows another principal of the tenant to read one file, or all files whose names begin with a prefix, including future
 * ones. A grant of a file follows the name: it survives replacements of the file and ends when the file is deleted. Requests check
 * grants, so all of them are in memory.
 */
import { randomBytes } from 'node:crypto';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import { expiryOf, MAX_SECONDS } from '../../protocol/bounds.ts';
import type { Creator, Principal, Subject } from '../../records/principal.ts';
import type { GrantDocument, GrantTarget } from '../../records/sharing.ts';
import { ownerKey } from '../rights/policy.ts';
import { DocumentCache } from '../state/document-cache.ts';

/** Maximum number of grants for the files of one owner. */
const MAX_GIVEN = 1000;
/** Maximum number of grants to one principal, so that its list stays usable. */
const MAX_RECEIVED = 10_000;

/** A grant to create. */
export interface GrantRequest {
  tenant: string;
  owner: string;
  target: GrantTarget;
  grantee: Subject;
  maker: Creator;
  /** Lifetime in milliseconds; null: it does not expire. */
  lifeMs: number | null;
}

/** The grants. */
export class Grants {
  readonly #cache: DocumentCache<GrantDocument>;
  readonly #clock: Clock;
  /** Owner key of the grantee → owner key → ids. */
  readonly #received = new Map<string, Map<string, Set<string>>>();
  /** Grants that are being created. */
  readonly #pending = new Set<GrantRequest>();
  /** File id → ids of its grants. */
  readonly #ofFile = new Map<string, Set<string>>();

  private constructor(cache: DocumentCache<GrantDocument>, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
    for (const document of cache.values()) this.#index(document);
  }

  static async open(store: Collection<GrantDocument>, clock: Clock): Promise<Grants> {
    return new Grants(await DocumentCache.open(store, ({ id }) => id), clock);
  }

  /**
   * Creates a grant. Durable when it resolves.
   * @throws LadingError `already_exists`, `quota_exceeded`
   */
  async create(request: GrantRequest): Promise<GrantDocument> {
    const { tenant, owner, target, grantee, maker, lifeMs } = request;
    const isSame = (other: Pick<GrantDocument, 'owner' | 'grantee' | 'target'>): boolean =>
      other.owner === owner && other.grantee.id === grantee.id && sameTarget(other.target, target);
    const pending = [...this.#pending];
    const given = this.given(owner);
    if ([...given, ...pending].some(isSame)) throw new LadingError('already_exists', 'This grant already exists.');
    const full =
      given.length + pending.filter((other) => other.owner === owner).length >= MAX_GIVEN ||
      this.received(tenant, grantee.id).length + pending.filter((other) => other.grantee.id === grantee.id).length >=
        MAX_RECEIVED;
    if (full) throw new LadingError('quota_exceeded', 'The maximum number of grants is reached. Revoke one first.');
    this.#pending.add(request);
    try {
      const moment = this.#clock.steady();
      const document: GrantDocument = {
        id: randomBytes(8).toString('hex'),
        tenant,
        owner,
        target,
        grantee,
        maker,
        createdAt: this.#clock.dateOf(moment),
        expiresAt: expiryOf(moment, lifeMs, MAX_SECONDS.grant),
      };
      await this.#cache.put(document);
      this.#index(document);
      return document;
    } finally {
      this.#pending.delete(request);
    }
  }

  get(id: string): GrantDocument | null {
    return this.#cache.get(id) ?? null;
  }

  /** False once the grant was revoked, has expired, or ended with its file, owner or grantee. */
  isLive(id: string): boolean {
    const document = this.#cache.get(id);
    return document !== undefined && (document.expiresAt === null || document.expiresAt > this.#clock.steady());
  }

  /** Live grants of the files of an owner (owner key), oldest first. */
  given(owner: string): GrantDocument[] {
    return byAge([...this.#cache.values()].filter((document) => document.owner === owner && this.isLive(document.id)));
  }

  /** Live grants to a device or person, oldest first. */
  received(tenant: string, id: string): GrantDocument[] {
    const owners = this.#received.get(ownerKey(tenant, id))?.keys() ?? [];
    return byAge([...owners].flatMap((owner) => this.between({ tenant, id }, owner)));
  }

  /** Live grants of an owner's files (owner key) to a principal, or to the owner of an API token. */
  between({ tenant, id }: Pick<Principal, 'tenant' | 'id'>, owner: string): GrantDocument[] {
    const ids = this.#received.get(ownerKey(tenant, id))?.get(owner) ?? [];
    return [...ids].filter((one) => this.isLive(one)).flatMap((one) => this.#cache.get(one) ?? []);
  }

  /** Revokes a grant at once. Durable when it resolves; false if the id does not exist. */
  async revoke(id: string): Promise<boolean> {
    const document = this.#cache.get(id);
    if (!document || !(await this.#cache.remove(id))) return false;
    this.#unindex(document);
    return true;
  }

  /** Revokes all grants for which the predicate is true. */
  async revokeWhere(predicate: (document: GrantDocument) => boolean): Promise<void> {
    const revoked = [...this.#cache.values()].filter(predicate);
    await Promise.all(revoked.map(({ id }) => this.revoke(id)));
  }

  /** The files of all grants of single files, with the last known id. */
  fileGrants(): { owner: string; name: string; fileId: string }[] {
    return [...this.#cache.values()].flatMap(({ owner, target }) =>
      target.kind === 'file' ? [{ owner, name: target.name, fileId: target.fileId }] : [],
    );
  }

  /** Moves the grants of a replaced file to its replacement at once. Durable when it resolves. */
  async fileReplaced(before: string, after: string): Promise<void> {
    const ids = [...(this.#ofFile.get(before) ?? [])];
    await Promise.all(
      ids.map(async (id) => {
        const document = this.#cache.get(id);
        if (document?.target.kind !== 'file') return;
        const changed: GrantDocument = { ...document, target: { ...document.target, fileId: after } };
        this.#unindex(document);
        this.#index(changed);
        await this.#cache.replace(document, changed);
      }),
    );
  }

  /** Revokes the grants of a removed file. Durable when it resolves. */
  async fileRemoved(fileId: string): Promise<void> {
    await Promise.all([...(this.#ofFile.get(fileId) ?? [])].map((id) => this.revoke(id)));
  }

  /** Removes grants that expired long ago. */
  sweep(): Promise<void> {
    return this.revokeWhere(({ expiresAt }) => expiresAt !== null && isLongPast(this.#clock, expiresAt));
  }

  #index({ id, tenant, owner, grantee, target }: GrantDocument): void {
    const key = ownerKey(tenant, grantee.id);
    const owners = this.#received.get(key) ?? new Map<string, Set<string>>();
    this.#received.set(key, owners.set(owner, (owners.get(owner) ?? new Set()).add(id)));
    if (target.kind !== 'file') return;
    this.#ofFile.set(target.fileId, (this.#ofFile.get(target.fileId) ?? new Set()).add(id));
  }

  #unindex({ id, tenant, owner, grantee, target }: GrantDocument): void {
    const key = ownerKey(tenant, grantee.id);
    const owners = this.#received.get(key);
    const ids = owners?.get(owner);
    ids?.delete(id);
    if (ids?.size === 0) owners?.delete(owner);
    if (owners?.size === 0) this.#received.delete(key);
    if (target.kind !== 'file') return;
    const ofFile = this.#ofFile.get(target.fileId);
    ofFile?.delete(id);
    if (ofFile?.size === 0) this.#ofFile.delete(target.fileId);
  }
}

/** True if the grant covers this file name. */
export function isGranted({ kind, name: granted }: GrantTarget, name: string): boolean {
  return kind === 'file' ? name === granted : name.startsWith(granted);
}

function sameTarget(a: GrantTarget, b: GrantTarget): boolean {
  return a.kind === b.kind && a.name === b.name;
}

function byAge(documents: GrantDocument[]): GrantDocument[] {
  return documents.sort((a, b) => a.createdAt - b.createdAt);
}
