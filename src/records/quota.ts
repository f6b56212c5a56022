/** Limits of what an owner may store, as they are stored. */

/** Null: the server's own limit; 0: none. */
export interface QuotaLimits {
  bytes: number | null;
  openUploads: number | null;
  dayBytes: number | null;
}
