/**
 * The most frequent task: computes the checksums of one segment of a chunk, compares it with the stored bytes where they overlap, and writes
 * the new bytes. Synchronous and stateless: the task has all input, and the outcome has all output.
 */
import * as fs from 'node:fs';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import type { SegmentJob, SegmentResult } from '../src/contracts/blobs.ts';
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
  /** The sum, the segment's CRC-32, the index of the first range in conflict or else -1, then CRC-32 and sum of each range. */
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
  const [sum = 0, crc32 = 0, conflictAt = -1] = sums;
  const rangeCrcs: number[] = [];
  const rangeSums: number[] = [];
  for (let at = 3; at < sums.length; at += 2) {
    rangeCrcs.push(sums[at] ?? 0);
    rangeSums.push(sums[at + 1] ?? 0);
  }
  const conflict = conflictAt >= 0;
  return { buffer, sum, crc32, conflict, conflictAt: conflict ? conflictAt : null, rangeCrcs, rangeSums };
}

interface FilledRange {
  bytes: Uint8Array;
  position: number;
  isNew: boolean;
}

/** The ranges, whose bytes follow one another in `bytes`. */
function unpackPlan(plan: readonly number[], bytes: Uint8Array): FilledRange[] {
  const ranges: FilledRange[] = [];
  let offset = 0;
  for (let at = 0; at < plan.length; at += 3) {
    const position = plan[at] ?? 0;
    const end = offset + (plan[at + 1] ?? -1) - position + 1;
    ranges.push({ bytes: bytes.subarray(offset, end), position, isNew: plan[at + 2] === 1 });
    offset = end;
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
  const { fd, buffer, length } = task;
  const bytes = new Uint8Array(buffer, 0, length);
  const ranges = unpackPlan(task.plan, bytes);
  // Every byte is read once: the CRC-32 of the segment is combined from those of its ranges.
  let sum = 0;
  let crc32 = 0;
  const sums = [0, 0, -1];
  for (const [index, range] of ranges.entries()) {
    const of = checksum(range.bytes);
    sum = (sum + of.sum) & 0xff;
    crc32 = index === 0 ? of.crc32 : crc32Combine(crc32, of.crc32, range.bytes.length);
    sums.push(of.crc32, of.sum);
  }
  let conflictAt = -1;
  let failure: Failure | null = null;
  try {
    conflictAt = ranges.findIndex((range) => !range.isNew && !equalsStored(fd, range.bytes, range.position));
    writeNew(fd, bytes, conflictAt < 0 ? ranges : ranges.slice(0, conflictAt));
  } catch (error) {
    failure = describeFailure(error);
  }
  sums[0] = sum;
  sums[1] = crc32;
  sums[2] = conflictAt;
  return { buffer, sums, failure };
}

/** Writes the new ranges. Those that follow one another in the file as they do in the buffer are one write. */
function writeNew(fd: number, bytes: Uint8Array, ranges: readonly FilledRange[]): void {
  let from = 0;
  let offset = 0;
  for (const [index, range] of ranges.entries()) {
    offset += range.bytes.length;
    const next = ranges[index + 1];
    if (next && range.isNew === next.isNew && next.position === range.position + range.bytes.length) continue;
    const start = range.position + range.bytes.length - (offset - from);
    if (range.isNew) writeFully(fd, bytes.subarray(from, offset), start);
    from = offset;
  }
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
