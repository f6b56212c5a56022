/**
 * A file of undeclared size that was sealed after a silence continues with a chunk past its end (PROTOCOL §3):
 *
 *     sealed document → open document that remembers the complete file → chunk → … → sealed again
 *
 * The id, the bytes and the journal stay the same. Readers get the previous file until the new one is complete. A crash leaves one of the
 * two documents, and the journal covers either.
 */
import type { Catalog } from '../../contracts/catalog.ts';
import type { ManifestRecord, ManifestStore } from '../../contracts/manifests.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';
import type { OpenUpload } from './upload.ts';

/** True when a chunk extends a sealed file whose size was never declared. */
export function continuesFile(sealed: FileDocument, { end }: Extent, declaredSize: number | null): boolean {
  if (sealed.undeclared !== true || linkedBlobs(sealed)) return false;
  return end >= (sealed.size ?? 0) && (declaredSize === null || declaredSize > end);
}

/**
 * The journal of a sealed file, without records of chunks that were never acknowledged because of a crash. Null if the journal does not cover
 * the whole file.
 */
export async function sealedRecords(
  manifests: ManifestStore,
  { id, size }: FileDocument,
): Promise<ManifestRecord[] | null> {
  const journaled = await manifests.read(id);
  const records = journaled.filter(({ end }) => end < (size ?? 0));
  const bytes = records.reduce((sum, { start, end }) => sum + end - start + 1, 0);
  if (bytes !== size) return null;
  if (records.length < journaled.length) await manifests.rewrite(id, records);
  return records;
}

/** Makes the document of an upload from that of the sealed file that it continues. */
export function reopened({ undeclared: _, ...sealed }: FileDocument, now: number): FileDocument {
  const { size, crc32, completedAt } = sealed;
  const continues = { size: size ?? 0, crc32: crc32 ?? 0, completedAt: completedAt ?? now };
  const open = { state: 'open', size: null, crc32: null, completedAt: null, replaces: null } as const;
  return { ...sealed, ...open, updatedAt: now, continues };
}

/** The previous complete file that readers get while its continuation has a gap; null when there is no such file. */
export function completeBefore({ document, stored }: OpenUpload): NonNullable<FileDocument['continues']> | null {
  const { continues } = document;
  return continues && stored.runEnd(0) >= continues.size ? continues : null;
}

/** Ends a continuation and restores the previous complete file. No request may write to the upload any more. */
export async function revert(
  deps: { manifests: ManifestStore; catalog: Catalog; seal(id: string, size: number): Promise<void> },
  { continues, staleAt: _, ...open }: FileDocument,
): Promise<void> {
  if (!continues) return;
  await sealedRecords(deps.manifests, { ...open, size: continues.size });
  await deps.seal(open.id, continues.size);
  await deps.catalog.put({ ...open, ...continues, state: 'sealed', undeclared: true });
}
