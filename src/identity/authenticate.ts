/** Resolves the credential of a request, an access token or an API token, to its `Principal`. Nothing on this path reads the disk. */

import { LadingError } from '../errors.ts';
import type { Principal } from '../records/principal.ts';
import type { Tokens } from './access-tokens.ts';
import { ApiTokens } from './credentials/api-tokens.ts';
import type { Identity } from './directory/identity.ts';
import { principalOf } from './subjects/principals.ts';

interface TokenPrincipal {
  /** Owner and scopes from which the principal was derived. */
  owner: Principal;
  scopes: readonly string[];
  principal: Principal;
}

/** Maximum number of cached principals of API tokens. */
const MAX_CACHED = 20_000;

/** Authenticates requests. */
export class Access {
  readonly #identity: Identity;
  readonly #tokens: Tokens;
  readonly #byApiToken = new Map<string, TokenPrincipal>();

  constructor(identity: Identity, tokens: Tokens) {
    this.#identity = identity;
    this.#tokens = tokens;
  }

  /**
   * The principal of an access token or an API token. Counts as a use of the API token.
   * @throws LadingError `unauthorized`
   */
  bearer(token: string): Principal {
    return ApiTokens.looksLike(token) ? this.#apiToken(token) : this.#tokens.verify(token);
  }

  /**
   * For long requests: returns a function that returns true until the token is revoked. The token must be valid now.
   * @throws LadingError `unauthorized`
   */
  authorizationOf(token: string): () => boolean {
    if (!ApiTokens.looksLike(token)) {
      const verified = this.#tokens.inspect(token);
      return () => this.#tokens.isValid(verified);
    }
    return () => {
      const document = this.#identity.apiTokens.findUnrevoked(token);
      return document !== null && this.#identity.subject(document.ownerKind, document.owner) !== null;
    };
  }

  /**
   * The name of the credential that a second factor is bound to: the session, the access token if it has no session, or the API token.
   * @throws LadingError `unauthorized`
   */
  credentialOf(token: string): string {
    if (ApiTokens.looksLike(token)) {
      const document = this.#identity.apiTokens.findLive(token);
      if (!document) throw new LadingError('unauthorized', 'The API token is invalid, expired or revoked.');
      return `api-token ${document.id}`;
    }
    const { sid, jti } = this.#tokens.inspect(token).claims;
    return sid === undefined ? `token ${jti}` : `sign-in ${sid}`;
  }

  #apiToken(token: string): Principal {
    const document = this.#identity.apiTokens.use(token);
    const owner = document && this.#identity.subject(document.ownerKind, document.owner);
    if (!document || !owner) throw new LadingError('unauthorized', 'The API token is invalid, expired or revoked.');
    const cached = this.#byApiToken.get(document.id);
    if (cached?.owner === owner && cached.scopes === document.scopes) return cached.principal;
    const principal = principalOf({ ...owner, kind: 'token' }, document.scopes);
    if (this.#byApiToken.size > MAX_CACHED) this.#byApiToken.clear();
    this.#byApiToken.set(document.id, { owner, scopes: document.scopes, principal });
    return principal;
  }
}
