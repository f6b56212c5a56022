/**
 * The table of uploads under way: who is receiving into what. Every open upload is here, found by owner and name; sealed files are
 * in the catalog alone.
 */
import { randomBytes } from 'node:crypto';
import type { BlobStore } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { ManifestRecord, ManifestStore } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import type { FileDocument } from '../../records/file.ts';
import { removeBytes } from '../files/file-blobs.ts';
import { slotKey } from '../files/watchers.ts';
import { reopened, revert, sealedRecords } from './continuation.ts';
import { type Handles, OpenUpload } from './upload.ts';
import { UploadIndex } from './upload-index.ts';
import type { Usage } from './usage.ts';

export interface UploadTableDeps {
  blobs: BlobStore;
  manifests: ManifestStore;
  catalog: Catalog;
  clock: Clock;
  usage: Usage;
}

/** What a chunk for a name goes to: an upload under way (created when need be) or a complete file to compare with. */
export type Target = { upload: OpenUpload } | { sealed: FileDocument };

export class UploadTable {
  readonly #deps: UploadTableDeps;
  readonly #index = new UploadIndex();
  /** Names for which an upload is being made, so that two first chunks make one, or which one is about to take. */
  readonly #busyNames = new Map<string, Promise<unknown>>();

  #onFree: (owner: string, name: string) => void = () => {};

  constructor(deps: UploadTableDeps) {
    this.#deps = deps;
  }

  /** Numbers for the metrics page. */
  gauges() {
    let parked = 0;
    for (const upload of this.#index.all()) if (upload.parked) parked += 1;
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
    return upload?.visible ? upload : undefined;
  }

  /** The upload under way, visible or not, also when it is only being made. */
  async findOnceMade(owner: string, name: string): Promise<OpenUpload | undefined> {
    const key = slotKey(owner, name);
    for (let making = this.#busyNames.get(key); making; making = this.#busyNames.get(key)) await making.catch(() => {});
    return this.find(owner, name);
  }

  /**
   * Finds where a chunk belongs, and makes the upload for a name that has none, or whose complete file is to be replaced. The upload
   * comes back held for the caller, who must `leave` it.
   */
  async enter(owner: string, name: string, overwrite: boolean): Promise<{ target: Target; handles: Handles | null }> {
    const key = slotKey(owner, name);
    for (;;) {
      const making = this.#busyNames.get(key);
      if (making) {
        await making.catch(() => {});
        continue;
      }
      const upload = this.#index.find(owner, name);
      if (upload?.reverting) {
        // What it continued is a complete file again in a moment.
        await upload.reverting.catch(() => {});
        continue;
      }
      if (upload) return { target: { upload }, handles: await this.#hold(upload) };
      const made = this.#make(owner, name, overwrite).finally(() => this.#busyNames.delete(key));
      this.#busyNames.set(key, made);
      const sealed = await made;
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
  async #make(owner: string, name: string, overwrite: boolean): Promise<FileDocument | null> {
    const { sealed } = await this.#deps.catalog.find(owner, name);
    if (sealed && !overwrite) return sealed;
    await this.#create(owner, name, sealed?.id ?? null, overwrite ? { overwrites: true } : {});
    return null;
  }

  /** Makes an upload that replaces what is there of this name once it is complete; until then another upload may have the name. */
  async enterWaiting(owner: string, name: string): Promise<{ upload: OpenUpload; handles: Handles }> {
    const { sealed } = await this.#deps.catalog.find(owner, name);
    const there = [this.findVisible(owner, name), ...this.waitingFor(owner, name)];
    const ends = there.flatMap((upload) => (upload?.visible ? [upload.id] : []));
    const more = { overwrites: true, aside: true, ...(ends.length > 0 ? { ends } : {}) } as const;
    const upload = await this.#create(owner, name, sealed?.id ?? null, more);
    return { upload, handles: await this.#hold(upload) };
  }

  async #create(
    owner: string,
    name: string,
    replaces: string | null,
    more: Pick<FileDocument, 'overwrites' | 'aside' | 'ends'>,
  ): Promise<OpenUpload> {
    this.#deps.usage.began(owner);
    const now = this.#deps.clock.now();
    const upload = new OpenUpload({
      id: randomBytes(16).toString('hex'),
      owner,
      name,
      state: 'open',
      size: null,
      contentType: null,
      reprDigest: null,
      crc32: null,
      createdAt: now,
      updatedAt: now,
      completedAt: null,
      replaces,
      ...more,
    });
    try {
      await this.#deps.blobs.create(upload.id);
      await this.#deps.manifests.create(upload.id);
    } catch (error) {
      this.#deps.usage.ended(upload);
      await this.#deps.blobs.remove(upload.id).catch(() => {});
      throw error;
    }
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
  letOthersHaveName(upload: OpenUpload): void {
    this.#index.change(upload, { ...upload.document, aside: true });
  }

  /** An upload that waited for its name has it now. */
  tookName(upload: OpenUpload): void {
    if (!upload.document.aside && this.#index.delete(upload)) this.#index.add(upload);
  }

  /** Calls `listener` whenever nobody may have a name any more for which others wait. */
  whenFree(listener: (owner: string, name: string) => void): void {
    this.#onFree = listener;
  }

  /** An upload of this name is over, or will not take it. */
  freed({ document }: OpenUpload): void {
    this.#onFree(document.owner, document.name);
  }

  /** Runs `work` while whoever enters the name waits, so that nothing begins there. */
  async holdName<T>(owner: string, name: string, work: () => Promise<T>): Promise<T> {
    const key = slotKey(owner, name);
    for (let making = this.#busyNames.get(key); making; making = this.#busyNames.get(key)) await making.catch(() => {});
    const held = work().finally(() => this.#busyNames.delete(key));
    this.#busyNames.set(key, held);
    return await held;
  }

  /**
   * Makes an upload of a sealed file again, for a chunk that goes on at its end. False when it cannot go on; when it was replaced or
   * deleted meanwhile, the next look finds out.
   * @throws LadingError `quota_exceeded`
   */
  async reopen(sealed: FileDocument): Promise<boolean> {
    const key = slotKey(sealed.owner, sealed.name);
    const making = this.#busyNames.get(key);
    if (this.#index.find(sealed.owner, sealed.name) || making) {
      await making?.catch(() => {});
      return true;
    }
    const made = this.#reopen(sealed).finally(() => this.#busyNames.delete(key));
    this.#busyNames.set(key, made);
    return await made;
  }

  async #reopen({ id }: FileDocument): Promise<boolean> {
    const { catalog, manifests, usage, clock } = this.#deps;
    const sealed = await catalog.get(id);
    if (sealed?.undeclared !== true) return true;
    usage.check(sealed.owner, { openUploads: 1 });
    const records = await sealedRecords(manifests, sealed);
    if (!records) return false;
    const document = reopened(sealed, clock.now());
    await catalog.put(document);
    this.#take(document, records);
    return true;
  }

  /** The files of an upload, for `OpenUpload.enter`. */
  async open(id: string): Promise<Handles> {
    const part = await this.#deps.blobs.openPart(id);
    try {
      return { part, manifest: await this.#deps.manifests.open(id) };
    } catch (error) {
      part.release();
      throw error;
    }
  }

  /** Puts a recovered upload into the table; its stored extents come from its journal. */
  adopt(document: FileDocument, records: readonly ManifestRecord[]): OpenUpload {
    const upload = this.#take(document, records);
    this.#deps.usage.received(document.owner, records);
    return upload;
  }

  #take(document: FileDocument, records: readonly ManifestRecord[]): OpenUpload {
    const upload = new OpenUpload(document);
    upload.visible = true;
    upload.restore(records);
    // The date may have been wrong then; it was before now in any case.
    upload.lastCommitAt = Math.min(upload.lastCommitAt, this.#deps.clock.now());
    upload.acknowledged = true;
    this.#deps.usage.adopted(upload);
    this.#index.add(upload);
    return upload;
  }

  /**
   * A request is about to bring bytes: a parked upload counts as open again, and `left` parks it anew if nothing of them counted.
   * @throws LadingError `quota_exceeded`
   */
  resume(upload: OpenUpload): void {
    if (!upload.parked) return;
    const { usage } = this.#deps;
    usage.check(upload.document.owner, { openUploads: 1 });
    usage.resumed(upload);
  }

  /** To be called when a request let go of the upload. */
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

  /** Ends an upload and removes its bytes and its document; of a continued file what was complete before stays, unless `forGood`. Requests that still run are told `reason`. */
  async discard(upload: OpenUpload, reason: LadingError, idle: () => Promise<void>, forGood = false): Promise<void> {
    upload.endReason = reason;
    if (upload.document.continues && !forGood) {
      upload.reverting = this.#revert(upload, idle).finally(() => {
        upload.reverting = null;
      });
      await upload.reverting;
      this.freed(upload);
      return;
    }
    this.drop(upload);
    await idle();
    // The document first: without it the bytes are a leftover that the next start removes.
    if (upload.visible || upload.written) await this.#deps.catalog.remove(upload.id);
    this.freed(upload);
    await removeBytes(this.#deps.blobs, upload.document);
  }

  /** What was complete before stays readable all the time, so the upload leaves the table last. */
  async #revert(upload: OpenUpload, idle: () => Promise<void>): Promise<void> {
    const seal = (id: string, size: number): Promise<void> => this.#deps.blobs.seal(id, size);
    try {
      await idle();
      await upload.writesDone();
      await revert({ ...this.#deps, seal }, upload.document);
    } catch (error) {
      upload.endReason = null;
      throw error;
    }
    this.drop(upload);
  }

  /** After a request: an upload that nobody uses and that never got its first chunk leaves no trace. */
  async leave(upload: OpenUpload): Promise<void> {
    upload.senders -= 1;
    upload.leave();
    this.parkIfIdle(upload);
    await this.#discardUnused(upload);
  }

  async #discardUnused(upload: OpenUpload): Promise<void> {
    if (upload.users > 0 || upload.visible || upload.endReason) return;
    const reason = new LadingError('not_found', 'The upload ended before its first chunk was stored.');
    await this.discard(upload, reason, async () => {});
  }
}
