/**
 * The table of open uploads: which request sends to which upload. Every open upload is here, found by owner and name; sealed files are
 * in the catalog alone.
 */
import type { ManifestRecord } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import type { FileDocument } from '../../records/file.ts';
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
  /** Names for which an upload is being made, or that another file is about to take. */
  readonly #locks = new NameLocks();
  #onNameFree: (owner: string, name: string) => void = () => {};

  constructor(deps: UploadFilesDeps) {
    this.#deps = deps;
    this.#files = new UploadFiles(deps);
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

  /** The upload under way, visible or not. */
  find(owner: string, name: string): OpenUpload | undefined {
    return this.#index.find(owner, name);
  }

  /** The upload under way that a document speaks of. */
  of = (document: FileDocument): OpenUpload | null => this.#index.of(document);

  /** Uploads that wait for this name beside another one, the oldest first. */
  waitingFor = (owner: string, name: string): OpenUpload[] => this.#index.waitingFor(owner, name);

  /** The upload under way that others may know of. */
  findVisible(owner: string, name: string): OpenUpload | undefined {
    const upload = this.find(owner, name);
    return upload?.isVisible ? upload : undefined;
  }

  /** The upload under way, visible or not, also when it is only being made. */
  async findAfterCreation(owner: string, name: string): Promise<OpenUpload | undefined> {
    const key = slotKey(owner, name);
    for (let holder = this.#locks.holder(key); holder; holder = this.#locks.holder(key)) await holder.catch(() => {});
    return this.find(owner, name);
  }

  /**
   * Finds where a chunk belongs, and makes the upload for a name that has none, or whose complete file is to be replaced. The upload
   * comes back held for the caller, who must `leave` it.
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
        // It becomes a complete file again in a moment.
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

  /** Returns the complete file that is in the way, or null after an upload was put into the table. */
  async #createUnlessComplete(owner: string, name: string, overwrite: boolean): Promise<FileDocument | null> {
    const { sealed } = await this.#deps.catalog.find(owner, name);
    if (sealed && !overwrite) return sealed;
    await this.#create(owner, name, sealed?.id ?? null, overwrite ? { overwrites: true } : {});
    return null;
  }

  /** Makes an upload that replaces what is there of this name once it is complete; until then another upload may have the name. */
  async enterWaiting(owner: string, name: string): Promise<{ upload: OpenUpload; handles: Handles }> {
    const { sealed } = await this.#deps.catalog.find(owner, name);
    const there = [this.findVisible(owner, name), ...this.waitingFor(owner, name)];
    const ends = there.flatMap((upload) => (upload?.isVisible ? [upload.id] : []));
    const more = { overwrites: true, aside: true, ...(ends.length > 0 ? { ends } : {}) } as const;
    const upload = await this.#create(owner, name, sealed?.id ?? null, more);
    return { upload, handles: await this.#hold(upload) };
  }

  async #create(owner: string, name: string, replaces: string | null, beginning: Origin): Promise<OpenUpload> {
    const upload = await this.#files.create(owner, name, replaces, beginning);
    this.#index.add(upload);
    return upload;
  }

  /** Gives an upload that nobody sees yet a name, where it replaces the complete file; false when another upload has the name. */
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

  /** An upload that has its name and that nobody sees leaves the name to others until it is complete. */
  releaseName(upload: OpenUpload): void {
    this.#index.change(upload, { ...upload.document, aside: true });
  }

  /** An upload that waited for its name has it now. */
  nameTaken(upload: OpenUpload): void {
    if (!upload.document.aside && this.#index.delete(upload)) this.#index.add(upload);
  }

  /** Calls `listener` when a name may have become free for which other uploads wait. */
  onNameFree(listener: (owner: string, name: string) => void): void {
    this.#onNameFree = listener;
  }

  /** An upload of this name ended, or will not take the name. */
  nameFreed({ document }: OpenUpload): void {
    this.#onNameFree(document.owner, document.name);
  }

  /** Runs `work` while all requests for the name wait, so that no upload begins there. */
  holdName<T>(owner: string, name: string, work: () => Promise<T>): Promise<T> {
    return this.#locks.hold(slotKey(owner, name), work);
  }

  /**
   * Turns a sealed file into an upload again, for a chunk that continues it. False when it cannot be continued. The caller then looks up
   * the name anew: the file may have been replaced or deleted meanwhile.
   * @throws LadingError `quota_exceeded`
   */
  async reopen(sealed: FileDocument): Promise<boolean> {
    const key = slotKey(sealed.owner, sealed.name);
    const holder = this.#locks.holder(key);
    if (this.#index.find(sealed.owner, sealed.name) || holder) {
      await holder?.catch(() => {});
      return true;
    }
    const take = (document: FileDocument, records: ManifestRecord[]) => this.#add(document, records);
    return await this.#locks.run(key, () => this.#files.reopen(sealed.id, take));
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
    // The date may have been wrong then; it was before now in any case.
    upload.lastCommitAt = Math.min(upload.lastCommitAt, this.#deps.clock.now());
    upload.acknowledged = true;
    this.#deps.usage.adopted(upload);
    this.#index.add(upload);
    return upload;
  }

  /**
   * A request is about to send bytes: a parked upload counts as open again. `parkIfIdle` parks it anew if no byte was committed.
   * @throws LadingError `quota_exceeded`
   */
  resume(upload: OpenUpload): void {
    if (!upload.isParked) return;
    const { usage } = this.#deps;
    usage.check(upload.document.owner, { openUploads: 1 });
    usage.resumed(upload);
  }

  /** Parks an upload again that was resumed in vain. To be called when a request leaves the upload. */
  parkIfIdle(upload: OpenUpload): void {
    const { document } = upload;
    if (document.staleAt !== undefined && upload.users === 0 && this.of(document) === upload)
      this.#deps.usage.parked(upload);
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

  /** Takes an upload out of the table, if it is still the one of its name. */
  drop(upload: OpenUpload): void {
    if (upload.openEndedTimer) clearTimeout(upload.openEndedTimer);
    upload.openEndedTimer = null;
    if (this.#index.delete(upload)) this.#deps.usage.ended(upload);
  }

  /**
   * Discards an upload: removes its bytes and its document. Requests that still send to it fail with `reason`.
   * @param idle resolves when no commit of it runs
   * @param forGood also removes the complete file that the upload continues; otherwise that file stays
   */
  async discard(upload: OpenUpload, reason: LadingError, idle: () => Promise<void>, forGood = false): Promise<void> {
    if (upload.document.continues && !forGood) {
      await upload.phase.revert(reason, () => this.#revert(upload, reason, idle));
      this.nameFreed(upload);
      return;
    }
    upload.phase.discard(reason);
    this.drop(upload);
    await idle();
    // The document first: without it the bytes are a leftover that the next start removes.
    if (upload.phase.mayHaveDocument) await this.#deps.catalog.remove(upload.id);
    this.nameFreed(upload);
    await removeBytes(this.#deps.blobs, upload.document);
  }

  /** The file that was complete before stays readable all the time, so the upload leaves the table last. */
  async #revert(upload: OpenUpload, reason: LadingError, idle: () => Promise<void>): Promise<void> {
    const seal = (id: string, size: number): Promise<void> => this.#deps.blobs.seal(id, size);
    await idle();
    await upload.writesDone();
    await revert({ ...this.#deps, seal }, upload.document);
    upload.phase.discard(reason);
    this.drop(upload);
  }

  /** Ends a request's hold. An upload that no request uses and that never received a chunk is discarded. */
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
