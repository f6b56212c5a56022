/**
 * Grants: an owner lets another principal of the tenant read one file, or all files whose names begin with something, those to come
 * included. A grant of a file is one of its name: it lives on when the file is replaced, and ends when it is deleted. Asked for with every
 * request, so everything is in memory.
 */
import { randomBytes } from 'node:crypto';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import { endOf, MAX_SECONDS } from '../../protocol/bounds.ts';
import type { Creator, Principal, Subject } from '../../records/principal.ts';
import type { GrantDocument, GrantTarget } from '../../records/sharing.ts';
import { ownerKey } from '../rights/policy.ts';
import { DocumentCache } from '../state/document-cache.ts';

/** Of the files of one owner. */
const MAX_GIVEN = 1000;
/** To one principal, so that many owners cannot make a list of it that nobody can read. */
const MAX_RECEIVED = 10_000;

export interface GrantRequest {
  tenant: string;
  owner: string;
  target: GrantTarget;
  grantee: Subject;
  maker: Creator;
  /** Milliseconds; null: until it is revoked. */
  lifeMs: number | null;
}

export class Grants {
  readonly #kept: DocumentCache<GrantDocument>;
  readonly #clock: Clock;
  /** Grantee, as owners are known → owner → ids. */
  readonly #received = new Map<string, Map<string, Set<string>>>();
  /** Those that are being made right now. */
  readonly #making = new Set<GrantRequest>();
  /** Id of a file → ids of the grants of it. */
  readonly #ofFile = new Map<string, Set<string>>();

  private constructor(kept: DocumentCache<GrantDocument>, clock: Clock) {
    this.#kept = kept;
    this.#clock = clock;
    for (const document of kept.values()) this.#index(document);
  }

  static async open(store: Collection<GrantDocument>, clock: Clock): Promise<Grants> {
    return new Grants(await DocumentCache.open(store, ({ id }) => id), clock);
  }

  /**
   * Durable when it resolves.
   * @throws LadingError `already_exists`, `quota_exceeded`
   */
  async create(request: GrantRequest): Promise<GrantDocument> {
    const { tenant, owner, target, grantee, maker, lifeMs } = request;
    const isSame = (other: Pick<GrantDocument, 'owner' | 'grantee' | 'target'>): boolean =>
      other.owner === owner && other.grantee.id === grantee.id && sameTarget(other.target, target);
    const making = [...this.#making];
    const given = this.given(owner);
    if ([...given, ...making].some(isSame)) throw new LadingError('already_exists', 'There is this grant already.');
    const full =
      given.length + making.filter((other) => other.owner === owner).length >= MAX_GIVEN ||
      this.received(tenant, grantee.id).length + making.filter((other) => other.grantee.id === grantee.id).length >=
        MAX_RECEIVED;
    if (full) throw new LadingError('quota_exceeded', 'There are too many grants; revoke one first.');
    this.#making.add(request);
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
        expiresAt: endOf(moment, lifeMs, MAX_SECONDS.grant),
      };
      await this.#kept.put(document);
      this.#index(document);
      return document;
    } finally {
      this.#making.delete(request);
    }
  }

  get(id: string): GrantDocument | null {
    return this.#kept.get(id) ?? null;
  }

  /** False once it was revoked, has lapsed, or ended with something else. */
  isLive(id: string): boolean {
    const document = this.#kept.get(id);
    return document !== undefined && (document.expiresAt === null || document.expiresAt > this.#clock.steady());
  }

  /** Of files of this owner, as the engine knows it; the oldest first. */
  given(owner: string): GrantDocument[] {
    return byAge([...this.#kept.values()].filter((document) => document.owner === owner && this.isLive(document.id)));
  }

  /** To this client or person; the oldest first. */
  received(tenant: string, id: string): GrantDocument[] {
    const owners = this.#received.get(ownerKey(tenant, id))?.keys() ?? [];
    return byAge([...owners].flatMap((owner) => this.between({ tenant, id }, owner)));
  }

  /** What of this owner's files (as the engine knows it) was granted to the principal, or to whom an API token acts for. */
  between({ tenant, id }: Pick<Principal, 'tenant' | 'id'>, owner: string): GrantDocument[] {
    const ids = this.#received.get(ownerKey(tenant, id))?.get(owner) ?? [];
    return [...ids].filter((one) => this.isLive(one)).flatMap((one) => this.#kept.get(one) ?? []);
  }

  /** Worthless from this moment; durable when it resolves. False when there is none of this id. */
  async revoke(id: string): Promise<boolean> {
    const document = this.#kept.get(id);
    if (!document || !(await this.#kept.remove(id))) return false;
    this.#unindex(document);
    return true;
  }

  /** Revokes all of which this is true. */
  async revokeWhere(ends: (document: GrantDocument) => boolean): Promise<void> {
    const ended = [...this.#kept.values()].filter(ends);
    await Promise.all(ended.map(({ id }) => this.revoke(id)));
  }

  /** Grants of one file each, with the id that it had last. */
  ofFiles(): { owner: string; name: string; fileId: string }[] {
    return [...this.#kept.values()].flatMap(({ owner, target }) =>
      target.kind === 'file' ? [{ owner, name: target.name, fileId: target.fileId }] : [],
    );
  }

  /** Another file has taken the place of one: its grants are of the new one from this moment; durable when it resolves. */
  async fileReplaced(before: string, after: string): Promise<void> {
    const ids = [...(this.#ofFile.get(before) ?? [])];
    await Promise.all(
      ids.map(async (id) => {
        const document = this.#kept.get(id);
        if (document?.target.kind !== 'file') return;
        const changed: GrantDocument = { ...document, target: { ...document.target, fileId: after } };
        this.#unindex(document);
        this.#index(changed);
        await this.#kept.replace(document, changed);
      }),
    );
  }

  /** Ends the grants of a file that is gone; durable when it resolves. */
  async fileRemoved(fileId: string): Promise<void> {
    await Promise.all([...(this.#ofFile.get(fileId) ?? [])].map((id) => this.revoke(id)));
  }

  /** Removes what lapsed long ago. */
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

/** True for the names that a grant is of. */
export function isGranted({ kind, name: granted }: GrantTarget, name: string): boolean {
  return kind === 'file' ? name === granted : name.startsWith(granted);
}

function sameTarget(a: GrantTarget, b: GrantTarget): boolean {
  return a.kind === b.kind && a.name === b.name;
}

function byAge(documents: GrantDocument[]): GrantDocument[] {
  return documents.sort((a, b) => a.createdAt - b.createdAt);
}
