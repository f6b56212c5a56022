/** Calls on share links, grants, players and sessions. */

import type { Grant, GrantList, NewGrant } from '../../protocol/schemas/grant.ts';
import type { Session, SessionList } from '../../protocol/schemas/identity/account.ts';
import type { Player } from '../../protocol/schemas/player.ts';
import type { NewShare, Share, ShareCreated } from '../../protocol/schemas/share.ts';
import { type JsonRequest, segment } from './json-request.ts';

/** Options of calls on share links, players and grants. */
export interface SharingOptions {
  signal?: AbortSignal | undefined;
  /** Owner of the files; for administrators. */
  owner?: string | undefined;
}

/** Share links: a link opens one file without an account. */
export class ShareCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  /** Creates a link. The reply is the only one that holds it. Throws `not_found`, `not_complete`, `quota_exceeded`. */
  create(name: string, share: NewShare = {}, { owner, signal }: SharingOptions = {}): Promise<ShareCreated> {
    return this.#request('POST', `api/files/share/${segment(name)}`, { query: { owner }, body: share, signal });
  }

  /** Lists valid links. @param name only links to this file */
  async list(name?: string, { owner, signal }: SharingOptions = {}): Promise<Share[]> {
    const query = { owner, filename: name };
    return (await this.#request<{ shares: Share[] }>('GET', 'api/shares', { query, signal })).shares;
  }

  /** Revokes a link and stops downloads that use it. Throws `not_found`. */
  async revoke(shareId: string, { signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#request('DELETE', `api/shares/${segment(shareId)}`, { signal });
  }
}

/** Players: access to a file for the media elements of this browser, which cannot send a token. They use a cookie and expire after minutes. */
export class PlayerCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  /** Creates a player. Its URL works only in this browser. Throws `not_found`, `not_complete`. */
  open(name: string, { owner, signal }: SharingOptions = {}): Promise<Player> {
    return this.#request('POST', `api/files/player/${segment(name)}`, { query: { owner }, signal });
  }

  /** Ends a player. Throws `not_found`. */
  async end(playerId: string, { signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#request('DELETE', `api/players/${segment(playerId)}`, { signal });
  }
}

/** Grants: permissions for others to read. A grantee passes the option `owner` to the other calls. */
export class GrantCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  /** Lists grants that the caller gave and received. */
  list({ owner, signal }: SharingOptions = {}): Promise<GrantList> {
    return this.#request('GET', 'api/grants', { query: { owner }, signal });
  }

  /** Grants one file (`filename`) or all with a `prefix`. Throws `not_found`, `not_complete`, `already_exists`. */
  create(grant: NewGrant, { owner, signal }: SharingOptions = {}): Promise<Grant> {
    return this.#request('POST', 'api/grants', { query: { owner }, body: grant, signal });
  }

  /** Revokes a grant and stops downloads that use it. Throws `not_found`. */
  async revoke(grantId: string, { signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#request('DELETE', `api/grants/${segment(grantId)}`, { signal });
  }
}

/** Sessions of the caller. */
export class SessionCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  async list({ signal }: Pick<SharingOptions, 'signal'> = {}): Promise<Session[]> {
    return (await this.#request<SessionList>('GET', 'v1/auth/sessions', { signal })).sessions;
  }

  /** Ends all sessions, including the current one. */
  async endAll({ signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#request('DELETE', 'v1/auth/sessions', { signal });
  }

  /** Ends a session and revokes its tokens. Throws `not_found`. */
  async end(sessionId: string, { signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#request('DELETE', `v1/auth/sessions/${segment(sessionId)}`, { signal });
  }
}
