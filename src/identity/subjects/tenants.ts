/** Tenants, which share nothing with each other. The default tenant always exists and cannot be deleted. */
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import type { QuotaLimits } from '../../records/quota.ts';
import type { TenantDocument } from '../../records/subjects.ts';
import { DEFAULT_TENANT } from '../rights/policy.ts';
import { DocumentCache } from '../state/document-cache.ts';

const ID = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The tenants. */
export class Tenants {
  readonly #cache: DocumentCache<TenantDocument>;
  readonly #clock: Clock;
  /** Ids of tenants that are being created or deleted. */
  readonly #busy = new Set<string>();

  private constructor(cache: DocumentCache<TenantDocument>, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
  }

  static async open(store: Collection<TenantDocument>, clock: Clock): Promise<Tenants> {
    return new Tenants(await DocumentCache.open(store, ({ id }) => id), clock);
  }

  /** True if the tenant exists. False from the moment its deletion begins. */
  has(id: string): boolean {
    return id === DEFAULT_TENANT || (this.#cache.get(id) !== undefined && !this.#busy.has(id));
  }

  /** True if there are tenants besides the default one. */
  get hasSeveral(): boolean {
    return this.#cache.size > 0;
  }

  get(id: string): TenantDocument | null {
    return this.#cache.get(id) ?? (id === DEFAULT_TENANT ? { id, name: 'Default', createdAt: 0 } : null);
  }

  /** All tenants: the default tenant, then the others by id. */
  list(): TenantDocument[] {
    const others = [...this.#cache.values()].filter(({ id }) => id !== DEFAULT_TENANT);
    const first = this.get(DEFAULT_TENANT);
    return [...(first ? [first] : []), ...others.sort((a, b) => (a.id < b.id ? -1 : 1))];
  }

  /**
   * Creates a tenant. Durable when it resolves.
   * @param sweep removes what an interrupted deletion of an earlier tenant with this id left
   * @throws LadingError `validation_failed`, `already_exists`
   */
  async create(id: string, name: string, sweep = async (): Promise<void> => {}): Promise<TenantDocument> {
    if (!ID.test(id)) {
      throw new LadingError(
        'validation_failed',
        'The id of a tenant must be 1 to 63 lowercase letters, digits and hyphens, and start with a letter or digit.',
      );
    }
    if (this.#cache.get(id) || id === DEFAULT_TENANT || this.#busy.has(id)) {
      throw new LadingError('already_exists', 'A tenant with this id already exists.');
    }
    this.#busy.add(id);
    try {
      await sweep();
      const document: TenantDocument = { id, name, createdAt: this.#clock.now() };
      await this.#cache.put(document);
      return document;
    } finally {
      this.#busy.delete(id);
    }
  }

  /** Sets a quota. Durable when it resolves; false if the tenant does not exist. */
  async setQuota(id: string, quota: QuotaLimits): Promise<boolean> {
    const tenant = this.get(id);
    if (!tenant) return false;
    // The default tenant has no document until it gets a quota.
    if (!(await this.#cache.change(id, { quota }))) await this.#cache.put({ ...tenant, quota });
    return true;
  }

  /**
   * Deletes a tenant. Its clients and people cannot sign in from this moment. Durable when it resolves; false if the tenant does not exist.
   * The document is removed last, so that an interrupted deletion can be repeated.
   * @param sweep removes the clients and people of the tenant
   */
  async remove(id: string, sweep: () => Promise<void>): Promise<boolean> {
    if (id === DEFAULT_TENANT) throw new LadingError('invalid_request', 'The default tenant cannot be deleted.');
    if (!this.has(id)) return false;
    this.#busy.add(id);
    try {
      await sweep();
      return await this.#cache.remove(id);
    } finally {
      this.#busy.delete(id);
    }
  }
}
