/** Parts and blobs on the disk. An upload has one only if not all of its bytes fit into the ledger. */
import type { BlobStore, Part } from '../../contracts/blobs.ts';
import { LadingError } from '../../errors.ts';
import { fileKey } from './keys.ts';

/** The parts and blobs on the disk, as the ledger uses them. */
export interface PartFiles extends BlobStore {
  /** True when bytes were written to the part since its last sync. */
  isUnsynced(id: string): boolean;
}

export class Parts {
  readonly #files: PartFiles;
  /** New uploads without a part. */
  readonly #created = new Set<string>();
  /** Files that are known to have a part or a blob. */
  readonly #onDisk = new Set<string>();
  readonly #creating = new Map<string, Promise<void>>();

  constructor(files: PartFiles) {
    this.#files = files;
  }

  /** New uploads without a part. */
  get created(): ReadonlySet<string> {
    return this.#created;
  }

  /** Records a new upload. @throws RangeError for an invalid id */
  create(id: string): void {
    fileKey(id);
    this.#created.add(id);
  }

  /** Records that the ledger has a row for the file. */
  settle(id: string): void {
    this.#created.delete(id);
  }

  async remove(id: string): Promise<void> {
    this.#created.delete(id);
    if (await this.has(id)) await this.#files.remove(id);
    this.#onDisk.delete(id);
  }

  /** True when the file has a part or a blob. */
  async has(id: string): Promise<boolean> {
    if (this.#onDisk.has(id)) return true;
    if (this.#created.has(id) || (await this.#files.size(id)) === null) return false;
    this.#onDisk.add(id);
    return true;
  }

  /** Runs `work` with the part, which is created if necessary. */
  async use<T>(id: string, work: (part: Part) => Promise<T>): Promise<T> {
    if (!(await this.has(id))) await this.#createPart(id);
    const part = await this.#files.openPart(id);
    try {
      return await work(part);
    } finally {
      part.release();
    }
  }

  /** Makes the bytes written to the part durable. */
  async sync(id: string): Promise<void> {
    if (!(await this.has(id)) || !this.#files.isUnsynced(id)) return;
    try {
      await this.use(id, (part) => part.sync());
    } catch (error) {
      // A part whose seal was interrupted is a blob already: its bytes were synced before it was renamed.
      const isRenamed = error instanceof LadingError && error.code === 'not_found';
      if (!isRenamed || (await this.#files.size(id)) === null) throw error;
    }
  }

  /** Reads from the part. Resolves with the number of bytes read; 0 if there is no part. */
  async read(id: string, into: Uint8Array, position: number): Promise<number> {
    if (!(await this.has(id))) return 0;
    const reader = await this.#files.openReader(id);
    try {
      return await reader.read(into, position);
    } finally {
      reader.release();
    }
  }

  /** Creates the part once, even if two large chunks of an upload need it at the same time. */
  #createPart(id: string): Promise<void> {
    let creating = this.#creating.get(id);
    if (!creating) {
      creating = this.#files.create(id).then(() => {
        this.#created.delete(id);
        this.#onDisk.add(id);
      });
      this.#creating.set(id, creating);
      const end = (): void => void this.#creating.delete(id);
      creating.then(end, end);
    }
    return creating;
  }
}
