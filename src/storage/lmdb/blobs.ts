/**
 * The bytes of files. Small chunks are stored in the ledger with their records, large ones in a part on the disk.
 *
 *     small chunk ── kept ──► ledger row, in the transaction of its record ── move ──► part ──► blob
 *     large chunk ──────────────────────────────────────────────────────────────────► part ──► blob
 *     small file   its rows stay in the ledger, without a directory, part or blob
 */
import type { BlobStore, Part, Reader, SegmentJob, SegmentResult } from '../../contracts/blobs.ts';
import { LadingError } from '../../errors.ts';
import { keepBytes } from './kept-segment.ts';
import { fileKey, keyAfter } from './keys.ts';
import type { Ledger } from './ledger.ts';
import type { LedgerManifests } from './manifests.ts';
import { type PartFiles, Parts } from './parts.ts';
import { RangeBytes, type Row } from './range-bytes.ts';

/** Maximum size of a file that stays in the ledger. */
export const SMALL_FILE_BYTES = 64 * 1024;
/** Maximum size of a chunk that is first stored in the ledger and later moved to the part. */
export const SMALL_CHUNK_BYTES = 64 * 1024;
/** When an upload has more bytes than this in the ledger, they are moved to its part. */
const MOVE_BYTES = 4 * 1024 ** 2;
/** Maximum size of adjacent rows that are written to the part together. */
const MAX_RUN_BYTES = 1024 ** 2;

export interface LedgerBlobsOptions {
  ledger: Ledger;
  manifests: LedgerManifests;
  files: PartFiles;
}

export class LedgerBlobs implements BlobStore {
  readonly #options: LedgerBlobsOptions;
  readonly #bytes: RangeBytes;
  readonly #parts: Parts;
  /** Number of bytes that each upload has in the ledger, if this process has counted them. */
  readonly #counts = new Map<string, number>();
  /** The last queued move of each upload. */
  readonly #moves = new Map<string, Promise<void>>();

  constructor(options: LedgerBlobsOptions) {
    this.#options = options;
    this.#bytes = new RangeBytes(options.ledger);
    this.#parts = new Parts(options.files);
  }

  async create(id: string): Promise<void> {
    this.#parts.create(id);
  }

  async openPart(id: string): Promise<Part> {
    await this.#assertExists(id);
    return {
      write: (job) => this.#write(id, job),
      sync: () => this.#parts.sync(id),
      read: (into, position) => this.#read(id, into, position),
      truncate: async (size) => {
        if (await this.#parts.has(id)) await this.#parts.use(id, (part) => part.truncate(size));
      },
      release: () => undefined,
    };
  }

  async openReader(id: string): Promise<Reader> {
    await this.#assertExists(id);
    const file = (await this.#parts.has(id)) ? await this.#options.files.openReader(id) : null;
    // Readers of a small file keep working after the file is removed.
    const snapshot = file ? null : this.#bytes.whole(id, SMALL_FILE_BYTES);
    const hadRows = this.#bytes.end(id) > 0;
    return {
      read: async (into, position) => {
        if (!hadRows || this.#exists(id)) return await this.#read(id, into, position, file);
        if (!snapshot) throw notFound();
        const slice = snapshot.subarray(position, position + into.length);
        into.set(slice);
        return slice.length;
      },
      release: () => file?.release(),
    };
  }

  async seal(id: string, size: number): Promise<void> {
    const { files, ledger, manifests } = this.#options;
    await this.#assertExists(id);
    if (size <= SMALL_FILE_BYTES && this.#bytes.covers(id, size) && !(await this.#parts.has(id))) {
      // An empty file has no bytes, so its journal row is the only sign that it exists.
      if (!ledger.records.doesExist(fileKey(id))) await manifests.rewrite(id, []);
      this.#parts.settle(id);
      return await ledger.flushed();
    }
    await this.#inTurn(id, async () => {
      await this.#fillPart(id);
      await files.seal(id, size);
    });
    await this.#clear(id);
  }

  async link(from: string, to: string): Promise<boolean> {
    await this.#assertExists(from);
    await this.#inTurn(from, () => this.#fillPart(from));
    return await this.#options.files.link(from, to);
  }

  async remove(id: string): Promise<void> {
    const { ledger, manifests } = this.#options;
    await this.#moves.get(id)?.catch(() => undefined);
    const keys = { start: fileKey(id), end: keyAfter(id) };
    const [bytes, records] = [[...ledger.bytes.getKeys(keys)], [...ledger.records.getKeys(keys)]];
    if (bytes.length + records.length > 0) {
      await ledger.commit((write) => {
        for (const key of bytes) write.remove('bytes', key);
        for (const key of records) write.remove('records', key);
      });
    }
    manifests.forget(id);
    this.#counts.delete(id);
    await this.#parts.remove(id);
  }

  async size(id: string): Promise<number | null> {
    const size = await this.#options.files.size(id);
    const end = this.#bytes.end(id);
    if (size === null && end === 0) return this.#exists(id) ? 0 : null;
    return Math.max(size ?? 0, end);
  }

  async list(): Promise<string[]> {
    const ids = new Set([...(await this.#options.files.list()), ...this.#parts.created]);
    for (const id of this.#bytes.ids()) ids.add(id);
    return [...ids];
  }

  /** Copies the file's bytes in the ledger to its part or blob, for callers that read it by descriptor. */
  async fill(id: string): Promise<void> {
    if (this.#bytes.end(id) > 0) await this.#inTurn(id, () => this.#fillPart(id));
  }

  /** True when all bytes are in the ledger. */
  async isInLedger(id: string): Promise<boolean> {
    return !(await this.#parts.has(id));
  }

  /** Counts bytes that were committed to the ledger. Starts a move to the part when there are too many. */
  counted(id: string, bytes: number): void {
    const count = (this.#counts.get(id) ?? this.#bytes.total(id)) + bytes;
    this.#counts.set(id, count);
    if (count > MOVE_BYTES && !this.#moves.has(id)) {
      // After a failure the bytes stay in the ledger, and the next chunk tries again.
      this.#inTurn(id, () => this.#move(id)).catch(() => undefined);
    }
  }

  /** Waits for running moves. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#moves.values());
  }

  async #write(id: string, job: SegmentJob): Promise<SegmentResult> {
    await this.#assertExists(id);
    if (job.isWholeChunk && job.length <= SMALL_CHUNK_BYTES)
      return await keepBytes(job, (into, position) => this.#read(id, into, position));
    // The worker compares with the bytes in the part, so they must be there.
    if (job.ranges.some(({ action }) => action === 'compare')) await this.fill(id);
    return await this.#parts.use(id, (part) => part.write(job));
  }

  /** Reads bytes. Those in the ledger take precedence, because the part may not have them yet. */
  async #read(id: string, into: Uint8Array, position: number, open: Reader | null = null): Promise<number> {
    const end = this.#bytes.readWhole(id, into, position);
    if (end !== null) return end;
    // Read the rows before the part: a move may end meanwhile and remove them.
    const rows = [...this.#bytes.rows(id, position, position + into.length)];
    if (!open) await this.#assertExists(id);
    const count = open ? await open.read(into, position) : await this.#parts.read(id, into, position);
    return Math.max(count, overlay(rows, into, position));
  }

  async #move(id: string): Promise<void> {
    const rows = await this.#fillPart(id);
    await this.#parts.sync(id);
    await this.#drop(id, rows);
  }

  /** Writes the ledger's bytes to the part, which is created if necessary. Resolves with the keys of the written rows. */
  async #fillPart(id: string): Promise<Uint8Array[]> {
    return await this.#parts.use(id, async (part) => {
      const keys: Uint8Array[] = [];
      for (const rows of this.#bytes.runs(id, MAX_RUN_BYTES)) {
        const bytes = Buffer.concat(rows.map((row) => row.bytes));
        const start = rows[0]?.start ?? 0;
        const extent = { start, end: start + bytes.length - 1 };
        const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
        await part.write({ buffer, length: bytes.length, start, ranges: [{ extent, action: 'write' }] });
        for (const { key } of rows) keys.push(key);
      }
      return keys;
    });
  }

  async #clear(id: string): Promise<void> {
    await this.#drop(
      id,
      [...this.#bytes.rows(id)].map(({ key }) => key),
    );
  }

  async #drop(id: string, keys: Uint8Array[]): Promise<void> {
    const { ledger } = this.#options;
    this.#counts.delete(id);
    if (keys.length === 0) return;
    await ledger.commit((write) => {
      for (const key of keys) write.remove('bytes', key);
    });
  }

  /** Runs the moves and seals of one upload one after the other. */
  #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#moves.get(id) ?? Promise.resolve();
    const run = before.then(work, work);
    const done = run.then(
      () => undefined,
      () => undefined,
    );
    this.#moves.set(id, done);
    void done.then(() => {
      if (this.#moves.get(id) === done) this.#moves.delete(id);
    });
    return run;
  }

  #exists(id: string): boolean {
    return (
      this.#parts.created.has(id) || this.#options.ledger.records.doesExist(fileKey(id)) || this.#bytes.end(id) > 0
    );
  }

  async #assertExists(id: string): Promise<void> {
    if (!this.#exists(id) && !(await this.#parts.has(id))) throw notFound();
  }
}

/** Copies the rows into `into`. Returns the offset after the last copied byte; 0 if none was copied. */
function overlay(rows: readonly Row[], into: Uint8Array, position: number): number {
  let end = 0;
  for (const { start, bytes } of rows) {
    const offset = Math.max(0, start - position);
    const slice = bytes.subarray(Math.max(0, position - start), position + into.length - start);
    into.set(slice, offset);
    end = offset + slice.length;
  }
  return end;
}

function notFound(): LadingError {
  return new LadingError('not_found', 'The file does not exist.');
}
