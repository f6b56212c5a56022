/** Long reads of stored bytes. Small files are read from the ledger, others from the disk by the thread for long reads. */
import { createHash } from 'node:crypto';
import { crc32 } from '../../../workers/checksums.ts';
import type { BlobExtent, Inspector } from '../../contracts/blobs.ts';
import type { ManifestRecord } from '../../contracts/manifests.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { HashAlgorithm } from '../../protocol/http/digests.ts';
import type { LedgerBlobs } from './blobs.ts';

const NOTHING = new Uint8Array(0);

export class LedgerInspector implements Inspector {
  readonly #blobs: LedgerBlobs;
  readonly #files: Inspector;

  /** @param files the inspector of the parts and blobs on the disk */
  constructor(blobs: LedgerBlobs, files: Inspector) {
    this.#blobs = blobs;
    this.#files = files;
  }

  async digest(id: string, algorithm: HashAlgorithm, extent: Extent, prefix = NOTHING): Promise<Uint8Array> {
    return await this.digestParts([{ id, extent }], algorithm, prefix);
  }

  async digestParts(parts: readonly BlobExtent[], algorithm: HashAlgorithm, prefix = NOTHING): Promise<Uint8Array> {
    const [only] = parts;
    if (only && parts.length === 1 && (await this.#blobs.isInLedger(only.id))) {
      return createHash(algorithm)
        .update(prefix)
        .update(await this.#read(only.id, only.extent))
        .digest();
    }
    for (const { id } of parts) await this.#blobs.fill(id);
    return await this.#files.digestParts(parts, algorithm, prefix);
  }

  async verify(id: string, records: readonly ManifestRecord[]): Promise<number[]> {
    if (!(await this.#blobs.isInLedger(id))) {
      await this.#blobs.fill(id);
      return await this.#files.verify(id, records);
    }
    (await this.#blobs.openReader(id)).release();
    const bad: number[] = [];
    for (const [index, record] of records.entries()) {
      const bytes = await this.#read(id, record).catch(() => null);
      if (!bytes || crc32(bytes, 0) !== record.crc32) bad.push(index);
    }
    return bad;
  }

  /** Reads an extent. @throws Error when the ledger does not contain all of it */
  async #read(id: string, extent: Extent): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.max(0, lengthOf(extent)));
    if (bytes.length === 0) return bytes;
    const reader = await this.#blobs.openReader(id);
    try {
      const count = await reader.read(bytes, extent.start);
      if (count < bytes.length) throw new Error('bytes of the extent are missing');
      return bytes;
    } finally {
      reader.release();
    }
  }
}
