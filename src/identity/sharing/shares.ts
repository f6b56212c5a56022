/**
 * Share links: a link opens one file without an account. It refers to the file as it was when the link was created: it ends when the file is
 * deleted or replaced, when it expires or is revoked, and when its creator loses the right to read the file.
 * `share-use.ts` counts the downloads.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import { expiryOf, MAX_SECONDS } from '../../protocol/bounds.ts';
import type { Extent } from '../../protocol/extents.ts';
import { networkOf } from '../../protocol/ip.ts';
import type { Creator } from '../../records/principal.ts';
import type { ShareDocument } from '../../records/sharing.ts';
import type { Secrets } from '../credentials/secrets.ts';
import type { Requester } from '../limits/fair-queue.ts';
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
/** Maximum number of live links to the files of one owner. */
const MAX_PER_OWNER = 1000;

/** A link that was just created. The token of the link is not stored. */
export interface NewShare {
  document: ShareDocument;
  token: string;
}

/** A link to create. */
export interface ShareRequest {
  tenant: string;
  owner: string;
  file: { id: string; name: string; size: number };
  maker: Creator;
  password: string | null;
  /** Lifetime in milliseconds. */
  lifeMs: number;
  /** Null: unlimited. */
  maxDownloads: number | null;
  /** The requester of the password hash, for the fair queue. */
  requester?: Requester;
}

/** Reservation of one reply. */
export interface DownloadReservation {
  /** True: send the whole file instead of the requested Range. */
  ignoresRange: boolean;
  /** Reports how many bytes of the file were sent and whether the reply is complete. Durable when it resolves. */
  settle(bytes: number, complete: boolean): Promise<void>;
}

/** The share links. */
export class Shares {
  readonly #cache: DocumentCache<ShareDocument>;
  readonly #clock: Clock;
  readonly #secrets: Secrets;
  /** Owner key → number of links that are being created. */
  readonly #pending = new Map<string, number>();
  /** Ids of files with links; may contain ids of files whose links have ended. */
  readonly files = new Set<string>();

  private constructor(cache: DocumentCache<ShareDocument>, clock: Clock, secrets: Secrets) {
    this.#cache = cache;
    this.#clock = clock;
    this.#secrets = secrets;
    for (const { fileId } of cache.values()) this.files.add(fileId);
  }

  /** Reads all links. Replies that the last stop of the server cut off count as interrupted. */
  static async open(store: Collection<ShareDocument>, clock: Clock, secrets: Secrets): Promise<Shares> {
    const shares = new Shares(await DocumentCache.open(store, ({ id }) => id), clock, secrets);
    for (const document of [...shares.#cache.values()]) {
      if (document.held + document.promised === 0) continue;
      // If this cannot be stored, the next start repeats it.
      await shares.#cache.replace(document, { ...document, ...afterCrash(document) }).catch(() => {});
    }
    return shares;
  }

  /**
   * Creates a link. Durable when it resolves.
   * @throws LadingError `quota_exceeded` at the maximum number of links to files of this owner
   */
  async create(request: ShareRequest): Promise<NewShare> {
    const { tenant, owner, file, maker, password, lifeMs, maxDownloads, requester } = request;
    const pending = this.#pending.get(owner) ?? 0;
    if (this.list(owner).length + pending >= MAX_PER_OWNER) {
      throw new LadingError('quota_exceeded', `This owner already has ${MAX_PER_OWNER} share links; revoke one first.`);
    }
    this.#pending.set(owner, pending + 1);
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
        passwordHash: password === null ? null : await this.#secrets.hash(password, requester),
        createdAt: this.#clock.dateOf(moment),
        expiresAt: expiryOf(moment, lifeMs, MAX_SECONDS.share),
        lastUsed: null,
        maxDownloads,
        ...NO_USE,
      };
      await this.#cache.put(document);
      this.files.add(file.id);
      return { document, token };
    } finally {
      const left = (this.#pending.get(owner) ?? 1) - 1;
      if (left === 0) this.#pending.delete(owner);
      else this.#pending.set(owner, left);
    }
  }

  /** The link of a token, if it has not expired and has a download left; null otherwise. */
  findByToken(token: string): ShareDocument | null {
    const id = TOKEN.exec(token)?.[1];
    const document = id === undefined ? undefined : this.#cache.get(id);
    if (!document || !timingSafeEqual(Buffer.from(document.hash, 'hex'), Buffer.from(hashOf(token), 'hex')))
      return null;
    return this.isLive(document.id) && hasDownloadLeft(document) ? document : null;
  }

  /** False once the link was revoked, has expired, or ended with its file or owner. */
  isLive(id: string): boolean {
    const document = this.#cache.get(id);
    return document !== undefined && document.expiresAt > this.#clock.steady();
  }

  /**
   * True if this is the password of the link.
   * @throws LadingError `overloaded`
   */
  isPasswordOf({ passwordHash }: ShareDocument, password: string, requester?: Requester): Promise<boolean> {
    // Media players send the password with many range requests.
    return this.#secrets.verifyCached(password, passwordHash, requester);
  }

  /**
   * Reserves a reply from the remaining downloads. For links with a limit it is durable when it resolves, so that a server that is killed
   * does not forget a download. Links without a limit only count.
   * @param extents requested parts of the file
   * @param ranged true for a Range request, which may be answered with the whole file
   * @param address address of the client
   * @returns null if no download is left or the link has ended
   */
  async reserve(
    id: string,
    extents: readonly Extent[],
    ranged: boolean,
    address: string,
  ): Promise<DownloadReservation | null> {
    const before = this.#cache.get(id);
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
    if (before.maxDownloads === null) this.#cache.putLater(after, this.#clock.monotonic());
    else await this.#cache.replace(before, after);
    if (!this.#cache.get(id)) return null;
    const ignoresRange = kind === 'whole' && !isWholeFile(before, extents);
    return { ignoresRange, settle: (bytes, complete) => this.#settle(id, { kind, wanted, bytes, complete }) };
  }

  get(id: string): ShareDocument | null {
    return this.#cache.get(id) ?? null;
  }

  /** Live links to the files of an owner (owner key), oldest first. */
  list(owner: string): ShareDocument[] {
    return [...this.#cache.values()]
      .filter((document) => document.owner === owner && this.isLive(document.id))
      .sort((a, b) => a.createdAt - b.createdAt);
  }

  /** Revokes the links to a removed file. Durable when it resolves. */
  async fileRemoved(id: string): Promise<void> {
    if (!this.files.has(id)) return;
    await this.revokeWhere(({ fileId }) => fileId === id);
    this.files.delete(id);
  }

  /** Revokes a link at once. Durable when it resolves; false if the id does not exist. */
  revoke(id: string): Promise<boolean> {
    return this.#cache.remove(id);
  }

  /** Revokes all links for which the predicate is true. */
  async revokeWhere(predicate: (document: ShareDocument) => boolean): Promise<void> {
    const revoked = [...this.#cache.values()].filter(predicate);
    await Promise.all(revoked.map(({ id }) => this.revoke(id)));
  }

  /** Removes links that expired long ago. */
  sweep(): Promise<void> {
    return this.revokeWhere(({ expiresAt }) => isLongPast(this.#clock, expiresAt));
  }

  close(): Promise<void> {
    return this.#cache.close();
  }

  async #settle(id: string, result: DownloadResult): Promise<void> {
    const before = this.#cache.get(id);
    if (!before) return;
    const after = { ...before, ...withResult(before, result) };
    // The reply was sent. If this cannot be stored, the download stays held and the next start counts it as interrupted.
    if (before.maxDownloads === null) this.#cache.putLater(after, this.#clock.monotonic());
    else await this.#cache.replace(before, after).catch(() => {});
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
