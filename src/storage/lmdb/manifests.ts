/** The journals of uploads in the ledger. Each record is a row; the bytes of a small chunk are written in the same transaction. */
import type { Manifest, ManifestRecord, ManifestStore } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import { decodeRecord, encodeRecord, fileKey, keyAfter, rangeKey, startOf } from './keys.ts';
import type { Ledger, LedgerWrite } from './ledger.ts';

export interface LedgerManifestsOptions {
  ledger: Ledger;
  /** Called with the number of bytes after records with bytes were committed. */
  onBytes(id: string, bytes: number): void;
  /** Called for rows that cannot be decoded. Their ranges are missing until a client sends them again. */
  onDamage(id: string, found: { repaired: number; lost: number }): void;
}

export class LedgerManifests implements ManifestStore {
  readonly #options: LedgerManifestsOptions;
  /** Journals that were created but have no row yet. */
  readonly #created = new Set<string>();

  constructor(options: LedgerManifestsOptions) {
    this.#options = options;
  }

  create(id: string): Promise<void> {
    return attempt(() => {
      fileKey(id);
      this.#created.add(id);
    });
  }

  read(id: string): Promise<ManifestRecord[]> {
    return attempt(() => {
      this.#assertExists(id);
      const records: ManifestRecord[] = [];
      let lost = 0;
      for (const { key, value } of this.#options.ledger.records.getRange({ start: fileKey(id), end: keyAfter(id) })) {
        if (startOf(key) === null) continue;
        const record = decodeRecord(value);
        if (record) records.push(record);
        else lost += 1;
      }
      if (lost > 0) this.#options.onDamage(id, { repaired: 0, lost });
      return records;
    });
  }

  open(id: string): Promise<Manifest> {
    return attempt(() => {
      this.#assertExists(id);
      return {
        append: (records: readonly ManifestRecord[]) => this.#append(id, records),
        // Every append is durable when it resolves.
        sync: () => Promise.resolve(),
        release: () => undefined,
      };
    });
  }

  async rewrite(id: string, records: readonly ManifestRecord[]): Promise<void> {
    const { ledger } = this.#options;
    const keys = { start: fileKey(id), end: keyAfter(id) };
    const rows = [...ledger.records.getKeys(keys)].filter((key) => (startOf(key) ?? -1) >= records.length);
    // Remove the bytes of dropped records, or they would take precedence over those that are sent again.
    const starts = new Set(records.map(({ start }) => start));
    const bytes = [...ledger.bytes.getKeys(keys)].filter((key) => !starts.has(startOf(key) ?? -1));
    await ledger.commit((write) => {
      for (const key of rows) write.remove('records', key);
      for (const key of bytes) write.remove('bytes', key);
      this.#put(write, id, records, 0);
    });
    this.#created.delete(id);
  }

  /** Stores the journals that were created but have no record. For a clean stop. */
  async close(): Promise<void> {
    const { ledger } = this.#options;
    if (this.#created.size === 0) return;
    await ledger.commit((write) => {
      for (const id of this.#created) write.put('records', fileKey(id), EMPTY);
    });
  }

  /** Forgets a removed upload. */
  forget(id: string): void {
    this.#created.delete(id);
  }

  async #append(id: string, records: readonly ManifestRecord[]): Promise<void> {
    this.#assertExists(id);
    const first = this.#count(id);
    await this.#options.ledger.commit((write) => this.#put(write, id, records, first));
    this.#created.delete(id);
    const bytes = records.reduce((sum, record) => sum + (record.bytes?.length ?? 0), 0);
    if (bytes > 0) this.#options.onBytes(id, bytes);
  }

  /** @param first number of the first of these records */
  #put(write: LedgerWrite, id: string, records: readonly ManifestRecord[], first: number): void {
    write.put('records', fileKey(id), EMPTY);
    for (const [index, record] of records.entries()) {
      write.put('records', rangeKey(id, first + index), encodeRecord(record));
      if (record.bytes) write.put('bytes', rangeKey(id, record.start), record.bytes);
    }
  }

  /** Number of records in the journal. */
  #count(id: string): number {
    const range = { start: keyAfter(id), end: fileKey(id), reverse: true, limit: 1 };
    for (const key of this.#options.ledger.records.getKeys(range)) return (startOf(key) ?? -1) + 1;
    return 0;
  }

  #assertExists(id: string): void {
    if (this.#created.has(id) || this.#options.ledger.records.doesExist(fileKey(id))) return;
    throw new LadingError('not_found', 'The upload has no journal.');
  }
}

const EMPTY = new Uint8Array(0);

/** Runs synchronous reads of the ledger behind an asynchronous interface. */
async function attempt<T>(work: () => T): Promise<T> {
  return work();
}
