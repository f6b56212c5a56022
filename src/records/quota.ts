/** Quotas, as they are stored. */

/** The limits of an owner or a tenant. Null: the server's own limit; 0: unlimited. */
export interface QuotaLimits {
  bytes: number | null;
  openUploads: number | null;
  dayBytes: number | null;
}
