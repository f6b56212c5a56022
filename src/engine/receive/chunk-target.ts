/** Finds the upload that a chunk belongs to, or the complete file to compare it with. */
import type { Catalog } from '../../contracts/catalog.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { FileDocument } from '../../records/file.ts';
import { checkSealedSize, uploadHasAddress } from '../files/refusals.ts';
import { noName } from '../files/watchers.ts';
import { continuesFile } from '../uploads/continuation.ts';
import type { CurrentFiles } from '../uploads/preconditions.ts';
import type { Sealer } from '../uploads/seal.ts';
import type { Handles, OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import type { Usage } from '../uploads/usage.ts';
import { type ChunkIntent, type ChunkLimits, checkIntent } from './chunk-intent.ts';
import { mayBeNewVersion } from './new-content.ts';

export interface ChunkTargetsDeps {
  catalog: Catalog;
  clock: Clock;
  uploads: UploadTable;
  usage: Usage;
  current: CurrentFiles;
  sealer: Sealer;
  /** `openEndedMs`: time without a byte after which an upload of undeclared size is sealed. */
  limits: ChunkLimits & { openEndedMs: number };
}

/** Either an upload, which the caller must `leave`, or a complete file. */
export type ChunkTarget =
  | { upload: OpenUpload; handles: Handles; sealed: null }
  | { upload: null; handles: null; sealed: FileDocument };

export class ChunkTargets {
  readonly #deps: ChunkTargetsDeps;

  constructor(deps: ChunkTargetsDeps) {
    this.#deps = deps;
  }

  /**
   * Checks the request headers. To be called before the body is read.
   * @throws LadingError a code of PROTOCOL §5
   */
  async admit(intent: ChunkIntent): Promise<void> {
    const { catalog, limits, uploads, usage } = this.#deps;
    checkIntent(intent, limits);
    const upload = uploads.find(intent.owner, intent.name);
    if (upload?.document.resource) {
      checkSealedSize(await this.#fileBesideAddress(intent), intent.declaredSize);
      return;
    }
    if (upload) {
      const isReplaced = upload.isVisible && upload.isContiguous && intent.overwrite;
      if (upload.isParked) usage.check(intent.owner, { openUploads: 1 });
      if (!isReplaced)
        upload.check({ size: intent.declaredSize, reprDigest: intent.reprDigest, contentType: null, byName: true });
      if (isReplaced || !upload.isVisible) await this.assertPrecondition(intent, upload);
      return;
    }
    const { sealed } = await catalog.find(intent.owner, intent.name);
    const continues = sealed?.undeclared === true && (intent.declaredSize ?? 0) > (sealed.size ?? 0);
    if (sealed && !intent.overwrite && !continues) checkSealedSize(sealed, intent.declaredSize);
    else usage.check(intent.owner, { bytes: intent.declaredSize ?? 0, openUploads: 1 });
    // A chunk that may be a duplicate is compared first. A duplicate changes nothing, so its precondition is not checked.
    const mayRepeat = sealed !== null && (!intent.overwrite || intent.declaredSize === sealed.size);
    if (!mayRepeat) await this.assertPrecondition(intent);
  }

  /**
   * Checks the precondition of a chunk that would change the file. Skips chunks of a replacement, which passed the check with its first
   * chunk. Not called for duplicates: they change nothing, so they may succeed (RFC 9110 §13.1.1).
   * @param upload the upload of the chunk, if there is one
   * @throws LadingError `precondition_failed`
   */
  async assertPrecondition({ owner, name, overwrite, precondition }: ChunkIntent, upload?: OpenUpload): Promise<void> {
    const hasBegun = upload?.isVisible === true && !upload.isContiguous;
    if (!(overwrite && hasBegun)) await this.#deps.current.assert(precondition, owner, name);
  }

  /**
   * Finds or creates the target of a chunk. First seals the current upload of the name if its size is undeclared and it has been silent for
   * long enough, or if the chunk replaces it.
   * @param extent of the chunk; null for an empty file
   */
  async enter(intent: ChunkIntent, extent: Extent | null = null): Promise<ChunkTarget> {
    const { uploads, clock, limits, sealer } = this.#deps;
    for (;;) {
      const aside = await mayBeNewVersion(this.#deps, intent, extent);
      const name = aside ? noName() : intent.name;
      const { target, handles } = await uploads.enter(intent.owner, name, intent.overwrite || aside);
      if (!handles || 'sealed' in target) {
        if ('upload' in target) throw new Error('an upload without its files');
        const { sealed } = target;
        const continues = extent !== null && continuesFile(sealed, extent, intent.declaredSize);
        if (continues && (await uploads.reopen(sealed))) continue;
        return { upload: null, handles: null, sealed };
      }
      const { upload } = target;
      if (upload.document.resource) {
        await uploads.leave(upload);
        return { upload: null, handles: null, sealed: await this.#fileBesideAddress(intent) };
      }
      const isNew = extent !== null && extent.end >= upload.stored.end;
      if (isNew && upload.size === null && upload.phase.sealing) {
        // The upload is being sealed because it was silent. Once it is a file, this chunk continues that file.
        await upload.phase.sealing.catch(() => {});
        await uploads.leave(upload);
        continue;
      }
      const overdue = !isNew && clock.since(upload.lastCommitAt) >= limits.openEndedMs;
      const sealsFirst =
        upload.isVisible && upload.isContiguous && upload.senders === 1 && (overdue || intent.overwrite);
      if (!sealsFirst && !upload.isSealed) return { upload, handles, sealed: null };
      try {
        if (sealsFirst) await sealer.seal(upload, true);
      } finally {
        await uploads.leave(upload);
      }
    }
  }

  /**
   * The complete file to compare a chunk with while an upload with its own URL has the name. A chunk never adds bytes to such an upload.
   * @throws LadingError `already_exists`
   */
  async #fileBesideAddress({ owner, name, overwrite }: ChunkIntent): Promise<FileDocument> {
    const { sealed } = await this.#deps.catalog.find(owner, name);
    if (!sealed || overwrite) throw uploadHasAddress();
    return sealed;
  }
}
