/**
 * Small documents as JSON, each in a file of its own. Each document goes through lowdb with an adapter of this module: the file adapter
 * of lowdb does not sync, and keeps all documents in one growing file.
 */
import { type Adapter, Low } from 'lowdb';
import { forEachConcurrently } from '../../concurrent.ts';
import type { Check, OnCorrectedDocument, OnDamaged } from '../../contracts/store.ts';
import { KeyedQueues } from '../queues.ts';

/** Stores documents as text, by key. */
export interface DocumentFiles {
  /** The keys of all documents. May also contain keys without a document. */
  list(): Promise<string[]>;
  /** Null if the document does not exist. */
  read(key: string): Promise<string | null>;
  /** Atomic; durable when it resolves. */
  write(key: string, text: string): Promise<void>;
  /** Durable when it resolves. False if the document did not exist. */
  remove(key: string): Promise<boolean>;
}

/** Maximum number of concurrent reads at the start. */
const MAX_READS = 16;

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
      : this.#check(JSON.parse(text), this.#key, (correction) => this.#onCorrected(this.#key, correction));
  }

  async write(data: T): Promise<void> {
    await this.#files.write(this.#key, `${JSON.stringify(data, null, 2)}\n`);
  }
}

/** The documents of one kind on the disk. Writes of one document run one after the other. */
export class Documents<T extends object> {
  readonly #files: DocumentFiles;
  readonly #check: Check<T>;
  readonly #onCorrected: OnCorrectedDocument;
  /** Runs writes of one document one after the other. */
  readonly #queues = new KeyedQueues();

  constructor(files: DocumentFiles, check: Check<T>, onCorrected: OnCorrectedDocument = () => {}) {
    this.#onCorrected = onCorrected;
    this.#files = files;
    this.#check = check;
  }

  /** Reads every document. Calls `onDamaged` for those that cannot be read or parsed. */
  async load(onDocument: (key: string, document: T) => void, onDamaged: OnDamaged): Promise<void> {
    await forEachConcurrently(await this.#files.list(), MAX_READS, async (key) => {
      try {
        const document = await this.#read(key);
        if (document !== null) onDocument(key, document);
      } catch (error) {
        onDamaged(key, error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** Writes a document. Calls `onWritten` after the write and before the next write of the same key. */
  put(key: string, document: T, onWritten: () => void): Promise<void> {
    return this.#queues.run(key, async () => {
      await new Low<T>(this.#adapter(key), document).write();
      onWritten();
    });
  }

  /** As `put`. Calls `make` for the document right before the write, when no other write of the key runs. Null: nothing is written. */
  change(key: string, make: () => T | null, onWritten: (document: T) => void): Promise<void> {
    return this.#queues.run(key, async () => {
      const document = make();
      if (document === null) return;
      await new Low<T>(this.#adapter(key), document).write();
      onWritten(document);
    });
  }

  /** Removes a document. Calls `onRemoved` before the next write of the same key. False if the document did not exist. */
  remove(key: string, onRemoved: () => void): Promise<boolean> {
    return this.#queues.run(key, async () => {
      const existed = await this.#files.remove(key);
      onRemoved();
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
