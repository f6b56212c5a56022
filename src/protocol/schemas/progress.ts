/** The progress of an upload. */
import type { FileStatus } from './files.ts';

/** Returns the percentage of bytes received, rounded down; null while the size is undeclared, and for an empty file. */
export function percentOf({
  bytes_received: received,
  total_bytes: total,
  undeclared = false,
}: Pick<FileStatus, 'bytes_received' | 'total_bytes' | 'undeclared'>): number | null {
  return total === null || total === 0 || undeclared ? null : Math.floor((100 * received) / total);
}
