/** The interface to the documents of files and uploads. Implementation: `storage/lowdb`. */
import type { FileDocument } from '../records/file.ts';

/** The documents of one name: at most one sealed and one open document, besides the uploads that wait for the name. */
export interface Slot {
  sealed: FileDocument | null;
  open: FileDocument | null;
}

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

/** Implementations: `storage/lowdb`. Names sort by their UTF-16 code units. */
export interface Catalog {
  find(owner: string, name: string): Promise<Slot>;
  list(query: ListQuery): Promise<{ name: string; slot: Slot }[]>;
  /** Every open document (recovery and sweep). */
  listOpen(): Promise<FileDocument[]>;
  /** True when a document has this id, or a blob of this id. */
  has(id: string): Promise<boolean>;
  /** The document of this id. */
  get(id: string): Promise<FileDocument | null>;
  /**
   * Durable when it resolves, atomic always. Putting a sealed document removes the sealed document that it replaces and the open
   * documents that it ends in the same step. The caller then removes their bytes.
   */
  put(document: FileDocument): Promise<void>;
  /**
   * Replaces a document by a changed one, which must keep its state and its name. Does nothing when the document does not exist, or is
   * replaced or removed meanwhile: an amended document never reappears.
   */
  amend(id: string, change: (document: FileDocument) => FileDocument): Promise<void>;
  remove(id: string): Promise<void>;
  /** Subscribes to changes of sealed files. Calls `added` for every existing one before it returns. */
  subscribe(listener: CatalogListener): void;
}
