/**
 * The most frequent task: computes the checksums of one segment of a chunk, compares it with the stored bytes where they overlap, and writes
 * the new bytes. Synchronous and stateless: the task has all input, and the outcome has all output.
 */
import * as fs from 'node:fs';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import type { SegmentJob, SegmentRange, SegmentResult } from '../src/contracts/blobs.ts';
import { crc32Combine } from '../src/protocol/crc32.ts';
import { checksum } from './checksums.ts';
import { describeFailure, type Failure } from './failures.ts';

/**
 * A segment to be sent to a worker. Flat, because copying nested objects between threads costs as much as the checksums of a small segment.
 */
export interface SegmentTask {
  /** Open for reading, and for writing if a range is to be written. Must stay open until the outcome arrives. */
  fd: number;
  buffer: ArrayBuffer;
  length: number;
  start: number;
  /** Three numbers per range: start, end, and 1 to write the range or 0 to compare it. */
  plan: number[];
}

/** The result of a task. The buffer is returned in every case. */
export interface SegmentOutcome {
  buffer: ArrayBuffer;
  /** The sum, the CRC-32 of the segment, 1 for a conflict or 0, and the CRC-32 of each range. */
  sums: number[];
  failure: Failure | null;
}

/** Converts a job into a task. */
export function packJob(fd: number, { buffer, length, start, ranges }: SegmentJob): SegmentTask {
  const plan = ranges.flatMap(({ extent, action }) => [extent.start, extent.end, action === 'write' ? 1 : 0]);
  return { fd, buffer, length, start, plan };
}

/** Converts an outcome into a result. */
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

/** Size of the buffer through which stored bytes are compared. Each thread has one. */
const SCRATCH_BYTES = 256 * 1024;
let scratch: Uint8Array | null = null;

/** The entry point for Piscina. Runs `writeSegment`, and transfers the buffer back instead of copying it. */
export default function run(task: SegmentTask): unknown {
  const outcome = writeSegment(task);
  return move({ [transferableSymbol]: [outcome.buffer], [valueSymbol]: outcome });
}

/** Runs one task. Never throws; errors are in the outcome. */
export function writeSegment(task: SegmentTask): SegmentOutcome {
  const { fd, buffer, length, start } = task;
  const bytes = new Uint8Array(buffer, 0, length);
  const ranges = unpackPlan(task.plan).map(({ extent, action }) => {
    return { action, position: extent.start, bytes: bytes.subarray(extent.start - start, extent.end - start + 1) };
  });
  // Every byte is read once: the CRC-32 of the segment is combined from those of its ranges.
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
    // A conflict refuses the whole chunk, so nothing is written.
    for (const piece of ranges) if (piece.action === 'write' && !conflict) writeFully(fd, piece.bytes, piece.position);
  } catch (error) {
    failure = describeFailure(error);
  }
  return { buffer, sums: [sum, crc32, conflict ? 1 : 0, ...rangeCrcs], failure };
}

/** Writes all bytes. A write may be short, because of a full disk or a signal; the next write then reports the reason. */
function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    const written = fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
    if (written === 0) throw Object.assign(new Error('the system wrote no bytes'), { code: 'EIO' });
    done += written;
  }
}

function equalsStored(fd: number, bytes: Uint8Array, position: number): boolean {
  scratch ??= new Uint8Array(SCRATCH_BYTES);
  let done = 0;
  while (done < bytes.length) {
    const want = Math.min(SCRATCH_BYTES, bytes.length - done);
    const got = fs.readSync(fd, scratch, 0, want, position + done);
    // The file is too short, so the bytes differ.
    if (got === 0) return false;
    if (Buffer.compare(scratch.subarray(0, got), bytes.subarray(done, done + got)) !== 0) return false;
    done += got;
  }
  return true;
}
