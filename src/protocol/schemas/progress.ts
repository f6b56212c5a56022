/** How far an upload is, for people. */
import type { FileStatus } from './files.ts';

/** Whole percent that have arrived; null while nobody has said how many bytes there will be, and of an empty file. */
export function percentOf({
  bytes_received: received,
  total_bytes: total,
  undeclared = false,
}: Pick<FileStatus, 'bytes_received' | 'total_bytes' | 'undeclared'>): number | null {
  return total === null || total === 0 || undeclared ? null : Math.floor((100 * received) / total);
}
