/**
 * The body of the hottest job: one segment of a chunk is checksummed, compared with what is stored where it overlaps, and written
 * where it is new. Synchronous and stateless: everything comes in the task, everything goes back in the outcome.
 */
import * as fs from 'node:fs';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import type { SegmentJob, SegmentRange, SegmentResult } from '../src/contracts/blobs.ts';
import { crc32Combine } from '../src/protocol/crc32.ts';
import { checksum } from './checksums.ts';
import { describeFailure, type Failure } from './failures.ts';

/**
 * A segment on its way to a worker. Flat, for copying nested objects from thread to thread costs as much as the checksums of a
 * small segment.
 */
export interface SegmentTask {
  /** Open for reading and, when there is something to write, writing; stays so until the outcome is back. */
  fd: number;
  buffer: ArrayBuffer;
  length: number;
  start: number;
  /** Three numbers a piece: start, end, and 1 for a piece to write or 0 for one to compare. */
  plan: number[];
}

/** The buffer comes back whatever happened. */
export interface SegmentOutcome {
  buffer: ArrayBuffer;
  /** The sum, the segment's CRC-32, 1 for a conflict or else 0, then the CRC-32 of each piece. */
  sums: number[];
  failure: Failure | null;
}

export function packJob(fd: number, { buffer, length, start, ranges }: SegmentJob): SegmentTask {
  const plan = ranges.flatMap(({ extent, action }) => [extent.start, extent.end, action === 'write' ? 1 : 0]);
  return { fd, buffer, length, start, plan };
}

export function unpackOutcome({ buffer, sums }: SegmentOutcome): SegmentResult {
  const [sum = 0, crc32 = 0, conflict = 0, ...rangeCrcs] = sums;
  return { buffer, sum, crc32, conflict: conflict === 1, rangeCrcs };
}

function unpackPlan(plan: readonly number[]): SegmentRange[] {
  const ranges: SegmentRange[] = [];
  for (let at = 0; at < plan.length; at += 3) {
    const [start = 0, end = -1, write = 0] = plan.slice(at, at + 3);
    ranges.push({ extent: { start, end }, action: write === 1 ? 'write' : 'compare' });
  }
  return ranges;
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
  const { fd, buffer, length, start } = task;
  const bytes = new Uint8Array(buffer, 0, length);
  const ranges = unpackPlan(task.plan).map(({ extent, action }) => {
    return { action, position: extent.start, bytes: bytes.subarray(extent.start - start, extent.end - start + 1) };
  });
  // Every byte is checksummed once: the segment's CRC-32 is combined from those of its ranges.
  let sum = 0;
  let crc32 = 0;
  const rangeCrcs: number[] = [];
  for (const piece of ranges) {
    const sums = checksum(piece.bytes);
    sum = (sum + sums.sum) & 0xff;
    crc32 = crc32Combine(crc32, sums.crc32, piece.bytes.length);
    rangeCrcs.push(sums.crc32);
  }
  let conflict = false;
  let failure: Failure | null = null;
  try {
    conflict = ranges.some((piece) => piece.action === 'compare' && !equalsStored(fd, piece.bytes, piece.position));
    // A conflict refuses the whole chunk: nothing of it need be written.
    for (const piece of ranges) if (piece.action === 'write' && !conflict) writeFully(fd, piece.bytes, piece.position);
  } catch (error) {
    failure = describeFailure(error);
  }
  return { buffer, sums: [sum, crc32, conflict ? 1 : 0, ...rangeCrcs], failure };
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
