/** The calls of those who let others read their files, and of those who look after their own sessions. */

import type { Grant, GrantList, NewGrant } from '../../protocol/schemas/grant.ts';
import type { Session, SessionList } from '../../protocol/schemas/identity/account.ts';
import type { Player } from '../../protocol/schemas/player.ts';
import type { NewShare, Share, ShareCreated } from '../../protocol/schemas/share.ts';
import { type JsonRequest, segment } from './administration.ts';

export interface SharingOptions {
  signal?: AbortSignal | undefined;
  /** Administrators only: whose files. */
  owner?: string | undefined;
}

/** Links by which anybody who has one reads one file. */
export class ShareCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  /** The link in the answer is shown once, and never again. Throws `not_found`, `not_complete`, `quota_exceeded`. */
  create(name: string, share: NewShare = {}, { owner, signal }: SharingOptions = {}): Promise<ShareCreated> {
    return this.#ask('POST', `api/files/share/${segment(name)}`, { query: { owner }, body: share, signal });
  }

  /** Those that have not ended. @param name only to this file */
  async list(name?: string, { owner, signal }: SharingOptions = {}): Promise<Share[]> {
    const query = { owner, filename: name };
    return (await this.#ask<{ shares: Share[] }>('GET', 'api/shares', { query, signal })).shares;
  }

  /** It is worthless from now on, and downloads by it are cut. Throws `not_found`. */
  async revoke(shareId: string, { signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#ask('DELETE', `api/shares/${segment(shareId)}`, { signal });
  }
}

/** Files for the media elements of a page in this browser, which can send no token: by a cookie, for some minutes. No share links. */
export class PlayerCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  /** The address in the answer works in this browser alone. Throws `not_found`, `not_complete`. */
  open(name: string, { owner, signal }: SharingOptions = {}): Promise<Player> {
    return this.#ask('POST', `api/files/player/${segment(name)}`, { query: { owner }, signal });
  }

  /** The address stops working. Throws `not_found`. */
  async end(playerId: string, { signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#ask('DELETE', `api/players/${segment(playerId)}`, { signal });
  }
}

/** What others may read, by leave of its owner. What was granted to oneself is read with the option `owner` of the other calls. */
export class GrantCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  /** What one granted, and what one was granted. */
  list({ owner, signal }: SharingOptions = {}): Promise<GrantList> {
    return this.#ask('GET', 'api/grants', { query: { owner }, signal });
  }

  /** Of a file by `filename`, or of all that begin with `prefix`. Throws `not_found`, `not_complete`, `already_exists`. */
  create(grant: NewGrant, { owner, signal }: SharingOptions = {}): Promise<Grant> {
    return this.#ask('POST', 'api/grants', { query: { owner }, body: grant, signal });
  }

  /** It ends now, and so do downloads that it allowed. Throws `not_found`. */
  async revoke(grantId: string, { signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#ask('DELETE', `api/grants/${segment(grantId)}`, { signal });
  }
}

/** One's own sessions. */
export class SessionCalls {
  readonly #ask: JsonRequest;

  constructor(ask: JsonRequest) {
    this.#ask = ask;
  }

  async list({ signal }: Pick<SharingOptions, 'signal'> = {}): Promise<Session[]> {
    return (await this.#ask<SessionList>('GET', 'v1/auth/sessions', { signal })).sessions;
  }

  /** All of them, the one that asks too. */
  async endAll({ signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#ask('DELETE', 'v1/auth/sessions', { signal });
  }

  /** Its tokens are worthless from now on. Throws `not_found`. */
  async end(sessionId: string, { signal }: Pick<SharingOptions, 'signal'> = {}): Promise<void> {
    await this.#ask('DELETE', `v1/auth/sessions/${segment(sessionId)}`, { signal });
  }
}
