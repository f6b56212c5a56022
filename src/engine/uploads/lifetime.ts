/**
 * How long an upload lives that receives no more bytes (PROTOCOL §6):
 *
 *     last byte ── staleMs ──► parked: keeps its bytes, does not count as open, resumes with the next byte
 *                              └── removeMs ──► removed with its bytes
 *
 * Two different sweeps park and remove an upload, and its document keeps the time of the first. So one wrong reading of the clock removes
 * nothing.
 */
import type { OpenUpload } from './upload.ts';

/** Milliseconds. */
export interface Lifetime {
  /** Time without a byte until an upload is parked. */
  staleMs: number;
  /** Time from then until it is removed; null: never. */
  removeMs: number | null;
}

/** Date before which a silent upload is not removed; null: it is never removed. */
export function expiryOf({ document, lastCommitAt }: OpenUpload, { staleMs, removeMs }: Lifetime): number | null {
  if (removeMs === null) return null;
  return (document.staleAt ?? lastCommitAt + staleMs) + removeMs;
}
