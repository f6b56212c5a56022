/** The open uploads, by owner and name. Several may wait for one name; those are found by their documents. */
import type { FileDocument } from '../../records/file.ts';
import { slotKey, uploadKey } from '../files/watchers.ts';
import type { OpenUpload } from './upload.ts';

export class UploadIndex {
  readonly #uploads = new Map<string, OpenUpload>();
  /** Uploads that wait for a name, by that name, oldest first. */
  readonly #waiting = new Map<string, Set<OpenUpload>>();

  get size(): number {
    return this.#uploads.size;
  }

  all(): IterableIterator<OpenUpload> {
    return this.#uploads.values();
  }

  /** The upload that has the name. */
  find(owner: string, name: string): OpenUpload | undefined {
    return this.#uploads.get(slotKey(owner, name));
  }

  /** The upload of a document. */
  of(document: FileDocument): OpenUpload | null {
    const { id } = document;
    const upload = this.#uploads.get(uploadKey(document));
    // When a waiting upload gets its name, its document changes a moment before this index does.
    const found = upload?.id === id ? upload : this.#uploads.get(uploadKey({ ...document, aside: true }));
    return found?.id === id ? found : null;
  }

  /** Uploads that wait for this name, the oldest first. */
  waitingFor(owner: string, name: string): OpenUpload[] {
    return [...(this.#waiting.get(slotKey(owner, name)) ?? [])];
  }

  add(upload: OpenUpload): void {
    const { owner, name, aside } = upload.document;
    this.#uploads.set(uploadKey(upload.document), upload);
    if (!aside) return;
    const key = slotKey(owner, name);
    this.#waiting.set(key, (this.#waiting.get(key) ?? new Set()).add(upload));
  }

  /** Replaces the document of an upload, and indexes it under the new name. */
  change(upload: OpenUpload, document: FileDocument): void {
    this.delete(upload);
    upload.document = document;
    this.add(upload);
  }

  /** False if the index does not contain it. */
  delete(upload: OpenUpload): boolean {
    const { owner, name, id } = upload.document;
    const slot = slotKey(owner, name);
    const waiting = this.#waiting.get(slot);
    // A sealed document does not record that the upload waited.
    const aside = waiting?.delete(upload) === true;
    if (waiting?.size === 0) this.#waiting.delete(slot);
    const key = uploadKey({ id, owner, name, ...(aside ? { aside } : {}) });
    return this.#uploads.get(key) === upload && this.#uploads.delete(key);
  }
}
