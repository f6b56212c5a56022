/**
 * The ledger: one LMDB database with the documents of files, the records of their chunks, and small bytes.
 *
 *     documents   file id            → JSON text of the file's document
 *     records     file id, number    → range, CRC-32, flags and time of a verified chunk; the file id alone marks an existing journal
 *     bytes       file id, start     → bytes of a range that is not in a part yet, or of a small file that has no part
 *
 * Writes that arrive while a transaction is being synced share the next one, so many writers cost one sync.
 */
import { type Database, open, type RootDatabase } from 'lmdb';
import { LadingError } from '../../errors.ts';

/** Free bytes below which commits are refused. LMDB reports a full disk only as an I/O error, so it must not fill the disk. */
const RESERVE_BYTES = 4 * 1024 ** 2;

export type Table = Database<Uint8Array, Uint8Array>;

export interface LedgerOptions {
  /** The directory of the database. It must not be on a network file system. */
  path: string;
  /** Free bytes of the disk; null if unknown. */
  free(): number | null;
}

export class Ledger {
  readonly #tables: { documents: Table; records: Table; bytes: Table };
  readonly #root: RootDatabase<Uint8Array, Uint8Array>;
  readonly #free: () => number | null;
  #closed = false;

  constructor({ path, free }: LedgerOptions) {
    // With `overlappingSync`, commits resolve before they are on stable storage, and a restored copy of the directory could be corrupt.
    this.#root = open<Uint8Array, Uint8Array>({
      path,
      overlappingSync: false,
      maxDbs: 8,
      encoding: 'binary',
      keyEncoding: 'binary',
    });
    const table = (name: string): Table =>
      this.#root.openDB<Uint8Array, Uint8Array>(name, { encoding: 'binary', keyEncoding: 'binary' });
    this.#tables = { documents: table('documents'), records: table('records'), bytes: table('bytes') };
    this.#free = free;
  }

  get documents(): Table {
    return this.#open().documents;
  }

  get records(): Table {
    return this.#open().records;
  }

  get bytes(): Table {
    return this.#open().bytes;
  }

  /** The tables. LMDB reads mapped memory, so a read after `close` would crash the process; this throws instead. */
  #open(): { documents: Table; records: Table; bytes: Table } {
    if (this.#closed) throw new Error('The ledger is closed.');
    return this.#tables;
  }

  /**
   * Runs `change`, which puts and removes entries, in one transaction. Durable when it resolves; rolled back when it rejects.
   * @throws LadingError `insufficient_storage`
   */
  async commit(change: () => void): Promise<void> {
    this.#open();
    const free = this.#free();
    if (free !== null && free < RESERVE_BYTES) throw noSpace();
    try {
      await this.#root.batch(change);
    } catch (error) {
      throw await causeOf(error);
    }
  }

  /** Resolves when every change so far is durable. */
  async flushed(): Promise<void> {
    await this.#root.flushed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#root.flushed;
    await this.#root.close();
  }
}

function noSpace(): LadingError {
  return new LadingError('insufficient_storage', 'The disk of the server is full. Delete files, or try again later.');
}

/** The reason of a failed commit, which LMDB reports in a second promise. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error;
  const cause = await Promise.resolve(error.commitError).catch((reason: unknown) => reason);
  const { code } = (cause ?? {}) as { code?: unknown };
  if (code === 28 || code === 122) return noSpace();
  return Object.assign(new Error('The ledger could not be written.', { cause }), { code: 'EIO' });
}
