/**
 * A collection of small documents, each its own file, each behind lowdb with an adapter of ours: lowdb's own file adapter does
 * not sync and keeps everything in one growing file.
 */
import { type Adapter, Low } from 'lowdb';
import type { Check, OnCorrectedDocument, OnDamaged } from '../../contracts/store.ts';
import { KeyedQueues } from '../queues.ts';

/**
 * Where documents are kept as text, by key. `write` is atomic, and durable when it resolves; `remove` is durable when it
 * resolves and says whether there was one; `list` may name keys without a document, for which `read` gives null.
 */
export interface DocumentFiles {
  list(): Promise<string[]>;
  read(key: string): Promise<string | null>;
  write(key: string, text: string): Promise<void>;
  remove(key: string): Promise<boolean>;
}

/** Files read at the same time at the start. */
const READERS = 16;

class DocumentAdapter<T> implements Adapter<T> {
  readonly #files: DocumentFiles;
  readonly #key: string;
  readonly #check: Check<T>;
  readonly #onCorrected: OnCorrectedDocument;

  constructor(files: DocumentFiles, key: string, check: Check<T>, onCorrected: OnCorrectedDocument) {
    this.#onCorrected = onCorrected;
    this.#files = files;
    this.#key = key;
    this.#check = check;
  }

  async read(): Promise<T | null> {
    const text = await this.#files.read(this.#key);
    return text === null
      ? null
      : this.#check(JSON.parse(text), this.#key, (words) => this.#onCorrected(this.#key, words));
  }

  async write(data: T): Promise<void> {
    await this.#files.write(this.#key, `${JSON.stringify(data, null, 2)}\n`);
  }
}

export class Documents<T extends object> {
  readonly #files: DocumentFiles;
  readonly #check: Check<T>;
  readonly #onCorrected: OnCorrectedDocument;
  /** Two writes of one document never overtake each other. */
  readonly #queues = new KeyedQueues();

  constructor(files: DocumentFiles, check: Check<T>, onCorrected: OnCorrectedDocument = () => {}) {
    this.#onCorrected = onCorrected;
    this.#files = files;
    this.#check = check;
  }

  /** Reads every document; what cannot be read or understood goes to `onDamaged`. */
  async load(take: (key: string, document: T) => void, onDamaged: OnDamaged): Promise<void> {
    const keys = (await this.#files.list()).reverse();
    const reader = async (): Promise<void> => {
      for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
        try {
          const document = await this.#read(key);
          if (document !== null) take(key, document);
        } catch (error) {
          onDamaged(key, error instanceof Error ? error : new Error(String(error)));
        }
      }
    };
    await Promise.all(Array.from({ length: READERS }, reader));
  }

  /** `then` runs after the write, before the next one of the same key. */
  put(key: string, document: T, then: () => void): Promise<void> {
    return this.#queues.run(key, async () => {
      await new Low<T>(this.#adapter(key), document).write();
      then();
    });
  }

  /** As `put`, with a document made in the step before the write, when no other write of the key runs; null: nothing is written. */
  change(key: string, make: () => T | null, then: (document: T) => void): Promise<void> {
    return this.#queues.run(key, async () => {
      const document = make();
      if (document === null) return;
      await new Low<T>(this.#adapter(key), document).write();
      then(document);
    });
  }

  remove(key: string, then: () => void): Promise<boolean> {
    return this.#queues.run(key, async () => {
      const existed = await this.#files.remove(key);
      then();
      return existed;
    });
  }

  async #read(key: string): Promise<T | null> {
    const adapter = this.#adapter(key);
    const low = new Low<T | null>({ read: () => adapter.read(), write: () => Promise.resolve() }, null);
    await low.read();
    return low.data;
  }

  #adapter(key: string): DocumentAdapter<T> {
    return new DocumentAdapter(this.#files, key, this.#check, this.#onCorrected);
  }
}
