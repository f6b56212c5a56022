/**
 * Complete files whose bytes are missing or fewer than their document says: a restore that was not whole, a disk that was repaired, somebody
 * with `rm`. They are looked for once after the start, beside everything else, and whenever somebody reads one; what has come back is
 * noticed the next time somebody asks.
 */
import type { BlobStore } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import { LadingError } from '../../errors.ts';
import type { FileDocument } from '../../records/file.ts';
import { eachOf } from './recover.ts';

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
  readonly #doors: DamagedFilesDeps;
  /** By id: bytes from the beginning on that are there. */
  readonly #damaged = new Map<string, number>();
  /** Those that the last run left; null once they are being looked at. */
  #found: FileDocument[] | null = [];
  #stopped = false;
  #looking: Promise<void> = Promise.resolve();

  constructor(doors: DamagedFilesDeps) {
    this.#doors = doors;
    doors.catalog.subscribe({
      added: (file) => void this.#found?.push(file),
      removed: ({ id }) => void this.#damaged.delete(id),
    });
  }

  /** Files known to be damaged. */
  get count(): number {
    return this.#damaged.size;
  }

  /** Bytes of this file that are there; null when none is known to be missing. No disk is asked. */
  known({ id }: Sized): number | null {
    return this.#damaged.get(id) ?? null;
  }

  /** As `known`, but looks again at a file that was damaged. */
  async now(document: FileDocument): Promise<number | null> {
    return this.#damaged.has(document.id) ? await this.look(document) : null;
  }

  /** Asks the disk how much of the file is there; null: all of it, as far as sizes tell. */
  async look(document: FileDocument): Promise<number | null> {
    const { id, name, owner } = document;
    const size = document.size ?? 0;
    const there = await this.#bytesOf(document);
    if (there >= size) {
      if (this.#damaged.delete(id))
        this.#doors.warn('the bytes of a damaged file are there again', { id, owner, file: name });
      return null;
    }
    const known = this.#damaged.has(id);
    // Before the next look at the catalog: if its document goes then, so does this.
    this.#damaged.set(id, there);
    // It may have been removed while the disk answered: its document goes first, then its bytes.
    if (!(await this.#doors.catalog.has(id))) {
      this.#damaged.delete(id);
      return null;
    }
    if (!known) {
      const words = 'bytes of a complete file are missing; restore them, or send the file again with overwrite=true';
      this.#doors.warn(words, { id, owner, file: name, size, bytes_there: there });
    }
    return there;
  }

  /** @throws LadingError `file_damaged` */
  async assertUndamaged(document: FileDocument): Promise<void> {
    const there = await this.look(document);
    if (there !== null) throw damaged(there, document.size ?? 0);
  }

  /** Looks at all that the last run left, in the background. */
  begin(): void {
    const documents = this.#found ?? [];
    this.#found = null;
    this.#looking = eachOf(documents, AT_ONCE, async (document) => {
      // A failing disk says nothing of the file.
      if (!this.#stopped) await this.look(document).catch(() => undefined);
    });
  }

  /** Resolves when no file is looked at any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#looking;
  }

  /** From the beginning on, without a gap. */
  async #bytesOf({ id, pieces, size }: Sized): Promise<number> {
    const { blobs } = this.#doors;
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
