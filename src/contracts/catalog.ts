/** The interface to the documents of files and uploads. Implementation: `storage/lowdb`. */
import type { FileDocument } from '../records/file.ts';

/** The documents of one name: at most one sealed and one open document, besides the uploads that wait for the name. */
export interface Slot {
  sealed: FileDocument | null;
  open: FileDocument | null;
}

/** Selects one page of an owner's names. */
export interface ListQuery {
  owner: string;
  prefix: string;
  /** Only names after this one; null: from the start. */
  after: string | null;
  limit: number;
}

/** Receives changes of sealed files, synchronously with the change. A new version of a file is a removal and an addition. */
export interface CatalogListener {
  added(file: FileDocument): void;
  removed(file: FileDocument): void;
}

/** The documents of files and uploads. Names sort by their UTF-16 code units. */
export interface Catalog {
  find(owner: string, name: string): Promise<Slot>;
  list(query: ListQuery): Promise<{ name: string; slot: Slot }[]>;
  /** All open documents, for recovery and the sweep. */
  listOpen(): Promise<FileDocument[]>;
  /** True if a document has this id or lists a blob of this id. */
  has(id: string): Promise<boolean>;
  /** The document of this id; null if it does not exist. */
  get(id: string): Promise<FileDocument | null>;
  /**
   * Stores a document, atomically; durable when it resolves. A sealed document also removes, in the same step, the sealed document that
   * it replaces and the open documents that it ends. The caller then removes their bytes.
   */
  put(document: FileDocument): Promise<void>;
  /**
   * Changes a document, which must keep its state and its name. Does nothing if the document does not exist, or was replaced or removed
   * in the meantime, so that a removed document never reappears.
   */
  amend(id: string, change: (document: FileDocument) => FileDocument): Promise<void>;
  remove(id: string): Promise<void>;
  /** Subscribes to changes of sealed files. Calls `added` for every existing one before it returns. */
  subscribe(listener: CatalogListener): void;
}
