/**
 * Preconditions of requests that change a file (RFC 9110 §13), judged in this one place: once when the header section is known, and again
 * right before the change, for the file may have become another one while the bytes came.
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

  /** The validators of what a whole download of this name gives now; an unfinished upload is no file yet. */
  async validators(owner: string, name: string): Promise<Validators> {
    const upload = this.#deps.uploads.findVisible(owner, name);
    if (upload?.isReadable) return ofUpload(upload, this.#deps.modified);
    const { sealed } = await this.#deps.catalog.find(owner, name);
    return sealed ? ofSealed(sealed) : NOTHING;
  }

  /**
   * Lets a request go on if its precondition holds for the current file of the name, or if it has none.
   * @throws LadingError `precondition_failed`
   */
  async assert(precondition: Precondition | undefined, owner: string, name: string): Promise<void> {
    if (precondition === undefined || precondition(await this.validators(owner, name))) return;
    throw new LadingError(
      'precondition_failed',
      'The file of this name does not meet the precondition (If-Match, If-None-Match or If-Unmodified-Since). ' +
        'Nothing was changed; look at the file again.',
    );
  }
}

function ofSealed(document: FileDocument): Validators {
  const { id, size, crc32 } = document;
  return { etag: entityTag(id, size ?? 0, crc32 ?? 0), lastModified: lastModifiedOf(document), exists: true };
}

function ofUpload(upload: OpenUpload, modified: LastModified): Validators {
  if (upload.isSealed) return ofSealed(upload.document);
  const kept = completeBefore(upload);
  if (!upload.isContiguous && kept) return ofSealed({ ...upload.document, ...kept });
  if (!upload.isContiguous) return NOTHING;
  const { end } = upload.stored;
  const etag = entityTag(upload.id, end, upload.stored.whole(end) ?? 0);
  return { etag, lastModified: modified.at(upload.lastCommitAt), exists: true };
}
