/**
 * Detects a repeat of the chunk that completed a file sent with `overwrite=true`: the device lost the acknowledgement and sends the chunk
 * again. PROTOCOL §4 calls that a duplicate. Without this check the chunk would begin another replacement.
 */

import type { Inspector } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { ManifestStore } from '../../contracts/manifests.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';
import { type Declaration, encodeDigest } from '../uploads/declaration.ts';
import type { OpenUpload } from '../uploads/upload.ts';

export interface DuplicateDeps {
  catalog: Catalog;
  manifests: ManifestStore;
  inspector: Inspector;
}

/**
 * The complete file that already has this chunk, or null when the chunk begins a replacement. Only the last chunk of the file counts: an
 * earlier one may be the first of a new replacement with the same beginning.
 * @param upload the new upload in which the chunk was just stored
 */
export async function completedByChunk(
  deps: DuplicateDeps,
  upload: OpenUpload,
  declaration: Declaration,
  chunk: Extent & { crc32: number },
): Promise<FileDocument | null> {
  const { id, owner, name, replaces } = upload.document;
  if (replaces === null) return null;
  const { sealed } = await deps.catalog.find(owner, name);
  if (
    !sealed ||
    sealed.id !== replaces ||
    linkedBlobs(sealed) ||
    !isReplacement(sealed) ||
    !fitsDeclaration(sealed, declaration)
  )
    return null;
  const last = (await deps.manifests.read(sealed.id)).at(-1);
  if (last?.start !== chunk.start || last.end !== chunk.end || last.crc32 !== chunk.crc32) return null;
  const extent = { start: chunk.start, end: chunk.end };
  const [stored, sent] = await Promise.all([
    // If the stored bytes are unreadable, the file is damaged, and this chunk replaces it.
    deps.inspector.digest(sealed.id, 'sha-256', extent).catch(() => null),
    deps.inspector.digest(id, 'sha-256', extent),
  ]);
  return stored !== null && Buffer.compare(stored, sent) === 0 ? sealed : null;
}

/** The file was sent with overwrite=true. Older documents show that only by `replaces`. */
function isReplacement({ overwrites, replaces }: FileDocument): boolean {
  return overwrites === true || replaces !== null;
}

function fitsDeclaration(sealed: FileDocument, { size, contentType, reprDigest }: Declaration): boolean {
  if (size !== sealed.size || (contentType !== null && contentType !== sealed.contentType)) return false;
  return reprDigest === null || sealed.reprDigest?.value === encodeDigest(reprDigest);
}
