/**
 * Long reads of stored bytes, in a thread of their own so that a digest over a terabyte never delays a chunk. Synchronous, in
 * bounded steps, stateless.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import type { Extent } from '../src/protocol/extents.ts';
import type { HashAlgorithm } from '../src/protocol/http/digests.ts';
import { crc32 } from './checksums.ts';
import { describeFailure, type Failure } from './failures.ts';

/** The descriptors stay open until the outcome is back. */
export interface DigestTask {
  kind: 'digest';
  algorithm: HashAlgorithm;
  prefix: Uint8Array;
  /** What follows the prefix, one after the other. An extent is empty when `end < start`. */
  parts: { fd: number; extent: Extent }[];
}

export interface VerifyTask {
  kind: 'verify';
  fd: number;
  /** `start`, `end`, `crc32` of each record, one after the other. */
  records: Float64Array;
  /**
   * Also write the bytes that agree back to where they came from, so that the system takes them for new and stores them again:
   * after a failed sync it believes that it had.
   */
  rewrite: boolean;
}

export type InspectTask = DigestTask | VerifyTask;

export type InspectOutcome =
  | { kind: 'digest'; digest: Uint8Array }
  | { kind: 'verify'; bad: number[] }
  | { kind: 'failure'; failure: Failure };

/** As the crypto library calls them. */
const HASHES = { 'sha-512': 'sha512', 'sha-256': 'sha256', 'sha-1': 'sha1', md5: 'md5' } as const;
const STEP = 1024 * 1024;
let scratch: Uint8Array | null = null;

export default function run(task: InspectTask): InspectOutcome {
  try {
    if (task.kind === 'digest') return { kind: 'digest', digest: digestRange(task) };
    return { kind: 'verify', bad: verifyRecords(task) };
  } catch (error) {
    return { kind: 'failure', failure: describeFailure(error) };
  }
}

/** Digest of `prefix` followed by the stored bytes of the parts. Throws when some of them are not there. */
export function digestRange(task: DigestTask): Uint8Array {
  const hash = createHash(HASHES[task.algorithm]);
  hash.update(task.prefix);
  for (const { fd, extent } of task.parts) {
    const whole = eachStep(fd, extent, (bytes) => hash.update(bytes));
    if (!whole) throw new Error('the stored file ends before the range to digest');
  }
  return Uint8Array.from(hash.digest());
}

/** The indexes of the records whose bytes are missing or have another CRC-32. */
export function verifyRecords(task: VerifyTask): number[] {
  const bad: number[] = [];
  for (let index = 0; index * 3 < task.records.length; index += 1) {
    const [start = 0, end = -1, expected = 0] = task.records.subarray(index * 3, index * 3 + 3);
    const extent = { start, end };
    let crc = 0;
    const whole = eachStep(task.fd, extent, (bytes) => {
      crc = crc32(bytes, crc);
    });
    if (!whole || crc !== expected) bad.push(index);
    else if (task.rewrite) rewrite(task.fd, extent);
  }
  return bad;
}

function rewrite(fd: number, extent: Extent): void {
  eachStep(fd, extent, (bytes, position) => {
    let done = 0;
    while (done < bytes.length) done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
  });
}

/** Calls back with the bytes of `extent` in steps; false when the file ends before them. */
function eachStep(fd: number, extent: Extent, take: (bytes: Uint8Array, position: number) => void): boolean {
  scratch ??= new Uint8Array(STEP);
  let position = extent.start;
  while (position <= extent.end) {
    const got = fs.readSync(fd, scratch, 0, Math.min(STEP, extent.end - position + 1), position);
    if (got === 0) return false;
    take(scratch.subarray(0, got), position);
    position += got;
  }
  return true;
}
