/** The door to the journals of uploads. Implementation: `storage/disk`. */

export interface ManifestRecord {
  start: number;
  /** Inclusive. */
  end: number;
  crc32: number;
  /** The data was on stable storage before this record was written (durability `chunk`). */
  synced: boolean;
  time: number;
  /** The journal held it damaged, and its checksum told what it was. Its bytes are compared before it counts. Never stored. */
  repaired?: true;
}

/** The journal of one upload: what it lists was verified and stored; nothing else counts. */
export interface Manifest {
  /**
   * Appends in one write; with `durable` it is on stable storage when the promise resolves. After a failed append the journal
   * is as it was. Callers serialise: one append at a time.
   */
  append(records: readonly ManifestRecord[], durable: boolean): Promise<void>;
  sync(): Promise<void>;
  release(): void;
}

export interface ManifestStore {
  create(id: string): Promise<void>;
  /** Every record of the journal that is intact or can be repaired, in their order. `not_found` when there is no journal. */
  read(id: string): Promise<ManifestRecord[]>;
  open(id: string): Promise<Manifest>;
  /** Replaces the journal by these records, atomically and durably (recovery forgets what failed its check). */
  rewrite(id: string, records: readonly ManifestRecord[]): Promise<void>;
}
