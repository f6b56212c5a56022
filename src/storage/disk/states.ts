/** What this process knows about a stored file and no stat() tells. Small, kept only for files that are being written. */

export interface FileState {
  /** Writes that went to the part, and how many of them the last good sync covered. */
  written: number;
  synced: number;
  /** Grows with every failed sync: whoever wrote before it cannot be sure of the bytes any more. */
  epoch: number;
  /** A sync failed: the system may hold bytes for stored that are not. The seal writes them again. */
  doubtful: boolean;
  /** Takes back a journal append that failed half way; set only when taking it back failed too. */
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

export class FileStates {
  readonly #states = new Map<string, FileState>();

  of(id: string): FileState {
    let state = this.#states.get(id);
    if (state === undefined) {
      state = { written: 0, synced: 0, epoch: 0, doubtful: false, undo: null, journal: null };
      this.#states.set(id, state);
    }
    return state;
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
