/** The door by which the engine asks how much an owner may store. Implementation: `identity`. */

/** What somebody uses. */
export interface Use {
  /** Bytes stored: of complete files, and of uploads as far as they have come. */
  bytes: number;
  openUploads: number;
  /** Bytes that were stored since midnight UTC, whatever became of them. */
  dayBytes: number;
}

/** Who may use how much. Implementations: `identity`. Nothing here may wait: it is asked for every chunk. */
export interface Quota {
  /** Those whose use counts together with this owner's: its tenant. */
  groupOf(owner: string): string;
  /**
   * Asked before an owner uses `more`; what it and its group use now does not include that.
   * @throws LadingError `quota_exceeded` with `expected` (the limit) and `actual` (what it would be)
   */
  admit(owner: string, now: { own: Readonly<Use>; group: Readonly<Use> }, more: Partial<Use>): void;
}
