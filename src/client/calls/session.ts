/** Signs in and keeps a token fresh. However many requests need a new token at once, one sign-in is made. */
import { LadingError } from '../../errors.ts';
import { problemOf } from '../transport/failures.ts';
import type { Transport, TransportResponse } from '../transport/transport.ts';
import type { ResponseReader } from '../transport/unexpected-responses.ts';

/** A token and how long it is still valid, in milliseconds; infinity where the server does not say. */
export interface IssuedToken {
  token: string;
  lifeMs: number;
}

/** Gives a kept token, or has `signIn` make one and keeps it; never the one that was refused. */
export type TokenStore = (refused: string | null, signIn: () => Promise<IssuedToken>) => Promise<IssuedToken>;

export interface Credentials {
  /** A token made elsewhere; used until it is refused. */
  token?: string | undefined;
  clientId?: string | undefined;
  clientSecret?: string | undefined;
  /** Keeps the tokens that id and secret sign in to beyond the life of this client. */
  store?: TokenStore | undefined;
  /** Gets a token in some other way, in place of all these; told which one was refused, null at first. Throws `unauthorized`. */
  renew?: ((refused: string | null) => Promise<string>) | undefined;
}

/** A token is renewed this long before its end, or at nine tenths of a shorter life. */
const RENEW_EARLY_MS = 60_000;

export class Session {
  readonly #transport: Transport;
  readonly #answers: ResponseReader;
  readonly #urlOf: (path: string) => string;
  readonly #credentials: Credentials;
  readonly #idleMs: number;
  #token: string | null;
  #refused: string | null = null;
  #renewAt = Number.POSITIVE_INFINITY;
  #signingIn: Promise<string> | null = null;

  /** @param urlOf the address of a path on the server */
  constructor(
    transport: Transport,
    answers: ResponseReader,
    urlOf: (path: string) => string,
    credentials: Credentials,
    idleMs: number,
  ) {
    this.#transport = transport;
    this.#answers = answers;
    this.#urlOf = urlOf;
    this.#credentials = credentials;
    this.#idleMs = idleMs;
    this.#token = credentials.token ?? null;
  }

  /** A token that should be good now. Throws `unauthorized` when there is nothing to sign in with, or it is refused. */
  async token(): Promise<string> {
    if (this.#token !== null && performance.now() < this.#renewAt) return this.#token;
    this.#signingIn ??= this.#signIn().finally(() => {
      this.#signingIn = null;
    });
    return this.#signingIn;
  }

  /** Forgets a token that the server refused. False when there is no way to get another one. */
  refused(token: string): boolean {
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

  /** One sign-in by id and secret. */
  async #grant(): Promise<IssuedToken> {
    const { clientId, clientSecret } = this.#credentials;
    if (clientId === undefined || clientSecret === undefined) {
      throw new LadingError('unauthorized', 'A client id and its secret, or a token, are needed to sign in.');
    }
    let response = await this.#post('auth/token', {
      grant_type: 'password',
      username: clientId,
      password: clientSecret,
    });
    if (response.status === 404) {
      // The password grant may be turned off. It comes first because older servers have no other.
      response.discard();
      const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret };
      response = await this.#post('api/oauth/token', form);
      if (response.status === 404) {
        response.discard();
        throw this.#answers.unexpected();
      }
    }
    if (response.status !== 200) throw await problemOf(response);
    const { access_token: token, expires_in: seconds } = await this.#answers.json<Record<string, unknown>>(response);
    if (typeof token !== 'string') throw this.#answers.unexpected();
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
    this.#answers.check(response, url, path);
    return response;
  }
}
