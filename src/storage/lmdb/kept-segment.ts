/** Checks a small chunk whose bytes go to the ledger. Done in the main thread, because passing it to a worker would take longer. */
import { checksum } from '../../../workers/checksums.ts';
import type { SegmentJob, SegmentResult } from '../../contracts/blobs.ts';
import { crc32Combine } from '../../protocol/crc32.ts';
import { lengthOf } from '../../protocol/extents.ts';

type Read = (into: Uint8Array, position: number) => Promise<number>;

/** Computes the checksums and compares bytes, without writing. The result has a copy of each range to write in `kept`. */
export async function keepBytes({ buffer, ranges }: SegmentJob, read: Read): Promise<SegmentResult> {
  const rangeCrcs: number[] = [];
  const rangeSums: number[] = [];
  const kept: (Uint8Array | null)[] = [];
  let [sum, crc32, position] = [0, 0, 0];
  let conflictAt: number | null = null;
  for (const [index, { extent, action }] of ranges.entries()) {
    const piece = new Uint8Array(buffer, position, lengthOf(extent));
    position += piece.length;
    const sums = checksum(piece);
    sum = (sum + sums.sum) & 0xff;
    crc32 = crc32Combine(crc32, sums.crc32, piece.length);
    rangeCrcs.push(sums.crc32);
    rangeSums.push(sums.sum);
    // The caller reuses the buffer.
    kept.push(action === 'write' ? Buffer.from(piece) : null);
    if (action === 'compare' && conflictAt === null && !(await equalsStored(piece, extent.start, read)))
      conflictAt = index;
  }
  return { buffer, sum, crc32, rangeCrcs, rangeSums, conflict: conflictAt !== null, conflictAt, kept };
}

async function equalsStored(piece: Uint8Array, position: number, read: Read): Promise<boolean> {
  const stored = new Uint8Array(piece.length);
  const count = await read(stored, position);
  return count === piece.length && Buffer.compare(stored, piece) === 0;
}
