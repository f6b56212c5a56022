/**
 * Share links: whoever has one reads one file, without an account. A link is to the file as it is when the link is made: it ends when the
 * file is deleted or replaced, when it lapses or is revoked, and with the right of who made it.
 *
 * A limit of n downloads is one of n times the file's bytes, however they are fetched: by ranges, over several connections, or by going on
 * after an interruption each byte counts once for each time that it is sent. Answers that broke off are forgiven, for much of them never
 * arrived, but no more than as much again: whoever breaks off on purpose gets 2n times the file at most.
 *
 *     asked for → reserved → sent whole: spent
 *                          → broken off: lost, while there is room for it; the rest is spent
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { isLongPast } from '../clock.ts';
import type { Clock, Collection, Maker, ShareDocument } from '../contracts.ts';
import { LadingError } from '../errors.ts';
import { endOf, LONGEST_SECONDS } from '../protocol/bounds.ts';
import { Kept } from './kept.ts';
import type { Secrets } from './secrets.ts';

const TOKEN = /^lsh_([0-9a-f]{16})_[\w-]{43}$/;
/** Links to the files of one owner that have not ended. */
const MOST_EACH = 1000;
/** Passwords that were right lately, so that a player which asks for one range after the other is not hashed for each. */
const MOST_PROVEN = 10_000;

/** A link that was just made; the only time that its token is known. */
export interface NewShare {
  document: ShareDocument;
  token: string;
}

export interface ShareRequest {
  tenant: string;
  owner: string;
  file: { id: string; name: string; size: number };
  maker: Maker;
  password: string | null;
  /** Milliseconds. */
  lifeMs: number;
  /** Null: any number. */
  maxDownloads: number | null;
}

/** Says what became of an answer: how many bytes of the file were sent, and whether that was all. Durable when it resolves. */
export type Settle = (sent: number, whole: boolean) => Promise<void>;

export class Shares {
  readonly #kept: Kept<ShareDocument>;
  readonly #clock: Clock;
  readonly #secrets: Secrets;
  /** Owner → how many are being made right now. */
  readonly #making = new Map<string, number>();
  /** Files that there are links to, and some that there were. */
  readonly files = new Set<string>();
  readonly #provenKey = randomBytes(32);
  readonly #proven = new Set<string>();

  private constructor(kept: Kept<ShareDocument>, clock: Clock, secrets: Secrets) {
    this.#kept = kept;
    this.#clock = clock;
    this.#secrets = secrets;
    for (const { fileId } of kept.values()) this.files.add(fileId);
  }

  /** Answers that a stop of the server cut are taken for broken off. */
  static async open(store: Collection<ShareDocument>, clock: Clock, secrets: Secrets): Promise<Shares> {
    const shares = new Shares(await Kept.open(store, ({ id }) => id), clock, secrets);
    for (const document of [...shares.#kept.values()]) {
      const { reserved } = document;
      // When this cannot be written, the next start does the same again.
      if (reserved > 0) await shares.#kept.replace(document, forgiven(document, reserved, reserved)).catch(() => {});
    }
    return shares;
  }

  /**
   * Durable when it resolves.
   * @throws LadingError `quota_exceeded` when there are as many links to files of this owner as there may be
   */
  async create(request: ShareRequest): Promise<NewShare> {
    const { tenant, owner, file, maker, password, lifeMs, maxDownloads } = request;
    const making = this.#making.get(owner) ?? 0;
    if (this.list(owner).length + making >= MOST_EACH) {
      throw new LadingError('quota_exceeded', `There are ${MOST_EACH} share links to these files; revoke one first.`);
    }
    this.#making.set(owner, making + 1);
    try {
      const id = randomBytes(8).toString('hex');
      const token = `lsh_${id}_${randomBytes(32).toString('base64url')}`;
      const createdAt = this.#clock.now();
      const document: ShareDocument = {
        id,
        tenant,
        owner,
        fileId: file.id,
        name: file.name,
        size: file.size,
        maker,
        hash: hashOf(token),
        passwordHash: password === null ? null : await this.#secrets.hash(password),
        createdAt,
        expiresAt: endOf(createdAt, lifeMs, LONGEST_SECONDS.share),
        lastUsed: null,
        maxDownloads,
        spent: 0,
        lost: 0,
        reserved: 0,
        ends: 0,
      };
      await this.#kept.put(document);
      this.files.add(file.id);
      return { document, token };
    } finally {
      const left = (this.#making.get(owner) ?? 1) - 1;
      if (left === 0) this.#making.delete(owner);
      else this.#making.set(owner, left);
    }
  }

  /** The link of this token if it has not lapsed and is not used up, or null. */
  ofToken(token: string): ShareDocument | null {
    const id = TOKEN.exec(token)?.[1];
    const document = id === undefined ? undefined : this.#kept.get(id);
    if (!document || !timingSafeEqual(Buffer.from(document.hash, 'hex'), Buffer.from(hashOf(token), 'hex')))
      return null;
    return this.isLive(document.id) && leftOf(document) > 0 ? document : null;
  }

  /** False once it was revoked, has lapsed, or ended with something else. */
  isLive(id: string): boolean {
    const document = this.#kept.get(id);
    return document !== undefined && document.expiresAt > this.#clock.now();
  }

  /**
   * True for the password of the link.
   * @throws LadingError `overloaded`
   */
  async isPasswordOf({ id, passwordHash }: ShareDocument, password: string): Promise<boolean> {
    const proof = createHmac('sha256', this.#provenKey).update(`${id} ${passwordHash} ${password}`).digest('base64url');
    if (this.#proven.has(proof)) return true;
    if (!(await this.#secrets.verify(password, passwordHash))) return false;
    if (this.#proven.size >= MOST_PROVEN) this.#proven.clear();
    this.#proven.add(proof);
    return true;
  }

  /**
   * Takes so many bytes of the file from what may still be downloaded; of a link without a limit they are counted. Durable when it
   * resolves, where there is a limit: a server that is killed forgets no download.
   * @param toTheEnd the last byte of the file is one of them
   * @returns null when there are not so many left, or the link has ended
   */
  async take(id: string, bytes: number, toTheEnd: boolean): Promise<Settle | null> {
    const before = this.#kept.get(id);
    if (!before) return null;
    const now = this.#clock.now();
    // Of an empty file each download counts as one byte.
    const cost = Math.max(bytes, 1);
    if (before.maxDownloads === null) {
      this.#kept.use({ ...before, lastUsed: now }, this.#clock.monotonic());
      return async (sent, whole) => this.#count(id, sent, whole && toTheEnd);
    }
    if (cost > leftOf(before)) return null;
    await this.#kept.replace(before, { ...before, reserved: before.reserved + cost, lastUsed: now });
    if (!this.#kept.get(id)) return null;
    return (sent, whole) => this.#settle(id, cost, whole ? { toTheEnd } : { broken: Math.min(sent, cost) });
  }

  get(id: string): ShareDocument | null {
    return this.#kept.get(id) ?? null;
  }

  /** Those to files of this owner that have not lapsed, the oldest first. */
  list(owner: string): ShareDocument[] {
    return [...this.#kept.values()]
      .filter((document) => document.owner === owner && this.isLive(document.id))
      .sort((a, b) => a.createdAt - b.createdAt);
  }

  /** Ends the links to a file that is gone; durable when it resolves. */
  async fileGone(id: string): Promise<void> {
    if (!this.files.has(id)) return;
    await this.revokeWhere(({ fileId }) => fileId === id);
    this.files.delete(id);
  }

  /** Worthless from this moment; durable when it resolves. False when there is none of this id. */
  revoke(id: string): Promise<boolean> {
    return this.#kept.remove(id);
  }

  /** Revokes all of which this is true. */
  async revokeWhere(ends: (document: ShareDocument) => boolean): Promise<void> {
    const ended = [...this.#kept.values()].filter(ends);
    await Promise.all(ended.map(({ id }) => this.revoke(id)));
  }

  /** Removes what lapsed long ago. */
  sweep(): Promise<void> {
    return this.revokeWhere(({ expiresAt }) => isLongPast(this.#clock, expiresAt));
  }

  close(): Promise<void> {
    return this.#kept.close();
  }

  #count(id: string, sent: number, toTheEnd: boolean): void {
    const document = this.#kept.get(id);
    if (!document) return;
    const spent = document.spent + (document.size === 0 ? 1 : sent);
    this.#kept.use({ ...document, spent, ends: document.ends + (toTheEnd ? 1 : 0) }, this.#clock.monotonic());
  }

  /** @param became `broken`: so many bytes were sent before the answer broke off */
  async #settle(id: string, cost: number, became: { broken: number } | { toTheEnd: boolean }): Promise<void> {
    const before = this.#kept.get(id);
    if (!before) return;
    const after = 'broken' in became ? forgiven(before, cost, became.broken) : counted(before, cost, became.toTheEnd);
    // The answer is out. What cannot be written stays reserved, and the next start takes it for broken off.
    await this.#kept.replace(before, after).catch(() => {});
  }
}

/** How often the file was sent to its end, and not its end alone. */
export function downloadsOf({ spent, lost, size, ends }: ShareDocument): number {
  return Math.min(ends, Math.floor((spent + lost) / Math.max(size, 1)));
}

/** Bytes that its limit allows. */
function allowanceOf({ maxDownloads, size }: ShareDocument): number {
  return maxDownloads === null ? Number.POSITIVE_INFINITY : maxDownloads * Math.max(size, 1);
}

function leftOf(document: ShareDocument): number {
  return allowanceOf(document) - document.spent - document.reserved;
}

/** After an answer for which `cost` was reserved was sent whole. */
function counted(document: ShareDocument, cost: number, toTheEnd: boolean): ShareDocument {
  const { reserved, spent, ends } = document;
  return { ...document, reserved: reserved - cost, spent: spent + cost, ends: ends + (toTheEnd ? 1 : 0) };
}

/** After an answer for which `cost` was reserved broke off, `sent` bytes of it on their way or arrived. */
function forgiven(document: ShareDocument, cost: number, sent: number): ShareDocument {
  const { lost, spent, reserved } = document;
  const forgives = Math.min(sent, Math.max(0, allowanceOf(document) - lost));
  return { ...document, reserved: reserved - cost, lost: lost + forgives, spent: spent + sent - forgives };
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
