/** The door to time: the date, durations, and the time line of the server. */

/** The time. Dates and durations are two things: an administrator or a time server may set the date, nobody sets how long a wait is. */
export interface Clock {
  /** The date: milliseconds since the epoch. For what is shown or kept, never for how long something takes. */
  now(): number;
  /** Milliseconds since some moment of this process. Never goes back. For waits, rates, limits and everything that lives in memory. */
  monotonic(): number;
  /**
   * Milliseconds that have surely passed since a date that was kept; 0 when in doubt. For what cannot be taken back, such as a removal.
   */
  since(date: number): number;
  /**
   * Milliseconds on the time line of the server, which looks like a date and is none: it only passes, also over restarts, whatever date
   * somebody sets. Until when a right lasts is judged by it, and kept by it.
   */
  steady(): number;
  /** Milliseconds that have surely passed since a moment of the time line; how long the machine was off does not count. */
  passed(moment: number): number;
  /** The date of a moment of the time line, as the clock is set now: to be shown. */
  dateOf(moment: number): number;
  /** The latest date that was given out before the date was set back; 0: it never was. */
  readonly latest: number;
}

/** What a run of the server leaves of its time for the next one, in milliseconds. */
export interface KeptTime {
  /** A date beyond doubt; null: there was none. */
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

/** Where the server keeps the time of its last run. Implementations: `storage/disk`. */
export interface DateBox {
  /** Null when nothing was ever put in, or what is there is no time. */
  read(): Promise<KeptTime | null>;
  /** Durable when it resolves, atomic always. `insufficient_storage`. */
  write(time: KeptTime): Promise<void>;
}
