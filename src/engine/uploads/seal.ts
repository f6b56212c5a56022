/**
 * The commit point of a file: an upload that has all bytes becomes the file of its name.
 *
 *     complete? → digest matches? → journal synced → truncate, sync, rename, sync directory → sealed document  ← now it is complete
 *
 * Until the document is on the disk, the file is still an upload. Every step before that can be repeated, so the next start finishes an
 * interrupted seal.
 */
import type { BlobStore, Inspector } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import type { ManifestStore } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';
import { type Announce, withAnnouncement } from '../files/announce.ts';
import { removeBytes } from '../files/file-blobs.ts';
import type { LastModified } from '../files/last-modified.ts';
import type { Watchers } from '../files/watchers.ts';
import type { Committer } from './commit.ts';
import type { Succession } from './succession.ts';
import type { OpenUpload } from './upload.ts';
import type { UploadTable } from './upload-table.ts';

/** Maximum time by which the completion date of a replacement may lie in the future. */
const MAX_SHIFT_MS = 60_000;

type Times = Pick<FileDocument, 'completedAt' | 'sealedAt' | 'modifiedAt'>;

export interface SealerDeps {
  blobs: BlobStore;
  manifests: ManifestStore;
  catalog: Catalog;
  inspector: Inspector;
  clock: Clock;
  uploads: UploadTable;
  modified: LastModified;
  committer: Committer;
  watchers: Watchers;
  succession: Succession;
  emit(event: FileEvent): void;
  announce: Announce;
  /** Logs a failure after the seal, when the request has already succeeded. */
  warn(message: string, error: unknown): void;
}

export class Sealer {
  readonly #deps: SealerDeps;

  constructor(deps: SealerDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when the upload is the file of its name. The caller has checked that the upload is complete.
   * @param afterSilence the upload is sealed because it was silent: later bytes can continue the file, and a digest that does not match yet
   * does not discard it
   * @param assertAllowed called right before a waiting upload takes its name; an error that it throws leaves everything unchanged
   * @throws LadingError `already_exists` when a request sends to the upload that has the name, `digest_mismatch`
   */
  seal(upload: OpenUpload, afterSilence = false, assertAllowed?: () => Promise<void>): Promise<void> {
    return upload.phase.seal(() => this.#run(upload, afterSilence, assertAllowed));
  }

  async #run(upload: OpenUpload, afterSilence: boolean, assertAllowed?: () => Promise<void>): Promise<void> {
    const { phase } = upload;
    while (phase.replacing) await phase.replacing;
    if (phase.isSealed) return;
    try {
      upload.assertNotEnded();
      phase.beginSeal();
      await this.#sealClosed(upload, afterSilence, assertAllowed).catch((error: unknown) => {
        phase.sealFailed();
        throw error;
      });
    } finally {
      this.#deps.uploads.nameFreed(upload);
    }
  }

  async #sealClosed(upload: OpenUpload, afterSilence: boolean, assertAllowed?: () => Promise<void>): Promise<void> {
    await this.#deps.committer.idle(upload);
    // A refused chunk past the end may still be writing. The seal truncates its bytes, so wait for the write.
    await upload.writesDone();
    upload.assertNotEnded();
    await this.#checkDigest(upload, afterSilence);
    if (afterSilence && hasNoNewByte(upload)) return await this.#restoreFile(upload);
    const { owner, name, aside } = upload.document;
    if (aside) await this.#deps.uploads.holdName(owner, name, () => this.#replaceHolder(upload, assertAllowed));
    else await this.#becomeFile(upload, afterSilence, []);
  }

  /** The continuation received no byte: the upload becomes the previous file again, without a second completion. */
  async #restoreFile(upload: OpenUpload): Promise<void> {
    const reason = new LadingError('not_found', 'The file of this name is complete and was not continued.');
    await this.#deps.uploads.discard(upload, reason, async () => {});
    this.#deps.watchers.notify(upload.document.owner, upload.document.name);
  }

  /** Seals an upload that waited for its name, and ends the upload that has it. */
  async #replaceHolder(upload: OpenUpload, assertAllowed?: () => Promise<void>): Promise<void> {
    const { catalog, succession } = this.#deps;
    const { owner, name } = upload.document;
    upload.assertNotEnded();
    await succession.replace(
      upload,
      // An upload of undeclared size is sealed as a file that can be continued, in case the new file fails.
      (other) => this.seal(other, !other.isComplete),
      async (ended) => {
        await assertAllowed?.();
        const { sealed } = await catalog.find(owner, name);
        // A continuation stands for the complete file that it continues.
        const continued = ended.find(({ document }) => document.continues);
        upload.document = { ...upload.document, replaces: sealed?.id ?? continued?.id ?? null };
        await this.#becomeFile(upload, false, ended);
      },
      assertAllowed,
    );
  }

  async #becomeFile(upload: OpenUpload, afterSilence: boolean, ended: OpenUpload[]): Promise<void> {
    const { replaces } = upload.document;
    const ends = ended.map(({ id }) => id);
    const replacesFile = replaces !== null && !ends.includes(replaces);
    await this.#deps.uploads.failedRemovals.retry(upload.document.owner, upload.document.name);
    const replaced = replacesFile ? ((await this.#deps.catalog.get(replaces)) ?? { id: replaces }) : null;
    await this.#storeSealed(upload, afterSilence, ends);
    this.#deps.uploads.drop(upload);
    this.#deps.watchers.notify(upload.document.owner, upload.document.name);
    if (!replaced) return;
    await removeBytes(this.#deps.blobs, replaced).catch((error: unknown) => {
      this.#deps.warn('the bytes of a replaced file could not be removed; the next start tries again', error);
    });
  }

  async #checkDigest(upload: OpenUpload, afterSilence: boolean): Promise<void> {
    const declared = upload.document.reprDigest;
    if (!declared) return;
    const mismatch = await this.mismatch(upload.id, declared, upload.stored.end);
    if (!mismatch) return;
    if (afterSilence) {
      upload.digestMismatchAt = upload.stored.end;
      throw mismatch;
    }
    const { owner, name } = upload.document;
    const cancelled = { type: 'upload.cancelled' as const, file: upload.document, received: upload.stored.bytes };
    await withAnnouncement(this.#deps.announce, upload.isVisible ? [cancelled] : [], async () => {
      // While the digest was computed, another file may have taken the name of an upload that waited for it.
      while (upload.phase.replacing) await upload.phase.replacing;
      upload.assertNotEnded();
      await this.#deps.uploads.discard(upload, mismatch, async () => {});
      if (!upload.isVisible) return;
      this.#deps.watchers.notify(owner, name);
      this.#deps.emit(cancelled);
    });
    throw mismatch;
  }

  /** The error `digest_mismatch` if the first `size` bytes of an upload do not have this digest; otherwise null. */
  async mismatch(
    id: string,
    { algorithm, value }: NonNullable<FileDocument['reprDigest']>,
    size: number,
  ): Promise<LadingError | null> {
    const digest = await this.#deps.inspector.digest(id, algorithm, { start: 0, end: size - 1 });
    const actual = Buffer.from(digest).toString('base64');
    if (actual === value) return null;
    return new LadingError(
      'digest_mismatch',
      `The ${algorithm} of the whole file differs from Repr-Digest. The upload was discarded. Send the file again.`,
      { expected: value, actual, header: 'Repr-Digest', algorithm, provided_digest: value },
    );
  }

  async #storeSealed(upload: OpenUpload, afterSilence: boolean, ends: string[]): Promise<void> {
    const size = upload.stored.end;
    const crc32 = upload.stored.crc32IfComplete(size);
    if (crc32 === null) throw new Error('an upload with gaps cannot be sealed');
    await this.#deps.uploads.using(upload, ({ manifest }) => manifest.sync());
    // The blobs of a concatenated file are sealed already.
    await this.#deps.blobs.seal(upload.id, linkedBlobs(upload.document) ? 0 : size);
    const times = await this.#times(upload);
    const { continues: _, staleAt: __, aside: ___, ends: ____, modifiedAt: _____, ...open } = upload.document;
    const undeclared = afterSilence && open.size === null && open.reprDigest === null;
    const ended = ends.length > 0 ? { ends } : {};
    const sealed = { ...open, state: 'sealed' as const, size, crc32, ...times, ...ended };
    const document: FileDocument = undeclared ? { ...sealed, undeclared } : sealed;
    const created = upload.isVisible ? [] : [{ type: 'file.created' as const, file: document }];
    await withAnnouncement(this.#deps.announce, created, async () => {
      upload.assertNotEnded();
      upload.phase.beginDocument();
      await this.#deps.catalog.put(document);
      upload.document = document;
      if (!upload.isVisible) this.#deps.emit({ type: 'file.created', file: document });
      upload.phase.becomeSealed();
      this.#deps.emit({ type: 'file.completed', file: document });
    });
  }

  /**
   * Chooses the dates of the file. A replacement gets a completion date at least a second after that of the file that it replaces, so that the
   * dates differ, unless the clock was set back. An upload that was readable before keeps its date, because the seal does not change the file.
   */
  async #times(upload: OpenUpload): Promise<Times> {
    const { replaces, continues, ...document } = upload.document;
    const { clock, catalog, modified } = this.#deps;
    const now = clock.now();
    const replaced = replaces === null ? null : await catalog.get(replaces);
    const previous = continues ?? (replaced?.completedAt ? replaced : replaced?.continues);
    const date = previous?.completedAt ?? 0;
    const completedAt = date - now > MAX_SHIFT_MS ? now : Math.max(now, (Math.floor(date / 1000) + 1) * 1000);
    const lastModified = continues ? (document.modifiedAt ?? date) : replaced && (replaced.modifiedAt ?? date);
    const next = upload.isContiguous
      ? modified.next({ ...document, replaces }, lastModified, upload.lastCommitAt)
      : Math.max(modified.next({ ...document, replaces }, lastModified), completedAt);
    return { completedAt, sealedAt: clock.steady(), ...(next === completedAt ? {} : { modifiedAt: next }) };
  }
}

function hasNoNewByte({ document, stored }: OpenUpload): boolean {
  const { continues, reprDigest } = document;
  return continues !== undefined && reprDigest === null && stored.end === continues.size;
}
