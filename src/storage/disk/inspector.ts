/** Long reads of stored bytes, in threads of their own. */

import type { InspectOutcome, InspectTask } from '../../../workers/inspect.ts';
import type { BlobExtent, Inspector } from '../../contracts/blobs.ts';
import type { ManifestRecord } from '../../contracts/manifests.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { HashAlgorithm } from '../../protocol/http/digests.ts';
import { guarded } from './directory/failures.ts';
import type { Lease } from './io/handles.ts';
import type { Threads } from './pool.ts';

const EMPTY = new Uint8Array(0);

export class DiskInspector implements Inspector {
  readonly #threads: Threads;
  readonly #lease: (id: string) => Promise<Lease>;

  /** @param lease opens the part or the blob of an id */
  constructor(threads: Threads, lease: (id: string) => Promise<Lease>) {
    this.#threads = threads;
    this.#lease = lease;
  }

  async digest(id: string, algorithm: HashAlgorithm, extent: Extent, prefix = EMPTY): Promise<Uint8Array> {
    return await this.digestParts([{ id, extent }], algorithm, prefix);
  }

  async digestParts(parts: readonly BlobExtent[], algorithm: HashAlgorithm, prefix = EMPTY): Promise<Uint8Array> {
    const outcome = await this.#inspect(
      parts.map(({ id }) => id),
      (fds) => {
        const opened = parts.map(({ extent }, index) => ({ fd: fds[index] as number, extent }));
        return { kind: 'digest', algorithm, prefix, parts: opened };
      },
    );
    if (outcome.kind !== 'digest') throw new Error('unexpected outcome of a digest');
    return outcome.digest;
  }

  async verify(id: string, records: readonly ManifestRecord[]): Promise<number[]> {
    return this.#inspect([id], ([fd]) => verifyTask(fd as number, records, false)).then(mismatchesOf);
  }

  #inspect(ids: readonly string[], task: (fds: number[]) => InspectTask): Promise<InspectOutcome> {
    return guarded(async () => {
      const leases: Lease[] = [];
      try {
        for (const id of ids) leases.push(await this.#lease(id));
        return unwrap(await this.#threads.inspect(task(leases.map(({ fd }) => fd))));
      } finally {
        for (const lease of leases) lease.release();
      }
    });
  }
}

/** A range of bytes and their checksum. */
interface CheckedExtent extends Extent {
  crc32: number;
}

/** Reads the bytes of `extents` and writes them again. Throws an Error when the bytes of an extent no longer match its checksum. */
export async function rewriteExtents(threads: Threads, fd: number, extents: readonly CheckedExtent[]): Promise<void> {
  const mismatches = mismatchesOf(unwrap(await threads.inspect(verifyTask(fd, extents, true))));
  if (mismatches.length > 0) throw new Error(`${mismatches.length} written ranges were lost by a failed sync`);
}

function verifyTask(fd: number, extents: readonly CheckedExtent[], rewrite: boolean): InspectTask {
  const packed = new Float64Array(extents.length * 3);
  for (const [index, { start, end, crc32 }] of extents.entries()) packed.set([start, end, crc32], index * 3);
  return { kind: 'verify', fd, records: packed, rewrite };
}

function mismatchesOf(outcome: InspectOutcome): number[] {
  if (outcome.kind !== 'verify') throw new Error('unexpected outcome of a verification');
  return outcome.bad;
}

function unwrap(outcome: InspectOutcome): InspectOutcome {
  if (outcome.kind !== 'failure') return outcome;
  throw Object.assign(new Error(outcome.failure.message), { code: outcome.failure.code });
}
