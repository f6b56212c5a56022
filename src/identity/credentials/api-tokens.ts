/**
 * API tokens: long-lived, for programs, with the scopes they were made with and never more than their owner has now. Kept as SHA-256
 * of 256 random bits, which nobody can guess and nothing need slow down.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import { endOf, MAX_SECONDS } from '../../protocol/bounds.ts';
import type { Scope } from '../../protocol/scopes.ts';
import type { ApiTokenDocument, TokenDays } from '../../records/credentials.ts';
import type { Subject } from '../../records/principal.ts';
import { DocumentCache } from '../state/document-cache.ts';

const PREFIX = 'lat_';
/** Live ones of one owner, and revoked ones that are still listed. */
const MAX_EACH = 100;
/** For so long a revoked token is listed on request. */
const REVOKED_MS = 30 * 24 * 3600 * 1000;
const TOKEN = /^lat_([0-9a-f]{16})_[\w-]{43}$/;

/** A token that was just made; the only time that it is known. */
export interface NewApiToken {
  document: ApiTokenDocument;
  token: string;
}

export interface ApiTokenRequest {
  owner: Subject & { tenant: string };
  name: string | null;
  /** See `ApiTokenDocument`. */
  label?: string | undefined;
  scopes: readonly Scope[];
  /** The scopes as they were asked for; by default as they are called here. */
  words?: readonly string[] | undefined;
  /** Milliseconds; null: until it is revoked. */
  lifeMs: number | null;
}

export class ApiTokens {
  readonly #kept: DocumentCache<ApiTokenDocument>;
  readonly #clock: Clock;
  /** Hashes of tokens by the token itself, so that a program that sends one with every chunk has it hashed once. */
  readonly #hashed = new Map<string, string>();
  /** Owners of tokens that are being written right now. */
  readonly #making = new Set<{ owner: Subject; revoked: boolean }>();

  private constructor(kept: DocumentCache<ApiTokenDocument>, clock: Clock) {
    this.#kept = kept;
    this.#clock = clock;
  }

  static async open(store: Collection<ApiTokenDocument>, clock: Clock): Promise<ApiTokens> {
    return new ApiTokens(await DocumentCache.open(store, ({ id }) => id), clock);
  }

  /** True for what looks like a token of this kind, so that no other door need look at it. */
  static looksLike(token: string): boolean {
    return token.startsWith(PREFIX);
  }

  /**
   * Durable when it resolves.
   * @throws LadingError `quota_exceeded` when the owner has as many as there may be; `validation_failed` for a life out of bounds; `unauthorized` when all were revoked meanwhile
   */
  async create({ owner, name, label, scopes, words, lifeMs }: ApiTokenRequest): Promise<NewApiToken> {
    if (this.#countOf(owner) >= MAX_EACH) {
      throw new LadingError('quota_exceeded', `There are ${MAX_EACH} API tokens of this owner; revoke one first.`);
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
      expiresAt: endOf(moment, lifeMs, MAX_SECONDS.token),
      lastUsed: null,
      uses: 0,
    };
    const making = { owner, revoked: false };
    this.#making.add(making);
    try {
      await this.#kept.put(document);
    } finally {
      this.#making.delete(making);
    }
    if (making.revoked) {
      await this.revoke(id);
      throw new LadingError('unauthorized', 'The API tokens of this owner were revoked meanwhile; sign in again.');
    }
    return { document, token };
  }

  /** The token of this text if it is good now, or null. */
  findLive(token: string): ApiTokenDocument | null {
    const document = this.#find(token);
    return document !== null && isLive(document, this.#clock) ? document : null;
  }

  /** The same whether it has expired or not: that it runs out ends nothing that it began. */
  findUnrevoked(token: string): ApiTokenDocument | null {
    return this.#find(token);
  }

  /** As `ofToken`; counts the use. */
  use(token: string): ApiTokenDocument | null {
    const document = this.findLive(token);
    if (document === null) return null;
    const now = this.#clock.now();
    const days = countedOn(document.days, dayOf(now));
    const used = { ...document, lastUsed: now, uses: document.uses + 1, days };
    this.#kept.use(used, this.#clock.monotonic());
    return used;
  }

  /** False once it was revoked or has expired. */
  isLive(id: string): boolean {
    const document = this.#kept.get(id);
    return document !== undefined && isLive(document, this.#clock);
  }

  get(id: string): ApiTokenDocument | undefined {
    return this.#kept.get(id);
  }

  /** Of one owner, or of a whole tenant for null; oldest first. */
  list(tenant: string, owner: string | null): ApiTokenDocument[] {
    return [...this.#kept.values()]
      .filter((document) => document.tenant === tenant && (owner === null || document.owner === owner))
      .sort((a, b) => a.createdAt - b.createdAt);
  }

  /** The same token with a new secret; the old one is worthless from this moment. Undefined when there is none of this id. */
  async rotate(id: string): Promise<NewApiToken | undefined> {
    const before = this.#kept.get(id);
    if (!before || before.revokedAt !== undefined) return undefined;
    const token = makeToken(id);
    const document = { ...before, hash: hashOf(token) };
    await this.#kept.replace(before, document);
    return { document, token };
  }

  /** Worthless from this moment, and listed as revoked for a while; false when there is none of this id. */
  async revoke(id: string): Promise<boolean> {
    const document = this.#kept.get(id);
    if (!document) return false;
    if (document.revokedAt !== undefined) return true;
    await this.#kept.change(id, { hash: '', revokedAt: this.#clock.steady() });
    await this.#forgetOldest(document);
    return true;
  }

  /** Worthless from this moment, and nothing is left of it. */
  async forget(id: string): Promise<void> {
    await this.#kept.remove(id);
  }

  /** Of the revoked ones of an owner the youngest stay. */
  async #forgetOldest({ owner: id, ownerKind: kind }: ApiTokenDocument): Promise<void> {
    const revoked = this.#of({ id, kind }).filter(({ revokedAt }) => revokedAt !== undefined);
    // Of those of one moment the one that was made last is the youngest.
    revoked.reverse().sort((a, b) => (b.revokedAt ?? 0) - (a.revokedAt ?? 0));
    for (const old of revoked.slice(MAX_EACH)) await this.forget(old.id);
  }

  #of(owner: Subject): ApiTokenDocument[] {
    return [...this.#kept.values()].filter((document) =>
      isSame(owner, { id: document.owner, kind: document.ownerKind }),
    );
  }

  /** Those too that are being made. */
  async revokeAllOf(owner: Subject): Promise<void> {
    for (const making of this.#making) making.revoked ||= isSame(making.owner, owner);
    await Promise.all(this.#of(owner).map(({ id }) => this.revoke(id)));
  }

  /** The same for an owner who is removed. */
  async forgetAllOf(owner: Subject): Promise<void> {
    for (const making of this.#making) making.revoked ||= isSame(making.owner, owner);
    await Promise.all(this.#of(owner).map(({ id }) => this.forget(id)));
  }

  /** Removes what expired or was revoked long ago; the number of them. */
  async sweep(): Promise<number> {
    const over = [...this.#kept.values()].filter(({ expiresAt, revokedAt }) => {
      if (revokedAt !== undefined) return isLongPast(this.#clock, revokedAt + REVOKED_MS);
      return expiresAt !== null && isLongPast(this.#clock, expiresAt);
    });
    for (const { id } of over) await this.forget(id);
    return over.length;
  }

  close(): Promise<void> {
    return this.#kept.close();
  }

  #countOf({ id, kind }: Subject): number {
    let count = [...this.#making].filter(({ owner }) => isSame(owner, { id, kind })).length;
    for (const document of this.#kept.values()) {
      if (document.owner === id && document.ownerKind === kind && isLive(document, this.#clock)) count += 1;
    }
    return count;
  }

  #find(token: string): ApiTokenDocument | null {
    const id = TOKEN.exec(token)?.[1];
    const document = id === undefined ? undefined : this.#kept.get(id);
    if (!document || document.revokedAt !== undefined) return null;
    const hash = this.#hashed.get(token) ?? hashOf(token);
    if (!timingSafeEqual(Buffer.from(document.hash, 'hex'), Buffer.from(hash, 'hex'))) return null;
    // Only good ones are remembered, so that guesses take no room; rotated and revoked ones go with the next clearing.
    if (this.#hashed.size > 2 * this.#kept.size + 1000) this.#hashed.clear();
    this.#hashed.set(token, hash);
    return document;
  }
}

/** False once it was revoked or has expired. */
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

/** Days that are remembered, today included. */
const DAYS = 30;

/** Days since the epoch, UTC. */
export function dayOf(time: number): number {
  return Math.floor(time / (24 * 3600 * 1000));
}

/** One use more on that day. */
function countedOn(days: TokenDays | undefined, day: number): TokenDays {
  // A date that was set back begins no new day.
  if (days && days.day >= day) return { ...days, day, today: days.today + 1 };
  return { day, today: 1, before: usesByDay(days, day).slice(1, -1) };
}

/** Uses on each of the last 30 days, today's last. */
export function usesByDay(days: TokenDays | undefined, day: number): number[] {
  const none = new Array<number>(DAYS).fill(0);
  if (!days) return none;
  // A clock that was set back counts as today.
  const passed = Math.max(0, day - days.day);
  return [...none, ...days.before, days.today, ...none.slice(0, passed)].slice(-DAYS);
}
