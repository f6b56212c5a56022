/** Completes a file of undeclared size on request (PROTOCOL §2). */
import type { Catalog } from '../../contracts/catalog.ts';
import { LadingError } from '../../errors.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { isSealedBySilence } from '../uploads/auto-seal.ts';
import type { CurrentFiles, Precondition } from '../uploads/preconditions.ts';
import type { Sealer } from '../uploads/seal.ts';
import { MAX_GAPS, sealedStatus } from '../uploads/status.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';

export interface CompletionDeps {
  catalog: Catalog;
  uploads: UploadTable;
  current: CurrentFiles;
  sealer: Sealer;
}

export class Completion {
  readonly #deps: CompletionDeps;

  constructor(deps: CompletionDeps) {
    this.#deps = deps;
  }

  /**
   * Seals an upload of undeclared size now. A file that is complete already stays as it is.
   * @throws LadingError `not_found`, `not_contiguous`, `precondition_failed`
   */
  async complete(owner: string, name: string, precondition?: Precondition): Promise<FileStatus> {
    const { current, sealer, uploads } = this.#deps;
    const upload = uploads.findVisible(owner, name);
    if (upload) {
      if (!upload.isComplete && !isSealedBySilence(upload)) throw notContiguous(upload);
      await current.assert(precondition, owner, name);
      await sealer.seal(upload);
    }
    const ended = await uploads.holdName(owner, name, () =>
      this.#completeSealed(owner, name, upload ? undefined : precondition),
    );
    return ended ?? (await this.complete(owner, name, precondition));
  }

  /**
   * Finalizes a file that was sealed because it was silent, so that no chunk can continue it. Null if a chunk is continuing it already and
   * has made it an upload again.
   */
  async #completeSealed(owner: string, name: string, precondition?: Precondition): Promise<FileStatus | null> {
    const { catalog, current, uploads } = this.#deps;
    if (uploads.find(owner, name)?.document.continues) return null;
    const { sealed } = await catalog.find(owner, name);
    if (!sealed) throw new LadingError('not_found', 'There is no file of this name.');
    await current.assert(precondition, owner, name);
    if (sealed.undeclared) await catalog.amend(sealed.id, ({ undeclared: _, ...ended }) => ended);
    return sealedStatus(sealed);
  }
}

function notContiguous(upload: OpenUpload): LadingError {
  const { gaps, more } = upload.stored.gaps(upload.size ?? upload.stored.end, MAX_GAPS);
  return new LadingError(
    'not_contiguous',
    upload.document.resource
      ? 'This file is being uploaded by tus or as a resumable upload. Only the client of that upload can complete it.'
      : 'Bytes of this file are missing. Send the ranges in `missing`, then complete the file.',
    { missing: gaps, missing_more: more },
  );
}
