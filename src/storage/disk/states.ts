/** What this process knows about a stored file and no stat() tells. Small, kept only for files that are being written. */
import type { Extent } from '../../protocol/extents.ts';

/** Bytes that went to the part and how they check. */
export interface WrittenExtent extends Extent {
  crc32: number;
}

export interface FileState {
  /** Writes that went to the part, and how many of them the last good sync covered. */
  written: number;
  synced: number;
  /** What was written since the last good sync, in that order; null when that became too much to remember. */
  fresh: WrittenExtent[] | null;
  /** A sync failed: the system may hold bytes for stored that are not. They are written again before the next one. */
  doubtful: boolean;
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

/** Extents remembered a file; beyond it (nothing is synced before the seal, say) the journal has to tell. */
const MOST_FRESH = 4096;

export class FileStates {
  readonly #states = new Map<string, FileState>();
  readonly #distrust: boolean;

  /** `distrust`: bytes that are there already may not be on stable storage. */
  constructor(distrust: boolean) {
    this.#distrust = distrust;
  }

  of(id: string): FileState {
    let state = this.#states.get(id);
    if (state === undefined) {
      // With distrust there is one write that nobody synced and nobody remembers.
      const written = this.#distrust ? 1 : 0;
      const fresh = this.#distrust ? null : [];
      state = { written, synced: 0, fresh, doubtful: false, undo: null, journal: null };
      this.#states.set(id, state);
    }
    return state;
  }

  /** Notes that `extents` went to the part. */
  wrote(id: string, extents: readonly WrittenExtent[]): void {
    const state = this.of(id);
    state.written += 1;
    if (state.fresh === null) return;
    state.fresh.push(...extents);
    if (state.fresh.length > MOST_FRESH) state.fresh = null;
  }

  get(id: string): FileState | undefined {
    return this.#states.get(id);
  }

  forget(id: string): void {
    this.#states.delete(id);
  }

  /** Files with bytes or records that no sync covers yet. */
  unsynced(): string[] {
    return [...this.#states].filter(([, s]) => s.written > s.synced || s.journal?.unsynced === true).map(([id]) => id);
  }
}

/** What a good sync covers: everything that `states` knew of when it began. */
export function beginSync(state: FileState): { done(): void } {
  const { written } = state;
  const remembered = state.fresh?.length ?? 0;
  return {
    done: () => {
      state.synced = Math.max(state.synced, written);
      state.doubtful = false;
      if (state.synced === state.written) state.fresh = [];
      else state.fresh?.splice(0, remembered);
    },
  };
}

/**
 * The extents of `fresh` that still hold what was written: one that a later one overlaps belonged to a chunk that was refused,
 * for bytes that count are never written twice.
 */
export function standing(fresh: readonly WrittenExtent[]): WrittenExtent[] {
  const ascending = fresh.map((extent, turn) => ({ ...extent, turn })).sort((a, b) => a.start - b.start);
  const kept: typeof ascending = [];
  for (const extent of ascending) {
    let last = kept.at(-1);
    while (last !== undefined && last.end >= extent.start && last.turn < extent.turn) {
      kept.pop();
      last = kept.at(-1);
    }
    if (last === undefined || last.end < extent.start) kept.push(extent);
  }
  return kept.map(({ start, end, crc32 }) => ({ start, end, crc32 }));
}

/**
 * One run at a time; everybody who asks while one is under way shares the next. That is what makes a hundred chunks cost two
 * syncs instead of a hundred.
 */
export class Shared {
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
