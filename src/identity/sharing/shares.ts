/**
 * Share links: whoever has one reads one file, without an account. A link is to the file as it is when the link is made: it ends when the
 * file is deleted or replaced, when it lapses or is revoked, and with the right of who made it.
 * How downloads are counted is said in `share-use.ts`.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import { endOf, MAX_SECONDS } from '../../protocol/bounds.ts';
import type { Extent } from '../../protocol/extents.ts';
import { networkOf } from '../../protocol/ip.ts';
import type { Creator } from '../../records/principal.ts';
import type { ShareDocument } from '../../records/sharing.ts';
import type { Secrets } from '../credentials/secrets.ts';
import type { Asker } from '../limits/fair-queue.ts';
import { DocumentCache } from '../state/document-cache.ts';
import {
  admittedKind,
  afterCrash,
  type DownloadRequest,
  type DownloadResult,
  hasDownloadLeft,
  isWholeFile,
  NO_USE,
  withReservation,
  withResult,
} from './share-use.ts';

const TOKEN = /^lsh_([0-9a-f]{16})_[\w-]{43}$/;
/** Links to the files of one owner that have not ended. */
const MAX_EACH = 1000;

/** A link that was just made; the only time that its token is known. */
export interface NewShare {
  document: ShareDocument;
  token: string;
}

export interface ShareRequest {
  tenant: string;
  owner: string;
  file: { id: string; name: string; size: number };
  maker: Creator;
  password: string | null;
  /** Milliseconds. */
  lifeMs: number;
  /** Null: any number. */
  maxDownloads: number | null;
  /** Who makes it. */
  asker?: Asker;
}

/** What an answer may send. */
export interface DownloadReservation {
  /** All of the file is sent, whatever the Range asked for. */
  ignoresRange: boolean;
  /** Says what became of it: how many bytes of the file were sent, and whether that was all. Durable when it resolves. */
  settle(bytes: number, all: boolean): Promise<void>;
}

export class Shares {
  readonly #kept: DocumentCache<ShareDocument>;
  readonly #clock: Clock;
  readonly #secrets: Secrets;
  /** Owner → how many are being made right now. */
  readonly #making = new Map<string, number>();
  /** Files that there are links to, and some that there were. */
  readonly files = new Set<string>();

  private constructor(kept: DocumentCache<ShareDocument>, clock: Clock, secrets: Secrets) {
    this.#kept = kept;
    this.#clock = clock;
    this.#secrets = secrets;
    for (const { fileId } of kept.values()) this.files.add(fileId);
  }

  /** Answers that a stop of the server cut are taken for broken off. */
  static async open(store: Collection<ShareDocument>, clock: Clock, secrets: Secrets): Promise<Shares> {
    const shares = new Shares(await DocumentCache.open(store, ({ id }) => id), clock, secrets);
    for (const document of [...shares.#kept.values()]) {
      if (document.held + document.promised === 0) continue;
      // When this cannot be written, the next start does the same again.
      await shares.#kept.replace(document, { ...document, ...afterCrash(document) }).catch(() => {});
    }
    return shares;
  }

  /**
   * Durable when it resolves.
   * @throws LadingError `quota_exceeded` when there are as many links to files of this owner as there may be
   */
  async create(request: ShareRequest): Promise<NewShare> {
    const { tenant, owner, file, maker, password, lifeMs, maxDownloads, asker } = request;
    const making = this.#making.get(owner) ?? 0;
    if (this.list(owner).length + making >= MAX_EACH) {
      throw new LadingError('quota_exceeded', `There are ${MAX_EACH} share links to these files; revoke one first.`);
    }
    this.#making.set(owner, making + 1);
    try {
      const id = randomBytes(8).toString('hex');
      const token = `lsh_${id}_${randomBytes(32).toString('base64url')}`;
      const moment = this.#clock.steady();
      const document: ShareDocument = {
        id,
        tenant,
        owner,
        fileId: file.id,
        name: file.name,
        size: file.size,
        maker,
        hash: hashOf(token),
        passwordHash: password === null ? null : await this.#secrets.hash(password, asker),
        createdAt: this.#clock.dateOf(moment),
        expiresAt: endOf(moment, lifeMs, MAX_SECONDS.share),
        lastUsed: null,
        maxDownloads,
        ...NO_USE,
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
    return this.isLive(document.id) && hasDownloadLeft(document) ? document : null;
  }

  /** False once it was revoked, has lapsed, or ended with something else. */
  isLive(id: string): boolean {
    const document = this.#kept.get(id);
    return document !== undefined && document.expiresAt > this.#clock.steady();
  }

  /**
   * True for the password of the link.
   * @throws LadingError `overloaded`
   */
  isPasswordOf({ passwordHash }: ShareDocument, password: string, asker?: Asker): Promise<boolean> {
    // A player asks for one range after the other.
    return this.#secrets.verifyOften(password, passwordHash, asker);
  }

  /**
   * Takes what an answer may send from what may still be downloaded; of a link without a limit it is counted. Durable when it resolves,
   * where there is a limit: a server that is killed forgets no download.
   * @param extents of the file that were asked for
   * @param ranged by a Range, which may be answered with the whole file as well
   * @param address who asks
   * @returns null when nothing is left, or the link has ended
   */
  async reserve(
    id: string,
    extents: readonly Extent[],
    ranged: boolean,
    address: string,
  ): Promise<DownloadReservation | null> {
    const before = this.#kept.get(id);
    if (!before) return null;
    const now = this.#clock.now();
    const by = createHash('sha256')
      .update(`${id} ${networkOf(address)}`)
      .digest('base64url')
      .slice(0, 16);
    const wanted: DownloadRequest = { extents, ranged, by };
    const kind = admittedKind(before, wanted);
    if (kind === null) return null;
    const after = { ...before, ...withReservation(before, kind, wanted), lastUsed: now };
    if (before.maxDownloads === null) this.#kept.use(after, this.#clock.monotonic());
    else await this.#kept.replace(before, after);
    if (!this.#kept.get(id)) return null;
    const ignoresRange = kind === 'whole' && !isWholeFile(before, extents);
    return { ignoresRange, settle: (bytes, all) => this.#settle(id, { kind, wanted, bytes, all }) };
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
  async fileRemoved(id: string): Promise<void> {
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

  async #settle(id: string, sent: DownloadResult): Promise<void> {
    const before = this.#kept.get(id);
    if (!before) return;
    const after = { ...before, ...withResult(before, sent) };
    // The answer is out. What cannot be written stays held, and the next start takes it for broken off.
    if (before.maxDownloads === null) this.#kept.use(after, this.#clock.monotonic());
    else await this.#kept.replace(before, after).catch(() => {});
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
