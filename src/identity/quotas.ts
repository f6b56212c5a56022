/** Quotas: the server's defaults, and limits that an administrator set for a device, a person or a whole tenant. */
import type { Quota, UsageTotals } from '../contracts/quota.ts';
import { LadingError } from '../errors.ts';
import type { Role } from '../protocol/schemas/role.ts';
import type { QuotaLimits } from '../records/quota.ts';
import type { Identity } from './directory/identity.ts';
import { ownerKey, parseOwnerKey } from './rights/policy.ts';

export const QUOTA_KINDS = ['client', 'person', 'tenant'] as const;
export type QuotaKind = (typeof QUOTA_KINDS)[number];

/** Limits; 0 means unlimited. */
export type Limits = Readonly<UsageTotals>;

/** The device, person or tenant that a quota applies to. */
export interface QuotaHolder {
  /** Owner key by which the engine counts usage. */
  owner: string;
  tenant: string;
  /** Null for a tenant. */
  role: Role | null;
  limits: Limits;
}

const UNLIMITED: Limits = { bytes: 0, openUploads: 0, dayBytes: 0 };

/** The unit and the advice in the error for each limit. */
const WORDS: Readonly<Record<keyof UsageTotals, { unit: string; advice: string }>> = {
  bytes: { unit: 'stored bytes', advice: 'delete files first.' },
  openUploads: { unit: 'unfinished uploads', advice: 'finish or delete some of them first.' },
  dayBytes: { unit: 'uploaded bytes a day', advice: 'continue after midnight UTC.' },
};

/** The quotas of devices, people and tenants. */
export class Quotas implements Quota {
  readonly #identity: Identity;
  readonly #defaults: Limits;

  /** @param defaults limits of every device and person; tenants are unlimited by default */
  constructor(identity: Identity, defaults: Limits) {
    this.#identity = identity;
    this.#defaults = defaults;
  }

  /** The tenant of an owner: usage is also counted per tenant. */
  groupOf(owner: string): string {
    return parseOwnerKey(owner).tenant;
  }

  admit(
    owner: string,
    now: { own: Readonly<UsageTotals>; group: Readonly<UsageTotals> },
    more: Partial<UsageTotals>,
  ): void {
    const { tenant, id } = parseOwnerKey(owner);
    refuseExcess(this.ofPrincipal(tenant, id), now.own, more, 'You have');
    refuseExcess(this.ofTenant(tenant), now.group, more, 'Your tenant has');
  }

  /** Limits of a device or a person; the defaults if it was deleted. */
  ofPrincipal(tenant: string, id: string): Limits {
    const { clients, people } = this.#identity;
    const document = clients.find(id) ?? people.get(id);
    return document?.tenant === tenant ? limitsOf(document.quota, this.#defaults) : this.#defaults;
  }

  ofTenant(tenant: string): Limits {
    return limitsOf(this.#identity.tenants.get(tenant)?.quota, UNLIMITED);
  }

  /** The holder with this id; null if it does not exist. */
  find(kind: QuotaKind, id: string): QuotaHolder | null {
    const { clients, people, tenants } = this.#identity;
    if (kind === 'tenant') {
      return tenants.has(id) ? { owner: ownerKey(id, ''), tenant: id, role: null, limits: this.ofTenant(id) } : null;
    }
    const document = kind === 'client' ? clients.find(id) : people.get(id);
    if (!document) return null;
    const { tenant, role } = document;
    return { owner: ownerKey(tenant, id), tenant, role, limits: this.ofPrincipal(tenant, id) };
  }

  /** Sets limits, which apply from the next chunk on. Durable when it resolves; false if the id does not exist. */
  set(kind: QuotaKind, id: string, quota: QuotaLimits): Promise<boolean> {
    const { clients, people, tenants } = this.#identity;
    if (kind === 'tenant') return tenants.setQuota(id, quota);
    return kind === 'client' ? clients.setQuota(id, quota) : people.setQuota(id, quota);
  }
}

function limitsOf(quota: QuotaLimits | undefined, fallback: Limits): Limits {
  if (quota === undefined) return fallback;
  return {
    bytes: quota.bytes ?? fallback.bytes,
    openUploads: quota.openUploads ?? fallback.openUploads,
    dayBytes: quota.dayBytes ?? fallback.dayBytes,
  };
}

/** @throws LadingError `quota_exceeded` if the usage with `more` would exceed a limit */
function refuseExcess(limits: Limits, now: Readonly<UsageTotals>, more: Partial<UsageTotals>, who: string): void {
  for (const key of ['bytes', 'openUploads', 'dayBytes'] as const) {
    const limit = limits[key];
    const added = more[key];
    if (limit === 0 || added === undefined || now[key] + added <= limit) continue;
    const { unit, advice } = WORDS[key];
    throw new LadingError(
      'quota_exceeded',
      `${who} ${now[key]} of at most ${limit} ${unit}, and this would add ${added}; ${advice}`,
      { expected: limit, actual: now[key] + added },
    );
  }
}
