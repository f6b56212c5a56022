/** The journals on the disk: when they are written and synced. For their format see `journal.ts`. */
import type { JournalDamage, Manifest, ManifestRecord, ManifestStore } from '../../contracts/manifests.ts';
import type { FileDirectories } from './directories.ts';
import { guarded } from './directory/failures.ts';
import type { Layout } from './directory/layout.ts';
import { codeOf, type Disk } from './io/disk.ts';
import { readFully, writeFileDurably, writeFully } from './io/durable.ts';
import { Handles, type Lease } from './io/handles.ts';
import { decodeJournal, encodeHeader, encodeRecords, HEADER_BYTES, RECORD_BYTES, roomFor } from './journal.ts';
import type { FileStates, JournalState } from './states.ts';

export interface DiskManifestsOptions {
  disk: Disk;
  layout: Layout;
  directories: FileDirectories;
  states: FileStates;
  /** Maximum number of unused descriptors that stay open. */
  idleHandles: number;
  /** The last stop was not clean: a journal may not be on stable storage, so it is synced when it is first read. */
  afterUncleanStop: boolean;
  /** Called when a journal with damaged records was read. */
  onDamage?(id: string, found: JournalDamage): void;
}

interface Loaded {
  records: ManifestRecord[];
  journal: JournalState;
}

/** A failed sync, which is worse than a failed write: it also affects earlier records. */
class FailedSync extends Error {}

export class DiskManifests implements ManifestStore {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #directories: FileDirectories;
  readonly #states: FileStates;
  readonly #handles: Handles;
  readonly #afterUncleanStop: boolean;
  readonly #onDamage: DiskManifestsOptions['onDamage'];
  readonly #loading = new Map<string, Promise<Loaded>>();

  constructor(options: DiskManifestsOptions) {
    this.#disk = options.disk;
    this.#layout = options.layout;
    this.#directories = options.directories;
    this.#states = options.states;
    this.#afterUncleanStop = options.afterUncleanStop;
    this.#onDamage = options.onDamage;
    this.#handles = new Handles(options.disk, options.idleHandles, (id) =>
      options.disk.open(options.layout.file(id).manifest, 'r+'),
    );
  }

  async create(id: string): Promise<void> {
    await guarded(async () => {
      const { manifest } = this.#layout.file(id);
      await this.#directories.make(id);
      const fd = await this.#directories.change(id, () => this.#disk.open(manifest, 'wx+'));
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
    });
  }

  async read(id: string): Promise<ManifestRecord[]> {
    return guarded(() => this.#withHandle(id, (fd) => this.#records(id, fd)));
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
      // Each operation acquires its own descriptor.
      release: () => undefined,
    };
  }

  async rewrite(id: string, records: readonly ManifestRecord[]): Promise<void> {
    await guarded(async () => {
      await this.#states.get(id)?.undo?.();
      try {
        await this.#replace(id, records);
      } catch (error) {
        // The name may refer to the old or the new journal. The next use reads it again.
        this.#states.of(id).journal = null;
        throw error;
      }
    });
  }

  /** Makes the journal and its name durable. */
  async sync(id: string): Promise<void> {
    await this.#states.get(id)?.undo?.();
    await this.#withHandle(id, async (fd) => {
      const journal = await this.#journal(id, fd);
      if (!journal.unsynced) return;
      // Before the sync: a record that is appended during it needs another sync.
      journal.unsynced = false;
      try {
        await this.#datasync(fd);
      } catch (error) {
        journal.unsynced = true;
        await this.#rollBack(id, error);
        throw error;
      }
    });
    await this.#directories.sync(id);
  }

  /** Forgets the journal of a removed file. Operations that hold it now write to the unlinked file. */
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
        if (durable) {
          await this.#datasync(fd);
          await this.#directories.sync(id);
        }
      } catch (error) {
        await this.#rollBack(id, error);
        throw error;
      }
      journal.length = end;
      journal.allocated = allocated;
      journal.unsynced = !durable;
    });
  }

  async #replace(id: string, records: readonly ManifestRecord[]): Promise<void> {
    const { manifest } = this.#layout.file(id);
    const length = HEADER_BYTES + records.length * RECORD_BYTES;
    const bytes = new Uint8Array(roomFor(length, 0));
    bytes.set(encodeHeader(id));
    bytes.set(encodeRecords(id, records), HEADER_BYTES);
    try {
      await writeFileDurably(this.#disk, manifest, bytes, { tmp: this.#layout.tmp });
    } finally {
      // Also after a failure: the name may already refer to the new file.
      this.#handles.drop(id);
    }
    this.#states.of(id).journal = { length, allocated: bytes.length, unsynced: false };
  }

  async #datasync(fd: number): Promise<void> {
    try {
      await this.#disk.datasync(fd);
    } catch (error) {
      throw Object.assign(new FailedSync('a journal could not be synced', { cause: error }), { code: codeOf(error) });
    }
  }

  /**
   * Rolls back a failed append. The record may be on the disk nevertheless. The next start must not find it, because other bytes may have
   * arrived for its range by then. Until the roll-back succeeds, nothing is written to this upload.
   */
  async #rollBack(id: string, error: unknown): Promise<void> {
    const state = this.#states.of(id);
    // After a failed sync the system may consider earlier records stored that are not. So all of them are written to a new file.
    const undo = error instanceof FailedSync ? () => this.#rewriteRecords(id) : () => this.#truncate(id);
    state.undo = async () => {
      await undo();
      state.undo = null;
    };
    await state.undo().catch(() => undefined);
  }

  #truncate(id: string): Promise<void> {
    return this.#withHandle(id, async (fd) => {
      const journal = await this.#journal(id, fd);
      await this.#disk.truncate(fd, journal.length);
      journal.allocated = journal.length;
      await this.#datasync(fd);
    });
  }

  async #rewriteRecords(id: string): Promise<void> {
    const records = await this.#withHandle(id, (fd) => this.#records(id, fd));
    await this.#replace(id, records);
  }

  /** The state of the journal. Reads it from the disk the first time. */
  async #journal(id: string, fd: number): Promise<JournalState> {
    return this.#states.get(id)?.journal ?? (await this.#load(id, fd)).journal;
  }

  async #records(id: string, fd: number): Promise<ManifestRecord[]> {
    const known = this.#states.get(id)?.journal ?? null;
    if (known === null) return (await this.#load(id, fd)).records;
    const bytes = new Uint8Array(known.length);
    const got = await readFully(this.#disk, fd, bytes, 0);
    return decodeJournal(id, bytes.subarray(0, got)).records;
  }

  /** Concurrent callers share one load: an append must not run while another caller repairs the journal. */
  #load(id: string, fd: number): Promise<Loaded> {
    let loading = this.#loading.get(id);
    if (loading === undefined) {
      loading = this.#loadNow(id, fd).finally(() => this.#loading.delete(id));
      this.#loading.set(id, loading);
    }
    return loading;
  }

  async #loadNow(id: string, fd: number): Promise<Loaded> {
    const bytes = new Uint8Array(await this.#disk.size(fd));
    const got = await readFully(this.#disk, fd, bytes, 0);
    const { records, lost, length, trailing, headerDamaged } = decodeJournal(id, bytes.subarray(0, got));
    const repaired = records.filter((record) => record.repaired).length;
    if (lost > 0 || repaired > 0) this.#onDamage?.(id, { lost, repaired });
    if (trailing) await this.#disk.truncate(fd, length);
    if (headerDamaged) await writeFully(this.#disk, fd, encodeHeader(id), 0);
    if (trailing || headerDamaged || this.#afterUncleanStop) await this.#datasync(fd);
    const journal = { length, allocated: trailing ? length : Math.max(got, length), unsynced: false };
    this.#states.of(id).journal = journal;
    return { records, journal };
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
