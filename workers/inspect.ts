/**
 * Long reads of stored bytes in a separate thread, so that a digest over a terabyte does not delay chunks. Synchronous and stateless; reads
 * one buffer at a time.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import type { Extent } from '../src/protocol/extents.ts';
import type { HashAlgorithm } from '../src/protocol/http/digests.ts';
import { crc32 } from './checksums.ts';
import { describeFailure, type Failure } from './failures.ts';

/** Computes a digest. The descriptors must stay open until the outcome arrives. */
export interface DigestTask {
  kind: 'digest';
  algorithm: HashAlgorithm;
  prefix: Uint8Array;
  /** Extents that follow the prefix, in order. An extent is empty if `end < start`. */
  parts: { fd: number; extent: Extent }[];
}

/** Compares stored bytes with their CRC-32. */
export interface VerifyTask {
  kind: 'verify';
  fd: number;
  /** Three numbers per record: `start`, `end` and `crc32`. */
  records: Float64Array;
  /**
   * Also writes correct bytes back to their position, so that the next sync stores them again. After a failed sync the kernel considers
   * them stored.
   */
  rewrite: boolean;
}

export type InspectTask = DigestTask | VerifyTask;

export type InspectOutcome =
  | { kind: 'digest'; digest: Uint8Array }
  | { kind: 'verify'; bad: number[] }
  | { kind: 'failure'; failure: Failure };

/** Names of the algorithms in `node:crypto`. */
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

/** The digest of `prefix` and the stored bytes of the parts. @throws Error if the file ends before the end of an extent */
export function digestRange(task: DigestTask): Uint8Array {
  const hash = createHash(HASHES[task.algorithm]);
  hash.update(task.prefix);
  for (const { fd, extent } of task.parts) {
    const isComplete = eachStep(fd, extent, (bytes) => hash.update(bytes));
    if (!isComplete) throw new Error('the stored file ends before the range to digest');
  }
  return Uint8Array.from(hash.digest());
}

/** The indexes of the records whose bytes are missing or have a different CRC-32. */
export function verifyRecords(task: VerifyTask): number[] {
  const bad: number[] = [];
  for (let index = 0; index * 3 < task.records.length; index += 1) {
    const [start = 0, end = -1, expected = 0] = task.records.subarray(index * 3, index * 3 + 3);
    const extent = { start, end };
    let crc = 0;
    const isComplete = eachStep(task.fd, extent, (bytes) => {
      crc = crc32(bytes, crc);
    });
    if (!isComplete || crc !== expected) bad.push(index);
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

/** Passes the bytes of `extent` to `take` in steps. False if the file ends before the extent does. */
function eachStep(fd: number, extent: Extent, take: (bytes: Uint8Array, position: number) => void): boolean {
  scratch ??= new Uint8Array(STEP);
  let position = extent.start;
  while (position <= extent.end) {
    const read = fs.readSync(fd, scratch, 0, Math.min(STEP, extent.end - position + 1), position);
    if (read === 0) return false;
    take(scratch.subarray(0, read), position);
    position += read;
  }
  return true;
}
