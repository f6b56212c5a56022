/** The bytes of files in memory. */
import { checksum } from '../../../workers/checksums.ts';
import type { BlobStore, Part, Reader, SegmentJob, SegmentResult } from '../../contracts/blobs.ts';
import { crc32Combine } from '../../protocol/crc32.ts';
import { lengthOf } from '../../protocol/extents.ts';
import { assertFileId } from '../names.ts';
import type { Images, StoredFile } from './images.ts';
import { notFound, type Run } from './run.ts';
import { SparseBytes } from './sparse-bytes.ts';

type FileWithBytes = StoredFile & { bytes: SparseBytes };

export class MemoryBlobs implements BlobStore {
  readonly #images: Images;
  readonly #run: Run;

  constructor(images: Images, run: Run) {
    this.#images = images;
    this.#run = run;
  }

  async create(id: string): Promise<void> {
    assertFileId(id);
    await this.#run.step('blobs.create', () => {
      const { visible } = this.#images;
      const file = visible.get(id) ?? { bytes: null, sealed: false, journal: null };
      if (file.bytes) throw new Error('the part exists already');
      visible.set(id, { ...file, bytes: new SparseBytes() });
    });
  }

  async openPart(id: string): Promise<Part> {
    await this.#run.step('blobs.openPart', () => this.#file(id));
    return {
      write: (job) => this.#run.step('part.write', () => this.#write(id, job)),
      sync: () =>
        this.#run.step('part.sync', () => {
          if (this.#file(id).sealed) throw notFound();
          this.#images.syncBytes(id);
        }),
      read: (into, position) => this.#run.step('part.read', () => this.#file(id).bytes.read(into, position)),
      truncate: (size) => this.#run.step('part.truncate', () => this.#truncate(id, size)),
      release: () => undefined,
    };
  }

  async openReader(id: string): Promise<Reader> {
    const { bytes } = await this.#run.step('blobs.openReader', () => this.#file(id));
    return {
      read: (into, position) => this.#run.step('reader.read', () => bytes.read(into, position)),
      release: () => undefined,
    };
  }

  async size(id: string): Promise<number | null> {
    return this.#run.step('blobs.size', () => this.#images.visible.get(id)?.bytes?.size ?? null);
  }

  async seal(id: string, size: number): Promise<void> {
    await this.#run.step('blobs.seal', () => {
      const file = this.#file(id);
      if (file.sealed) return;
      if (file.bytes.size !== size) file.bytes.truncate(size);
      this.#images.syncBytes(id);
    });
    await this.#run.step('blobs.seal', () => {
      this.#file(id).sealed = true;
      const durable = this.#images.durable.get(id);
      if (durable) durable.sealed = true;
    });
  }

  async link(from: string, to: string): Promise<boolean> {
    assertFileId(to);
    await this.#run.step('blobs.link', () => {
      const { bytes, sealed } = this.#file(from);
      if (sealed) throw notFound();
      this.#images.syncBytes(from);
      // Both ids may share the same bytes, because the part never changes again.
      this.#images.visible.set(to, { bytes, sealed: true, journal: null });
      this.#images.syncBytes(to);
    });
    return true;
  }

  async remove(id: string): Promise<void> {
    await this.#run.step('blobs.remove', () => this.#images.visible.delete(id));
    await this.#run.step('blobs.remove', () => this.#images.durable.delete(id));
  }

  async list(): Promise<string[]> {
    return this.#run.step('blobs.list', () => [...this.#images.visible.keys()]);
  }

  /** The stored bytes of an id. @throws LadingError `not_found` */
  bytesOf(id: string): SparseBytes {
    return this.#file(id).bytes;
  }

  #file(id: string): FileWithBytes {
    const file = this.#images.visible.get(id);
    if (!file?.bytes) throw notFound();
    return file as FileWithBytes;
  }

  #write(id: string, { buffer, length, ranges }: SegmentJob): SegmentResult {
    const file = this.#file(id);
    const bytes = new Uint8Array(buffer, 0, length);
    const result: SegmentResult = {
      ...{ buffer, sum: 0, crc32: 0, conflict: false, conflictAt: null },
      ...{ rangeCrcs: [], rangeSums: [] },
    };
    let offset = 0;
    const parts = ranges.map(({ extent, action }) => {
      const range = { position: extent.start, action, bytes: bytes.subarray(offset, offset + lengthOf(extent)) };
      offset += range.bytes.length;
      return range;
    });
    for (const [index, range] of parts.entries()) {
      const sums = checksum(range.bytes);
      result.sum = (result.sum + sums.sum) & 0xff;
      result.crc32 = crc32Combine(result.crc32, sums.crc32, range.bytes.length);
      result.rangeCrcs.push(sums.crc32);
      result.rangeSums.push(sums.sum);
      if (range.action === 'compare' && !equals(file.bytes, range.position, range.bytes)) result.conflictAt ??= index;
    }
    result.conflict = result.conflictAt !== null;
    for (const range of parts.slice(0, result.conflictAt ?? parts.length)) {
      if (range.action === 'compare') continue;
      // The seal was interrupted before its document was written, so the blob becomes a part again.
      file.sealed = false;
      file.bytes.write(range.position, range.bytes);
    }
    return result;
  }

  #truncate(id: string, size: number): void {
    const { bytes, sealed } = this.#file(id);
    if (sealed) throw notFound();
    if (bytes.size > size) bytes.truncate(size);
  }
}

function equals(stored: SparseBytes, position: number, bytes: Uint8Array): boolean {
  const actual = new Uint8Array(bytes.length);
  return stored.read(actual, position) === bytes.length && Buffer.compare(actual, bytes) === 0;
}
