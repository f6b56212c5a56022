/** Empty files: `total_size=0` with an empty body, or a chunk header without data from older programs. */
import type { Inspector } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import { LadingError } from '../../errors.ts';
import { CHUNK_HEADER_BYTES } from '../../protocol/chunk.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { assertAuthorized, checkSealedSize, uploadInProgress } from '../files/refusals.ts';
import { ALL_BYTES } from '../files/reservations.ts';
import type { Committer } from '../uploads/commit.ts';
import type { Declaration } from '../uploads/declaration.ts';
import { sealedStatus } from '../uploads/status.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import { checkContentDigest } from './chunk-bytes.ts';
import { type ChunkIntent, type ChunkLimits, checkIntent } from './chunk-intent.ts';
import type { ChunkTargets } from './chunk-target.ts';
import { mayBeNewVersion } from './new-content.ts';

export interface EmptyFilesDeps {
  catalog: Catalog;
  inspector: Inspector;
  uploads: UploadTable;
  committer: Committer;
  targets: ChunkTargets;
  limits: ChunkLimits;
  /** Seals the upload if it is complete; the status for the reply. */
  acknowledge(upload: OpenUpload): Promise<FileStatus>;
}

type BeforeCommit = (() => Promise<void>) | undefined;

/** Receives an empty file from older programs, which send a header for one byte. It replaces the file of that name, as their chunks at byte 0 do. */
export async function receiveEmptyChunk(
  deps: EmptyFilesDeps,
  intent: ChunkIntent,
  beforeCommit: BeforeCommit,
): Promise<FileStatus> {
  const { owner, name } = intent;
  const { catalog, uploads } = deps;
  const isEmpty = !uploads.find(owner, name) && (await catalog.find(owner, name)).sealed?.size === 0;
  const isNew = !isEmpty && (await mayBeNewVersion(deps, intent, { start: 0, end: 0 }));
  const overwrite = intent.overwrite || isNew;
  return await receiveEmptyBody(deps, { ...intent, declaredSize: 0, overwrite }, beforeCommit);
}

/** Creates an empty file from `total_size=0` with an empty body. @throws LadingError `malformed_header` if the size is not 0 */
export async function receiveEmptyBody(
  deps: EmptyFilesDeps,
  intent: ChunkIntent,
  beforeCommit: BeforeCommit,
): Promise<FileStatus> {
  const { committer, inspector, limits, targets, uploads } = deps;
  if (intent.declaredSize !== 0) {
    throw new LadingError(
      'malformed_header',
      'The request body is empty. Send total_size=0 for an empty file, or a chunk with data.',
      { expected: CHUNK_HEADER_BYTES, actual: 0 },
    );
  }
  checkIntent(intent, limits);
  const { upload, sealed, handles } = await targets.enter(intent);
  if (!upload) {
    checkSealedSize(sealed, 0);
    return sealedStatus(sealed);
  }
  // No other request may send to an upload that was just created.
  const reserved = upload.isVisible ? null : upload.tryReserve(ALL_BYTES);
  try {
    if (upload.isFileUpload) throw uploadInProgress();
    const { reprDigest, contentType } = intent;
    const declaration: Declaration = { size: 0, reprDigest, contentType, byName: true };
    upload.check(declaration);
    if (intent.contentDigest)
      await checkContentDigest(inspector, upload.id, intent.contentDigest, { start: 0, end: -1 }, new Uint8Array());
    if (beforeCommit) await beforeCommit();
    assertAuthorized(intent.isAuthorized);
    await targets.assertPrecondition(intent, upload);
    await committer.commit(upload, handles, [], declaration);
    return await deps.acknowledge(upload);
  } finally {
    reserved?.release();
    await uploads.leave(upload);
  }
}
