/** The interface through which the engine enforces quotas. Implementation: `identity`. */

/** What an owner or a group uses. */
export interface UsageTotals {
  /** Stored bytes of complete files and of uploads. */
  bytes: number;
  openUploads: number;
  /** Bytes stored since midnight UTC, including those that were deleted since. */
  dayBytes: number;
}

/** Limits by owner. The methods are synchronous, because they are called for every chunk. */
export interface Quota {
  /** The group whose usage is added up: the owner's tenant. */
  groupOf(owner: string): string;
  /**
   * Checks whether an owner may use `more`.
   * @param current the usage of the owner and of its group, without `more`
   * @throws LadingError `quota_exceeded` with `expected` (the limit) and `actual` (the resulting usage)
   */
  admit(
    owner: string,
    current: { own: Readonly<UsageTotals>; group: Readonly<UsageTotals> },
    more: Partial<UsageTotals>,
  ): void;
}
