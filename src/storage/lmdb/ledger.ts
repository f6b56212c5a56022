/**
 * The ledger: one LMDB database with the documents of files, the records of their chunks, and small bytes.
 *
 *     documents   file id            → JSON text of the file's document
 *     records     file id, start     → end, CRC-32, flags, time of a verified range; the file id alone says that the journal exists
 *     bytes       file id, start     → bytes of a range that no part holds yet, or of a small file that needs no part
 *
 * All writes that come while one transaction is being synced share the next one: many writers cost one sync.
 */
import { type Database, open, type RootDatabase } from 'lmdb';
import { LadingError } from '../../errors.ts';

/** Space that the ledger leaves free on the disk, in bytes. LMDB reports a full disk as an I/O error, so it must not run into one. */
const RESERVE_BYTES = 4 * 1024 ** 2;

export type Table = Database<Uint8Array, Uint8Array>;

export interface LedgerOptions {
  /** The directory of the database. It must not be on a network file system. */
  path: string;
  /** Free bytes of the disk; null: unknown. */
  free(): number | null;
}

export class Ledger {
  readonly #tables: { documents: Table; records: Table; bytes: Table };
  readonly #root: RootDatabase<Uint8Array, Uint8Array>;
  readonly #free: () => number | null;
  #closed = false;

  constructor({ path, free }: LedgerOptions) {
    // `overlappingSync` would resolve a commit before it is on stable storage, and a restored copy of the directory could open corrupt.
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

  /** LMDB reads the memory that it has mapped: a read after the end would end the process. */
  #open(): { documents: Table; records: Table; bytes: Table } {
    if (this.#closed) throw new Error('The ledger is closed.');
    return this.#tables;
  }

  /**
   * Runs `change`, which puts and removes entries, as one atomic step. Durable when it resolves; a rejected change is undone.
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
  return new LadingError(
    'insufficient_storage',
    'The disk of the server is full. Delete files, or try again when there is room.',
  );
}

/** LMDB hides the reason of a failed commit behind a second promise. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error;
  const cause = await Promise.resolve(error.commitError).catch((reason: unknown) => reason);
  const { code } = (cause ?? {}) as { code?: unknown };
  if (code === 28 || code === 122) return noSpace();
  return Object.assign(new Error('The ledger could not be written.', { cause }), { code: 'EIO' });
}
