/** Authenticated requests to one server, on which all calls are built. */

import { problemOf } from '../transport/failures.ts';
import type { Transport, TransportRequest, TransportResponse } from '../transport/transport.ts';
import { ResponseReader } from '../transport/unexpected-responses.ts';
import type { JsonRequest } from './json-request.ts';
import { type Credentials, Session } from './session.ts';

/** Query parameters; undefined ones are omitted. */
export type Query = Record<string, string | number | boolean | undefined>;

/** One request, without its URL and method. */
export interface Call extends Partial<Omit<TransportRequest, 'url' | 'method'>> {
  query?: Query;
}

/** Makes requests to one server and signs in when necessary. */
export class Requests {
  readonly responses = new ResponseReader();
  readonly session: Session;
  readonly #base: URL;
  readonly #transport: Transport;
  readonly #idleMs: number;

  /**
   * @param server URL of the server, including its path
   * @param idleMs milliseconds without a byte in either direction after which a request fails
   * @throws TypeError when `server` is not an http(s) URL
   */
  constructor(server: string, transport: Transport, credentials: Credentials, idleMs: number) {
    this.#base = new URL(server.endsWith('/') ? server : `${server}/`);
    if (!/^https?:$/.test(this.#base.protocol)) throw new TypeError('the server must be an http or https URL');
    this.#transport = transport;
    this.#idleMs = idleMs;
    this.session = new Session(transport, this.responses, (path) => this.url(path), credentials, idleMs);
  }

  /** Makes one request without a token. */
  unsigned(method: TransportRequest['method'], path: string, signal?: AbortSignal): Promise<TransportResponse> {
    return this.#transport.request({ method, url: this.url(path), headers: {}, idleMs: this.#idleMs, signal });
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  url(path: string, query: Query = {}): string {
    const url = new URL(path, this.#base);
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    return url.href;
  }

  /** Makes a request whose body and reply are JSON. */
  readonly json: JsonRequest = async (method, path, { query, body, signal }) => {
    const sent = body === undefined ? [] : [new TextEncoder().encode(JSON.stringify(body))];
    const headers: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const call = {
      headers,
      signal,
      ...(query ? { query } : {}),
      ...(method === 'GET' || method === 'DELETE' ? {} : { body: sent }),
    };
    return this.responses.json(await this.call(method, path, call));
  };

  /** Makes one authenticated request, and renews a refused token once. Throws a `LadingError` for every status but 2xx. */
  async call(method: TransportRequest['method'], path: string, call: Call): Promise<TransportResponse> {
    const { query, headers, ...rest } = call;
    const url = this.url(path, query);
    for (let attempt = 1; ; attempt += 1) {
      const token = await this.session.token();
      call.signal?.throwIfAborted();
      const response = await this.#transport.request({
        idleMs: this.#idleMs,
        ...rest,
        method,
        url,
        headers: { accept: 'application/json', ...headers, authorization: `Bearer ${token}` },
      });
      if (response.status >= 200 && response.status < 300) return response;
      this.responses.check(response, url, path);
      const problem = await problemOf(response);
      const renewable = response.status === 401 && this.session.discardRefused(token);
      if (!renewable || attempt > 1) throw problem;
    }
  }
}
