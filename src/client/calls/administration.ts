/** The calls of those who look after a server: who may sign in, with what, and what they did. */

import { checkName } from '../../protocol/names.ts';
import type { AuditPage, AuditRecord } from '../../protocol/schemas/audit.ts';
import type { Delivery, DeliveryPage, NewTarget, Target, TargetCreated } from '../../protocol/schemas/delivery.ts';
import type { CallRequested, CallStatus, CallVerified, RegisteredPhone } from '../../protocol/schemas/identity/call.ts';
import type { Client, ClientCreated, ClientUpdate, NewClient } from '../../protocol/schemas/identity/client.ts';
import type { NewPerson, PeopleList, Person, PersonChange } from '../../protocol/schemas/identity/people.ts';
import type { NewTenant, Tenant } from '../../protocol/schemas/identity/tenant.ts';
import type { ApiToken, ApiTokenCreated, NewApiToken } from '../../protocol/schemas/identity/token.ts';
import type { NewQuota, QuotaReport } from '../../protocol/schemas/quota.ts';

export interface AdminOptions {
  signal?: AbortSignal | undefined;
  /** Of which tenant; for root. */
  tenant?: string | undefined;
}

export interface AuditOptions extends AdminOptions {
  action?: string | undefined;
  /** Only what this one did. */
  principal?: string | undefined;
  /** Entries at most; all without it. */
  limit?: number | undefined;
}

/** One signed request; `body` travels as JSON, and so does the answer. */
export type JsonRequest = <T>(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  options: {
    query?: Record<string, string | number | undefined>;
    body?: object;
    signal?: AbortSignal | undefined;
  },
) => Promise<T>;

/** Most entries that a page of the audit log or of people may have. */
const PAGE = 1000;

/** Devices and administrators. */
export class ClientCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  async list({ tenant, signal }: AdminOptions = {}): Promise<Client[]> {
    return (await this.#ask<{ clients: Client[] }>('GET', 'api/clients', { query: { tenant }, signal })).clients;
  }

  /** The secret in the answer is shown once, and never again. */
  create(client: NewClient, { tenant, signal }: AdminOptions = {}): Promise<ClientCreated> {
    return this.#ask('POST', 'api/clients', { query: { tenant }, body: client, signal });
  }

  /** What is absent stays. Another role, disabling and `end_sessions` end its sessions. Throws `not_found`. */
  update(clientId: string, change: ClientUpdate, { signal }: AdminOptions = {}): Promise<Client> {
    return this.#ask('PUT', `api/clients/${segment(clientId)}`, { body: change, signal });
  }

  async remove(clientId: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#ask('DELETE', `api/clients/${segment(clientId)}`, { signal });
  }
}

/** API tokens: one's own, and for administrators those of others. */
export class TokenCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  /**
   * @param userId whose, or with which label; without it all that one may manage
   * @param options with `revoked` those too that were revoked in the last 30 days
   */
  async list(userId?: string, { signal, revoked }: AdminOptions & { revoked?: boolean } = {}): Promise<ApiToken[]> {
    const query = { user_id: userId, ...(revoked ? { revoked: 'true' } : {}) };
    return (await this.#ask<{ tokens: ApiToken[] }>('GET', 'api/tokens', { query, signal })).tokens;
  }

  /** The token in the answer is shown once, and never again. */
  create(token: NewApiToken = {}, { signal }: AdminOptions = {}): Promise<ApiTokenCreated> {
    return this.#ask('POST', 'api/tokens', { body: token, signal });
  }

  /** The same token with a new secret, shown this once; the old one is refused from now on. */
  rotate(tokenId: string, { signal }: AdminOptions = {}): Promise<ApiTokenCreated> {
    return this.#ask('POST', `api/tokens/${segment(tokenId)}/rotate`, { signal });
  }

  async revoke(tokenId: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#ask('DELETE', `api/tokens/${segment(tokenId)}`, { signal });
  }
}

/** People, by their id. */
export class UserCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  /** All of them; pages are asked for as they are needed. */
  async *list({ tenant, signal }: AdminOptions = {}): AsyncGenerator<Person> {
    let cursor: string | undefined;
    do {
      const page: PeopleList = await this.#ask('GET', 'v1/user', { query: { tenant, cursor, limit: PAGE }, signal });
      yield* page.users;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  }

  create(person: NewPerson, { tenant, signal }: AdminOptions = {}): Promise<Person> {
    return this.#ask('POST', 'v1/user', { query: { tenant }, body: person, signal });
  }

  /** By id or by e-mail address. Throws `not_found`. */
  find(who: { id: string } | { email: string }, { tenant, signal }: AdminOptions = {}): Promise<Person> {
    return this.#ask('POST', 'v1/user/get_user', { query: { tenant }, body: who, signal });
  }

  /** What is absent stays. A new password or role ends their sign-ins. Throws `not_found`. */
  update(id: string, change: PersonChange, { signal }: AdminOptions = {}): Promise<Person> {
    return this.#ask('PUT', 'v1/user/update_user', { query: { pk: id }, body: change, signal });
  }

  async remove(id: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#ask('DELETE', 'v1/user/delete_user', { query: { pk: id }, signal });
  }
}

/** For root. */
export class TenantCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  async list({ signal }: AdminOptions = {}): Promise<Tenant[]> {
    return (await this.#ask<{ tenants: Tenant[] }>('GET', 'api/tenants', { signal })).tenants;
  }

  create(tenant: NewTenant, { signal }: AdminOptions = {}): Promise<Tenant> {
    return this.#ask('POST', 'api/tenants', { body: tenant, signal });
  }

  async remove(tenantId: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#ask('DELETE', `api/tenants/${segment(tenantId)}`, { signal });
  }
}

export type QuotaKind = 'client' | 'person' | 'tenant';

/** What may be stored and what is. */
export class QuotaCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  own({ signal }: AdminOptions = {}): Promise<QuotaReport> {
    return this.#ask('GET', 'api/quotas/me', { signal });
  }

  /** Of somebody, or of a whole tenant; for administrators. Throws `not_found`. */
  get(kind: QuotaKind, id: string, { signal }: AdminOptions = {}): Promise<QuotaReport> {
    return this.#ask('GET', `api/quotas/${kind}/${segment(id)}`, { signal });
  }

  /** Replaces all limits of their own; those of tenants are for root to set. Answers with what holds now. */
  set(kind: QuotaKind, id: string, quota: NewQuota, { signal }: AdminOptions = {}): Promise<QuotaReport> {
    return this.#ask('PUT', `api/quotas/${kind}/${segment(id)}`, { body: quota, signal });
  }
}

export interface DeliveryListOptions extends AdminOptions {
  state?: Delivery['state'] | undefined;
  /** Id of the target. */
  target?: string | undefined;
  /** Deliveries at most; all without it. */
  limit?: number | undefined;
}

/** Where finished files and events are sent on to. */
export class DeliveryCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  async targets({ tenant, signal }: AdminOptions = {}): Promise<Target[]> {
    return (await this.#ask<{ targets: Target[] }>('GET', 'api/deliveries/targets', { query: { tenant }, signal }))
      .targets;
  }

  /** The secret of a webhook in the answer is shown once, and never again. */
  addTarget(target: NewTarget, { tenant, signal }: AdminOptions = {}): Promise<TargetCreated> {
    return this.#ask('POST', 'api/deliveries/targets', { query: { tenant }, body: target, signal });
  }

  /** Disables a target, or enables it again: it gets what becomes complete from then on. */
  changeTarget(id: string, change: { disabled: boolean }, { signal }: AdminOptions = {}): Promise<Target> {
    return this.#ask('PATCH', `api/deliveries/targets/${segment(id)}`, { body: change, signal });
  }

  async removeTarget(id: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#ask('DELETE', `api/deliveries/targets/${segment(id)}`, { signal });
  }

  /** Youngest first; pages are asked for as they are needed. */
  async *list({
    signal,
    limit = Number.POSITIVE_INFINITY,
    ...which
  }: DeliveryListOptions = {}): AsyncGenerator<Delivery> {
    let left = limit;
    let cursor: string | undefined;
    do {
      const query = { ...which, cursor, limit: Math.min(PAGE, left) };
      const page: DeliveryPage = await this.#ask('GET', 'api/deliveries', { query, signal });
      yield* page.deliveries.slice(0, left);
      left -= page.deliveries.length;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined && left > 0);
  }

  retry(id: string, { signal }: AdminOptions = {}): Promise<Delivery> {
    return this.#ask('POST', `api/deliveries/${segment(id)}/retry`, { signal });
  }
}

/** Codes by telephone, and whose telephone is whose. */
export class CallCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  /** Has a code spoken to a number in E.164. Throws `rate_limited`. */
  request(
    phone: string,
    { message, signal }: { message?: string | undefined } & AdminOptions = {},
  ): Promise<CallRequested> {
    return this.#ask('POST', 'calls/otp', { body: { phone, ...(message === undefined ? {} : { message }) }, signal });
  }

  /** Throws `invalid_request` for a wrong code, with how many tries are left, and `not_found` when there is none any more. */
  verify(phone: string, code: string, { signal }: AdminOptions = {}): Promise<CallVerified> {
    return this.#ask('POST', 'calls/verify', { body: { phone, code }, signal });
  }

  /** Has the same code spoken again. */
  replay(phone: string, { signal }: AdminOptions = {}): Promise<CallRequested> {
    return this.#ask('POST', 'calls/replay', { body: { phone }, signal });
  }

  status(phone: string, { signal }: AdminOptions = {}): Promise<CallStatus> {
    return this.#ask('GET', `calls/otp/status/${segment(phone)}`, { signal });
  }

  /** The number that is somebody's second factor; for administrators. */
  async phoneOf(kind: 'client' | 'person', id: string, { signal }: AdminOptions = {}): Promise<string | null> {
    return (await this.#ask<RegisteredPhone>('GET', `api/phones/${kind}/${segment(id)}`, { signal })).phone;
  }

  /** Registers it; null takes it away. Answers with the number as it is kept. */
  async setPhone(kind: 'client' | 'person', id: string, phone: string | null, { signal }: AdminOptions = {}) {
    const body: RegisteredPhone = { phone };
    return (await this.#ask<RegisteredPhone>('PUT', `api/phones/${kind}/${segment(id)}`, { body, signal })).phone;
  }
}

/** What happened, youngest first; pages are asked for as they are needed. */
export async function* auditOf(ask: JsonRequest, options: AuditOptions = {}): AsyncGenerator<AuditRecord> {
  const { signal, limit = Number.POSITIVE_INFINITY, ...which } = options;
  let left = limit;
  let cursor: string | undefined;
  do {
    const query = { ...which, cursor, limit: Math.min(PAGE, left) };
    const page: AuditPage = await ask('GET', 'api/audit', { query, signal });
    yield* page.entries.slice(0, left);
    left -= page.entries.length;
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined && left > 0);
}

/** An id as one path segment. Checked here too, because a URL would resolve `..` away and mean something else. */
export function segment(id: string): string {
  return encodeURIComponent(checkName(id));
}
