/**
 * How a file takes a name that unfinished uploads still have (PUT, and whatever else replaces what is there):
 *
 *     they are held still → sealed document that says whom it ends  ← here the name changes hands → they and their bytes go
 *
 * A crash before that document is on disk leaves them, one after it leaves the file: never neither, and never both.
 */
import type { BlobStore } from '../../contracts/blobs.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import { LadingError } from '../../errors.ts';
import { MAX_OFFSET } from '../../protocol/chunk.ts';
import { type Announce, withAnnouncement } from '../files/announce.ts';
import { removeBytes } from '../files/file-blobs.ts';
import { uploadInProgress } from '../files/refusals.ts';
import type { Committer } from './commit.ts';
import type { OpenUpload, ReservedExtent } from './upload.ts';
import type { UploadTable } from './upload-table.ts';

const ALL = { start: 0, end: MAX_OFFSET };

export interface SuccessionDeps {
  blobs: BlobStore;
  uploads: UploadTable;
  committer: Committer;
  /** Nobody sends to it. */
  isIdle(upload: OpenUpload): boolean;
  /** Ends an unfinished upload, and whoever sends to it. */
  cancel(upload: OpenUpload): Promise<unknown>;
  emit(happening: FileEvent): void;
  announce: Announce;
  /** Told of what goes wrong when it can no longer fail the request. */
  warn(message: string, error: unknown): void;
}

function cancelled({ document: file, stored }: OpenUpload) {
  return { type: 'upload.cancelled' as const, file, received: stored.bytes };
}

export class Succession {
  readonly #deps: SuccessionDeps;

  constructor(deps: SuccessionDeps) {
    this.#deps = deps;
  }

  /** @throws LadingError `already_exists` while somebody sends to the upload that has the name */
  assertFree({ document }: OpenUpload): void {
    const there = this.#deps.uploads.find(document.owner, document.name);
    if (document.aside && there && !this.#deps.isIdle(there)) throw uploadInProgress();
  }

  /**
   * Runs `work` while the uploads that end with this one are held still; once it resolves they are over, and if it rejects they go on. To be
   * called while the name is held.
   * @param whole seals an upload that has all its bytes, so that it is replaced like every complete file
   * @param judge asked before an upload that somebody sends to ends; what it throws leaves all as it was
   */
  async end(
    upload: OpenUpload,
    whole: (upload: OpenUpload) => Promise<void>,
    work: (ended: OpenUpload[]) => Promise<void>,
    judge?: () => Promise<void>,
  ): Promise<void> {
    await this.#settle(upload, whole, judge);
    upload.assertNotEnded();
    const ended = this.#endedBy(upload);
    const held: ReservedExtent[] = [];
    let over = (): void => {};
    const replacing = new Promise<void>((resolve) => {
      over = resolve;
    });
    try {
      for (const other of ended) {
        const all = other.tryReserve(ALL);
        if (!all) throw uploadInProgress();
        held.push(all);
        other.closed = true;
        other.replacing = replacing;
      }
      for (const other of ended) await this.#deps.committer.idle(other);
      await withAnnouncement(this.#deps.announce, ended.map(cancelled), async () => {
        await work(ended);
        for (const other of ended) this.#endUpload(other);
      });
    } finally {
      for (const other of ended.slice(0, held.length)) {
        other.replacing = null;
        if (!other.endReason) other.closed = false;
      }
      for (const all of held) all.release();
      over();
    }
    for (const { document } of ended) await this.#removeBytes(document);
  }

  /**
   * Takes care that nobody sends to the upload that has the name: a file that comes in one request waits beside others from now on, and
   * every other upload ends.
   */
  async #endSenders({ document: { owner, name } }: OpenUpload, judge?: () => Promise<void>): Promise<void> {
    const { uploads, isIdle, committer, cancel } = this.#deps;
    for (;;) {
      const there = uploads.find(owner, name);
      if (!there || isIdle(there)) return;
      await judge?.();
      if (uploads.find(owner, name) !== there) continue;
      // What it brought counts at this moment: then it is the file, and is replaced as one.
      if (there.sealing) await there.sealing.catch(() => {});
      else if (committer.isBusy(there)) await committer.idle(there);
      else if (there.isFileUpload && !there.visible) uploads.letOthersHaveName(there);
      else await cancel(there);
    }
  }

  /** Whoever has the name is idle, and neither complete nor about to become so or to end. */
  async #settle(
    upload: OpenUpload,
    whole: (upload: OpenUpload) => Promise<void>,
    judge?: () => Promise<void>,
  ): Promise<void> {
    const { owner, name } = upload.document;
    for (;;) {
      if (upload.takesNameAlways) await this.#endSenders(upload, judge);
      this.assertFree(upload);
      const there = this.#deps.uploads.find(owner, name);
      if (there?.reverting) await there.reverting.catch(() => {});
      else if (there?.sealing || there?.isComplete || there?.isContiguous) await whole(there);
      else return;
    }
  }

  /** Whoever has the name, and those that waited for it when this one began, unless somebody sends to them. */
  #endedBy({ document }: OpenUpload): OpenUpload[] {
    const { uploads, isIdle } = this.#deps;
    const { owner, name, ends = [] } = document;
    const there = uploads.findVisible(owner, name);
    const waiting = uploads.waitingFor(owner, name).filter((other) => ends.includes(other.id) && isIdle(other));
    return there ? [there, ...waiting] : waiting;
  }

  #endUpload(other: OpenUpload): void {
    other.endReason = new LadingError('not_found', 'Another file took the name of this upload, which ended it.');
    this.#deps.uploads.drop(other);
    this.#deps.emit(cancelled(other));
  }

  async #removeBytes(document: OpenUpload['document']): Promise<void> {
    await removeBytes(this.#deps.blobs, document).catch((error: unknown) => {
      this.#deps.warn('the bytes of an upload that ended could not be removed; the next start tries again', error);
    });
  }
}
