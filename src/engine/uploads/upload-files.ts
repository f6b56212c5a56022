/** Creates, opens and reopens the stored parts of an upload: its blob, its journal and its document. */
import { randomBytes } from 'node:crypto';
import type { BlobStore } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { ManifestRecord, ManifestStore } from '../../contracts/manifests.ts';
import type { FileDocument } from '../../records/file.ts';
import { reopened, sealedRecords } from './continuation.ts';
import { type Handles, OpenUpload } from './upload.ts';
import type { Usage } from './usage.ts';

export interface UploadFilesDeps {
  blobs: BlobStore;
  manifests: ManifestStore;
  catalog: Catalog;
  clock: Clock;
  usage: Usage;
}

/** The fields of a document that record how the upload began. */
export type Origin = Pick<FileDocument, 'overwrites' | 'aside' | 'ends'>;

export class UploadFiles {
  readonly #deps: UploadFilesDeps;

  constructor(deps: UploadFilesDeps) {
    this.#deps = deps;
  }

  /**
   * Creates an upload with an empty blob and an empty journal. It has no document yet.
   * @param replaces id of the complete file of this name; null if there is no such file
   * @throws LadingError `quota_exceeded`, `insufficient_storage`
   */
  async create(owner: string, name: string, replaces: string | null, origin: Origin): Promise<OpenUpload> {
    const { blobs, manifests, clock, usage } = this.#deps;
    usage.created(owner);
    const now = clock.now();
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
      ...origin,
    });
    try {
      await blobs.create(upload.id);
      await manifests.create(upload.id);
    } catch (error) {
      usage.ended(upload);
      await blobs.remove(upload.id).catch(() => {});
      throw error;
    }
    return upload;
  }

  /** Opens the blob and the journal of an upload, for `OpenUpload.enter`. */
  async open(id: string): Promise<Handles> {
    const part = await this.#deps.blobs.openPart(id);
    try {
      return { part, manifest: await this.#deps.manifests.open(id) };
    } catch (error) {
      part.release();
      throw error;
    }
  }

  /**
   * Turns a file that was sealed because it was silent back into an upload, and calls `add` in the same step.
   * @returns false if the journal does not cover the file, so that it cannot be continued; true also if the file was replaced or deleted
   * meanwhile
   * @throws LadingError `quota_exceeded`
   */
  async reopen(id: string, add: (document: FileDocument, records: ManifestRecord[]) => void): Promise<boolean> {
    const { catalog, manifests, usage, clock } = this.#deps;
    const sealed = await catalog.get(id);
    if (sealed?.undeclared !== true) return true;
    usage.check(sealed.owner, { openUploads: 1 });
    const records = await sealedRecords(manifests, sealed);
    if (!records) return false;
    const document = reopened(sealed, clock.now());
    await catalog.put(document);
    add(document, records);
    return true;
  }
}
