/**
 * Reads and removes the bytes of files, including concatenated files. Those have several blobs, which they share with their partial
 * uploads. Each blob has an id of its own, and the file's own blob is empty.
 */
import type { BlobExtent, BlobStore, Inspector, Reader } from '../../contracts/blobs.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { HashAlgorithm } from '../../protocol/http/digests.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';

type File = Pick<FileDocument, 'id'>;

/** Opens the bytes of a file, whether one blob or several hold them. @throws LadingError `not_found` */
export async function openBytes(blobs: BlobStore, file: File): Promise<Reader> {
  const linked = linkedBlobs(file);
  if (!linked) return await blobs.openReader(file.id);
  const readers: Reader[] = [];
  const release = (): void => {
    for (const reader of readers.splice(0)) reader.release();
  };
  try {
    for (const { id } of linked) readers.push(await blobs.openReader(id));
  } catch (error) {
    release();
    throw error;
  }
  const read = async (into: Uint8Array, position: number): Promise<number> => {
    let done = 0;
    let start = 0;
    for (const [index, { size }] of linked.entries()) {
      const from = position + done - start;
      if (from < size && done < into.length) {
        const length = Math.min(into.length - done, size - from);
        const got = (await readers[index]?.read(into.subarray(done, done + length), from)) ?? 0;
        done += got;
        if (got < length) return done;
      }
      start += size;
    }
    return done;
  };
  return { read, release };
}

/** Digest of some bytes of a file, whether one blob or several hold them. @param extent empty when `end < start` */
export async function digestBytes(
  inspector: Inspector,
  file: File,
  algorithm: HashAlgorithm,
  extent: Extent,
): Promise<Uint8Array> {
  const linked = linkedBlobs(file);
  if (!linked) return await inspector.digest(file.id, algorithm, extent);
  const parts: BlobExtent[] = [];
  let before = 0;
  for (const { id, size } of linked) {
    const start = Math.max(extent.start - before, 0);
    const end = Math.min(extent.end - before, size - 1);
    if (start <= end) parts.push({ id, extent: { start, end } });
    before += size;
  }
  return await inspector.digestParts(parts, algorithm);
}

/** Removes the bytes of a file. The caller removes the document first: if a crash interrupts this, the next start removes the rest. */
export async function removeBytes(blobs: BlobStore, file: File): Promise<void> {
  for (const { id } of linkedBlobs(file) ?? []) await blobs.remove(id);
  await blobs.remove(file.id);
}
