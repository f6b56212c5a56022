/** Helpers of the tests of file-transfer. */
import type { FileStatus } from '../../src/protocol/schemas/files.ts';

export const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ');

/** The five status keys that these clients read. */
export function seen({ filename, status, bytes_received, total_bytes, next_expected_byte }: FileStatus): unknown[] {
  return [filename, status, bytes_received, total_bytes, next_expected_byte];
}
