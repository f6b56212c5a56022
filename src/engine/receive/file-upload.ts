/**
 * Receives a whole file in one body of unknown length, such as a part of a form:
 *
 *     bytes → segments → workers → end of the stream → checks → one manifest record → seal
 *
 * Nothing is committed before the end of the body. Until then no client sees the upload, and a failure leaves the previous file in place.
 * So an idle unfinished upload of the same name is discarded only in the step that completes the new file.
 */
import type { Readable } from 'node:stream';
import type { Reader, SegmentRange } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import { type ErrorCode, LadingError } from '../../errors.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { BodyWriter, type Received } from '../body/body-writer.ts';
import { RequestBody, type RequestBodyDeps } from '../body/request-body.ts';
import type { TrailingDigests } from '../body/trailing-digests.ts';
import { assertAuthorized, fileTooLarge, uploadInProgress } from '../files/refusals.ts';
import { ALL_BYTES } from '../files/reservations.ts';
import type { Committer } from '../uploads/commit.ts';
import type { Lifetime } from '../uploads/lifetime.ts';
import type { CurrentFiles, Precondition } from '../uploads/preconditions.ts';
import type { Sealer } from '../uploads/seal.ts';
import { uploadStatus } from '../uploads/status.ts';
import type { Handles, OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import { freeNames } from './free-names.ts';
import { QuotaWriter, type QuotaWriterDeps } from './quota-writer.ts';

/** What a request declares about a whole file before it sends the bytes. Sizes in bytes. */
export interface FileIntent {
  owner: string;
  name: string;
  /** Replace the complete file of this name; readers get the old one until the new one is complete. */
  overwrite: boolean;
  /**
   * With `overwrite`: other uploads of the name never cause a refusal. Of several concurrent files, the one that completes last wins.
   */
  lastWins?: boolean;
  /** If the name is taken, stores the file under the name that this function returns, with a number if that is taken too. */
  nameIfTaken?: ((name: string) => string) | undefined;
  /** Null: derived from the extension of the name. */
  contentType: string | null;
  /** Digest of the whole file. */
  reprDigest: Digest | null;
  /** The digest, when it follows the bytes. */
  trailingDigests?: TrailingDigests | undefined;
  /** Lower bound of its size. */
  minSize: number;
  /** False once the sender's authorization was revoked. The file is then refused, and its remaining bytes are not awaited. */
  isAuthorized?: () => boolean;
  /** Condition on the current file of the name. */
  precondition?: Precondition | undefined;
}

/** The received bytes, to be inspected before they are committed. */
export interface ReceivedFile extends Pick<Reader, 'read'> {
  size: number;
}

/** Inspects the received bytes, and throws to refuse them. Resolves with the media type of the file; null: that of the intent. */
export type Inspect = (arrived: ReceivedFile) => Promise<string | null>;

/** Codes that show that the file of the name changed after the request began. */
const CHANGED_CODES: ReadonlySet<string> = new Set<ErrorCode>(['not_found', 'already_exists']);

export interface FileUploadsDeps extends RequestBodyDeps, QuotaWriterDeps {
  catalog: Catalog;
  uploads: UploadTable;
  committer: Committer;
  current: CurrentFiles;
  sealer: Sealer;
  limits: { maxFileBytes: number } & Lifetime;
  /** True when the upload is visible to other requests and none is sending to it. */
  isIdle(upload: OpenUpload): boolean;
}

export class FileUploads {
  readonly #deps: FileUploadsDeps;

  constructor(deps: FileUploadsDeps) {
    this.#deps = deps;
  }

  /** Checks the request before its body is read. @throws LadingError `already_exists`, `file_too_large`, `quota_exceeded`, `precondition_failed` */
  async admit({ owner, name, overwrite, lastWins, nameIfTaken, minSize, precondition }: FileIntent): Promise<void> {
    const { catalog, current, isIdle, limits, uploads, usage } = this.#deps;
    if (minSize > limits.maxFileBytes) throw fileTooLarge(minSize, limits.maxFileBytes);
    const upload = nameIfTaken ? undefined : uploads.find(owner, name);
    const inUse = upload && (!upload.isVisible || (!upload.isContiguous && !isIdle(upload)));
    if (!lastWins && (inUse || (upload && !overwrite))) throw uploadInProgress();
    await current.assert(precondition, owner, name);
    if (!nameIfTaken && !overwrite && (await catalog.find(owner, name)).sealed) throw fileExists();
    usage.check(owner, { bytes: minSize, dayBytes: minSize, openUploads: 1 });
  }

  /** Reads `source` to its end; resolves when the file is complete and on stable storage. */
  async receive(source: Readable, intent: FileIntent, inspect: Inspect): Promise<FileStatus> {
    const { maxFileBytes } = this.#deps.limits;
    // The client is measured only while the writer reads. Before and after that it waits for the server.
    const body = new RequestBody(this.#deps, source, { isAuthorized: intent.isAuthorized });
    try {
      return await this.#enterNamed(intent, async (upload, handles) => {
        const writer = new QuotaWriter(this.#deps, upload, handles.part, { maxFileBytes, minSyncBytes: 0 });
        try {
          const plan: SegmentRange[] = [{ extent: ALL_BYTES, action: 'write' }];
          const received = await body.receive(
            new BodyWriter(body.buffer, writer.write, this.#deps.buffers, ALL_BYTES, plan, { mayEndEarly: true }),
          );
          return await this.#commit(upload, handles, received, intent, inspect, () => writer.releaseQuota());
        } finally {
          writer.releaseQuota();
        }
      });
    } catch (error) {
      // If another request deleted or created the file while the bytes arrived, the precondition explains the failure better.
      if (error instanceof LadingError && CHANGED_CODES.has(error.code))
        await this.#deps.current.assert(intent.precondition, intent.owner, intent.name);
      throw error;
    } finally {
      body.close();
    }
  }

  /** As `#enter`, but with `nameIfTaken` under the first free name. */
  async #enterNamed(intent: FileIntent, work: (upload: OpenUpload, handles: Handles) => Promise<FileStatus>) {
    let working = false;
    for await (const name of intent.nameIfTaken ? freeNames(this.#deps, intent, intent.nameIfTaken) : []) {
      try {
        return await this.#enter({ ...intent, name }, (upload, handles) => {
          working = true;
          return work(upload, handles);
        });
      } catch (error) {
        const taken = error instanceof LadingError && error.code === 'already_exists';
        if (working || !taken) throw error;
      }
    }
    return await this.#enter(intent, work);
  }

  /** Runs `work` with an upload of its own, which is discarded unless `work` commits bytes. */
  async #enter(
    intent: FileIntent,
    work: (upload: OpenUpload, handles: Handles) => Promise<FileStatus>,
  ): Promise<FileStatus> {
    const { uploads, sealer } = this.#deps;
    const { overwrite, lastWins = false } = intent;
    for (;;) {
      const { upload, handles } = await this.#openUpload(intent);
      try {
        if (overwrite && upload.isVisible && upload.isContiguous && upload.senders === 1) {
          // Sealed as a file that can be continued: no client has completed it, and the new file may never arrive.
          await sealer.seal(upload, true);
          continue;
        }
        const reserved = upload.isVisible ? null : upload.tryReserve(ALL_BYTES);
        if (!reserved) throw uploadInProgress();
        upload.isFileUpload = true;
        upload.takesNameAlways = lastWins;
        try {
          return await work(upload, handles);
        } finally {
          upload.isFileUpload = false;
          upload.takesNameAlways = false;
          reserved.release();
        }
      } finally {
        await uploads.leave(upload);
      }
    }
  }

  /** Creates an upload that waits for the name if idle unfinished uploads have it, and always with `lastWins`. Otherwise takes the name. */
  async #openUpload({
    owner,
    name,
    overwrite,
    lastWins,
  }: FileIntent): Promise<{ upload: OpenUpload; handles: Handles }> {
    const { uploads, isIdle } = this.#deps;
    const holder = uploads.find(owner, name);
    const idle = holder ? isIdle(holder) && !holder.isContiguous : uploads.waitingFor(owner, name).length > 0;
    if (lastWins || (overwrite && idle)) return await uploads.enterWaiting(owner, name);
    const { target, handles } = await uploads.enter(owner, name, overwrite);
    if ('sealed' in target || !handles) throw fileExists();
    return { upload: target.upload, handles };
  }

  async #commit(
    upload: OpenUpload,
    handles: Handles,
    { fresh }: Received,
    intent: FileIntent,
    inspect: Inspect,
    releaseQuota: () => void,
  ): Promise<FileStatus> {
    const { catalog, committer, current, limits, sealer } = this.#deps;
    const {
      owner,
      name,
      overwrite,
      contentType,
      reprDigest: leadingDigest,
      trailingDigests,
      isAuthorized,
      precondition,
    } = intent;
    const size = (fresh.at(-1)?.end ?? -1) + 1;
    // The content of this request is the whole file, so its digest is that of the file.
    const reprDigest = trailingDigests?.reprDigest?.() ?? trailingDigests?.contentDigest?.() ?? leadingDigest;
    const detectedType = await inspect({ size, read: (into, position) => readFresh(fresh, handles, into, position) });
    upload.assertNotEnded();
    assertAuthorized(isAuthorized);
    const assertAllowed = async (): Promise<void> => {
      await current.assert(precondition, owner, name);
      // This upload gave up its name to another upload, which may be complete by now.
      if (!overwrite && upload.document.aside && (await catalog.find(owner, name)).sealed) throw fileExists();
    };
    await assertAllowed();
    const declaration = { size, reprDigest, contentType: detectedType ?? contentType, atOnce: true };
    await committer.commit(upload, handles, fresh, declaration);
    releaseQuota();
    await sealer.seal(upload, false, assertAllowed);
    return uploadStatus(upload, limits);
  }
}

/** Reads bytes that are not committed yet, from the part or from the extent that keeps them. */
async function readFresh(
  fresh: Received['fresh'],
  { part }: Handles,
  into: Uint8Array,
  position: number,
): Promise<number> {
  const kept = fresh[0]?.bytes;
  if (!kept) return await part.read(into, position);
  const slice = kept.subarray(position, position + into.length);
  into.set(slice);
  return slice.length;
}

function fileExists(): LadingError {
  return new LadingError('already_exists', 'A file of this name exists. Send overwrite=true to replace it.');
}
