/**
 * Documents of one kind, cached in memory above their store. A revoked token must be refused from the next request on, and no request
 * waits for the disk.
 */
import type { Collection } from '../../contracts/collection.ts';

/** Minimum interval between two writes of "last used" to the store. */
const SAVE_INTERVAL_MS = 60_000;

/** A cache of all documents of a collection. */
export class DocumentCache<T extends object> {
  readonly #store: Collection<T>;
  readonly #idOf: (document: T) => string;
  readonly #documents = new Map<string, T>();
  /** Ids of documents with an unstored change → monotonic time of the first such change. */
  readonly #unsaved = new Map<string, number>();
  readonly #writes = new Set<Promise<unknown>>();
  /** Id → the document that `replace` is writing. The cached one may be newer, after further uses. */
  readonly #replacing = new Map<string, T>();

  private constructor(store: Collection<T>, idOf: (document: T) => string) {
    this.#store = store;
    this.#idOf = idOf;
  }

  /** Reads every document. */
  static async open<T extends object>(store: Collection<T>, idOf: (document: T) => string): Promise<DocumentCache<T>> {
    const cache = new DocumentCache(store, idOf);
    for (const document of await store.list()) cache.#documents.set(idOf(document), document);
    return cache;
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

  /** Stores a document. Durable when it resolves, and visible only then. */
  async put(document: T): Promise<void> {
    await this.#store.put(document);
    this.#documents.set(this.#idOf(document), document);
  }

  /** Like `put`, but visible at once, so that it counts toward limits while it is written. A failed write reverts it. */
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
   * Replaces a document. Visible at once, durable when it resolves; a failed write reverts it. For changes that must not happen twice,
   * such as the use of a refresh token.
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
    // If the document was removed in the meantime, the store executes the removal after this write.
  }

  /** Changes fields of a document, like `replace`; false if it does not exist. */
  async change(id: string, part: Partial<T>): Promise<boolean> {
    const before = this.#documents.get(id);
    if (before === undefined) return false;
    await this.replace(before, { ...before, ...part });
    return true;
  }

  /** Removes a document. Visible at once, durable when it resolves; false if it does not exist. A failed removal reverts it. */
  async remove(id: string): Promise<boolean> {
    const document = this.#documents.get(id);
    if (document === undefined) return false;
    this.#documents.delete(id);
    this.#unsaved.delete(id);
    try {
      await this.#store.remove(id);
    } catch (error) {
      if (!this.#documents.has(id)) this.#documents.set(id, document);
      throw error;
    }
    return true;
  }

  /**
   * Replaces a document with a change that a crash may lose, such as "last used": visible at once, stored once a minute.
   * @param now monotonic time, in milliseconds
   */
  putLater(document: T, now: number): void {
    const id = this.#idOf(document);
    if (!this.#documents.has(id)) return;
    this.#documents.set(id, document);
    const since = this.#unsaved.get(id);
    if (since === undefined) this.#unsaved.set(id, now);
    else if (now - since >= SAVE_INTERVAL_MS) this.#save(id);
  }

  /** Stores changes that are only in memory. */
  async close(): Promise<void> {
    for (const id of [...this.#unsaved.keys()]) this.#save(id);
    await Promise.all(this.#writes);
  }

  #save(id: string): void {
    this.#unsaved.delete(id);
    const document = this.#documents.get(id);
    if (document === undefined) return;
    // A full disk must not fail a request because of this. The next minute retries.
    const write: Promise<void> = this.#store
      .put(document)
      .catch(() => {})
      .then(() => void this.#writes.delete(write));
    this.#writes.add(write);
  }
}
