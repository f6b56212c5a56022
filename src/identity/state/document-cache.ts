/**
 * Documents of one kind, held in memory and kept in a store: a token that was revoked must be refused on the very next request, and
 * no request waits for a disk to know that.
 */
import type { Collection } from '../../contracts/collection.ts';

/** How often what merely was used is written down. */
const KEEP_USE_MS = 60_000;

export class DocumentCache<T extends object> {
  readonly #store: Collection<T>;
  readonly #idOf: (document: T) => string;
  readonly #documents = new Map<string, T>();
  /** Ids of documents whose use was not written down yet, and when that use was (monotonic). */
  readonly #used = new Map<string, number>();
  readonly #writes = new Set<Promise<unknown>>();
  /** By id, the last document that is being written by `replace`; the one in memory may be the same after some uses. */
  readonly #replacing = new Map<string, T>();

  private constructor(store: Collection<T>, idOf: (document: T) => string) {
    this.#store = store;
    this.#idOf = idOf;
  }

  /** Reads every document. */
  static async open<T extends object>(store: Collection<T>, idOf: (document: T) => string): Promise<DocumentCache<T>> {
    const kept = new DocumentCache(store, idOf);
    for (const document of await store.list()) kept.#documents.set(idOf(document), document);
    return kept;
  }

  get size(): number {
    return this.#documents.size;
  }

  get(id: string): T | undefined {
    return this.#documents.get(id);
  }

  values(): IterableIterator<T> {
    return this.#documents.values();
  }

  /** Durable when it resolves, and seen only then. */
  async put(document: T): Promise<void> {
    await this.#store.put(document);
    this.#documents.set(this.#idOf(document), document);
  }

  /** As `put`, but seen at once: what counts towards a limit counts from the moment it is asked for. A failed write takes it back. */
  async create(document: T): Promise<void> {
    const id = this.#idOf(document);
    this.#documents.set(id, document);
    try {
      await this.#store.put(document);
    } catch (error) {
      if (this.#documents.get(id) === document) this.#documents.delete(id);
      throw error;
    }
  }

  /**
   * Seen at once, durable when it resolves. For what must not happen twice, as the use of a refresh token; a failed write takes it
   * back.
   */
  async replace(before: T, after: T): Promise<void> {
    const id = this.#idOf(after);
    this.#documents.set(id, after);
    this.#replacing.set(id, after);
    try {
      await this.#store.put(after);
    } catch (error) {
      if (this.#replacing.get(id) === after && this.#documents.has(id)) this.#documents.set(id, before);
      throw error;
    } finally {
      if (this.#replacing.get(id) === after) this.#replacing.delete(id);
    }
    // Removed while it was written: the removal waits in the store behind the write.
  }

  /** Replaces a part of a document, as `replace`; false when there is none. */
  async change(id: string, part: Partial<T>): Promise<boolean> {
    const before = this.#documents.get(id);
    if (before === undefined) return false;
    await this.replace(before, { ...before, ...part });
    return true;
  }

  /** Gone at once, for good when it resolves; false when there is none. A failed removal takes it back. */
  async remove(id: string): Promise<boolean> {
    const document = this.#documents.get(id);
    if (document === undefined) return false;
    this.#documents.delete(id);
    this.#used.delete(id);
    try {
      await this.#store.remove(id);
    } catch (error) {
      if (!this.#documents.has(id)) this.#documents.set(id, document);
      throw error;
    }
    return true;
  }

  /**
   * Notes a change that may be lost in a crash ("last used"): seen at once, written down once a minute.
   * @param now monotonic time, in milliseconds
   */
  use(document: T, now: number): void {
    const id = this.#idOf(document);
    if (!this.#documents.has(id)) return;
    this.#documents.set(id, document);
    const since = this.#used.get(id);
    if (since === undefined) this.#used.set(id, now);
    else if (now - since >= KEEP_USE_MS) this.#writeUse(id);
  }

  /** Writes down what is still only in memory. */
  async close(): Promise<void> {
    for (const id of [...this.#used.keys()]) this.#writeUse(id);
    await Promise.all(this.#writes);
  }

  #writeUse(id: string): void {
    this.#used.delete(id);
    const document = this.#documents.get(id);
    if (document === undefined) return;
    // It is a convenience: a full disk must not make a request fail. The next minute tries again.
    const write: Promise<void> = this.#store
      .put(document)
      .catch(() => {})
      .then(() => void this.#writes.delete(write));
    this.#writes.add(write);
  }
}
