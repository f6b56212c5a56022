/**
 * The table of open uploads. Requests find their upload here by owner and name. Sealed files are only in the catalog.
 */
import type { ManifestRecord } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import type { FileDocument } from '../../records/file.ts';
import { FailedRemovals } from '../files/failed-removals.ts';
import { removeBytes } from '../files/file-blobs.ts';
import { NameLocks } from '../files/name-locks.ts';
import { slotKey } from '../files/watchers.ts';
import { revert } from './continuation.ts';
import { type Handles, OpenUpload } from './upload.ts';
import { type Origin, UploadFiles, type UploadFilesDeps } from './upload-files.ts';
import { UploadIndex } from './upload-index.ts';

/** The target of a chunk: an open upload, created if necessary, or a complete file to compare with. */
export type Target = { upload: OpenUpload } | { sealed: FileDocument };

export class UploadTable {
  readonly #deps: UploadFilesDeps;
  readonly #index = new UploadIndex();
  readonly #files: UploadFiles;
  readonly failedRemovals: FailedRemovals;
  /** Names for which an upload is being created, or that another file is about to take. */
  readonly #locks = new NameLocks();
  #onNameFree: (owner: string, name: string) => void = () => {};

  constructor(deps: UploadFilesDeps) {
    this.#deps = deps;
    this.#files = new UploadFiles(deps);
    this.failedRemovals = new FailedRemovals(deps);
  }

  /** Numbers for the metrics page. */
  gauges() {
    let parked = 0;
    for (const upload of this.#index.all()) if (upload.isParked) parked += 1;
    return { open_uploads: this.#index.size - parked, parked_uploads: parked };
  }

  all(): IterableIterator<OpenUpload> {
    return this.#index.all();
  }

  /** The open upload of the name, visible or not. */
  find(owner: string, name: string): OpenUpload | undefined {
    return this.#index.find(owner, name);
  }

  /** The open upload of a document. */
  of = (document: FileDocument): OpenUpload | null => this.#index.of(document);

  /** Uploads that wait for this name while another upload has it, the oldest first. */
  waitingFor = (owner: string, name: string): OpenUpload[] => this.#index.waitingFor(owner, name);

  /** The open upload of the name, if it is visible. */
  findVisible(owner: string, name: string): OpenUpload | undefined {
    const upload = this.find(owner, name);
    return upload?.isVisible ? upload : undefined;
  }

  /** As `find`, but first waits for an upload that is being created. */
  async findAfterCreation(owner: string, name: string): Promise<OpenUpload | undefined> {
    const key = slotKey(owner, name);
    for (let holder = this.#locks.holder(key); holder; holder = this.#locks.holder(key)) await holder.catch(() => {});
    return this.find(owner, name);
  }

  /**
   * Finds the target of a chunk. Creates an upload if the name has neither an upload nor a file, or if its file is to be replaced. The
   * caller must `leave` the upload.
   */
  async enter(owner: string, name: string, overwrite: boolean): Promise<{ target: Target; handles: Handles | null }> {
    const key = slotKey(owner, name);
    for (;;) {
      const holder = this.#locks.holder(key);
      if (holder) {
        await holder.catch(() => {});
        continue;
      }
      const upload = this.#index.find(owner, name);
      if (upload?.phase.reverting) {
        // It is about to become a complete file again.
        await upload.phase.reverting.catch(() => {});
        continue;
      }
      if (upload) return { target: { upload }, handles: await this.#hold(upload) };
      const sealed = await this.#locks.run(key, () => this.#createUnlessComplete(owner, name, overwrite));
      if (sealed) return { target: { sealed }, handles: null };
    }
  }

  async #hold(upload: OpenUpload): Promise<Handles> {
    this.resume(upload);
    upload.senders += 1;
    try {
      return await upload.enter(() => this.open(upload.id));
    } catch (error) {
      upload.senders -= 1;
      await this.#discardUnused(upload);
      throw error;
    }
  }

  /** Returns the complete file of the name, or null after it created an upload. */
  async #createUnlessComplete(owner: string, name: string, overwrite: boolean): Promise<FileDocument | null> {
    const { sealed } = await this.#deps.catalog.find(owner, name);
    if (sealed && !overwrite) return sealed;
    await this.#create(owner, name, sealed?.id ?? null, overwrite ? { overwrites: true } : {});
    return null;
  }

  /** Creates an upload that waits for this name. Once complete, it replaces the file and the uploads that have the name now. */
  async enterWaiting(owner: string, name: string): Promise<{ upload: OpenUpload; handles: Handles }> {
    const { sealed } = await this.#deps.catalog.find(owner, name);
    const present = [this.findVisible(owner, name), ...this.waitingFor(owner, name)];
    const ends = present.flatMap((upload) => (upload?.isVisible ? [upload.id] : []));
    const origin = { overwrites: true, aside: true, ...(ends.length > 0 ? { ends } : {}) } as const;
    const upload = await this.#create(owner, name, sealed?.id ?? null, origin);
    return { upload, handles: await this.#hold(upload) };
  }

  async #create(owner: string, name: string, replaces: string | null, origin: Origin): Promise<OpenUpload> {
    await this.failedRemovals.retry(owner, name);
    const upload = await this.#files.create(owner, name, replaces, origin);
    this.#index.add(upload);
    return upload;
  }

  /** Names an upload that is not visible yet; it will replace the complete file of that name. False if another upload has the name. */
  rename(upload: OpenUpload, name: string): Promise<boolean> {
    const { owner } = upload.document;
    return this.holdName(owner, name, async () => {
      if (this.#index.find(owner, name)) return false;
      const { sealed } = await this.#deps.catalog.find(owner, name);
      upload.assertNotEnded();
      this.#index.change(upload, { ...upload.document, name, replaces: sealed?.id ?? null });
      return true;
    });
  }

  /** Makes an upload that is not visible yet give up its name. It takes the name again once it is complete. */
  releaseName(upload: OpenUpload): void {
    this.#index.change(upload, { ...upload.document, aside: true });
  }

  /** Updates the index when a waiting upload has got its name. */
  nameTaken(upload: OpenUpload): void {
    if (!upload.document.aside && this.#index.delete(upload)) this.#index.add(upload);
  }

  /** Calls `listener` when a name may have become free. */
  onNameFree(listener: (owner: string, name: string) => void): void {
    this.#onNameFree = listener;
  }

  /** To be called when an upload of this name has ended or has not taken the name. */
  nameFreed({ document }: OpenUpload): void {
    this.#onNameFree(document.owner, document.name);
  }

  /** Runs `work` while all requests for the name wait, so that no upload of the name begins. */
  holdName<T>(owner: string, name: string, work: () => Promise<T>): Promise<T> {
    return this.#locks.hold(slotKey(owner, name), work);
  }

  /**
   * Turns a sealed file back into an upload, for a chunk that continues it. False if it cannot be continued. Otherwise the caller must look
   * up the name again, because the file may have been replaced or deleted meanwhile.
   * @throws LadingError `quota_exceeded`
   */
  async reopen(sealed: FileDocument): Promise<boolean> {
    const key = slotKey(sealed.owner, sealed.name);
    const holder = this.#locks.holder(key);
    if (this.#index.find(sealed.owner, sealed.name) || holder) {
      await holder?.catch(() => {});
      return true;
    }
    const add = (document: FileDocument, records: ManifestRecord[]) => this.#add(document, records);
    return await this.#locks.run(key, () => this.#files.reopen(sealed.id, add));
  }

  /** The blob and the journal of an upload, for `OpenUpload.enter`. */
  open(id: string): Promise<Handles> {
    return this.#files.open(id);
  }

  /** Puts a recovered upload into the table; its stored extents come from its journal. */
  adopt(document: FileDocument, records: readonly ManifestRecord[]): OpenUpload {
    const upload = this.#add(document, records);
    this.#deps.usage.received(document.owner, records);
    return upload;
  }

  #add(document: FileDocument, records: readonly ManifestRecord[]): OpenUpload {
    const upload = new OpenUpload(document, document.staleAt === undefined ? 'open' : 'parked');
    upload.restore(records);
    // The clock may have been wrong at the last commit, but the commit cannot be in the future.
    upload.lastCommitAt = Math.min(upload.lastCommitAt, this.#deps.clock.now());
    upload.acknowledged = true;
    this.#deps.usage.adopted(upload);
    this.#index.add(upload);
    return upload;
  }

  /**
   * Resumes a parked upload when a request is about to send bytes: it counts as open. `parkIfIdle` parks it again if no byte is committed.
   * @throws LadingError `quota_exceeded`
   */
  resume(upload: OpenUpload): void {
    if (!upload.isParked) return;
    const { usage } = this.#deps;
    usage.check(upload.document.owner, { openUploads: 1 });
    usage.resume(upload);
  }

  /** Parks an upload that was resumed but received nothing. To be called when a request leaves the upload. */
  parkIfIdle(upload: OpenUpload): void {
    const { document } = upload;
    if (document.staleAt !== undefined && upload.users === 0 && this.of(document) === upload)
      this.#deps.usage.park(upload);
  }

  /** Runs `work` while the upload's files are open. */
  async using<T>(upload: OpenUpload, work: (handles: Handles) => Promise<T>): Promise<T> {
    const handles = await upload.enter(() => this.open(upload.id));
    try {
      return await work(handles);
    } finally {
      upload.leave();
      this.parkIfIdle(upload);
    }
  }

  /** Removes an upload from the table. Does nothing if it is not in the table. */
  drop(upload: OpenUpload): void {
    if (upload.openEndedTimer) clearTimeout(upload.openEndedTimer);
    upload.openEndedTimer = null;
    if (this.#index.delete(upload)) this.#deps.usage.ended(upload);
  }

  /**
   * Discards an upload: removes its bytes and its document. Requests that still send to it fail with `reason`.
   * @param idle resolves when no commit of the upload is running
   * @param withFile also removes the complete file that the upload continues; otherwise that file is restored
   */
  async discard(upload: OpenUpload, reason: LadingError, idle: () => Promise<void>, withFile = false): Promise<void> {
    if (upload.document.continues && !withFile) {
      await upload.phase.revert(reason, () => this.#revert(upload, reason, idle));
      this.nameFreed(upload);
      return;
    }
    upload.phase.discard(reason);
    this.drop(upload);
    await idle();
    // The document is removed first: without it the next start removes the bytes.
    if (upload.phase.mayHaveDocument) await this.failedRemovals.remove(upload.document);
    this.nameFreed(upload);
    await removeBytes(this.#deps.blobs, upload.document);
  }

  /** Leaves the upload in the table until the end, so that the previous complete file stays readable. */
  async #revert(upload: OpenUpload, reason: LadingError, idle: () => Promise<void>): Promise<void> {
    const seal = (id: string, size: number): Promise<void> => this.#deps.blobs.seal(id, size);
    await idle();
    await upload.writesDone();
    await revert({ ...this.#deps, seal }, upload.document);
    upload.phase.discard(reason);
    this.drop(upload);
  }

  /** Releases an upload after a request. Discards it if no other request uses it and it never received a chunk. */
  async leave(upload: OpenUpload): Promise<void> {
    upload.senders -= 1;
    upload.leave();
    this.parkIfIdle(upload);
    await this.#discardUnused(upload);
  }

  async #discardUnused(upload: OpenUpload): Promise<void> {
    if (upload.users > 0 || upload.isVisible || upload.endReason) return;
    const reason = new LadingError('not_found', 'The upload ended before its first chunk was stored.');
    await this.discard(upload, reason, async () => {});
  }
}
