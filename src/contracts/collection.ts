/** The interfaces to small documents and to secrets. Implementations: `storage/lowdb`, `storage/disk`. */
import type { DeviceDocument } from '../records/subjects.ts';

/** Small documents of one kind, by id. All of them are read at the start. */
export interface Collection<T> {
  /** Returns null if no document has this id. */
  find(id: string): Promise<T | null>;
  /** Lists all documents in the order of their ids. */
  list(): Promise<T[]>;
  /** Atomic; durable when it resolves. */
  put(document: T): Promise<void>;
  /** Durable when it resolves. Returns false if no document has this id. */
  remove(id: string): Promise<boolean>;
}

/** A secret of the server. No other user of the machine can read it. Implementation: `storage/disk`. */
export interface SecretBox {
  /** Returns null if nothing was written yet. */
  read(): Promise<Uint8Array | null>;
  /** Atomic; durable when it resolves. Throws `insufficient_storage`. */
  write(bytes: Uint8Array): Promise<void>;
}

export type CredentialStore = Collection<DeviceDocument>;
