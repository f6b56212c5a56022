/** State of files that are being written which only this process knows, above all which bytes are synced. */
import { crc32Combine } from '../../protocol/crc32.ts';
import type { Extent } from '../../protocol/extents.ts';

/** A range that was written to a part, and the CRC-32 of its bytes. */
export interface WrittenExtent extends Extent {
  crc32: number;
}

interface FreshExtent extends WrittenExtent {
  /** The number of the last write that extended this extent. */
  writeNumber: number;
}

/** The state of one file. */
export interface FileState {
  /** Number of writes to the part, and how many of them the last successful sync covered. */
  written: number;
  synced: number;
  /** Disjoint extents written since the last successful sync. Null: unknown. */
  fresh: FreshExtent[] | null;
  /** A sync failed, so the system may consider bytes stored that are not. They are written again before the next sync. */
  needsRewrite: boolean;
  /** Rolls back a failed append to the journal. Null: nothing to roll back. */
  undo: (() => Promise<void>) | null;
  journal: JournalState | null;
}

/** The state of the journal of a file. */
export interface JournalState {
  /** Bytes of the header and the valid records. The next record is written at this offset. */
  length: number;
  /** Size of the journal file. Zeros fill it from `length` on. */
  allocated: number;
  /** True when a record was appended since the last sync. */
  unsynced: boolean;
}

/** Maximum number of fresh extents per file. Consecutive chunks form one extent. */
const MAX_FRESH = 256;

/** The states of all files that are being written. */
export class FileStates {
  readonly #states = new Map<string, FileState>();
  readonly #afterUncleanStop: boolean;

  /** @param afterUncleanStop the last stop was not clean, so existing bytes may not be on stable storage */
  constructor(afterUncleanStop: boolean) {
    this.#afterUncleanStop = afterUncleanStop;
  }

  of(id: string): FileState {
    let state = this.#states.get(id);
    if (state === undefined) {
      // After an unclean stop, count one unknown write that was not synced.
      const written = this.#afterUncleanStop ? 1 : 0;
      const fresh = this.#afterUncleanStop ? null : [];
      state = { written, synced: 0, fresh, needsRewrite: false, undo: null, journal: null };
      this.#states.set(id, state);
    }
    return state;
  }

  /** Records that `extents` were written to the part. */
  recordWrite(id: string, extents: readonly WrittenExtent[]): void {
    const state = this.of(id);
    state.written += 1;
    for (const extent of extents) addFresh(state, extent);
  }

  /** Records that the part was truncated to `size`. */
  recordTruncation(id: string, size: number): void {
    const state = this.of(id);
    state.written += 1;
    const kept = state.fresh?.filter(({ start }) => start < size) ?? null;
    // An extent lost its end, and the CRC-32 of the rest is unknown.
    state.fresh = kept?.some(({ end }) => end >= size) ? null : kept;
  }

  get(id: string): FileState | undefined {
    return this.#states.get(id);
  }

  /** Records that the part was sealed. The state of its journal is kept only while the journal waits for a sync. */
  recordSeal(id: string): void {
    const journal = this.#states.get(id)?.journal ?? null;
    this.#states.delete(id);
    if (journal?.unsynced === true) this.of(id).journal = journal;
  }

  forget(id: string): void {
    this.#states.delete(id);
  }

  /** True when the part has bytes that no sync covers yet. */
  isUnsynced(id: string): boolean {
    const state = this.of(id);
    return state.written > state.synced || state.needsRewrite;
  }

  /** Ids of the files with bytes or records that no sync has covered. */
  unsynced(): string[] {
    return [...this.#states].filter(([, s]) => s.written > s.synced || s.journal?.unsynced === true).map(([id]) => id);
  }
}

function addFresh(state: FileState, { start, end, crc32 }: WrittenExtent): void {
  const { written: writeNumber, fresh } = state;
  if (fresh === null) return;
  // Committed bytes are never written twice, so any bytes under this extent belonged to a refused chunk.
  const others = fresh.filter((other) => other.end < start || other.start > end);
  const under = fresh.length - others.length;
  // An extent that is only partly overwritten may hold bytes of another chunk, and the CRC-32 of the rest is unknown.
  const partly = under > 0 && fresh.some((f) => f.start <= end && f.end >= start && (f.start < start || f.end > end));
  if (partly || others.length >= MAX_FRESH) {
    state.fresh = null;
    return;
  }
  const before = others.find((other) => other.end + 1 === start);
  if (before === undefined) {
    others.push({ start, end, crc32, writeNumber });
  } else {
    before.crc32 = crc32Combine(before.crc32, crc32, end - start + 1);
    before.end = end;
    before.writeNumber = writeNumber;
  }
  state.fresh = others;
}

/** To be called before a sync, and `done` after its success. The sync covers all writes before the call. */
export function beginSync(state: FileState): { done(): void } {
  const { written } = state;
  return {
    done: () => {
      state.synced = Math.max(state.synced, written);
      state.needsRewrite = false;
      if (state.synced === state.written) state.fresh = [];
      else state.fresh = state.fresh?.filter(({ writeNumber }) => writeNumber > written) ?? null;
    },
  };
}

/** Runs one operation at a time. All requests during a run share the next run, so that a hundred chunks cost two syncs instead of a hundred. */
export class SharedRun {
  readonly #run: () => Promise<void>;
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(run: () => Promise<void>) {
    this.#run = run;
  }

  /** Resolves after a run that began after this call. */
  request(): Promise<void> {
    if (this.#running === null) return this.#start();
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = null;
        return this.#start();
      });
    return this.#next;
  }

  #start(): Promise<void> {
    const running = this.#run().finally(() => {
      if (this.#running === running) this.#running = null;
    });
    this.#running = running;
    return running;
  }
}
