/**
 * A whole file in one body of unknown length (a part of a form, for example):
 *
 *     bytes → segments → workers → end of the stream → checks → one manifest record → seal
 *
 * No byte counts before the end of the body: until then no client sees the upload, and a failure leaves the previous file. An idle
 * unfinished upload of the name is therefore discarded only in the step in which the new file becomes complete.
 */
import type { Readable } from 'node:stream';
import type { Reader, SegmentRange } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import { type ErrorCode, LadingError } from '../../errors.ts';
import { MAX_OFFSET } from '../../protocol/chunk.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { BodyWriter, type Received } from '../body/body-writer.ts';
import { RequestBody, type RequestBodyDeps } from '../body/request-body.ts';
import type { TrailingDigests } from '../body/trailing-digests.ts';
import { assertAuthorized, fileTooLarge, uploadInProgress } from '../files/refusals.ts';
import type { Committer } from '../uploads/commit.ts';
import type { Lifetime } from '../uploads/lifetime.ts';
import type { CurrentFiles, Precondition } from '../uploads/preconditions.ts';
import type { Sealer } from '../uploads/seal.ts';
import { uploadStatus } from '../uploads/status.ts';
import type { Handles, OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import { freeNames } from './free-names.ts';
import { QuotaWriter, type QuotaWriterDeps } from './quota-writer.ts';

/** What a request says about a whole file before its bytes. Sizes in bytes. */
export interface FileIntent {
  owner: string;
  name: string;
  /** Replace the complete file of this name; readers get the old one until the new one is complete. */
  overwrite: boolean;
  /**
   * With `overwrite`: no upload of the name refuses it. Of several concurrent ones each becomes the file, and the one that completes last
   * stays.
   */
  newest?: boolean;
  /** Keeps a file or an upload that has the name. Makes the name for this file, which gets a number if it is taken too. */
  beside?: ((name: string) => string) | undefined;
  /** Null: by the name's extension. */
  contentType: string | null;
  /** Digest of the whole file. */
  reprDigest: Digest | null;
  /** The digest, when it follows the bytes. */
  trailingDigests?: TrailingDigests | undefined;
  /** Lower bound of its size. */
  minSize: number;
  /** False once the sender lost its right: then no byte counts, and the rest is not awaited. */
  isAuthorized?: () => boolean;
  /** Condition on the current file of the name. */
  precondition?: Precondition | undefined;
}

/** The received bytes, for an inspection before they count. */
export interface ReceivedFile extends Pick<Reader, 'read'> {
  size: number;
}

/** Refuses the received bytes by throwing. Resolves with the media type of the file; null: that of the intent. */
export type Inspect = (arrived: ReceivedFile) => Promise<string | null>;

/** The file of the name is no longer the one that was there when the request began. */
const CHANGED_CODES: ReadonlySet<string> = new Set<ErrorCode>(['not_found', 'already_exists']);

const ALL: Extent = { start: 0, end: MAX_OFFSET };

export interface FileUploadsDeps extends RequestBodyDeps, QuotaWriterDeps {
  catalog: Catalog;
  uploads: UploadTable;
  committer: Committer;
  current: CurrentFiles;
  sealer: Sealer;
  limits: { maxFileBytes: number } & Lifetime;
  /** Other requests know the upload, and none sends to it. */
  isIdle(upload: OpenUpload): boolean;
}

export class FileUploads {
  readonly #deps: FileUploadsDeps;

  constructor(deps: FileUploadsDeps) {
    this.#deps = deps;
  }

  /** Refuses before the bytes what can be refused then. @throws LadingError `already_exists`, `file_too_large`, `quota_exceeded`, `precondition_failed` */
  async admit({ owner, name, overwrite, newest, beside, minSize: leastSize, precondition }: FileIntent): Promise<void> {
    const { catalog, current, isIdle, limits, uploads, usage } = this.#deps;
    if (leastSize > limits.maxFileBytes) throw fileTooLarge(leastSize, limits.maxFileBytes);
    const upload = beside ? undefined : uploads.find(owner, name);
    const inUse = upload && (!upload.isVisible || (!upload.isContiguous && !isIdle(upload)));
    if (!newest && (inUse || (upload && !overwrite))) throw uploadInProgress();
    await current.assert(precondition, owner, name);
    if (!beside && !overwrite && (await catalog.find(owner, name)).sealed) throw fileExists();
    usage.check(owner, { bytes: leastSize, dayBytes: leastSize, openUploads: 1 });
  }

  /** Reads `source` to its end; resolves when the file is complete and on stable storage. */
  async receive(source: Readable, intent: FileIntent, inspect: Inspect): Promise<FileStatus> {
    const { maxFileBytes } = this.#deps.limits;
    // Until the writer begins, and after it, the server is what is waited for.
    const body = new RequestBody(this.#deps, source, { isAuthorized: intent.isAuthorized });
    try {
      return await this.#enterNamed(intent, async (upload, handles) => {
        const writer = new QuotaWriter(this.#deps, upload, handles.part, { maxFileBytes, minSyncBytes: 0 });
        try {
          const plan: SegmentRange[] = [{ extent: ALL, action: 'write' }];
          const received = await body.receive(
            new BodyWriter(body.buffer, writer.write, this.#deps.buffers, ALL, plan, true),
          );
          return await this.#commit(upload, handles, received, intent, inspect, () => writer.releaseQuota());
        } finally {
          writer.releaseQuota();
        }
      });
    } catch (error) {
      // The file was deleted or made by somebody else while the bytes arrived: a precondition is then what failed.
      if (error instanceof LadingError && CHANGED_CODES.has(error.code))
        await this.#deps.current.assert(intent.precondition, intent.owner, intent.name);
      throw error;
    } finally {
      body.close();
    }
  }

  /** As `#enter`, under the first free name if the intent has `beside`. */
  async #enterNamed(intent: FileIntent, work: (upload: OpenUpload, handles: Handles) => Promise<FileStatus>) {
    let working = false;
    for await (const name of intent.beside ? freeNames(this.#deps, intent, intent.beside) : []) {
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
    const { overwrite, newest = false } = intent;
    for (;;) {
      const { upload, handles } = await this.#place(intent);
      try {
        if (overwrite && upload.isVisible && upload.isContiguous && upload.senders === 1) {
          // No client declared it complete: if the new file never arrives, it can still be continued.
          await sealer.seal(upload, true);
          continue;
        }
        const whole = upload.isVisible ? null : upload.tryReserve(ALL);
        if (!whole) throw uploadInProgress();
        upload.isFileUpload = true;
        upload.takesNameAlways = newest;
        try {
          return await work(upload, handles);
        } finally {
          upload.isFileUpload = false;
          upload.takesNameAlways = false;
          whole.release();
        }
      } finally {
        await uploads.leave(upload);
      }
    }
  }

  /** Enters beside idle unfinished uploads of the name, if there are any; otherwise at the name itself. With `newest` always beside. */
  async #place({ owner, name, overwrite, newest }: FileIntent): Promise<{ upload: OpenUpload; handles: Handles }> {
    const { uploads, isIdle } = this.#deps;
    const there = uploads.find(owner, name);
    const idle = there ? isIdle(there) && !there.isContiguous : uploads.waitingFor(owner, name).length > 0;
    if (newest || (overwrite && idle)) return await uploads.enterWaiting(owner, name);
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
      reprDigest: before,
      trailingDigests: behind,
      isAuthorized: stands,
      precondition,
    } = intent;
    const size = (fresh.at(-1)?.end ?? -1) + 1;
    // The content of this request is the whole file, so its digest is that of the file.
    const reprDigest = behind?.reprDigest?.() ?? behind?.contentDigest?.() ?? before;
    const found = await inspect({ size, read: (into, position) => handles.part.read(into, position) });
    upload.assertNotEnded();
    assertAuthorized(stands);
    const judge = async (): Promise<void> => {
      await current.assert(precondition, owner, name);
      // It left the name to another upload, which may be complete by now.
      if (!overwrite && upload.document.aside && (await catalog.find(owner, name)).sealed) throw fileExists();
    };
    await judge();
    const declaration = { size, reprDigest, contentType: found ?? contentType, atOnce: true };
    await committer.commit(upload, handles, fresh, declaration);
    releaseQuota();
    await sealer.seal(upload, false, judge);
    return uploadStatus(upload, limits);
  }
}

function fileExists(): LadingError {
  return new LadingError('already_exists', 'A file of this name exists. Send overwrite=true to replace it.');
}
