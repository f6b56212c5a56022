/** The interface to time: the date, durations and the time line of the server. */

/** Provides dates and durations. An administrator or a time server can set the date, but cannot change a duration. */
export interface Clock {
  /** The date in milliseconds since the epoch. For dates that are shown or stored, never for durations. */
  now(): number;
  /** Milliseconds since an arbitrary moment of this process. Never decreases. For waits, rates, limits and everything in memory. */
  monotonic(): number;
  /**
   * Milliseconds that have certainly passed since a stored date; 0 when in doubt. For decisions that cannot be undone, such as a removal.
   */
  since(date: number): number;
  /**
   * Milliseconds on the time line of the server. The time line looks like a date but is not one: it only advances, also across restarts,
   * whatever the date is set to. Expiry times of permissions are stored and checked on it.
   */
  steady(): number;
  /** Milliseconds that have certainly passed since a moment of the time line, excluding time during which the machine was off. */
  passed(moment: number): number;
  /** Converts a moment of the time line to a date by the current clock of the machine; for display. */
  dateOf(moment: number): number;
  /** The latest date that was sent to a client before the date was set back; 0: it was never set back. */
  readonly latest: number;
}

/** The times that a run of the server stores for the next run, in milliseconds. */
export interface StoredTime {
  /** A date that is certainly correct; null: unknown. */
  date: number | null;
  /** How far the date was ahead of the time line when this was written. */
  ahead: number;
  /** As `Clock.latest`. */
  latest: number;
  /** The time line when this was written. */
  steady: number;
  /** Id of the machine's boot when this was written; null: unknown. */
  boot: string | null;
  /** Time since that boot when this was written. */
  uptime: number;
}

/** Stores the time of the last run of the server. Implementation: `storage/disk`. */
export interface DateBox {
  /** Returns null if nothing was written yet, or the content is invalid. */
  read(): Promise<StoredTime | null>;
  /** Atomic; durable when it resolves. Throws `insufficient_storage`. */
  write(time: StoredTime): Promise<void>;
}
