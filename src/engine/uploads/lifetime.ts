/**
 * How long an upload lives for which nothing more comes (PROTOCOL §6):
 *
 *     last byte ── staleMs ──► parked: keeps its bytes, does not count as open, goes on with the next byte
 *                              └── removeMs ──► removed with its bytes
 *
 * Parking and removal are decided by two sweeps, that far apart, and the first one is kept in the document: no single reading of a clock
 * takes anything away.
 */
import type { OpenUpload } from './upload.ts';

/** Milliseconds. */
export interface Lifetime {
  /** Without a byte until an upload is parked. */
  staleMs: number;
  /** Then until it is removed; null: it never is. */
  removeMs: number | null;
}

/** Date before which a silent upload is not removed; null: never. */
export function expiryOf({ document, lastCommitAt }: OpenUpload, { staleMs, removeMs }: Lifetime): number | null {
  if (removeMs === null) return null;
  return (document.staleAt ?? lastCommitAt + staleMs) + removeMs;
}
