/** The interfaces to small documents and to secrets. Implementations: `storage/lowdb`, `storage/disk`. */
import type { DeviceDocument } from '../records/subjects.ts';

/** Small documents of one kind, by id. All of them are read at the start. Implementation: `storage/lowdb`. */
export interface Collection<T> {
  find(id: string): Promise<T | null>;
  /** In the order of their ids. */
  list(): Promise<T[]>;
  /** Durable when it resolves, atomic always. */
  put(document: T): Promise<void>;
  /** Durable when it resolves. False when no document has this id. */
  remove(id: string): Promise<boolean>;
}

/** A secret of the server. No other user of the machine can read it. Implementation: `storage/disk`. */
export interface SecretBox {
  /** Null when nothing was ever written. */
  read(): Promise<Uint8Array | null>;
  /** Durable when it resolves, atomic always. `insufficient_storage`. */
  write(bytes: Uint8Array): Promise<void>;
}

export type CredentialStore = Collection<DeviceDocument>;
