/** Compares the checksums that a client sent for a chunk with those of the bytes that arrived. */
import type { LadingError } from '../../errors.ts';
import { hex32 } from '../../protocol/crc32.ts';
import { checksumMismatch } from '../files/refusals.ts';

/** The checksums that a client sent for the data of a chunk (PROTOCOL §1, §2). */
export interface SentChecksums {
  /** From the chunk header: the sum of the data bytes modulo 256. */
  checksum: number;
  /** Null when the client sent no CRC-32. */
  crc32: number | null;
}

/** Where a client sends the CRC-32, for messages. */
export const CRC_IN_FIELD = 'X-Chunk-CRC32';
export const CRC_IN_TRAIN = 'the one that follows the chunk header';

/**
 * The error for a chunk whose data does not match its checksums; null when it matches.
 * @param sum @param crc32 of the bytes that arrived
 */
export function checksumError(
  sent: SentChecksums,
  sum: number,
  crc32: number,
  crcSource: typeof CRC_IN_FIELD | typeof CRC_IN_TRAIN,
): LadingError | null {
  if (sum !== sent.checksum) {
    const what = 'The sum of the data bytes modulo 256 differs from the chunk header.';
    return checksumMismatch(what, sent.checksum, sum);
  }
  if (sent.crc32 === null || sent.crc32 === crc32) return null;
  return checksumMismatch(`The CRC-32 of the data differs from ${crcSource}.`, hex32(sent.crc32), hex32(crc32));
}
