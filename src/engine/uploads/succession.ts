/**
 * How a file takes a name from unfinished uploads (PUT and other replacements):
 *
 *     reserve the uploads → sealed document that lists them  ← now the file has the name → discard the uploads
 *
 * A crash before that document is on the disk keeps the uploads; a crash after it keeps the file. Never both, and never neither.
 */
import type { BlobStore } from '../../contracts/blobs.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import { LadingError } from '../../errors.ts';
import { type Announce, withAnnouncement } from '../files/announce.ts';
import { removeBytes } from '../files/file-blobs.ts';
import { uploadInProgress } from '../files/refusals.ts';
import { ALL_BYTES, type ReservedExtent } from '../files/reservations.ts';
import type { Committer } from './commit.ts';
import type { OpenUpload } from './upload.ts';
import type { UploadTable } from './upload-table.ts';

export interface SuccessionDeps {
  blobs: BlobStore;
  uploads: UploadTable;
  committer: Committer;
  /** True when the upload is visible to other requests and none is sending to it. */
  isIdle(upload: OpenUpload): boolean;
  /** Discards an unfinished upload and ends the requests that send to it. */
  cancel(upload: OpenUpload): Promise<unknown>;
  emit(event: FileEvent): void;
  announce: Announce;
  /** Logs a failure when the request has already succeeded. */
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

  /** @throws LadingError `already_exists` while a request sends to the upload that has the name */
  assertFree({ document }: OpenUpload): void {
    const holder = this.#deps.uploads.find(document.owner, document.name);
    if (document.aside && holder && !this.#deps.isIdle(holder)) throw uploadInProgress();
  }

  /**
   * Runs `work` while the uploads that this one replaces are reserved. They are discarded if it resolves, and continue if it rejects. The
   * caller must hold the name.
   * @param seal seals an upload that has all bytes, so that it is replaced as a complete file
   * @param assertAllowed called before a request that sends to another upload is ended; if it throws, nothing changes
   */
  async replace(
    upload: OpenUpload,
    seal: (upload: OpenUpload) => Promise<void>,
    work: (ended: OpenUpload[]) => Promise<void>,
    assertAllowed?: () => Promise<void>,
  ): Promise<void> {
    await this.#waitForHolder(upload, seal, assertAllowed);
    upload.assertNotEnded();
    const ended = this.#replacedBy(upload);
    const held: ReservedExtent[] = [];
    let finish = (): void => {};
    const replacing = new Promise<void>((resolve) => {
      finish = resolve;
    });
    try {
      for (const other of ended) {
        const all = other.tryReserve(ALL_BYTES);
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
      finish();
    }
    for (const { document } of ended) await this.#removeBytes(document);
  }

  /**
   * Ends the request that is sending to the upload that has the name. A file upload gives up the name until it is complete; any other
   * upload is cancelled.
   */
  async #endSenders({ document: { owner, name } }: OpenUpload, assertAllowed?: () => Promise<void>): Promise<void> {
    const { uploads, isIdle, committer, cancel } = this.#deps;
    for (;;) {
      const holder = uploads.find(owner, name);
      if (!holder || isIdle(holder)) return;
      await assertAllowed?.();
      if (uploads.find(owner, name) !== holder) continue;
      // Its last bytes are being committed. It then becomes a file, and is replaced as a file.
      if (holder.phase.sealing) await holder.phase.sealing.catch(() => {});
      else if (committer.isBusy(holder)) await committer.idle(holder);
      else if (holder.isFileUpload && !holder.isVisible) uploads.releaseName(holder);
      else await cancel(holder);
    }
  }

  /** Waits until the upload that has the name is idle and incomplete, and no operation is about to complete or end it. */
  async #waitForHolder(
    upload: OpenUpload,
    seal: (upload: OpenUpload) => Promise<void>,
    assertAllowed?: () => Promise<void>,
  ): Promise<void> {
    const { owner, name } = upload.document;
    for (;;) {
      if (upload.takesNameAlways) await this.#endSenders(upload, assertAllowed);
      this.assertFree(upload);
      const holder = this.#deps.uploads.find(owner, name);
      if (holder?.phase.reverting) await holder.phase.reverting.catch(() => {});
      else if (holder?.phase.sealing || holder?.isComplete || holder?.isContiguous) await seal(holder);
      else return;
    }
  }

  /** The upload that has the name, and the idle uploads that waited for it when this one began. */
  #replacedBy({ document }: OpenUpload): OpenUpload[] {
    const { uploads, isIdle } = this.#deps;
    const { owner, name, ends = [] } = document;
    const holder = uploads.findVisible(owner, name);
    const waiting = uploads.waitingFor(owner, name).filter((other) => ends.includes(other.id) && isIdle(other));
    return holder ? [holder, ...waiting] : waiting;
  }

  #discard(other: OpenUpload): void {
    other.phase.discard(new LadingError('not_found', 'Another file replaced this upload.'));
    this.#deps.uploads.drop(other);
    this.#deps.emit(cancelled(other));
  }

  async #removeBytes(document: OpenUpload['document']): Promise<void> {
    await removeBytes(this.#deps.blobs, document).catch((error: unknown) => {
      this.#deps.warn('the bytes of a replaced upload could not be removed; the next start tries again', error);
    });
  }
}
