/**
 * Keeps the usage of each owner up to date with every change, so that nothing is ever scanned: a chunk costs a few additions.
 *
 *     bytes          + committed bytes of an upload      − all of them when the upload ends (deleted, expired, or sealed)
 *                    + a sealed document is added        − one is removed (deleted, or replaced in the step of the seal)
 *     openUploads    + an upload is created, adopted,    − one ends or is parked
 *                      or resumed after it was parked
 *     dayBytes       + committed bytes, until midnight UTC, even if they are deleted
 *
 * Repeated and overlapping bytes are committed once. A file and its replacement both count while both are on the disk. A running
 * chunk reserves the bytes that it is about to store, so that concurrent chunks cannot exceed a quota together.
 *
 * At start, the usage is computed from the documents and the journals. Bytes that were uploaded and deleted earlier that day are lost.
 */

import type { SegmentRange } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { ManifestRecord } from '../../contracts/manifests.ts';
import type { Quota, UsageTotals } from '../../contracts/quota.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FileDocument } from '../../records/file.ts';
import type { OpenUpload } from './upload.ts';

const DAY_MS = 24 * 3600 * 1000;

/** Quotas without limits; each owner is its own group. */
export const NO_QUOTA: Quota = { groupOf: (owner) => owner, admit: () => {} };

class Account {
  bytes = 0;
  openUploads = 0;
  /** Bytes reserved for running requests. */
  reserved = 0;
  #day = 0;
  #dayBytes = 0;

  received(bytes: number, day: number): void {
    this.#advanceTo(day);
    this.#dayBytes += bytes;
  }

  /** Starts a new day if the date is later. A clock that was set back does not. */
  #advanceTo(day: number): void {
    if (day > this.#day) this.#dayBytes = 0;
    this.#day = day;
  }

  /** @param reserved bytes to add, for checks against a limit */
  use(day: number, reserved: number): UsageTotals {
    this.#advanceTo(day);
    return { bytes: this.bytes + reserved, openUploads: this.openUploads, dayBytes: this.#dayBytes + reserved };
  }
}

export interface UsageDeps {
  catalog: Catalog;
  clock: Clock;
  quota: Quota;
}

export class Usage {
  readonly #clock: Clock;
  readonly #quota: Quota;
  readonly #owners = new Map<string, Account>();
  readonly #groups = new Map<string, Account>();
  /** Files sealed today but begun earlier. Only their journals show which bytes arrived today. Null once recovery has read them. */
  #filesBegunEarlier: FileDocument[] | null = [];

  constructor({ catalog, clock, quota }: UsageDeps) {
    this.#clock = clock;
    this.#quota = quota;
    const today = dayOf(clock.now());
    let starting = true;
    const add = (owner: string, bytes: number): void =>
      this.#each(owner, (account) => {
        account.bytes += bytes;
      });
    catalog.subscribe({
      added: (file) => {
        add(file.owner, file.size ?? 0);
        if (starting) this.#countDay(file, today);
      },
      removed: ({ owner, size }) => add(owner, -(size ?? 0)),
    });
    starting = false;
  }

  of(owner: string, group = false): UsageTotals {
    const account = group ? this.#groups.get(this.#quota.groupOf(owner)) : this.#owners.get(owner);
    return (account ?? new Account()).use(dayOf(this.#clock.now()), 0);
  }

  /** Number of bytes that all owners store. */
  storedBytes(): number {
    let sum = 0;
    for (const { bytes } of this.#owners.values()) sum += bytes;
    return sum;
  }

  /** @throws LadingError `quota_exceeded` */
  check(owner: string, added: Partial<UsageTotals>): void {
    const day = dayOf(this.#clock.now());
    const own = this.#account(this.#owners, owner);
    const group = this.#account(this.#groups, this.#quota.groupOf(owner));
    const now = { own: own.use(day, own.reserved), group: group.use(day, group.reserved) };
    this.#quota.admit(owner, now, added);
  }

  /**
   * Reserves quota for the bytes that a chunk is about to store, until the returned function is called. For the first chunk of a file, the
   * whole declared size must fit.
   * @throws LadingError `quota_exceeded`
   */
  reserve(upload: OpenUpload, plan: readonly SegmentRange[], declaredSize: number | null): () => void {
    const { owner } = upload.document;
    let fresh = 0;
    for (const { action, extent } of plan) if (action === 'write') fresh += lengthOf(extent);
    if (fresh === 0) return () => {};
    const declared = upload.isVisible ? 0 : (declaredSize ?? 0);
    this.check(owner, { bytes: Math.max(fresh, declared), dayBytes: fresh });
    this.#each(owner, (account) => {
      account.reserved += fresh;
    });
    let isReserved = true;
    return () => {
      if (!isReserved) return;
      isReserved = false;
      this.#each(owner, (account) => {
        account.reserved -= fresh;
      });
    };
  }

  /** Counts a new upload. @throws LadingError `quota_exceeded`; then it is not counted */
  created(owner: string): void {
    this.check(owner, { openUploads: 1 });
    this.#each(owner, (account) => {
      account.openUploads += 1;
    });
  }

  /** Counts a recovered upload, or a sealed file that is continued. */
  adopted(upload: OpenUpload): void {
    const { owner } = upload.document;
    this.#each(owner, (account) => {
      if (!upload.isParked) account.openUploads += 1;
      account.bytes += upload.stored.bytes;
    });
  }

  /** Parks an upload: it no longer counts as open, but its bytes do. */
  park(upload: OpenUpload): void {
    if (upload.isParked) return;
    upload.phase.park();
    this.#each(upload.document.owner, (account) => {
      account.openUploads -= 1;
    });
  }

  /** Resumes a parked upload: it counts as open again. */
  resume(upload: OpenUpload): void {
    // An upload that was discarded meanwhile was subtracted already.
    if (!upload.isParked || upload.phase.isDiscarded) return;
    upload.phase.resume();
    this.#each(upload.document.owner, (account) => {
      account.openUploads += 1;
    });
  }

  /** To be called in the same step in which the bytes are added to the upload. */
  committed(upload: OpenUpload, fresh: readonly Extent[]): void {
    const bytes = fresh.reduce((sum, extent) => sum + lengthOf(extent), 0);
    const day = dayOf(this.#clock.now());
    this.#each(upload.document.owner, (account) => {
      // If the upload was deleted during the commit, its bytes were subtracted already.
      if (!upload.endReason) account.bytes += bytes;
      account.received(bytes, day);
    });
  }

  /** Subtracts an upload that has left the table. To be called once. If it was sealed, its document is counted instead. */
  ended(upload: OpenUpload): void {
    this.#each(upload.document.owner, (account) => {
      if (!upload.isParked) account.openUploads -= 1;
      account.bytes -= upload.stored.bytes;
    });
  }

  /** Counts the bytes that arrived today according to these journal records. */
  received(owner: string, records: readonly ManifestRecord[]): void {
    const today = dayOf(this.#clock.now());
    const bytes = records.reduce((sum, record) => sum + (dayOf(record.time) === today ? lengthOf(record) : 0), 0);
    this.#each(owner, (account) => account.received(bytes, today));
  }

  /** The files whose journals recovery must pass to `received`. To be called once. */
  filesBegunEarlier(): FileDocument[] {
    const files = this.#filesBegunEarlier ?? [];
    this.#filesBegunEarlier = null;
    return files;
  }

  #countDay(document: FileDocument, today: number): void {
    if (document.completedAt === null || dayOf(document.completedAt) !== today) return;
    if (dayOf(document.createdAt) < today) this.#filesBegunEarlier?.push(document);
    else this.#each(document.owner, (account) => account.received(document.size ?? 0, today));
  }

  #each(owner: string, change: (account: Account) => void): void {
    change(this.#account(this.#owners, owner));
    change(this.#account(this.#groups, this.#quota.groupOf(owner)));
  }

  #account(all: Map<string, Account>, name: string): Account {
    let account = all.get(name);
    if (!account) {
      account = new Account();
      all.set(name, account);
    }
    return account;
  }
}

function dayOf(time: number): number {
  return Math.floor(time / DAY_MS);
}
