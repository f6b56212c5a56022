/** Calls on quotas: limits and usage. */
import type { NewQuota, QuotaReport } from '../../protocol/schemas/quota.ts';
import { type AdminOptions, type JsonRequest, segment } from './json-request.ts';

/** Kinds of owners with a quota. */
export type QuotaKind = 'client' | 'person' | 'tenant';

/** Limits and usage of clients, people and tenants. */
export class QuotaCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  /** The limits and usage of the caller. */
  own({ signal }: AdminOptions = {}): Promise<QuotaReport> {
    return this.#request('GET', 'api/quotas/me', { signal });
  }

  /** The limits and usage of a client, person or tenant. For administrators. Throws `not_found`. */
  get(kind: QuotaKind, id: string, { signal }: AdminOptions = {}): Promise<QuotaReport> {
    return this.#request('GET', `api/quotas/${kind}/${segment(id)}`, { signal });
  }

  /** Replaces all limits; only root may set those of a tenant. Resolves with the limits in effect. */
  set(kind: QuotaKind, id: string, quota: NewQuota, { signal }: AdminOptions = {}): Promise<QuotaReport> {
    return this.#request('PUT', `api/quotas/${kind}/${segment(id)}`, { body: quota, signal });
  }
}
