/**
 * The ledger: one LMDB database with the documents of files, the records of their chunks, and small bytes.
 *
 *     documents   file id            → JSON text of the file's document
 *     records     file id, number    → range, CRC-32, flags and time of a verified chunk; the file id alone marks an existing journal
 *     bytes       file id, start     → bytes of a range that is not in a part yet, or of a small file that has no part
 *
 * Writes that arrive while a transaction is being synced share the next one, so many writers cost one sync.
 */
import { statfs } from 'node:fs/promises';
import { type Database, open, type RootDatabase } from 'lmdb';
import { LadingError } from '../../errors.ts';

/** Free bytes below which commits are refused. LMDB reports a full disk only as an I/O error, so it must not fill the disk. */
const RESERVE_BYTES = 4 * 1024 ** 2;

/** Maximum number of changes in one transaction. */
const MAX_GROUP = 1024;

export type Table = Database<Uint8Array, Uint8Array>;

interface Tables {
  documents: Table;
  records: Table;
  bytes: Table;
}

/** The writes of one commit. */
export interface LedgerWrite {
  put(table: keyof Tables, key: Uint8Array, value: Uint8Array): void;
  remove(table: keyof Tables, key: Uint8Array): void;
}

export interface LedgerOptions {
  /** The directory of the database. It must not be on a network file system. */
  path: string;
  /** Free bytes of the disk; null if unknown. */
  free(): number | null;
}

/** One change of a commit, in the order in which it was made; without a value the entry is removed. */
interface Entry {
  table: keyof Tables;
  key: Uint8Array;
  value: Uint8Array | null;
}

interface Pending {
  entries: Entry[];
  resolve(): void;
  reject(error: unknown): void;
}

export class Ledger {
  readonly #path: string;
  readonly #free: () => number | null;
  #root: RootDatabase<Uint8Array, Uint8Array>;
  /** Null: the ledger is closed, or opened again after a failure. */
  #tables: Tables | null;
  #queue: Pending[] = [];
  #running: Promise<void> | null = null;
  #closed = false;

  constructor({ path, free }: LedgerOptions) {
    this.#path = path;
    this.#free = free;
    this.#root = openRoot(path);
    this.#tables = tablesOf(this.#root);
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
  #open(): Tables {
    if (this.#tables) return this.#tables;
    throw Object.assign(new Error(this.#closed ? 'The ledger is closed.' : 'The ledger is being opened again.'), {
      code: 'EIO',
    });
  }

  /**
   * Runs `change`, which writes through its argument, in one transaction. Durable when it resolves; rolled back when it rejects.
   * @throws LadingError `insufficient_storage`; Error `EIO`
   */
  async commit(change: (write: LedgerWrite) => void): Promise<void> {
    if (this.#closed) this.#open();
    const free = this.#free();
    if (free !== null && free < RESERVE_BYTES) throw noSpace();
    const entries: Entry[] = [];
    change({
      put: (table, key, value) => entries.push({ table, key, value }),
      remove: (table, key) => entries.push({ table, key, value: null }),
    });
    await new Promise<void>((resolve, reject) => {
      this.#queue.push({ entries, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when every change so far is durable or was rejected. */
  async flushed(): Promise<void> {
    await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flushed();
    this.#tables = null;
    await this.#root.close();
  }

  /** One transaction at a time: what comes meanwhile shares the next one. None may follow one that failed. */
  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, MAX_GROUP);
      try {
        await this.#write(group);
        for (const { resolve } of group) resolve();
      } catch (error) {
        const failure = await this.#failure(error);
        for (const { reject } of group) reject(failure);
      }
    }
    this.#running = null;
  }

  async #write(group: readonly Pending[]): Promise<void> {
    if (!this.#tables) await this.#reopen();
    const tables = this.#open();
    try {
      await this.#root.batch(() => {
        for (const { entries } of group) for (const entry of entries) apply(tables, entry);
      });
    } catch (error) {
      // The state in memory may differ from the file now. A transaction on top of it could damage others.
      this.#tables = null;
      await this.#reopen().catch(() => undefined);
      throw error;
    }
  }

  async #reopen(): Promise<void> {
    await this.#root.close();
    this.#root = openRoot(this.#path);
    this.#tables = tablesOf(this.#root);
  }

  /** LMDB reports a full disk as an I/O error, and the reason through a second promise. */
  async #failure(error: unknown): Promise<unknown> {
    if (!(error instanceof Error) || !('commitError' in error)) return error;
    Promise.resolve(error.commitError).catch(() => undefined);
    // Measured now: the disk may have filled since the last measurement.
    const disk = await statfs(this.#path).catch(() => null);
    if (disk && disk.bavail * disk.bsize < RESERVE_BYTES) return noSpace();
    return Object.assign(new Error('The ledger could not be written.', { cause: error }), { code: 'EIO' });
  }
}

function openRoot(path: string): RootDatabase<Uint8Array, Uint8Array> {
  return open<Uint8Array, Uint8Array>({
    path,
    // Otherwise a commit resolves before it is on stable storage, and a restored copy of the directory could open corrupt.
    overlappingSync: false,
    // It would make promises of its own, whose rejection after a failed commit nobody handles.
    eventTurnBatching: false,
    maxDbs: 8,
    encoding: 'binary',
    keyEncoding: 'binary',
  });
}

function tablesOf(root: RootDatabase<Uint8Array, Uint8Array>): Tables {
  const table = (name: string): Table =>
    root.openDB<Uint8Array, Uint8Array>(name, { encoding: 'binary', keyEncoding: 'binary' });
  return { documents: table('documents'), records: table('records'), bytes: table('bytes') };
}

function apply(tables: Tables, { table, key, value }: Entry): void {
  const write = value === null ? tables[table].remove(key) : tables[table].put(key, value);
  // A failed commit rejects each of its writes too; the promise of the batch reports it.
  write.catch(() => undefined);
}

function noSpace(): LadingError {
  return new LadingError('insufficient_storage', 'The disk of the server is full. Delete files, or try again later.');
}
