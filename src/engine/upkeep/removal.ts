/**
 * The two ways in which something of a name ends on request (PROTOCOL §2): `remove` deletes the file and any upload of its name,
 * `cancel` ends the unfinished upload alone and keeps the complete file.
 */
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
  emit(happening: FileEvent): void;
  announce: Announce;
}

/** The events when the upload of a name ends. @param read the upload read as a complete file @param file a complete file is deleted too */
function eventsOfEnd(about: { file: FileDocument; received: number }, read: boolean, file: boolean) {
  const cancelled = { ...about, type: 'upload.cancelled' as const };
  const deleted = { type: 'file.deleted' as const, file: about.file };
  return [...(read ? [] : [cancelled]), ...(read || file ? [deleted] : [])];
}

export class Removal {
  readonly #deps: RemovalDeps;
  /** Files that are being removed, by id. */
  readonly #removals = new Map<string, Promise<boolean>>();

  constructor(deps: RemovalDeps) {
    this.#deps = deps;
  }

  /**
   * Deletes the file of a name and its upload. Downloads that already run go on; uploads are ended.
   * @param precondition of the file, or of nothing where only an upload is there
   * @returns what was there, and is no longer
   * @throws LadingError `not_found`, `precondition_failed`
   */
  async remove(owner: string, name: string, precondition?: Precondition): Promise<Removed[]> {
    const removed = new Set<Removed>();
    // Each time a chunk that goes on at the end of the file was first: it is an upload then.
    while (!(await this.#removeFound(owner, name, removed, precondition)));
    if (removed.size === 0) throw new LadingError('not_found', 'There is no file of this name.');
    this.#deps.watchers.changed(owner, name);
    return (['file', 'upload'] as const).filter((one) => removed.has(one));
  }

  /** Removes what is there now, and adds it to `removed`. False when the file has become an upload meanwhile. */
  async #removeFound(
    owner: string,
    name: string,
    removed: Set<Removed>,
    precondition: Precondition | undefined,
  ): Promise<boolean> {
    const { uploads, catalog, current, emit: happened } = this.#deps;
    const upload = uploads.findVisible(owner, name);
    // Before one of them gets the name of what is removed first.
    const asides = uploads.waitingFor(owner, name);
    const there = upload ?? asides[0];
    if (there || (await catalog.find(owner, name)).sealed) await current.assert(precondition, owner, name);
    // An upload of undeclared size reads as the complete file of its name until more comes.
    const read = upload?.isContiguous === true;
    if (upload) {
      const about = { file: upload.document, received: upload.stored.bytes };
      await withAnnouncement(
        this.#deps.announce,
        eventsOfEnd(about, read, completeBefore(upload) !== null),
        async () => {
          if (!(await this.#discard(upload, true))) return;
          removed.add(read ? 'file' : 'upload');
          if (completeBefore(upload)) removed.add('file');
          const { document: file, stored } = upload;
          for (const happening of eventsOfEnd({ file, received: stored.bytes }, read, removed.has('file')))
            happened(happening);
        },
      );
    }
    for (const waiting of asides) if (await this.cancelUpload(waiting)) removed.add('upload');
    const { sealed } = await catalog.find(owner, name);
    // A replacement may have been sealed meanwhile; then this is another file.
    if (sealed) await current.assert(precondition, owner, name);
    const now = uploads.findVisible(owner, name);
    if (!sealed) return now === upload || now?.document.continues === undefined;
    if (await this.#removeOnce(sealed)) removed.add('file');
    return (await catalog.get(sealed.id))?.state !== 'open';
  }

  /** False when another request removes the file, or has; it is gone then, too. */
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
    const { announce, uploads, catalog, blobs, modified, emit: happened } = this.#deps;
    const deleted = { type: 'file.deleted' as const, file: sealed };
    // A chunk that goes on at its end would bring back the document while the bytes are removed.
    const removed = await uploads.holdName(sealed.owner, sealed.name, async () => {
      if ((await catalog.get(sealed.id))?.state !== 'sealed') return false;
      await withAnnouncement(announce, [deleted], async () => {
        await catalog.remove(sealed.id);
        modified.deleted(sealed);
        happened(deleted);
      });
      return true;
    });
    if (!removed) return false;
    // A replacement whose first chunk is still on its way would say that the file deleted here is readable.
    const replacement = await uploads.findAfterCreation(sealed.owner, sealed.name);
    if (replacement?.document.replaces === sealed.id)
      await (replacement.isVisible ? this.cancelUpload(replacement) : this.#discard(replacement));
    await removeBytes(blobs, sealed);
    return true;
  }

  /**
   * Ends the unfinished upload of a name, a replacement included, and those that wait for the name, and removes their bytes; requests that
   * still send to them are ended. The complete file stays.
   * @param id of the one that is meant; by default all of the name
   * @throws LadingError `not_found` when no unfinished upload exists, `precondition_failed`
   */
  async cancel(owner: string, name: string, precondition?: Precondition, id?: string): Promise<void> {
    const { uploads, current } = this.#deps;
    const made = await uploads.findAfterCreation(owner, name);
    const there = made && !made.isContiguous ? [made] : [];
    const all = [...there, ...uploads.waitingFor(owner, name)];
    const unfinished = id === undefined ? all : all.filter((upload) => upload.id === id);
    if (unfinished.length > 0) await current.assert(precondition, owner, name);
    let cancelled = false;
    for (const upload of unfinished) if (await this.cancelUpload(upload)) cancelled = true;
    if (!cancelled) {
      throw new LadingError(
        'not_found',
        'There is no unfinished upload of this name, so nothing was removed. To delete a complete file, leave out upload=only.',
      );
    }
  }

  /** The same for an upload that is at hand. False when it was complete or over before. */
  async cancelUpload(upload: OpenUpload): Promise<boolean> {
    const cancelled = () =>
      ({ type: 'upload.cancelled', file: upload.document, received: upload.stored.bytes }) as const;
    return await withAnnouncement(this.#deps.announce, upload.isVisible ? [cancelled()] : [], async () => {
      if (!(await this.#discard(upload))) return false;
      if (upload.isVisible) this.#deps.emit(cancelled());
      this.#deps.watchers.changed(upload.document.owner, upload.document.name);
      return true;
    });
  }

  async #discard(upload: OpenUpload, forGood = false): Promise<boolean> {
    // A running seal, a file that takes the name, and another deletion finish first.
    await upload.phase.undecided();
    if (upload.isSealed || upload.endReason) return false;
    const reason = new LadingError('not_found', 'The upload was deleted while this request sent to it.');
    await this.#deps.uploads.discard(upload, reason, () => this.#deps.committer.idle(upload), forGood);
    if (forGood || !upload.document.continues) this.#deps.modified.ended(upload);
    return true;
  }
}
