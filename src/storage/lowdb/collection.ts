/** Small documents of one kind: each in a file of its own, and all of them in memory. */
import type { Collection } from '../../contracts/collection.ts';
import type { DocumentKind, DocumentReports } from '../../contracts/store.ts';
import { type DocumentFiles, Documents } from './documents.ts';

export interface LowdbCollectionOptions<T> extends Omit<DocumentKind<T>, 'name'>, DocumentReports {
  files: DocumentFiles;
}

/** Opens a collection. Reads every document before it resolves. */
export async function openLowdbCollection<T extends object>(
  options: LowdbCollectionOptions<T>,
): Promise<LowdbCollection<T>> {
  const collection = new LowdbCollection(options);
  await collection.load();
  return collection;
}

export class LowdbCollection<T extends object> implements Collection<T> {
  readonly #options: LowdbCollectionOptions<T>;
  readonly #files: Documents<T>;
  readonly #documents = new Map<string, T>();

  constructor(options: LowdbCollectionOptions<T>) {
    this.#options = options;
    this.#files = new Documents(options.files, options.check, options.onCorrected);
  }

  async load(): Promise<void> {
    await this.#files.load((id, document) => this.#documents.set(id, document), this.#options.onDamaged);
  }

  find(id: string): Promise<T | null> {
    return Promise.resolve(this.#documents.get(id) ?? null);
  }

  list(): Promise<T[]> {
    const byId = [...this.#documents].sort(([a], [b]) => (a < b ? -1 : 1));
    return Promise.resolve(byId.map(([, document]) => document));
  }

  async put(document: T): Promise<void> {
    const copy = Object.freeze({ ...document });
    const id = this.#options.idOf(copy);
    await this.#files.put(id, copy, () => this.#documents.set(id, copy));
  }

  async remove(id: string): Promise<boolean> {
    if (!this.#documents.has(id)) return false;
    return this.#files.remove(id, () => this.#documents.delete(id));
  }
}
