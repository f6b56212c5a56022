/** The interface to time: the date, durations, and the time line of the server. */

/** The time. Dates and durations differ: an administrator or a time server may set the date, but not the length of a wait. */
export interface Clock {
  /** The date: milliseconds since the epoch. For dates that are shown or stored, never for durations. */
  now(): number;
  /** Milliseconds since some moment of this process. Never decreases. For waits, rates, limits and everything in memory. */
  monotonic(): number;
  /**
   * Milliseconds that have certainly passed since a stored date; 0 when in doubt. For decisions that cannot be undone, such as a removal.
   */
  since(date: number): number;
  /**
   * Milliseconds on the time line of the server. The time line looks like a date but is not one: it only advances, also across restarts,
   * whatever date somebody sets. Expiry times of rights are stored and checked on it.
   */
  steady(): number;
  /** Milliseconds that have certainly passed since a moment of the time line, without the time during which the machine was off. */
  passed(moment: number): number;
  /** The date of a moment of the time line by the present setting of the clock; for display. */
  dateOf(moment: number): number;
  /** The latest date that was sent to a client before the date was set back; 0: it was never set back. */
  readonly latest: number;
}

/** The times that a run of the server stores for the next run, in milliseconds. */
export interface StoredTime {
  /** A date that is certain; null: unknown. */
  date: number | null;
  /** How far the date was ahead of the time line then. */
  ahead: number;
  /** As `Clock.latest`. */
  latest: number;
  /** The time line when this was written. */
  steady: number;
  /** The run of the machine when this was written, and how long it was; null: unknown. */
  boot: string | null;
  uptime: number;
}

/** Stores the time of the last run of the server. Implementation: `storage/disk`. */
export interface DateBox {
  /** Null when nothing was ever written, or the content is invalid. */
  read(): Promise<StoredTime | null>;
  /** Durable when it resolves, atomic always. `insufficient_storage`. */
  write(time: StoredTime): Promise<void>;
}
