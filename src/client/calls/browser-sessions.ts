/** Browser sessions of people: sign-in by password, and renewal by the session cookie. */
import type { FederatedProviders } from '../../protocol/schemas/identity/federation.ts';
import type { SignedIn } from '../../protocol/schemas/identity/people.ts';
import { parseObject, problemOf } from '../transport/failures.ts';
import { fetchTransport } from '../transport/fetch.ts';
import { readText, type Transport, type TransportResponse } from '../transport/transport.ts';

const IDLE_MS = 60_000;

/** Calls that set, use or clear the session cookie of the browser. */
export class BrowserSessions {
  readonly #base: URL;
  readonly #transport: Transport;

  /** @param server URL of the server, with a slash at the end */
  constructor(server: string, transport: Transport = fetchTransport()) {
    this.#base = new URL(server);
    this.#transport = transport;
  }

  /** Signs in by password. Throws `unauthorized`, `rate_limited`, `NetworkError`. */
  signIn(email: string, password: string): Promise<SignedIn> {
    return this.#post('v1/auth/login', { email, password });
  }

  /** Renews the session by its cookie, which the server replaces. Throws `unauthorized`. */
  renew(): Promise<SignedIn> {
    return this.#post('v1/auth/refresh', {});
  }

  /** Ends the session of the cookie. */
  async signOut(): Promise<void> {
    await this.#post('v1/auth/logout', {});
  }

  /** Ends the session of an access token, without changing cookies. Throws `unauthorized`. */
  async endSession(token: string): Promise<void> {
    const headers = { authorization: `Bearer ${token}` };
    await this.#read(await this.#send('GET', 'logout', undefined, headers));
  }

  /** Lists the sign-in providers. */
  async providers(): Promise<FederatedProviders['providers']> {
    const reply: FederatedProviders = await this.#read(await this.#send('GET', 'v1/auth/providers'));
    return reply.providers;
  }

  async #post<T>(path: string, body: object): Promise<T> {
    return await this.#read(await this.#send('POST', path, new TextEncoder().encode(JSON.stringify(body))));
  }

  #send(
    method: 'GET' | 'POST',
    path: string,
    body?: Uint8Array<ArrayBuffer>,
    fields: Record<string, string> = {},
  ): Promise<TransportResponse> {
    const headers = body ? { ...fields, 'content-type': 'application/json' } : fields;
    const url = new URL(path, this.#base).href;
    return this.#transport.request({
      method,
      url,
      headers,
      idleMs: IDLE_MS,
      signal: undefined,
      ...(body ? { body: [body] } : {}),
    });
  }

  async #read<T>(response: TransportResponse): Promise<T> {
    if (response.status >= 300) throw await problemOf(response);
    return parseObject(await readText(response)) as T;
  }
}
