/** Signs in and renews the token in time. Concurrent requests share one sign-in. */
import { LadingError } from '../../errors.ts';
import { problemOf } from '../transport/failures.ts';
import type { Transport, TransportResponse } from '../transport/transport.ts';
import type { ResponseReader } from '../transport/unexpected-responses.ts';

/** A token and its remaining lifetime in milliseconds; Infinity when the server does not state it. */
export interface IssuedToken {
  token: string;
  lifeMs: number;
}

/** Returns a cached token, or calls `signIn` and caches the result. Never returns the refused token. */
export type TokenStore = (refused: string | null, signIn: () => Promise<IssuedToken>) => Promise<IssuedToken>;

/** How to authenticate: with a token, with a client id and secret, or by `renew`. */
export interface Credentials {
  /** An existing token, used until the server refuses it. */
  token?: string | undefined;
  clientId?: string | undefined;
  clientSecret?: string | undefined;
  /** Caches tokens beyond the lifetime of this client. */
  store?: TokenStore | undefined;
  /** Replaces all other credentials: returns a token. Receives the refused token, null at first. Throws `unauthorized`. */
  renew?: ((refused: string | null) => Promise<string>) | undefined;
}

/** Renew a token this long before it expires, or at nine tenths of a shorter lifetime. */
const RENEW_EARLY_MS = 60_000;

/** Holds the current token and renews it. */
export class Session {
  readonly #transport: Transport;
  readonly #responses: ResponseReader;
  readonly #urlOf: (path: string) => string;
  readonly #credentials: Credentials;
  readonly #idleMs: number;
  #token: string | null;
  #refused: string | null = null;
  #renewAt = Number.POSITIVE_INFINITY;
  #signingIn: Promise<string> | null = null;

  /** @param urlOf returns the URL of a path on the server */
  constructor(
    transport: Transport,
    responses: ResponseReader,
    urlOf: (path: string) => string,
    credentials: Credentials,
    idleMs: number,
  ) {
    this.#transport = transport;
    this.#responses = responses;
    this.#urlOf = urlOf;
    this.#credentials = credentials;
    this.#idleMs = idleMs;
    this.#token = credentials.token ?? null;
  }

  /** Returns a token that should be valid. Throws `unauthorized` without credentials, or when they are refused. */
  async token(): Promise<string> {
    if (this.#token !== null && performance.now() < this.#renewAt) return this.#token;
    this.#signingIn ??= this.#signIn().finally(() => {
      this.#signingIn = null;
    });
    return this.#signingIn;
  }

  /** Discards a refused token. Returns false when no other can be obtained. */
  discardRefused(token: string): boolean {
    if (this.#token === token) this.#token = null;
    this.#refused = token;
    if (this.#credentials.renew !== undefined) return true;
    return this.#credentials.clientId !== undefined && this.#credentials.clientSecret !== undefined;
  }

  async #signIn(): Promise<string> {
    const { renew, store } = this.#credentials;
    if (renew !== undefined) {
      this.#token = await renew(this.#refused);
      return this.#token;
    }
    const signIn = () => this.#grant();
    const { token, lifeMs: life } = store === undefined ? await signIn() : await store(this.#refused, signIn);
    this.#renewAt = performance.now() + Math.max(life - RENEW_EARLY_MS, life * 0.9);
    this.#token = token;
    return token;
  }

  /** Signs in with the client id and secret. */
  async #grant(): Promise<IssuedToken> {
    const { clientId, clientSecret } = this.#credentials;
    if (clientId === undefined || clientSecret === undefined) {
      throw new LadingError(
        'unauthorized',
        'Not signed in. Provide a token, or a client id and secret (on the command line: lading login).',
      );
    }
    let response = await this.#post('auth/token', {
      grant_type: 'password',
      username: clientId,
      password: clientSecret,
    });
    if (response.status === 404) {
      // The password grant may be disabled. It is tried first, because older servers know no other.
      response.discard();
      const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret };
      response = await this.#post('api/oauth/token', form);
      if (response.status === 404) {
        response.discard();
        throw this.#responses.unexpected();
      }
    }
    if (response.status !== 200) throw await problemOf(response);
    const { access_token: token, expires_in: seconds } = await this.#responses.json<Record<string, unknown>>(response);
    if (typeof token !== 'string') throw this.#responses.unexpected();
    return { token, lifeMs: typeof seconds === 'number' ? seconds * 1000 : Number.POSITIVE_INFINITY };
  }

  async #post(path: string, form: Record<string, string>): Promise<TransportResponse> {
    const url = this.#urlOf(path);
    const response = await this.#transport.request({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: [new TextEncoder().encode(new URLSearchParams(form).toString())],
      idleMs: this.#idleMs,
    });
    this.#responses.check(response, url, path);
    return response;
  }
}
