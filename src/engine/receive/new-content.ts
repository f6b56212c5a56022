/**
 * New content for the name of a complete file, from programs that never send `overwrite=true` (`LADING_COMPAT=file-transfer`). Whether a
 * chunk at byte 0 is new content or a duplicate is known only once all of it has arrived. So it is first received without a name:
 *
 *     chunk at 0 → upload without a name ── the same bytes as the file ──► a duplicate, nothing changes
 *                                        └─ other bytes ──► takes the name and replaces the file; the next chunks continue it
 */

import type { Inspector } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';
import { chunkConflict } from '../files/refusals.ts';
import type { Lifetime } from '../uploads/lifetime.ts';
import type { CurrentFiles } from '../uploads/preconditions.ts';
import type { Sealer } from '../uploads/seal.ts';
import { sealedStatus, uploadStatus } from '../uploads/status.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import type { ChunkIntent } from './chunk-intent.ts';

export interface NewContentDeps {
  catalog: Catalog;
  inspector: Inspector;
  uploads: UploadTable;
  current: CurrentFiles;
  sealer: Sealer;
  limits: Lifetime;
}

/** True when the chunk may begin a new version of a file that is complete or readable as complete. */
export async function mayBeNewVersion(
  { uploads, catalog }: Pick<NewContentDeps, 'uploads' | 'catalog'>,
  { owner, name, overwrite, declaredSize, replaceFromStart }: ChunkIntent,
  extent: Extent | null,
): Promise<boolean> {
  if (!replaceFromStart || overwrite || declaredSize !== null || extent?.start !== 0) return false;
  const upload = uploads.find(owner, name);
  if (upload) return upload.isVisible && upload.users === 0 && upload.isContiguous;
  return (await catalog.find(owner, name)).sealed !== null;
}

/**
 * Names an upload that has none, once its first chunk is stored. Resolves with null, or with the status of the file if the chunk is a
 * duplicate.
 * @throws LadingError `precondition_failed`, `chunk_conflict` when another client sends to the name at this moment
 */
export async function takeName(
  deps: NewContentDeps,
  upload: OpenUpload,
  { owner, name, precondition }: ChunkIntent,
  extent: Extent,
): Promise<FileStatus | null> {
  const { uploads, current, sealer, limits } = deps;
  for (;;) {
    const holder = uploads.find(owner, name);
    if (holder && !(holder.isVisible && holder.users === 0 && (holder.isSealed || holder.isContiguous)))
      throw chunkConflict();
    const document = holder?.document ?? (await deps.catalog.find(owner, name)).sealed;
    const size = holder?.stored.end ?? document?.size ?? 0;
    if (document && extent.end < size && (await hasSameBytes(deps, document, upload, extent)))
      return holder ? uploadStatus(holder, limits) : sealedStatus(document);
    await current.assert(precondition, owner, name);
    if (holder) await sealer.seal(holder, true);
    if (await uploads.rename(upload, name)) return null;
  }
}

/** True when the file and the upload have the same bytes. A concatenated file never arrived in chunks, so it counts as different. */
async function hasSameBytes(
  { inspector }: NewContentDeps,
  file: FileDocument,
  upload: OpenUpload,
  { start, end }: Extent,
): Promise<boolean> {
  if (linkedBlobs(file)) return false;
  const [stored, sent] = await Promise.all([
    inspector.digest(file.id, 'sha-256', { start, end }),
    inspector.digest(upload.id, 'sha-256', { start, end }),
  ]);
  return Buffer.compare(stored, sent) === 0;
}
