/** Every way in that a request can show in its header ends here in the same `Principal`. Nothing on this path touches a disk. */

import { LadingError } from '../errors.ts';
import type { Principal } from '../records/principal.ts';
import type { Tokens } from './access-tokens.ts';
import { ApiTokens } from './credentials/api-tokens.ts';
import type { Identity } from './directory/identity.ts';
import { principalOf } from './subjects/principals.ts';

interface TokenPrincipal {
  /** What its owner was, and what the token may, when the principal was made of them. */
  owner: Principal;
  scopes: readonly string[];
  principal: Principal;
}

export class Access {
  readonly #identity: Identity;
  readonly #tokens: Tokens;
  readonly #byApiToken = new Map<string, TokenPrincipal>();

  constructor(identity: Identity, tokens: Tokens) {
    this.#identity = identity;
    this.#tokens = tokens;
  }

  /**
   * Who sent this token, an access token or an API token.
   * @throws LadingError `unauthorized`
   */
  bearer(token: string): Principal {
    return ApiTokens.looksLike(token) ? this.#apiToken(token) : this.#tokens.verify(token);
  }

  /**
   * For what goes on after the request was let in: whether this token, which was good then, has not been revoked since.
   * @throws LadingError `unauthorized`
   */
  authorizationOf(token: string): () => boolean {
    if (!ApiTokens.looksLike(token)) {
      const good = this.#tokens.inspect(token);
      return () => this.#tokens.isValid(good);
    }
    return () => {
      const document = this.#identity.apiTokens.findUnrevoked(token);
      return document !== null && this.#identity.subject(document.ownerKind, document.owner) !== null;
    };
  }

  /**
   * What a second factor is bound to: the sign-in, or where there is none the access token; of an API token its id.
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
    const known = this.#byApiToken.get(document.id);
    if (known?.owner === owner && known.scopes === document.scopes) return known.principal;
    const principal = principalOf({ ...owner, kind: 'token' }, document.scopes);
    if (this.#byApiToken.size > 20_000) this.#byApiToken.clear();
    this.#byApiToken.set(document.id, { owner, scopes: document.scopes, principal });
    return principal;
  }
}
