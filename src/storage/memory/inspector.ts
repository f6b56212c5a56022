/** Long reads of bytes in memory. */
import { createHash } from 'node:crypto';
import { crc32 } from '../../../workers/checksums.ts';
import type { BlobExtent, Inspector } from '../../contracts/blobs.ts';
import type { ManifestRecord } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { HashAlgorithm } from '../../protocol/http/digests.ts';
import type { Run } from './run.ts';
import type { SparseBytes } from './sparse-bytes.ts';

const NOTHING = new Uint8Array(0);

export class MemoryInspector implements Inspector {
  readonly #bytesOf: (id: string) => SparseBytes;
  readonly #run: Run;

  /** `bytesOf` gives the stored bytes of an id or throws `not_found`. */
  constructor(bytesOf: (id: string) => SparseBytes, run: Run) {
    this.#bytesOf = bytesOf;
    this.#run = run;
  }

  digest(id: string, algorithm: HashAlgorithm, extent: Extent, prefix = NOTHING): Promise<Uint8Array> {
    return this.digestParts([{ id, extent }], algorithm, prefix);
  }

  digestParts(parts: readonly BlobExtent[], algorithm: HashAlgorithm, prefix = NOTHING): Promise<Uint8Array> {
    return this.#run.step('inspector.digest', () => {
      const hash = createHash(algorithm.replace('-', '')).update(prefix);
      for (const { id, extent } of parts) {
        const bytes = read(this.#bytesOf(id), extent);
        if (!bytes) throw new LadingError('internal', 'The stored file ends before the range to digest.');
        hash.update(bytes);
      }
      return Uint8Array.from(hash.digest());
    });
  }

  verify(id: string, records: readonly ManifestRecord[]): Promise<number[]> {
    return this.#run.step('inspector.verify', () => {
      const stored = this.#bytesOf(id);
      return records.flatMap((record, index) => {
        const bytes = read(stored, record);
        return bytes && crc32(bytes, 0) === record.crc32 ? [] : [index];
      });
    });
  }
}

/** Null when some of the bytes do not exist. */
function read(stored: SparseBytes, { start, end }: Extent): Uint8Array | null {
  if (end >= stored.size) return end < start ? NOTHING : null;
  const bytes = new Uint8Array(Math.max(0, end - start + 1));
  stored.read(bytes, start);
  return bytes;
}
