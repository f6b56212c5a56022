/** The interface to the journals of uploads. Implementation: `storage/disk`. */

/** A range of stored bytes, as the journal lists it. */
export interface ManifestRecord {
  start: number;
  /** Inclusive. */
  end: number;
  /** CRC-32 of the bytes. */
  crc32: number;
  /** The data was on stable storage before this record was written (durability `chunk`). */
  synced: boolean;
  /** Milliseconds since the epoch. */
  time: number;
  /** The bytes of the range, if no part holds them: the store keeps them with the record, in one atomic step. Never read back. */
  bytes?: Uint8Array;
  /** The record was damaged in the journal and restored with its checksum. Its bytes are verified before it counts. Never stored. */
  repaired?: true;
}

/** The journal of one upload. It lists the ranges that are verified and stored; other bytes do not count. */
export interface Manifest {
  /**
   * Appends the records in one write. With `durable` they are on stable storage when the promise resolves. A failed append leaves the
   * journal unchanged. Callers must not append concurrently.
   */
  append(records: readonly ManifestRecord[], durable: boolean): Promise<void>;
  sync(): Promise<void>;
  release(): void;
}

/** Stores the journals of uploads by file id. */
export interface ManifestStore {
  create(id: string): Promise<void>;
  /** Returns the records that are intact or can be repaired, in order. Throws `not_found` if the journal does not exist. */
  read(id: string): Promise<ManifestRecord[]>;
  open(id: string): Promise<Manifest>;
  /** Replaces the records, atomically and durably. Recovery uses it to drop records whose bytes failed the check. */
  rewrite(id: string, records: readonly ManifestRecord[]): Promise<void>;
}

/** Records of a journal that were damaged in the storage. */
export interface JournalDamage {
  /** Records restored with their checksums. */
  repaired: number;
  /** Records lost: their ranges are missing until a client sends them again. */
  lost: number;
}
