/** The interface by which the engine asks how much an owner may store. Implementation: `identity`. */

/** What an owner or a group uses. */
export interface UsageTotals {
  /** Stored bytes of complete files and of uploads. */
  bytes: number;
  openUploads: number;
  /** Bytes stored since midnight UTC, including those that were deleted since. */
  dayBytes: number;
}

/** Limits by owner. Nothing here may wait: it is called for every chunk. */
export interface Quota {
  /** The group whose use counts together: the owner's tenant. */
  groupOf(owner: string): string;
  /**
   * Checks whether an owner may use `more`.
   * @param now what the owner and its group use now, without `more`
   * @throws LadingError `quota_exceeded` with `expected` (the limit) and `actual` (the use it would reach)
   */
  admit(
    owner: string,
    now: { own: Readonly<UsageTotals>; group: Readonly<UsageTotals> },
    more: Partial<UsageTotals>,
  ): void;
}
