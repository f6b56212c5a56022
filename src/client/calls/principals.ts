/** Calls on clients, people, tenants and API tokens. Most are for administrators. */
import type { Client, ClientCreated, ClientUpdate, NewClient } from '../../protocol/schemas/identity/client.ts';
import type { NewPerson, PeopleList, Person, PersonChange } from '../../protocol/schemas/identity/people.ts';
import type { NewTenant, Tenant } from '../../protocol/schemas/identity/tenant.ts';
import type { ApiToken, ApiTokenCreated, NewApiToken } from '../../protocol/schemas/identity/token.ts';
import { type AdminOptions, type JsonRequest, segment, yieldPages } from './json-request.ts';

/** Clients: devices and administrators. */
export class ClientCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  async list({ tenant, signal }: AdminOptions = {}): Promise<Client[]> {
    return (await this.#request<{ clients: Client[] }>('GET', 'api/clients', { query: { tenant }, signal })).clients;
  }

  /** Creates a client. The reply is the only one that holds its secret. */
  create(client: NewClient, { tenant, signal }: AdminOptions = {}): Promise<ClientCreated> {
    return this.#request('POST', 'api/clients', { query: { tenant }, body: client, signal });
  }

  /** Changes the given fields. A new role, disabling and `end_sessions` end the sessions of the client. Throws `not_found`. */
  update(clientId: string, change: ClientUpdate, { signal }: AdminOptions = {}): Promise<Client> {
    return this.#request('PUT', `api/clients/${segment(clientId)}`, { body: change, signal });
  }

  /** Deletes a client. Throws `not_found`. */
  async remove(clientId: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#request('DELETE', `api/clients/${segment(clientId)}`, { signal });
  }
}

/** API tokens of the caller; for administrators, also those of others. */
export class TokenCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  /**
   * @param userId id of the principal, or the label of the tokens; by default all tokens that the caller may manage
   * @param options with `revoked`, includes tokens that were revoked in the last 30 days
   */
  async list(userId?: string, { signal, revoked }: AdminOptions & { revoked?: boolean } = {}): Promise<ApiToken[]> {
    const query = { user_id: userId, ...(revoked ? { revoked: 'true' } : {}) };
    return (await this.#request<{ tokens: ApiToken[] }>('GET', 'api/tokens', { query, signal })).tokens;
  }

  /** Creates a token. The reply is the only one that holds it. */
  create(token: NewApiToken = {}, { signal }: AdminOptions = {}): Promise<ApiTokenCreated> {
    return this.#request('POST', 'api/tokens', { body: token, signal });
  }

  /** Replaces the secret of a token. The reply is the only one that holds it; the old secret stops working. Throws `not_found`. */
  rotate(tokenId: string, { signal }: AdminOptions = {}): Promise<ApiTokenCreated> {
    return this.#request('POST', `api/tokens/${segment(tokenId)}/rotate`, { signal });
  }

  /** Revokes a token. Throws `not_found`. */
  async revoke(tokenId: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#request('DELETE', `api/tokens/${segment(tokenId)}`, { signal });
  }
}

/** Accounts of people. */
export class UserCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  /** Yields all people. Requests pages as needed. */
  list({ tenant, signal }: AdminOptions = {}): AsyncGenerator<Person> {
    return yieldPages(async (page) => {
      const query = { tenant, ...page };
      const { users, next_cursor: next } = await this.#request<PeopleList>('GET', 'v1/user', { query, signal });
      return { entries: users, next: next ?? null };
    });
  }

  /** Creates an account. Throws `already_exists`. */
  create(person: NewPerson, { tenant, signal }: AdminOptions = {}): Promise<Person> {
    return this.#request('POST', 'v1/user', { query: { tenant }, body: person, signal });
  }

  /** Finds a person by id or e-mail address. Throws `not_found`. */
  find(who: { id: string } | { email: string }, { tenant, signal }: AdminOptions = {}): Promise<Person> {
    return this.#request('POST', 'v1/user/get_user', { query: { tenant }, body: who, signal });
  }

  /** Changes the given fields. A new password or role ends the sessions of the person. Throws `not_found`. */
  update(id: string, change: PersonChange, { signal }: AdminOptions = {}): Promise<Person> {
    return this.#request('PUT', 'v1/user/update_user', { query: { pk: id }, body: change, signal });
  }

  async remove(id: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#request('DELETE', 'v1/user/delete_user', { query: { pk: id }, signal });
  }
}

/** Tenants. For root. */
export class TenantCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  async list({ signal }: AdminOptions = {}): Promise<Tenant[]> {
    return (await this.#request<{ tenants: Tenant[] }>('GET', 'api/tenants', { signal })).tenants;
  }

  create(tenant: NewTenant, { signal }: AdminOptions = {}): Promise<Tenant> {
    return this.#request('POST', 'api/tenants', { body: tenant, signal });
  }

  async remove(tenantId: string, { signal }: AdminOptions = {}): Promise<void> {
    await this.#request('DELETE', `api/tenants/${segment(tenantId)}`, { signal });
  }
}
