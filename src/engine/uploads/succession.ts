/**
 * How a file takes a name that unfinished uploads still have (PUT, and other replacements):
 *
 *     reserve the uploads → sealed document that lists them  ← here the name changes hands → discard the uploads
 *
 * A crash before that document is on the disk leaves the uploads, a crash after it leaves the file: never neither, and never both.
 */
import type { BlobStore } from '../../contracts/blobs.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import { LadingError } from '../../errors.ts';
import { MAX_OFFSET } from '../../protocol/chunk.ts';
import { type Announce, withAnnouncement } from '../files/announce.ts';
import { removeBytes } from '../files/file-blobs.ts';
import { uploadInProgress } from '../files/refusals.ts';
import type { ReservedExtent } from '../files/reservations.ts';
import type { Committer } from './commit.ts';
import type { OpenUpload } from './upload.ts';
import type { UploadTable } from './upload-table.ts';

const ALL = { start: 0, end: MAX_OFFSET };

export interface SuccessionDeps {
  blobs: BlobStore;
  uploads: UploadTable;
  committer: Committer;
  /** Other requests know the upload, and none sends to it. */
  isIdle(upload: OpenUpload): boolean;
  /** Discards an unfinished upload and ends the requests that send to it. */
  cancel(upload: OpenUpload): Promise<unknown>;
  emit(happening: FileEvent): void;
  announce: Announce;
  /** Writes a failure to the log that can no longer fail the request. */
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
   * Runs `work` while the uploads that end with this one are reserved. They end when it resolves, and continue if it rejects. To be
   * called while the name is held.
   * @param whole seals an upload that has all bytes, so that it is replaced like every complete file
   * @param judge called before an upload ends to which a request sends; an error that it throws leaves everything unchanged
   */
  async replace(
    upload: OpenUpload,
    whole: (upload: OpenUpload) => Promise<void>,
    work: (ended: OpenUpload[]) => Promise<void>,
    judge?: () => Promise<void>,
  ): Promise<void> {
    await this.#waitForHolder(upload, whole, judge);
    upload.assertNotEnded();
    const ended = this.#replacedBy(upload);
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
        other.phase.beginReplacement(replacing);
      }
      for (const other of ended) await this.#deps.committer.idle(other);
      await withAnnouncement(this.#deps.announce, ended.map(cancelled), async () => {
        await work(ended);
        for (const other of ended) this.#discard(other);
      });
    } finally {
      for (const other of ended.slice(0, held.length)) other.phase.endReplacement();
      for (const all of held) all.release();
      over();
    }
    for (const { document } of ended) await this.#removeBytes(document);
  }

  /**
   * Makes sure that no request sends to the upload that has the name: a file upload leaves the name until it is complete, and every other
   * upload ends.
   */
  async #endSenders({ document: { owner, name } }: OpenUpload, judge?: () => Promise<void>): Promise<void> {
    const { uploads, isIdle, committer, cancel } = this.#deps;
    for (;;) {
      const there = uploads.find(owner, name);
      if (!there || isIdle(there)) return;
      await judge?.();
      if (uploads.find(owner, name) !== there) continue;
      // Its bytes are being committed: it then is the file, and is replaced as one.
      if (there.phase.sealing) await there.phase.sealing.catch(() => {});
      else if (committer.isBusy(there)) await committer.idle(there);
      else if (there.isFileUpload && !there.isVisible) uploads.releaseName(there);
      else await cancel(there);
    }
  }

  /** Waits until the upload that has the name is idle, and neither complete nor about to become complete or to end. */
  async #waitForHolder(
    upload: OpenUpload,
    whole: (upload: OpenUpload) => Promise<void>,
    judge?: () => Promise<void>,
  ): Promise<void> {
    const { owner, name } = upload.document;
    for (;;) {
      if (upload.takesNameAlways) await this.#endSenders(upload, judge);
      this.assertFree(upload);
      const there = this.#deps.uploads.find(owner, name);
      if (there?.phase.reverting) await there.phase.reverting.catch(() => {});
      else if (there?.phase.sealing || there?.isComplete || there?.isContiguous) await whole(there);
      else return;
    }
  }

  /** The upload that has the name, and the idle uploads that waited for it when this one began. */
  #replacedBy({ document }: OpenUpload): OpenUpload[] {
    const { uploads, isIdle } = this.#deps;
    const { owner, name, ends = [] } = document;
    const there = uploads.findVisible(owner, name);
    const waiting = uploads.waitingFor(owner, name).filter((other) => ends.includes(other.id) && isIdle(other));
    return there ? [there, ...waiting] : waiting;
  }

  #discard(other: OpenUpload): void {
    other.phase.discard(new LadingError('not_found', 'Another file took the name of this upload, which ended it.'));
    this.#deps.uploads.drop(other);
    this.#deps.emit(cancelled(other));
  }

  async #removeBytes(document: OpenUpload['document']): Promise<void> {
    await removeBytes(this.#deps.blobs, document).catch((error: unknown) => {
      this.#deps.warn('the bytes of an upload that ended could not be removed; the next start tries again', error);
    });
  }
}
