/** Opens a name for reading: its complete file, or the stored bytes of its upload. */
import type { BlobStore, Reader } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import { LadingError } from '../../errors.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileDocument } from '../../records/file.ts';
import { openBytes } from '../files/file-blobs.ts';
import { type LastModified, lastModifiedOf } from '../files/last-modified.ts';
import type { DamagedFiles } from '../upkeep/damage.ts';
import { completeBefore } from '../uploads/continuation.ts';
import { entityTag } from '../uploads/status.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';

/**
 * A file open for reading, as it was when the request arrived. It stays readable even if the file is replaced or deleted.
 * The caller must call `release` exactly once.
 */
export interface Representation {
  id: string;
  name: string;
  contentType: string | null;
  /** Final or declared size; null while the size is undeclared and bytes are missing. */
  size: number | null;
  /** True if the whole file can be downloaded now. */
  readable: boolean;
  /** Strong entity tag with its quotes; null while not readable. */
  etag: string | null;
  /** Milliseconds; null while not readable. */
  lastModified: number | null;
  /** Digest of the whole file, if the client declared one and it was verified. */
  reprDigest: Digest | null;
  /** True if all bytes of the extent are verified and stored. */
  covers(extent: Extent): boolean;
  /** Offset of the first byte at or after `position` that is not stored yet. It grows while bytes arrive. */
  committedUpTo(position: number): number;
  /** The current state: `discarded` once the upload was deleted, expired, or had the wrong digest. */
  state(): 'open' | 'sealed' | 'discarded';
  /** True while a request sends to it. */
  isReceiving(): boolean;
  reader: Reader;
  release(): void;
}

export interface FileOpenerDeps {
  damage: DamagedFiles;
  blobs: BlobStore;
  catalog: Catalog;
  uploads: UploadTable;
  modified: LastModified;
}

export class FileOpener {
  readonly #deps: FileOpenerDeps;

  constructor(deps: FileOpenerDeps) {
    this.#deps = deps;
  }

  /** Opens the complete file of a name, or the stored bytes of its upload. @throws LadingError `not_found`, `file_damaged` */
  async open(owner: string, name: string): Promise<Representation> {
    // The file may be replaced between lookup and open. The second attempt then finds the new file.
    try {
      return await this.#open(owner, name);
    } catch (error) {
      if (!(error instanceof LadingError) || error.code !== 'not_found') throw error;
      return await this.#open(owner, name, true);
    }
  }

  /** @param again the first attempt found no bytes, possibly because the file was just replaced */
  async #open(owner: string, name: string, again = false): Promise<Representation> {
    const upload = this.#deps.uploads.findVisible(owner, name);
    if (upload?.isReadable) {
      const reader = await openBytes(this.#deps.blobs, upload.document);
      const previous = upload.isSealed || upload.isContiguous ? null : completeBefore(upload);
      return previous
        ? ofSealed({ ...upload.document, ...previous, reprDigest: null }, reader)
        : ofUpload(upload, reader, this.#deps.modified);
    }
    const { sealed } = await this.#deps.catalog.find(owner, name);
    if (!sealed) throw new LadingError('not_found', 'There is no file of this name.');
    if (again) await this.#deps.damage.assertUndamaged(sealed);
    const reader = await openBytes(this.#deps.blobs, sealed);
    try {
      await this.#deps.damage.assertUndamaged(sealed);
    } catch (error) {
      reader.release();
      throw error;
    }
    return ofSealed(sealed, reader);
  }
}

function ofSealed(document: FileDocument, reader: Reader): Representation {
  const size = document.size ?? 0;
  return {
    id: document.id,
    name: document.name,
    contentType: document.contentType,
    size,
    readable: true,
    etag: entityTag(document.id, size, document.crc32 ?? 0),
    lastModified: lastModifiedOf(document),
    reprDigest: digestOf(document),
    covers: (extent) => extent.end < size,
    committedUpTo: (position) => Math.max(position, size),
    state: () => 'sealed',
    isReceiving: () => false,
    reader,
    release: () => reader.release(),
  };
}

function ofUpload(upload: OpenUpload, reader: Reader, modified: LastModified): Representation {
  const { stored, document } = upload;
  const readable = upload.isSealed || upload.isContiguous;
  const size = readable ? stored.end : upload.size;
  const crc32 = readable ? stored.crc32IfComplete(stored.end) : null;
  return {
    id: upload.id,
    name: document.name,
    contentType: document.contentType,
    size,
    readable,
    etag: crc32 === null ? null : entityTag(upload.id, stored.end, crc32),
    lastModified: readable ? modified.at(upload.lastCommitAt) : null,
    reprDigest: upload.isSealed ? digestOf(document) : null,
    covers: (extent) => stored.covers(extent),
    committedUpTo: (position) => stored.runEnd(position),
    state: () => {
      if (upload.endReason) return 'discarded';
      return upload.isSealed ? 'sealed' : 'open';
    },
    isReceiving: () => upload.users > 0,
    reader,
    release: () => reader.release(),
  };
}

function digestOf(document: FileDocument): Digest | null {
  const known = document.reprDigest;
  return known && { algorithm: known.algorithm, value: new Uint8Array(Buffer.from(known.value, 'base64')) };
}
