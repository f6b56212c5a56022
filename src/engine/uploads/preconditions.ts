/**
 * Preconditions of requests that change a file (RFC 9110 §13). They are evaluated twice: when the headers are known, and right before the
 * change, because the file may have changed while the bytes arrived.
 */
import type { Catalog } from '../../contracts/catalog.ts';
import { LadingError } from '../../errors.ts';
import type { Validators } from '../../protocol/http/conditionals.ts';
import type { FileDocument } from '../../records/file.ts';
import { type LastModified, lastModifiedOf } from '../files/last-modified.ts';
import { completeBefore } from './continuation.ts';
import { entityTag } from './status.ts';
import type { OpenUpload } from './upload.ts';
import type { UploadTable } from './upload-table.ts';

/** True when the request may change the file that has these validators now. */
export type Precondition = (current: Validators) => boolean;

const NOTHING: Validators = { etag: null, lastModified: null, exists: false };

export interface CurrentFilesDeps {
  catalog: Catalog;
  uploads: UploadTable;
  modified: LastModified;
}

export class CurrentFiles {
  readonly #deps: CurrentFilesDeps;

  constructor(deps: CurrentFilesDeps) {
    this.#deps = deps;
  }

  /** The validators of the file that a download of this name returns now. An unfinished upload is not a file yet. */
  async validators(owner: string, name: string): Promise<Validators> {
    const upload = this.#deps.uploads.findVisible(owner, name);
    if (upload?.isReadable) return ofUpload(upload, this.#deps.modified);
    const { sealed } = await this.#deps.catalog.find(owner, name);
    return sealed ? ofSealed(sealed) : NOTHING;
  }

  /**
   * Checks a precondition against the current file of the name. Succeeds if there is no precondition.
   * @throws LadingError `precondition_failed`
   */
  async assert(precondition: Precondition | undefined, owner: string, name: string): Promise<void> {
    if (precondition === undefined || precondition(await this.validators(owner, name))) return;
    throw new LadingError(
      'precondition_failed',
      'The file of this name does not meet the precondition (If-Match, If-None-Match or If-Unmodified-Since). ' +
        'Nothing was changed. Get the current file or its status, then decide again.',
    );
  }
}

function ofSealed(document: FileDocument): Validators {
  const { id, size, crc32 } = document;
  return { etag: entityTag(id, size ?? 0, crc32 ?? 0), lastModified: lastModifiedOf(document), exists: true };
}

function ofUpload(upload: OpenUpload, modified: LastModified): Validators {
  if (upload.isSealed) return ofSealed(upload.document);
  const previous = completeBefore(upload);
  if (!upload.isContiguous && previous) return ofSealed({ ...upload.document, ...previous });
  if (!upload.isContiguous) return NOTHING;
  const { end } = upload.stored;
  const etag = entityTag(upload.id, end, upload.stored.crc32IfComplete(end) ?? 0);
  return { etag, lastModified: modified.at(upload.lastCommitAt), exists: true };
}
