/** What this process knows about a stored file and no stat() tells. Small, kept only for files that are being written. */
import { crc32Combine } from '../../protocol/crc32.ts';
import type { Extent } from '../../protocol/extents.ts';

/** Bytes that went to the part and how they check. */
export interface WrittenExtent extends Extent {
  crc32: number;
}

/** The number of the last write to the part that extended this extent. */
interface FreshExtent extends WrittenExtent {
  writeNumber: number;
}

export interface FileState {
  /** Writes that went to the part, and how many of them the last good sync covered. */
  written: number;
  synced: number;
  /** What was written since the last good sync, disjoint; null when it cannot be told any more. */
  fresh: FreshExtent[] | null;
  /** A sync failed: the system may hold bytes for stored that are not. They are written again before the next one. */
  needsRewrite: boolean;
  /** Takes back a journal append that failed half way; set only while that is not done. */
  undo: (() => Promise<void>) | null;
  journal: JournalState | null;
}

export interface JournalState {
  /** Bytes of header and valid records: where the next record goes. */
  length: number;
  /** The file's size; zeros from `length` on. */
  allocated: number;
  /** Appends since the last sync. */
  unsynced: boolean;
}

/** Extents remembered a file; chunks that follow each other are one. */
const MAX_FRESH = 256;

export class FileStates {
  readonly #states = new Map<string, FileState>();
  readonly #afterUncleanStop: boolean;

  /** `distrust`: bytes that are there already may not be on stable storage. */
  constructor(distrust: boolean) {
    this.#afterUncleanStop = distrust;
  }

  of(id: string): FileState {
    let state = this.#states.get(id);
    if (state === undefined) {
      // With distrust there is one write that nobody synced and nobody remembers.
      const written = this.#afterUncleanStop ? 1 : 0;
      const fresh = this.#afterUncleanStop ? null : [];
      state = { written, synced: 0, fresh, needsRewrite: false, undo: null, journal: null };
      this.#states.set(id, state);
    }
    return state;
  }

  /** Notes that `extents` went to the part. */
  recordWrite(id: string, extents: readonly WrittenExtent[]): void {
    const state = this.of(id);
    state.written += 1;
    for (const extent of extents) addFresh(state, extent);
  }

  /** Notes that nothing lies behind `size` any more. */
  recordTruncation(id: string, size: number): void {
    const state = this.of(id);
    state.written += 1;
    const kept = state.fresh?.filter(({ start }) => start < size) ?? null;
    // Part of an extent went, and a CRC-32 cannot be cut in two.
    state.fresh = kept?.some(({ end }) => end >= size) ? null : kept;
  }

  get(id: string): FileState | undefined {
    return this.#states.get(id);
  }

  /** There is no part any more; what is known of the journal matters only while it waits for a sync. */
  recordSeal(id: string): void {
    const journal = this.#states.get(id)?.journal ?? null;
    this.#states.delete(id);
    if (journal?.unsynced === true) this.of(id).journal = journal;
  }

  forget(id: string): void {
    this.#states.delete(id);
  }

  /** Files with bytes or records that no sync covers yet. */
  unsynced(): string[] {
    return [...this.#states].filter(([, s]) => s.written > s.synced || s.journal?.unsynced === true).map(([id]) => id);
  }
}

function addFresh(state: FileState, { start, end, crc32 }: WrittenExtent): void {
  const { written: turn, fresh } = state;
  if (fresh === null) return;
  // Bytes that count are never written twice: what lies under these belonged to a chunk that was refused.
  const others = fresh.filter((other) => other.end < start || other.start > end);
  const under = fresh.length - others.length;
  // Some of it may belong to another chunk, and a CRC-32 cannot be cut in two.
  const partly = under > 0 && fresh.some((f) => f.start <= end && f.end >= start && (f.start < start || f.end > end));
  if (partly || others.length >= MAX_FRESH) {
    state.fresh = null;
    return;
  }
  const before = others.find((other) => other.end + 1 === start);
  if (before === undefined) {
    others.push({ start, end, crc32, writeNumber: turn });
  } else {
    before.crc32 = crc32Combine(before.crc32, crc32, end - start + 1);
    before.end = end;
    before.writeNumber = turn;
  }
  state.fresh = others;
}

/** What a good sync covers: everything that was written before it began. */
export function beginSync(state: FileState): { done(): void } {
  const { written } = state;
  return {
    done: () => {
      state.synced = Math.max(state.synced, written);
      state.needsRewrite = false;
      if (state.synced === state.written) state.fresh = [];
      else state.fresh = state.fresh?.filter(({ writeNumber: turn }) => turn > written) ?? null;
    },
  };
}

/**
 * One run at a time; everybody who asks while one is under way shares the next. That is what makes a hundred chunks cost two
 * syncs instead of a hundred.
 */
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
