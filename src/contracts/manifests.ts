/** The interface to the journals of uploads. Implementation: `storage/disk`. */

export interface ManifestRecord {
  start: number;
  /** Inclusive. */
  end: number;
  crc32: number;
  /** The data was on stable storage before this record was written (durability `chunk`). */
  synced: boolean;
  time: number;
  /** The bytes of the range, if no part holds them: the store keeps them with the record, in one atomic step. Never read back. */
  bytes?: Uint8Array;
  /** The record was damaged in the journal and restored by its checksum. Its bytes are compared before it counts. Never stored. */
  repaired?: true;
}

/** The journal of one upload. The ranges that it lists are verified and stored; no other byte counts. */
export interface Manifest {
  /**
   * Appends in one write; with `durable` the records are on stable storage when the promise resolves. A failed append leaves the
   * journal unchanged. Callers make one append at a time.
   */
  append(records: readonly ManifestRecord[], durable: boolean): Promise<void>;
  sync(): Promise<void>;
  release(): void;
}

export interface ManifestStore {
  create(id: string): Promise<void>;
  /** Every record of the journal that is intact or can be repaired, in order. Throws `not_found` when there is no journal. */
  read(id: string): Promise<ManifestRecord[]>;
  open(id: string): Promise<Manifest>;
  /** Replaces the journal by these records, atomically and durably (recovery forgets what failed its check). */
  rewrite(id: string, records: readonly ManifestRecord[]): Promise<void>;
}

/** Records of a journal that were damaged in the storage. */
export interface JournalDamage {
  /** Restored by their checksums. */
  repaired: number;
  /** Their ranges are missing until a client sends them again. */
  lost: number;
}
