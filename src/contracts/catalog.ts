/** The door to the documents of files and uploads. Implementation: `storage/lowdb`. */
import type { FileDocument } from '../records/file.ts';

/** Who owns what under which name: at most one sealed document and one open one a name, besides those set aside. */
export interface Slot {
  sealed: FileDocument | null;
  open: FileDocument | null;
}

export interface ListQuery {
  owner: string;
  prefix: string;
  /** Names strictly after this one; null from the start. */
  after: string | null;
  limit: number;
}

/** Implementations: `storage/lowdb`. Names sort by their UTF-16 code units. */
export interface Catalog {
  find(owner: string, name: string): Promise<Slot>;
  list(query: ListQuery): Promise<{ name: string; slot: Slot }[]>;
  /** Every open document (recovery and sweep). */
  listOpen(): Promise<FileDocument[]>;
  /** True when a document of this id exists, or one that has a piece of this id. */
  has(id: string): Promise<boolean>;
  /** The document of this id. */
  get(id: string): Promise<FileDocument | null>;
  /**
   * Durable when it resolves, atomic always. Putting a sealed document makes the sealed one that it replaces and the open ones that it
   * ends disappear in the same step; the caller then removes their bytes.
   */
  put(document: FileDocument): Promise<void>;
  /**
   * Puts a changed document in place of the one that is there; it must keep its state and its place. Nothing happens when there is none, or
   * when it is replaced or removed meanwhile: it never comes back.
   */
  amend(id: string, change: (document: FileDocument) => FileDocument): Promise<void>;
  remove(id: string): Promise<void>;
  /** Tells of every sealed document that comes (`there`) and goes, in the very step in which it does; first of all that are there. */
  follow(listener: (document: FileDocument, there: boolean) => void): void;
}
