/** The journals on disk. How their bytes look stands in `journal.ts`; here is when they are written and synced. */
import type { Manifest, ManifestRecord, ManifestStore } from '../../contracts.ts';
import type { Disk } from './disk.ts';
import { type FolderSync, readFully, writeFileDurably, writeFully } from './durable.ts';
import { guarded } from './failures.ts';
import { Handles, type Lease } from './handles.ts';
import { decodeJournal, encodeHeader, encodeRecords, HEADER_BYTES, RECORD_BYTES, roomFor } from './journal.ts';
import type { Layout } from './layout.ts';
import type { FileStates, JournalState } from './states.ts';

export interface DiskManifestsOptions {
  disk: Disk;
  layout: Layout;
  folders: FolderSync;
  states: FileStates;
  /** Descriptors kept open unused. */
  idleHandles: number;
  /** The last stop was not clean: what is read may not be on stable storage and is put there first. */
  distrust: boolean;
}

export class DiskManifests implements ManifestStore {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #folders: FolderSync;
  readonly #states: FileStates;
  readonly #handles: Handles;
  readonly #distrust: boolean;

  constructor(options: DiskManifestsOptions) {
    this.#disk = options.disk;
    this.#layout = options.layout;
    this.#folders = options.folders;
    this.#states = options.states;
    this.#distrust = options.distrust;
    this.#handles = new Handles(options.disk, options.idleHandles, (id) =>
      options.disk.open(options.layout.file(id).manifest, 'r+'),
    );
  }

  async create(id: string): Promise<void> {
    await guarded(async () => {
      const { folder, manifest, shard } = this.#layout.file(id);
      await this.#disk.mkdir(folder);
      const fd = await this.#disk.open(manifest, 'wx+');
      try {
        const allocated = roomFor(HEADER_BYTES, 0);
        const bytes = new Uint8Array(allocated);
        bytes.set(encodeHeader(id));
        await writeFully(this.#disk, fd, bytes, 0);
        this.#states.of(id).journal = { length: HEADER_BYTES, allocated, unsynced: true };
      } catch (error) {
        await this.#disk.close(fd);
        await this.#disk.unlink(manifest).catch(() => undefined);
        throw error;
      }
      this.#handles.adopt(id, fd);
      this.#folders.changed(folder);
      this.#folders.changed(shard);
    });
  }

  async read(id: string): Promise<ManifestRecord[]> {
    return guarded(() => this.#withHandle(id, async (fd) => (await this.#load(id, fd)).records));
  }

  async open(id: string): Promise<Manifest> {
    await guarded(() => this.#withHandle(id, (fd) => this.#journal(id, fd)));
    let appending = false;
    return {
      append: async (records, durable) => {
        if (appending) throw new Error('one append at a time');
        appending = true;
        try {
          await guarded(() => this.#append(id, records, durable));
        } finally {
          appending = false;
        }
      },
      sync: () => guarded(() => this.sync(id)),
      // Descriptors are taken for each operation; there is nothing to let go.
      release: () => undefined,
    };
  }

  async rewrite(id: string, records: readonly ManifestRecord[]): Promise<void> {
    await guarded(async () => {
      const { manifest } = this.#layout.file(id);
      const length = HEADER_BYTES + records.length * RECORD_BYTES;
      const allocated = roomFor(length, 0);
      const bytes = new Uint8Array(allocated);
      bytes.set(encodeHeader(id));
      bytes.set(encodeRecords(id, records), HEADER_BYTES);
      try {
        await writeFileDurably(this.#disk, manifest, bytes, { tmp: this.#layout.tmp });
      } finally {
        // Even after a failure: the name may stand for the new file already.
        this.#handles.drop(id);
        const state = this.#states.of(id);
        state.journal = null;
        state.undo = null;
      }
    });
  }

  /** Makes the journal and its name durable. */
  async sync(id: string): Promise<void> {
    await this.#withHandle(id, async (fd) => {
      const journal = await this.#journal(id, fd);
      await this.#disk.datasync(fd);
      journal.unsynced = false;
    });
    const { folder, shard } = this.#layout.file(id);
    await this.#folders.settle(folder, shard);
  }

  /** The file is removed: who holds the journal now writes into nothing. */
  forget(id: string): void {
    this.#handles.drop(id);
  }

  async close(): Promise<void> {
    await this.#handles.close();
  }

  async #append(id: string, records: readonly ManifestRecord[], durable: boolean): Promise<void> {
    await this.#states.get(id)?.undo?.();
    await this.#withHandle(id, async (fd) => {
      const journal = await this.#journal(id, fd);
      const end = journal.length + records.length * RECORD_BYTES;
      const allocated = roomFor(end, journal.allocated);
      const padding = allocated > journal.allocated ? allocated - end : 0;
      try {
        await writeFully(this.#disk, fd, encodeRecords(id, records, padding), journal.length);
        if (durable) await this.#disk.datasync(fd);
        if (durable) await this.#settle(id);
      } catch (error) {
        await this.#takeBack(id);
        throw error;
      }
      journal.length = end;
      journal.allocated = allocated;
      journal.unsynced = !durable;
    });
  }

  async #settle(id: string): Promise<void> {
    const { folder, shard } = this.#layout.file(id);
    await this.#folders.settle(folder, shard);
  }

  /**
   * A record whose append failed may be on the disk all the same. It must not be found at the next start: other bytes may have
   * come for its range by then. While that cannot be made sure, nothing is written to this upload.
   */
  async #takeBack(id: string): Promise<void> {
    const state = this.#states.of(id);
    const undo = (): Promise<void> =>
      this.#withHandle(id, async (fd) => {
        const { journal } = state;
        if (journal === null) return;
        await this.#disk.truncate(fd, journal.length);
        journal.allocated = journal.length;
        await this.#disk.datasync(fd);
        state.undo = null;
      });
    state.undo = undo;
    await undo().catch(() => undefined);
  }

  /** What is known of the journal; read from the disk the first time. */
  async #journal(id: string, fd: number): Promise<JournalState> {
    return this.#states.get(id)?.journal ?? (await this.#load(id, fd)).journal;
  }

  /** Reads and validates; the first time in this process it also repairs, and no append can be under way then. */
  async #load(id: string, fd: number): Promise<{ records: ManifestRecord[]; journal: JournalState }> {
    const known = this.#states.get(id)?.journal ?? null;
    const bytes = new Uint8Array(known?.length ?? (await this.#disk.size(fd)));
    const got = await readFully(this.#disk, fd, bytes, 0);
    const decoded = decodeJournal(id, bytes.subarray(0, got));
    if (known !== null) return { records: decoded.records, journal: known };
    const journal = { length: decoded.length, allocated: Math.max(got, decoded.length), unsynced: false };
    if (decoded.trailing) {
      await this.#disk.truncate(fd, decoded.length);
      journal.allocated = decoded.length;
    }
    if (decoded.headerDamaged) await writeFully(this.#disk, fd, encodeHeader(id), 0);
    if (decoded.trailing || decoded.headerDamaged || this.#distrust) await this.#disk.datasync(fd);
    const state = this.#states.of(id);
    state.journal = journal;
    // Nor may the bytes that the records speak of be: a clean stop has to sync the part too.
    if (this.#distrust) state.written += 1;
    return { records: decoded.records, journal };
  }

  async #withHandle<T>(id: string, work: (fd: number) => Promise<T>): Promise<T> {
    const lease: Lease = await this.#handles.acquire(id);
    try {
      return await work(lease.fd);
    } finally {
      lease.release();
    }
  }
}
