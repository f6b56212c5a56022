/**
 * How long the server keeps an upload that receives no more bytes (PROTOCOL §6):
 *
 *     last byte ── staleMs ──► parked: keeps its bytes, does not count as open, resumes with the next byte
 *                              └── removeMs ──► removed with its bytes
 *
 * One sweep parks an upload and stores the date in its document; only a later sweep removes it. So a single wrong reading of the clock
 * never removes anything.
 */
import type { OpenUpload } from './upload.ts';

/** Milliseconds. */
export interface Lifetime {
  /** Time without bytes after which an upload is parked. */
  staleMs: number;
  /** Time after which a parked upload is removed; null: never. */
  removeMs: number | null;
}

/** Date before which a silent upload is not removed; null: it is never removed. */
export function expiryOf({ document, lastCommitAt }: OpenUpload, { staleMs, removeMs }: Lifetime): number | null {
  if (removeMs === null) return null;
  return (document.staleAt ?? lastCommitAt + staleMs) + removeMs;
}
