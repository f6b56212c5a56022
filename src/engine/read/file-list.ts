/** The status of one name, the files of an owner page by page, and the uploads in progress. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Catalog } from '../../contracts/catalog.ts';
import type { FileStatus, UploadStatus } from '../../protocol/schemas/files.ts';
import type { DamagedFiles } from '../upkeep/damage.ts';
import type { Lifetime } from '../uploads/lifetime.ts';
import { MAX_GAPS, pendingStatus, sealedStatus, uploadStatus } from '../uploads/status.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';

/** Minimum number of names to read from the catalog at a time. */
const MIN_LIST_STEP = 100;

export interface FileListQuery {
  owner: string;
  prefix: string;
  /** The last name of the previous page; null for the first page. */
  cursor: string | null;
  limit: number;
  status: UploadStatus | null;
}

export interface FileListDeps {
  catalog: Catalog;
  uploads: UploadTable;
  damage: DamagedFiles;
  lifetime: Lifetime;
}

/** An upload in progress. */
export interface TransferStatus {
  owner: string;
  /** True for a partial upload of a concatenated file. */
  part: boolean;
  /** True while a request is sending to it. */
  receiving: boolean;
  file: FileStatus;
}

export class FileList {
  readonly #deps: FileListDeps;

  constructor(deps: FileListDeps) {
    this.#deps = deps;
  }

  /**
   * The status object of PROTOCOL §3; `pending` when the name has no file.
   * @param maxGaps maximum number of gaps to list
   */
  async status(owner: string, name: string, maxGaps = MAX_GAPS): Promise<FileStatus> {
    const { catalog, damage, lifetime, uploads } = this.#deps;
    const upload = uploads.findVisible(owner, name);
    if (upload) return uploadStatus(upload, lifetime, maxGaps);
    const { sealed } = await catalog.find(owner, name);
    return sealed ? sealedStatus(sealed, await damage.recheck(sealed)) : pendingStatus(name);
  }

  /** Uploads in progress of the owners that `wanted` accepts, most recently changed first. */
  transfers(wanted: (owner: string) => boolean): TransferStatus[] {
    const { lifetime, uploads } = this.#deps;
    const found: OpenUpload[] = [];
    for (const upload of uploads.all()) {
      if (upload.isVisible && !upload.isSealed && wanted(upload.document.owner)) found.push(upload);
    }
    found.sort((a, b) => b.lastCommitAt - a.lastCommitAt);
    return found.map((upload) => {
      const { owner, resource } = upload.document;
      const part = resource?.partial === true;
      const file = uploadStatus(upload, lifetime);
      return { owner, part, receiving: upload.users > 0, file: part ? { ...file, filename: 'part' } : file };
    });
  }

  /** A page of an owner's files, by name. With a status filter, few of the names may match, so the page is filled in steps. */
  async list(query: FileListQuery): Promise<{ files: FileStatus[]; next_cursor: string | null }> {
    const { catalog, damage, lifetime, uploads } = this.#deps;
    const { owner, prefix, limit, status } = query;
    const files: FileStatus[] = [];
    let after = query.cursor;
    for (;;) {
      const step = Math.max(limit + 1 - files.length, MIN_LIST_STEP);
      const page = await catalog.list({ owner, prefix, after, limit: step });
      for (const { name, slot } of page) {
        if (files.length === limit) return { files, next_cursor: after };
        after = name;
        const upload = uploads.findVisible(owner, name);
        const found = upload
          ? uploadStatus(upload, lifetime)
          : slot.sealed && sealedStatus(slot.sealed, damage.bytesLeft(slot.sealed));
        if (found && (status === null || found.status === status)) files.push(found);
      }
      if (page.length < step) return { files, next_cursor: null };
      // A filter with few results must not block the event loop.
      await nextTurn();
    }
  }
}
