/**
 * API tokens: long-lived tokens for programs. A token has the scopes it was created with, and never more than its owner has now. Only a
 * SHA-256 hash is stored; a token has 256 random bits, so it needs no slow hash.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import { expiryOf, MAX_SECONDS } from '../../protocol/bounds.ts';
import type { Scope } from '../../protocol/scopes.ts';
import type { ApiTokenDocument, TokenDays } from '../../records/credentials.ts';
import type { Subject } from '../../records/principal.ts';
import { DocumentCache } from '../state/document-cache.ts';

const PREFIX = 'lat_';
/** Maximum number of live tokens of one owner, and of revoked tokens that are still listed. */
const MAX_PER_OWNER = 100;
/** How long revoked tokens stay listed. */
const LISTED_MS = 30 * 24 * 3600 * 1000;
const TOKEN = /^lat_([0-9a-f]{16})_[\w-]{43}$/;

/** A token that was just created. The text of the token is not stored. */
export interface NewApiToken {
  document: ApiTokenDocument;
  token: string;
}

/** An API token to create. */
export interface ApiTokenRequest {
  owner: Subject & { tenant: string };
  name: string | null;
  /** Name of the owner in requests of older programs; see `ApiTokenDocument`. */
  label?: string | undefined;
  scopes: readonly Scope[];
  /** The scopes as the request named them, if those names differ from the server's. */
  words?: readonly string[] | undefined;
  /** Lifetime in milliseconds; null: it does not expire. */
  lifeMs: number | null;
}

export class ApiTokens {
  readonly #cache: DocumentCache<ApiTokenDocument>;
  readonly #clock: Clock;
  /** Token → hash, so that a token that is sent with every chunk is hashed only once. */
  readonly #hashed = new Map<string, string>();
  /** Owners of tokens that are being stored. */
  readonly #pending = new Set<{ owner: Subject; revoked: boolean }>();

  private constructor(cache: DocumentCache<ApiTokenDocument>, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
  }

  static async open(store: Collection<ApiTokenDocument>, clock: Clock): Promise<ApiTokens> {
    return new ApiTokens(await DocumentCache.open(store, ({ id }) => id), clock);
  }

  /** True if the text has the prefix of an API token. */
  static looksLike(token: string): boolean {
    return token.startsWith(PREFIX);
  }

  /**
   * Creates a token. Durable when it resolves.
   * @throws LadingError `quota_exceeded` at the maximum number of tokens; `validation_failed` for a lifetime out of range; `unauthorized` when
   * all tokens of the owner were revoked meanwhile
   */
  async create({ owner, name, label, scopes, words, lifeMs }: ApiTokenRequest): Promise<NewApiToken> {
    if (this.#countOf(owner) >= MAX_PER_OWNER) {
      throw new LadingError('quota_exceeded', `This owner already has ${MAX_PER_OWNER} API tokens; revoke one first.`);
    }
    const id = randomBytes(8).toString('hex');
    const token = makeToken(id);
    const moment = this.#clock.steady();
    const document: ApiTokenDocument = {
      id,
      tenant: owner.tenant,
      owner: owner.id,
      ownerKind: owner.kind,
      name,
      ...(label === undefined ? {} : { label }),
      scopes: [...scopes],
      ...(words === undefined ? {} : { words: [...words] }),
      hash: hashOf(token),
      createdAt: this.#clock.dateOf(moment),
      expiresAt: expiryOf(moment, lifeMs, MAX_SECONDS.token),
      lastUsed: null,
      uses: 0,
    };
    const pending = { owner, revoked: false };
    this.#pending.add(pending);
    try {
      await this.#cache.put(document);
    } finally {
      this.#pending.delete(pending);
    }
    if (pending.revoked) {
      await this.revoke(id);
      throw new LadingError(
        'unauthorized',
        'The API tokens of this owner were revoked during the request; sign in again.',
      );
    }
    return { document, token };
  }

  /** The document of a token if it is valid now, or null. */
  findLive(token: string): ApiTokenDocument | null {
    const document = this.#find(token);
    return document !== null && isLive(document, this.#clock) ? document : null;
  }

  /** Like `findLive`, but expired tokens count too: expiry ends no request that has begun. */
  findUnrevoked(token: string): ApiTokenDocument | null {
    return this.#find(token);
  }

  /** Like `findLive`, and counts a use of the token. */
  use(token: string): ApiTokenDocument | null {
    const document = this.findLive(token);
    if (document === null) return null;
    const now = this.#clock.now();
    const days = countedOn(document.days, dayOf(now));
    const used = { ...document, lastUsed: now, uses: document.uses + 1, days };
    this.#cache.putLater(used, this.#clock.monotonic());
    return used;
  }

  /** False once the token was revoked or has expired. */
  isLive(id: string): boolean {
    const document = this.#cache.get(id);
    return document !== undefined && isLive(document, this.#clock);
  }

  get(id: string): ApiTokenDocument | undefined {
    return this.#cache.get(id);
  }

  /** Tokens of one owner of the tenant, or of all for null; oldest first. */
  list(tenant: string, owner: string | null): ApiTokenDocument[] {
    return [...this.#cache.values()]
      .filter((document) => document.tenant === tenant && (owner === null || document.owner === owner))
      .sort((a, b) => a.createdAt - b.createdAt);
  }

  /** Gives a token a new secret; the old one is invalid at once. Undefined if no live token has this id. */
  async rotate(id: string): Promise<NewApiToken | undefined> {
    const before = this.#cache.get(id);
    if (!before || before.revokedAt !== undefined) return undefined;
    const token = makeToken(id);
    const document = { ...before, hash: hashOf(token) };
    await this.#cache.replace(before, document);
    return { document, token };
  }

  /** Revokes a token at once; it stays listed for 30 days. Durable when it resolves; false if the id does not exist. */
  async revoke(id: string): Promise<boolean> {
    const document = this.#cache.get(id);
    if (!document) return false;
    if (document.revokedAt !== undefined) return true;
    await this.#cache.change(id, { hash: '', revokedAt: this.#clock.steady() });
    await this.#removeOldest(document);
    return true;
  }

  /** Revokes a token at once and deletes its document. */
  async remove(id: string): Promise<void> {
    await this.#cache.remove(id);
  }

  /** Removes the oldest revoked tokens of an owner beyond the maximum. */
  async #removeOldest({ owner: id, ownerKind: kind }: ApiTokenDocument): Promise<void> {
    const revoked = this.#tokensOf({ id, kind }).filter(({ revokedAt }) => revokedAt !== undefined);
    // The sort is stable, so of two tokens that were revoked at the same time, the younger one stays first.
    revoked.reverse().sort((a, b) => (b.revokedAt ?? 0) - (a.revokedAt ?? 0));
    for (const old of revoked.slice(MAX_PER_OWNER)) await this.remove(old.id);
  }

  #tokensOf(owner: Subject): ApiTokenDocument[] {
    return [...this.#cache.values()].filter((document) =>
      isSame(owner, { id: document.owner, kind: document.ownerKind }),
    );
  }

  /** Revokes all tokens of an owner, including those that are being created. */
  async revokeAllOf(owner: Subject): Promise<void> {
    for (const pending of this.#pending) pending.revoked ||= isSame(pending.owner, owner);
    await Promise.all(this.#tokensOf(owner).map(({ id }) => this.revoke(id)));
  }

  /** Removes all tokens of an owner that is being deleted. */
  async removeAllOf(owner: Subject): Promise<void> {
    for (const pending of this.#pending) pending.revoked ||= isSame(pending.owner, owner);
    await Promise.all(this.#tokensOf(owner).map(({ id }) => this.remove(id)));
  }

  /** Removes tokens that expired or were revoked long ago. Returns their number. */
  async sweep(): Promise<number> {
    const ended = [...this.#cache.values()].filter(({ expiresAt, revokedAt }) => {
      if (revokedAt !== undefined) return isLongPast(this.#clock, revokedAt + LISTED_MS);
      return expiresAt !== null && isLongPast(this.#clock, expiresAt);
    });
    for (const { id } of ended) await this.remove(id);
    return ended.length;
  }

  close(): Promise<void> {
    return this.#cache.close();
  }

  #countOf({ id, kind }: Subject): number {
    let count = [...this.#pending].filter(({ owner }) => isSame(owner, { id, kind })).length;
    for (const document of this.#cache.values()) {
      if (document.owner === id && document.ownerKind === kind && isLive(document, this.#clock)) count += 1;
    }
    return count;
  }

  #find(token: string): ApiTokenDocument | null {
    const id = TOKEN.exec(token)?.[1];
    const document = id === undefined ? undefined : this.#cache.get(id);
    if (!document || document.revokedAt !== undefined) return null;
    const hash = this.#hashed.get(token) ?? hashOf(token);
    if (!timingSafeEqual(Buffer.from(document.hash, 'hex'), Buffer.from(hash, 'hex'))) return null;
    // Only valid tokens are cached, so that guesses take no memory. Clearing the cache drops rotated and revoked ones.
    if (this.#hashed.size > 2 * this.#cache.size + 1000) this.#hashed.clear();
    this.#hashed.set(token, hash);
    return document;
  }
}

/** False once the token was revoked or has expired. */
export function isLive({ expiresAt, revokedAt }: ApiTokenDocument, clock: Clock): boolean {
  if (revokedAt !== undefined) return false;
  return expiresAt === null || expiresAt > clock.steady();
}

function isSame(a: Subject, b: Subject): boolean {
  return a.id === b.id && a.kind === b.kind;
}

function makeToken(id: string): string {
  return `${PREFIX}${id}_${randomBytes(32).toString('base64url')}`;
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Number of days in the statistics, including today. */
const DAYS = 30;

/** Days since the epoch, UTC. */
export function dayOf(time: number): number {
  return Math.floor(time / (24 * 3600 * 1000));
}

/** The counters after one more use on this day. */
function countedOn(days: TokenDays | undefined, day: number): TokenDays {
  // If the clock was set back, the latest day continues.
  if (days && days.day >= day) return { ...days, day, today: days.today + 1 };
  return { day, today: 1, before: usesByDay(days, day).slice(1, -1) };
}

/** Uses on each of the last 30 days, ending with today. */
export function usesByDay(days: TokenDays | undefined, day: number): number[] {
  const zeros = new Array<number>(DAYS).fill(0);
  if (!days) return zeros;
  // If the clock was set back, the latest day counts as today.
  const passed = Math.max(0, day - days.day);
  return [...zeros, ...days.before, days.today, ...zeros.slice(0, passed)].slice(-DAYS);
}
