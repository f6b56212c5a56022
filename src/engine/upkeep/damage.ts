/**
 * Tracks complete files that have fewer bytes on the disk than their document says, for example after an incomplete restore, a file system
 * repair, or a manual deletion. A background check after the start finds them, and so does every download. The next check of a file notices
 * that it was restored.
 */
import { forEachConcurrently } from '../../concurrent.ts';
import type { BlobStore } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import { LadingError } from '../../errors.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';

/** Maximum number of files that the background check reads concurrently: few, because no request waits for it. */
const MAX_CONCURRENT = 4;

type Sized = Pick<FileDocument, 'id' | 'size'>;

export interface DamagedFilesDeps {
  blobs: BlobStore;
  catalog: Catalog;
  /** Writes to the log. */
  warn(message: string, details: object): void;
}

export class DamagedFiles {
  readonly #deps: DamagedFilesDeps;
  /** By id: the number of bytes from the start of the file that exist. */
  readonly #damaged = new Map<string, number>();
  /** Files that existed at the start; null once their check has begun. */
  #unchecked: FileDocument[] | null = [];
  #stopped = false;
  #checks: Promise<void> = Promise.resolve();

  constructor(deps: DamagedFilesDeps) {
    this.#deps = deps;
    deps.catalog.subscribe({
      added: (file) => void this.#unchecked?.push(file),
      removed: ({ id }) => void this.#damaged.delete(id),
    });
  }

  /** Number of files that are known to be damaged. */
  get count(): number {
    return this.#damaged.size;
  }

  /** Number of bytes of this file that exist, without reading the disk; null if the file is not known to be damaged. */
  bytesLeft({ id }: Sized): number | null {
    return this.#damaged.get(id) ?? null;
  }

  /** As `bytesLeft`, but checks a damaged file again. */
  async recheck(document: FileDocument): Promise<number | null> {
    return this.#damaged.has(document.id) ? await this.check(document) : null;
  }

  /** Compares the size on the disk with the document. Resolves with the number of bytes that exist; null: all of them. */
  async check(document: FileDocument): Promise<number | null> {
    const { id, name, owner } = document;
    const size = document.size ?? 0;
    const left = await this.#bytesOnDisk(document);
    if (left >= size) {
      if (this.#damaged.delete(id))
        this.#deps.warn('the bytes of a damaged file exist again', { id, owner, file: name });
      return null;
    }
    const known = this.#damaged.has(id);
    // Set before the catalog lookup, so that a later removal of the document also removes this entry.
    this.#damaged.set(id, left);
    // The file may have been deleted meanwhile: its document is removed before its bytes.
    if (!(await this.#deps.catalog.has(id))) {
      this.#damaged.delete(id);
      return null;
    }
    if (!known) {
      const message = 'bytes of a complete file are missing; restore them, or send the file again with overwrite=true';
      this.#deps.warn(message, { id, owner, file: name, size, bytes_there: left });
    }
    return left;
  }

  /** @throws LadingError `file_damaged` */
  async assertUndamaged(document: FileDocument): Promise<void> {
    const left = await this.check(document);
    if (left !== null) throw fileDamaged(left, document.size ?? 0);
  }

  /** Checks all files that existed at the start, in the background. */
  startChecks(): void {
    const documents = this.#unchecked ?? [];
    this.#unchecked = null;
    this.#checks = forEachConcurrently(documents, MAX_CONCURRENT, async (document) => {
      // A failed read does not show that the file is damaged.
      if (!this.#stopped) await this.check(document).catch(() => undefined);
    });
  }

  /** Stops the background check. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#checks;
  }

  /** Number of bytes that exist, from the start of the file to the first missing one. */
  async #bytesOnDisk(file: Sized): Promise<number> {
    const { blobs } = this.#deps;
    const linked = linkedBlobs(file);
    if (!linked) return Math.min(file.size ?? 0, (await blobs.size(file.id)) ?? 0);
    let left = 0;
    for (const { id, size } of linked) {
      const bytes = Math.min(size, (await blobs.size(id)) ?? 0);
      left += bytes;
      if (bytes < size) break;
    }
    return left;
  }
}

function fileDamaged(left: number, size: number): LadingError {
  return new LadingError(
    'file_damaged',
    `The server has lost bytes of this file: ${left} of ${size} are left. Ask the operator to restore them, or send the file again with overwrite=true.`,
  );
}
