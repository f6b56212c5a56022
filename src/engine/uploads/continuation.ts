/**
 * A file of undeclared size that silence sealed goes on with the chunk that comes after its end (PROTOCOL §3):
 *
 *     sealed document → open document that keeps what was complete → chunk → … → sealed again
 *
 * The id stays, and so do the bytes and the journal: whoever reads meanwhile gets the file as it was, until it is complete again.
 * A crash finds the one document or the other, and both say what the journal vouches for.
 */
import type { Catalog } from '../../contracts/catalog.ts';
import type { ManifestRecord, ManifestStore } from '../../contracts/manifests.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { FileDocument } from '../../records/file.ts';
import type { OpenUpload } from './upload.ts';

/** True when a chunk goes past the end of a sealed file whose size nobody ever said. */
export function continuesFile(sealed: FileDocument, { end }: Extent, declaredSize: number | null): boolean {
  if (sealed.undeclared !== true || sealed.pieces !== undefined) return false;
  return end >= (sealed.size ?? 0) && (declaredSize === null || declaredSize > end);
}

/**
 * The journal of what was sealed. A crash may have left a record of a chunk that was never acknowledged: its bytes are sent again.
 * Null when the journal does not vouch for the whole file.
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

/** The document of a sealed file that goes on. */
export function reopened({ undeclared: _, ...sealed }: FileDocument, now: number): FileDocument {
  const { size, crc32, completedAt } = sealed;
  const continues = { size: size ?? 0, crc32: crc32 ?? 0, completedAt: completedAt ?? now };
  const open = { state: 'open', size: null, crc32: null, completedAt: null, replaces: null } as const;
  return { ...sealed, ...open, updatedAt: now, continues };
}

/** What was complete before, while a continuation has a gap: readers get it. Null when there is nothing of the kind. */
export function completeBefore({ document, stored }: OpenUpload): NonNullable<FileDocument['continues']> | null {
  const { continues } = document;
  return continues && stored.runEnd(0) >= continues.size ? continues : null;
}

/** Ends a continuation and leaves the file that was complete before. Nobody writes to the upload any more. */
export async function revert(
  doors: { manifests: ManifestStore; catalog: Catalog; seal(id: string, size: number): Promise<void> },
  { continues, staleAt: _, ...open }: FileDocument,
): Promise<void> {
  if (!continues) return;
  await sealedRecords(doors.manifests, { ...open, size: continues.size });
  await doors.seal(open.id, continues.size);
  await doors.catalog.put({ ...open, ...continues, state: 'sealed', undeclared: true });
}
