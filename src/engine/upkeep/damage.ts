/**
 * Complete files whose bytes are missing or fewer than their document says: a restore that was not whole, a disk that was repaired, somebody
 * with `rm`. They are looked for once after the start, beside everything else, and whenever somebody reads one; what has come back is
 * noticed the next time somebody asks.
 */
import { forEachConcurrently } from '../../concurrent.ts';
import type { BlobStore } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import { LadingError } from '../../errors.ts';
import type { FileDocument } from '../../records/file.ts';

/** Files looked at together after the start: few, for nobody waits for it. */
const AT_ONCE = 4;

type Sized = Pick<FileDocument, 'id' | 'size' | 'pieces'>;

export interface DamagedFilesDeps {
  blobs: BlobStore;
  catalog: Catalog;
  /** The log. */
  warn(message: string, details: object): void;
}

export class DamagedFiles {
  readonly #deps: DamagedFilesDeps;
  /** By id: bytes from the beginning on that are there. */
  readonly #damaged = new Map<string, number>();
  /** Those that the last run left; null once they are being looked at. */
  #unchecked: FileDocument[] | null = [];
  #stopped = false;
  #checks: Promise<void> = Promise.resolve();

  constructor(doors: DamagedFilesDeps) {
    this.#deps = doors;
    doors.catalog.subscribe({
      added: (file) => void this.#unchecked?.push(file),
      removed: ({ id }) => void this.#damaged.delete(id),
    });
  }

  /** Files known to be damaged. */
  get count(): number {
    return this.#damaged.size;
  }

  /** Bytes of this file that are there; null when none is known to be missing. No disk is asked. */
  bytesLeft({ id }: Sized): number | null {
    return this.#damaged.get(id) ?? null;
  }

  /** As `known`, but looks again at a file that was damaged. */
  async recheck(document: FileDocument): Promise<number | null> {
    return this.#damaged.has(document.id) ? await this.check(document) : null;
  }

  /** Asks the disk how much of the file is there; null: all of it, as far as sizes tell. */
  async check(document: FileDocument): Promise<number | null> {
    const { id, name, owner } = document;
    const size = document.size ?? 0;
    const there = await this.#bytesOnDisk(document);
    if (there >= size) {
      if (this.#damaged.delete(id))
        this.#deps.warn('the bytes of a damaged file are there again', { id, owner, file: name });
      return null;
    }
    const known = this.#damaged.has(id);
    // Before the next look at the catalog: if its document goes then, so does this.
    this.#damaged.set(id, there);
    // It may have been removed while the disk answered: its document goes first, then its bytes.
    if (!(await this.#deps.catalog.has(id))) {
      this.#damaged.delete(id);
      return null;
    }
    if (!known) {
      const words = 'bytes of a complete file are missing; restore them, or send the file again with overwrite=true';
      this.#deps.warn(words, { id, owner, file: name, size, bytes_there: there });
    }
    return there;
  }

  /** @throws LadingError `file_damaged` */
  async assertUndamaged(document: FileDocument): Promise<void> {
    const there = await this.check(document);
    if (there !== null) throw damaged(there, document.size ?? 0);
  }

  /** Looks at all that the last run left, in the background. */
  startChecks(): void {
    const documents = this.#unchecked ?? [];
    this.#unchecked = null;
    this.#checks = forEachConcurrently(documents, AT_ONCE, async (document) => {
      // A failing disk says nothing of the file.
      if (!this.#stopped) await this.check(document).catch(() => undefined);
    });
  }

  /** Resolves when no file is looked at any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#checks;
  }

  /** From the beginning on, without a gap. */
  async #bytesOnDisk({ id, pieces, size }: Sized): Promise<number> {
    const { blobs } = this.#deps;
    if (!pieces) return Math.min(size ?? 0, (await blobs.size(id)) ?? 0);
    let there = 0;
    for (const piece of pieces) {
      const bytes = Math.min(piece.size, (await blobs.size(piece.id)) ?? 0);
      there += bytes;
      if (bytes < piece.size) break;
    }
    return there;
  }
}

function damaged(there: number, size: number): LadingError {
  return new LadingError(
    'file_damaged',
    `The server has lost bytes of this file: ${there} of ${size} are left. Ask the operator to restore them, or send the file again with overwrite=true.`,
  );
}
