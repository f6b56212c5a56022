/**
 * The body of the hottest job: one segment of a chunk is checksummed, compared with what is stored where it overlaps, and written
 * where it is new. Synchronous and stateless: everything comes in the task, everything goes back in the outcome.
 */
import * as fs from 'node:fs';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import type { Piece, SegmentJob, SegmentResult } from '../src/contracts.ts';
import { crc32Combine } from '../src/protocol/crc32.ts';
import { checksum } from './checksums.ts';
import { describeFailure, type Failure } from './failures.ts';

/** `fd` is open for reading and writing and stays so until the outcome is back. */
export interface SegmentTask extends SegmentJob {
  fd: number;
}

/** The buffer comes back whatever happened. */
export interface SegmentOutcome extends SegmentResult {
  failure: Failure | null;
}

/** Stored bytes are compared in slices of this size, through one buffer a thread. */
const SCRATCH_BYTES = 256 * 1024;
let scratch: Uint8Array | null = null;

/** What Piscina calls: `writeSegment`, with the buffer transferred back instead of copied. */
export default function run(task: SegmentTask): unknown {
  const outcome = writeSegment(task);
  return move({ [transferableSymbol]: [outcome.buffer], [valueSymbol]: outcome });
}

export function writeSegment(task: SegmentTask): SegmentOutcome {
  const { fd, buffer, length, start, pieces } = task;
  const bytes = new Uint8Array(buffer, 0, length);
  const outcome: SegmentOutcome = { buffer, sum: 0, crc32: 0, pieceCrcs: [], conflict: false, failure: null };
  const sliceOf = ({ extent }: Piece): Uint8Array => bytes.subarray(extent.start - start, extent.end - start + 1);
  // Every byte is checksummed once: the segment's CRC-32 is combined from those of its pieces.
  for (const piece of pieces) {
    const slice = sliceOf(piece);
    const sums = checksum(slice);
    outcome.sum = (outcome.sum + sums.sum) & 0xff;
    outcome.crc32 = crc32Combine(outcome.crc32, sums.crc32, slice.length);
    outcome.pieceCrcs.push(sums.crc32);
  }
  try {
    outcome.conflict = pieces.some((p) => p.action === 'compare' && !equalsStored(fd, sliceOf(p), p.extent.start));
    // A conflict refuses the whole chunk: nothing of it need be written.
    if (outcome.conflict) return outcome;
    for (const piece of pieces) if (piece.action === 'write') writeFully(fd, sliceOf(piece), piece.extent.start);
  } catch (error) {
    outcome.failure = describeFailure(error);
  }
  return outcome;
}

/** A write may be short (a full disk, a signal); what is left is written again until the system says why not. */
function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    const written = fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
    if (written === 0) throw Object.assign(new Error('the system wrote nothing'), { code: 'EIO' });
    done += written;
  }
}

function equalsStored(fd: number, bytes: Uint8Array, position: number): boolean {
  scratch ??= new Uint8Array(SCRATCH_BYTES);
  let done = 0;
  while (done < bytes.length) {
    const want = Math.min(SCRATCH_BYTES, bytes.length - done);
    const got = fs.readSync(fd, scratch, 0, want, position + done);
    // Bytes that should be there are not: certainly not equal ones.
    if (got === 0) return false;
    if (Buffer.compare(scratch.subarray(0, got), bytes.subarray(done, done + got)) !== 0) return false;
    done += got;
  }
  return true;
}
