/** Long reads of stored bytes, in the thread that is there for them. */

import type { InspectOutcome, InspectTask } from '../../../workers/inspect.ts';
import type { Inspector, ManifestRecord } from '../../contracts.ts';
import type { HashAlgorithm } from '../../protocol/digests.ts';
import type { Extent } from '../../protocol/extents.ts';
import { guarded } from './failures.ts';
import type { Lease } from './handles.ts';
import type { Threads } from './pool.ts';

const NOTHING = new Uint8Array(0);

export class DiskInspector implements Inspector {
  readonly #threads: Threads;
  readonly #lease: (id: string) => Promise<Lease>;

  /** `lease` gives a descriptor of the part or the blob of an id. */
  constructor(threads: Threads, lease: (id: string) => Promise<Lease>) {
    this.#threads = threads;
    this.#lease = lease;
  }

  async digest(id: string, algorithm: HashAlgorithm, extent: Extent, prefix = NOTHING): Promise<Uint8Array> {
    const outcome = await this.#inspect(id, (fd) => ({ kind: 'digest', fd, algorithm, extent, prefix }));
    if (outcome.kind !== 'digest') throw new Error('unexpected outcome of a digest');
    return outcome.digest;
  }

  async verify(id: string, records: readonly ManifestRecord[]): Promise<number[]> {
    return this.#inspect(id, (fd) => verifyTask(fd, records, false)).then(badOf);
  }

  #inspect(id: string, task: (fd: number) => InspectTask): Promise<InspectOutcome> {
    return guarded(async () => {
      const lease = await this.#lease(id);
      try {
        return unwrap(await this.#threads.inspect(task(lease.fd)));
      } finally {
        lease.release();
      }
    });
  }
}

/** Bytes and how they check. */
interface CheckedExtent extends Extent {
  crc32: number;
}

/** Stores again the bytes of `extents` from what the system still holds; throws when some of it is lost. */
export async function rewriteExtents(threads: Threads, fd: number, extents: readonly CheckedExtent[]): Promise<void> {
  const bad = badOf(unwrap(await threads.inspect(verifyTask(fd, extents, true))));
  if (bad.length > 0) throw new Error(`${bad.length} written ranges were lost by a failed sync`);
}

function verifyTask(fd: number, extents: readonly CheckedExtent[], rewrite: boolean): InspectTask {
  const packed = new Float64Array(extents.length * 3);
  for (const [index, { start, end, crc32 }] of extents.entries()) packed.set([start, end, crc32], index * 3);
  return { kind: 'verify', fd, records: packed, rewrite };
}

function badOf(outcome: InspectOutcome): number[] {
  if (outcome.kind !== 'verify') throw new Error('unexpected outcome of a verification');
  return outcome.bad;
}

function unwrap(outcome: InspectOutcome): InspectOutcome {
  if (outcome.kind !== 'failure') return outcome;
  throw Object.assign(new Error(outcome.failure.message), { code: outcome.failure.code });
}
