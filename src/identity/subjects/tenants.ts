/** Tenants: those who share nothing with each other. The default one is always there and is nobody's to delete. */
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import type { QuotaLimits } from '../../records/quota.ts';
import type { TenantDocument } from '../../records/subjects.ts';
import { DEFAULT_TENANT } from '../rights/policy.ts';
import { DocumentCache } from '../state/document-cache.ts';

const ID = /^[a-z0-9][a-z0-9-]{0,62}$/;

export class Tenants {
  readonly #kept: DocumentCache<TenantDocument>;
  readonly #clock: Clock;
  /** Ids of those that are being made or deleted. */
  readonly #busy = new Set<string>();

  private constructor(kept: DocumentCache<TenantDocument>, clock: Clock) {
    this.#kept = kept;
    this.#clock = clock;
  }

  static async open(store: Collection<TenantDocument>, clock: Clock): Promise<Tenants> {
    return new Tenants(await DocumentCache.open(store, ({ id }) => id), clock);
  }

  /** False from the moment in which its deletion begins. */
  has(id: string): boolean {
    return id === DEFAULT_TENANT || (this.#kept.get(id) !== undefined && !this.#busy.has(id));
  }

  /** True when there is another one besides the default one. */
  get hasSeveral(): boolean {
    return this.#kept.size > 0;
  }

  get(id: string): TenantDocument | null {
    return this.#kept.get(id) ?? (id === DEFAULT_TENANT ? { id, name: 'Default', createdAt: 0 } : null);
  }

  /** The default one first, then by their ids. */
  list(): TenantDocument[] {
    const others = [...this.#kept.values()].filter(({ id }) => id !== DEFAULT_TENANT);
    const first = this.get(DEFAULT_TENANT);
    return [...(first ? [first] : []), ...others.sort((a, b) => (a.id < b.id ? -1 : 1))];
  }

  /**
   * Durable when it resolves.
   * @param sweep removes whoever was left of an earlier tenant with this id
   * @throws LadingError `validation_failed`, `already_exists`
   */
  async create(id: string, name: string, sweep = async (): Promise<void> => {}): Promise<TenantDocument> {
    if (!ID.test(id)) {
      throw new LadingError('validation_failed', 'The id of a tenant is 1 to 63 small letters, digits and hyphens.');
    }
    if (this.#kept.get(id) || id === DEFAULT_TENANT || this.#busy.has(id)) {
      throw new LadingError('already_exists', 'There is a tenant with this id already.');
    }
    this.#busy.add(id);
    try {
      await sweep();
      const document: TenantDocument = { id, name, createdAt: this.#clock.now() };
      await this.#kept.put(document);
      return document;
    } finally {
      this.#busy.delete(id);
    }
  }

  /** Durable when it resolves; false when there is no such tenant. */
  async setQuota(id: string, quota: QuotaLimits): Promise<boolean> {
    const tenant = this.get(id);
    if (!tenant) return false;
    // The default one has no document until something is to be remembered of it.
    if (!(await this.#kept.change(id, { quota }))) await this.#kept.put({ ...tenant, quota });
    return true;
  }

  /**
   * Nobody of it can sign in from this moment; gone for good when it resolves. False when there is none of this id. Its document goes
   * last, so that a deletion that was interrupted can be asked for again.
   * @param sweep removes whoever is in it
   */
  async remove(id: string, sweep: () => Promise<void>): Promise<boolean> {
    if (id === DEFAULT_TENANT) throw new LadingError('invalid_request', 'The default tenant cannot be deleted.');
    if (!this.has(id)) return false;
    this.#busy.add(id);
    try {
      await sweep();
      return await this.#kept.remove(id);
    } finally {
      this.#busy.delete(id);
    }
  }
}
