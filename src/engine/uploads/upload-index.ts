/** The uploads under way, found by owner and name; several may wait for one name, and each of those is found by its document. */
import type { FileDocument } from '../../records/file.ts';
import { slotKey, uploadKey } from '../files/watchers.ts';
import type { OpenUpload } from './upload.ts';

export class UploadIndex {
  readonly #uploads = new Map<string, OpenUpload>();
  /** Those that wait for their name beside others, in the order in which they began, by that name. */
  readonly #waiting = new Map<string, Set<OpenUpload>>();

  get size(): number {
    return this.#uploads.size;
  }

  all(): IterableIterator<OpenUpload> {
    return this.#uploads.values();
  }

  /** The one that has the name. */
  find(owner: string, name: string): OpenUpload | undefined {
    return this.#uploads.get(slotKey(owner, name));
  }

  /** The one that a document speaks of. */
  of(document: FileDocument): OpenUpload | null {
    const { id } = document;
    const upload = this.#uploads.get(uploadKey(document));
    // Its document may say a moment earlier than this table that it has the name for which it waited.
    const found = upload?.id === id ? upload : this.#uploads.get(uploadKey({ ...document, aside: true }));
    return found?.id === id ? found : null;
  }

  /** Those that wait for this name, the oldest first. */
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

  /** Gives it another document, under whose name it is found from now on. */
  change(upload: OpenUpload, document: FileDocument): void {
    this.delete(upload);
    upload.document = document;
    this.add(upload);
  }

  /** False when it was not there. */
  delete(upload: OpenUpload): boolean {
    const { owner, name, id } = upload.document;
    const slot = slotKey(owner, name);
    const waiting = this.#waiting.get(slot);
    // A sealed document no longer says that it waited.
    const aside = waiting?.delete(upload) === true;
    if (waiting?.size === 0) this.#waiting.delete(slot);
    const key = uploadKey({ id, owner, name, ...(aside ? { aside } : {}) });
    return this.#uploads.get(key) === upload && this.#uploads.delete(key);
  }
}
