/** The doors to small documents and to secrets. Implementations: `storage/lowdb`, `storage/disk`. */
import type { DeviceDocument } from '../records/subjects.ts';

/** Small documents of one kind by their id, all of them read at the start. Implementations: `storage/lowdb`. */
export interface Collection<T> {
  find(id: string): Promise<T | null>;
  /** In the order of their ids. */
  list(): Promise<T[]>;
  /** Durable when it resolves, atomic always. */
  put(document: T): Promise<void>;
  /** Durable when it resolves; false when there was none. */
  remove(id: string): Promise<boolean>;
}

/** A secret of the server's own, readable by nobody else on the machine. Implementations: `storage/disk`. */
export interface SecretBox {
  /** Null when nothing was ever put in. */
  read(): Promise<Uint8Array | null>;
  /** Durable when it resolves, atomic always. `insufficient_storage`. */
  write(bytes: Uint8Array): Promise<void>;
}

export type CredentialStore = Collection<DeviceDocument>;
