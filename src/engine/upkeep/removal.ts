/** Deletions (PROTOCOL §2): `remove` deletes the file and all uploads of a name, `cancel` only the unfinished uploads. */
import type { BlobStore } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import { LadingError } from '../../errors.ts';
import type { Removed } from '../../protocol/schemas/files.ts';
import type { FileDocument } from '../../records/file.ts';
import { type Announce, withAnnouncement } from '../files/announce.ts';
import { removeBytes } from '../files/file-blobs.ts';
import type { LastModified } from '../files/last-modified.ts';
import type { Watchers } from '../files/watchers.ts';
import type { Committer } from '../uploads/commit.ts';
import { completeBefore } from '../uploads/continuation.ts';
import type { CurrentFiles, Precondition } from '../uploads/preconditions.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';

export interface RemovalDeps {
  blobs: BlobStore;
  catalog: Catalog;
  uploads: UploadTable;
  committer: Committer;
  current: CurrentFiles;
  modified: LastModified;
  watchers: Watchers;
  emit(event: FileEvent): void;
  announce: Announce;
}

/**
 * The events to emit when the upload of a name ends.
 * @param wasReadable the upload was readable as a complete file
 * @param hadFile a complete file is deleted too
 */
function eventsOfEnd(about: { file: FileDocument; received: number }, wasReadable: boolean, hadFile: boolean) {
  const cancelled = { ...about, type: 'upload.cancelled' as const };
  const deleted = { type: 'file.deleted' as const, file: about.file };
  return [...(wasReadable ? [] : [cancelled]), ...(wasReadable || hadFile ? [deleted] : [])];
}

export class Removal {
  readonly #deps: RemovalDeps;
  /** The running removals, by the id of the file. */
  readonly #removals = new Map<string, Promise<boolean>>();

  constructor(deps: RemovalDeps) {
    this.#deps = deps;
  }

  /**
   * Deletes the file of a name and its uploads. Running downloads continue; requests that send to an upload end.
   * @param precondition on the current file; an unfinished upload alone is not a file
   * @returns what was deleted
   * @throws LadingError `not_found`, `precondition_failed`
   */
  async remove(owner: string, name: string, precondition?: Precondition): Promise<Removed[]> {
    const removed = new Set<Removed>();
    if (await this.#deps.uploads.failedRemovals.retry(owner, name)) removed.add('upload');
    // Repeat if a chunk continued the file meanwhile, which made it an upload.
    while (!(await this.#removeFound(owner, name, removed, precondition)));
    if (removed.size === 0) throw new LadingError('not_found', 'There is no file of this name.');
    this.#deps.watchers.notify(owner, name);
    return (['file', 'upload'] as const).filter((one) => removed.has(one));
  }

  /** Removes the current file and uploads, and adds them to `removed`. False when the file became an upload meanwhile. */
  async #removeFound(
    owner: string,
    name: string,
    removed: Set<Removed>,
    precondition: Precondition | undefined,
  ): Promise<boolean> {
    const { uploads, catalog, current, emit } = this.#deps;
    const upload = uploads.findVisible(owner, name);
    // Read now: once the current upload is removed, one of these gets its name.
    const waiting = uploads.waitingFor(owner, name);
    if (upload || waiting.length > 0 || (await catalog.find(owner, name)).sealed)
      await current.assert(precondition, owner, name);
    // A contiguous upload of undeclared size is readable as the complete file of its name.
    const wasReadable = upload?.isContiguous === true;
    if (upload) {
      const about = { file: upload.document, received: upload.stored.bytes };
      await withAnnouncement(
        this.#deps.announce,
        eventsOfEnd(about, wasReadable, completeBefore(upload) !== null),
        async () => {
          if (!(await this.#discard(upload, true))) return;
          removed.add(wasReadable ? 'file' : 'upload');
          if (completeBefore(upload)) removed.add('file');
          const { document: file, stored } = upload;
          for (const event of eventsOfEnd({ file, received: stored.bytes }, wasReadable, removed.has('file')))
            emit(event);
        },
      );
    }
    for (const one of waiting) if (await this.cancelUpload(one)) removed.add('upload');
    const { sealed } = await catalog.find(owner, name);
    // If a replacement was sealed meanwhile, this is a different file.
    if (sealed) await current.assert(precondition, owner, name);
    const now = uploads.findVisible(owner, name);
    if (!sealed) return now === upload || now?.document.continues === undefined;
    if (await this.#removeOnce(sealed)) removed.add('file');
    return (await catalog.get(sealed.id))?.state !== 'open';
  }

  /** Removes a file. If another request is already removing it, waits for that request and resolves with false. */
  async #removeOnce(sealed: FileDocument): Promise<boolean> {
    const { id } = sealed;
    const other = this.#removals.get(id);
    if (other) {
      await other;
      return false;
    }
    const removal = this.#removeFile(sealed).finally(() => this.#removals.delete(id));
    this.#removals.set(id, removal);
    return await removal;
  }

  async #removeFile(sealed: FileDocument): Promise<boolean> {
    const { announce, uploads, catalog, blobs, modified, emit } = this.#deps;
    const deleted = { type: 'file.deleted' as const, file: sealed };
    // Hold the name: a chunk that continues the file would restore the document while the bytes are being removed.
    const removed = await uploads.holdName(sealed.owner, sealed.name, async () => {
      if ((await catalog.get(sealed.id))?.state !== 'sealed') return false;
      await withAnnouncement(announce, [deleted], async () => {
        await catalog.remove(sealed.id);
        modified.recordDeletion(sealed);
        emit(deleted);
      });
      return true;
    });
    if (!removed) return false;
    // Also end a replacement whose first chunk is still arriving: it would report the deleted file as readable.
    const replacement = await uploads.findAfterCreation(sealed.owner, sealed.name);
    if (replacement?.document.replaces === sealed.id)
      await (replacement.isVisible ? this.cancelUpload(replacement) : this.#discard(replacement));
    await removeBytes(blobs, sealed);
    return true;
  }

  /**
   * Discards the unfinished uploads of a name, including replacements and uploads that wait for it, and ends the requests that send to
   * them. The complete file stays.
   * @param id only the upload with this id; by default all of the name
   * @throws LadingError `not_found` when no unfinished upload exists, `precondition_failed`
   */
  async cancel(owner: string, name: string, precondition?: Precondition, id?: string): Promise<void> {
    const { uploads, current } = this.#deps;
    const currentUpload = await uploads.findAfterCreation(owner, name);
    const holder = currentUpload && !currentUpload.isContiguous ? [currentUpload] : [];
    const all = [...holder, ...uploads.waitingFor(owner, name)];
    const unfinished = id === undefined ? all : all.filter((upload) => upload.id === id);
    if (unfinished.length > 0) await current.assert(precondition, owner, name);
    let cancelled = false;
    for (const upload of unfinished) if (await this.cancelUpload(upload)) cancelled = true;
    if (!cancelled) {
      throw new LadingError(
        'not_found',
        'No unfinished upload has this name, so nothing was deleted. To delete a complete file, omit upload=only.',
      );
    }
  }

  /** Discards this unfinished upload. False if it is complete or has already ended. */
  async cancelUpload(upload: OpenUpload): Promise<boolean> {
    const cancelled = () =>
      ({ type: 'upload.cancelled', file: upload.document, received: upload.stored.bytes }) as const;
    return await withAnnouncement(this.#deps.announce, upload.isVisible ? [cancelled()] : [], async () => {
      if (!(await this.#discard(upload))) return false;
      if (upload.isVisible) this.#deps.emit(cancelled());
      this.#deps.watchers.notify(upload.document.owner, upload.document.name);
      return true;
    });
  }

  async #discard(upload: OpenUpload, withFile = false): Promise<boolean> {
    // A running seal, replacement or deletion finishes first.
    await upload.phase.undecided();
    if (upload.isSealed || upload.endReason) return false;
    const reason = new LadingError('not_found', 'The upload was deleted while this request sent bytes to it.');
    await this.#deps.uploads.discard(upload, reason, () => this.#deps.committer.idle(upload), withFile);
    if (withFile || !upload.document.continues) this.#deps.modified.recordEnd(upload);
    return true;
  }
}
