/**
 * Reads and removes the bytes of files, including concatenated files. Those have several blobs, which they share with their partial
 * uploads. Each blob has an id of its own, and the file's own blob is empty.
 */
import type { BlobExtent, BlobStore, Inspector, Reader } from '../../contracts/blobs.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { HashAlgorithm } from '../../protocol/http/digests.ts';
import type { FileDocument } from '../../records/file.ts';

type Bytes = Pick<FileDocument, 'id' | 'pieces'>;

/** Opens the bytes of a file, whether one blob or several hold them. @throws LadingError `not_found` */
export async function openBytes(blobs: BlobStore, { id, pieces }: Bytes): Promise<Reader> {
  if (!pieces) return await blobs.openReader(id);
  const readers: Reader[] = [];
  const release = (): void => {
    for (const reader of readers.splice(0)) reader.release();
  };
  try {
    for (const piece of pieces) readers.push(await blobs.openReader(piece.id));
  } catch (error) {
    release();
    throw error;
  }
  const read = async (into: Uint8Array, position: number): Promise<number> => {
    let done = 0;
    let start = 0;
    for (const [index, { size }] of pieces.entries()) {
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
  { id, pieces }: Bytes,
  algorithm: HashAlgorithm,
  extent: Extent,
): Promise<Uint8Array> {
  if (!pieces) return await inspector.digest(id, algorithm, extent);
  const parts: BlobExtent[] = [];
  let before = 0;
  for (const piece of pieces) {
    const start = Math.max(extent.start - before, 0);
    const end = Math.min(extent.end - before, piece.size - 1);
    if (start <= end) parts.push({ id: piece.id, extent: { start, end } });
    before += piece.size;
  }
  return await inspector.digestParts(parts, algorithm);
}

/** Removes the bytes of a file. The caller removes the document first: if a crash interrupts this, the next start removes the rest. */
export async function removeBytes(blobs: BlobStore, { id, pieces = [] }: Bytes): Promise<void> {
  for (const piece of pieces) await blobs.remove(piece.id);
  await blobs.remove(id);
}
