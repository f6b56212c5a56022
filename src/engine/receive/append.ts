/**
 * One append request, from its first byte to the last commit:
 *
 *     body → body buffer → segments → workers → commit → more bytes → commit → … → seal if that was the last gap
 */
import type { Readable } from 'node:stream';
import type { Inspector } from '../../contracts/blobs.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import { MAX_OFFSET } from '../../protocol/chunk.ts';
import { crc32Combine } from '../../protocol/crc32.ts';
import { lengthOf } from '../../protocol/extents.ts';
import { MIB } from '../../protocol/sizes.ts';
import { BodyWriter } from '../body/body-writer.ts';
import { RequestBody, type RequestBodyDeps } from '../body/request-body.ts';
import { assertAuthorized, chunkConflict, fileTooLarge, outOfBounds } from '../files/refusals.ts';
import type { Watchers } from '../files/watchers.ts';
import type { Committer, FreshExtent } from '../uploads/commit.ts';
import type { Declaration } from '../uploads/declaration.ts';
import type { CurrentFiles } from '../uploads/preconditions.ts';
import type { Sealer } from '../uploads/seal.ts';
import type { Succession } from '../uploads/succession.ts';
import type { Handles, OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import { checkProof, endsEarly } from './append-checks.ts';
import { planRanges } from './chunk-bytes.ts';
import { QuotaWriter, type QuotaWriterDeps } from './quota-writer.ts';
import type { ActiveRequest, AppendIntent } from './upload-resource.ts';

/** Maximum number of bytes per commit: enough that its two syncs take little time compared with the transfer. */
const MAX_COMMIT_BYTES = 16 * MIB;
/** Maximum time between commits while bytes arrive, however slow the sender is. */
const MAX_COMMIT_INTERVAL_MS = 2_000;

/** Segments up to this size start no sync of their own. */
const MIN_SYNC_BYTES = MIB / 2;

export interface AppendDeps extends RequestBodyDeps, QuotaWriterDeps {
  limits: { maxFileBytes: number };
  inspector: Inspector;
  uploads: UploadTable;
  committer: Committer;
  current: CurrentFiles;
  sealer: Sealer;
  succession: Succession;
  watchers: Watchers;
  sealLater(upload: OpenUpload): void;
  emit(event: FileEvent): void;
}

export class Append {
  readonly #deps: AppendDeps;

  constructor(deps: AppendDeps) {
    this.#deps = deps;
  }

  /**
   * Appends the bytes of `source`. The caller has checked the offset and the sizes. Without a proof, the bytes are kept even if this throws.
   * @throws LadingError as `ResumableUploads.append`
   */
  async run(source: Readable, upload: OpenUpload, intent: AppendIntent, request: ActiveRequest): Promise<void> {
    const { sealer, sealLater, uploads } = this.#deps;
    const body = new RequestBody(this.#deps, source, { isAuthorized: intent.isAuthorized, keepsPartial: true });
    const { buffer } = body;
    request.attach(buffer);
    try {
      uploads.resume(upload);
      await uploads.using(upload, async (handles) => {
        const reserved = await upload.reserve({ start: intent.offset, end: MAX_OFFSET }, buffer.failed);
        try {
          upload.assertNotEnded();
          await this.#appendAll(body, upload, handles, intent);
        } finally {
          reserved.release();
        }
      });
      if (upload.isComplete && !upload.isSealed) await sealer.seal(upload);
    } finally {
      body.close();
      sealLater(upload);
    }
    if (buffer.truncatedBy) throw buffer.truncatedBy;
  }

  /**
   * Reads to the end of the body, and commits what has arrived at intervals. With a proof, commits once, at the end of the body, or not at
   * all if the body breaks.
   */
  async #appendAll(body: RequestBody, upload: OpenUpload, handles: Handles, intent: AppendIntent): Promise<void> {
    const { buffers, committer, inspector, limits, succession } = this.#deps;
    const { buffer } = body;
    const declaration: Declaration = { size: intent.size, reprDigest: null, contentType: null };
    upload.check(declaration);
    const firstDeclared = intent.size !== null && upload.size === null;
    if (firstDeclared && !intent.proof) await committer.commit(upload, handles, [], declaration);
    let position = intent.offset;
    let crc = 0;
    let fresh: FreshExtent[] = [];
    const size = upload.size ?? intent.size;
    const last = (size ?? limits.maxFileBytes) - 1;
    const writer = new QuotaWriter(this.#deps, upload, handles.part, {
      maxFileBytes: MAX_OFFSET,
      minSyncBytes: MIN_SYNC_BYTES,
    });
    try {
      for (;;) {
        const extent = { start: position, end: Math.min(position + MAX_COMMIT_BYTES - 1, last) };
        const plan = extent.end < extent.start ? [] : planRanges(upload.stored, extent);
        const writing = new BodyWriter(buffer, writer.write, buffers, extent, plan, {
          mayEndEarly: true,
          pauseMs: MAX_COMMIT_INTERVAL_MS,
          toPart: intent.proof !== undefined,
        });
        const received = await body.receive(writing);
        if (received.conflict) throw chunkConflict();
        crc = crc32Combine(crc, received.crc32, writing.bytesDone);
        position += writing.bytesDone;
        fresh.push(...received.fresh);
        if (position > last) await this.#expectEnd(body, size, position);
        const isLast = position > last || (buffer.ended && buffer.bytes === 0);
        if (intent.proof && (!isLast || buffer.truncatedBy)) {
          if (isLast) return;
          continue;
        }
        if (intent.proof) {
          const all = { start: intent.offset, end: position - 1 };
          await checkProof(inspector, upload.id, all, crc, intent.proof());
        }
        const isEnd = isLast && intent.ends === true && !buffer.truncatedBy;
        const isEarly = isEnd && size !== null && position !== size;
        const reprDigest = (isEnd && intent.reprDigest?.()) || null;
        const declared: Declaration =
          isEnd && !isEarly ? { ...declaration, size: position, isEnd, reprDigest } : declaration;
        // Checked before the commit: if the seal refused the upload, its bytes would be complete, but not a file before the next sweep.
        if (isLast && !upload.document.resource?.final && upload.isCompleteWith(fresh, declared))
          succession.assertFree(upload);
        await this.#commit(upload, handles, fresh, declared, intent);
        if (isEarly) throw endsEarly(position, size);
        writer.releaseQuota();
        fresh = [];
        if (isLast) return;
        intent.onProgress?.(position);
      }
    } finally {
      writer.releaseQuota();
    }
  }

  async #commit(
    upload: OpenUpload,
    handles: Handles,
    fresh: FreshExtent[],
    declaration: Declaration,
    intent: AppendIntent,
  ): Promise<void> {
    const { committer, current, usage, watchers } = this.#deps;
    const { owner, name, resource } = upload.document;
    assertAuthorized(intent.isAuthorized);
    await current.assert(intent.precondition, owner, name);
    if (fresh.length === 0 && !declaration.isEnd && upload.declared(declaration) === upload.document) return;
    // A request that completes a file without more bytes is checked against the quota too.
    if (fresh.length === 0) usage.check(owner, { bytes: 0, dayBytes: 0 });
    await committer.commit(upload, handles, fresh, declaration);
    if (resource?.partial) return;
    watchers.notify(owner, name);
    const bytes = fresh.reduce((sum, piece) => sum + lengthOf(piece), 0);
    const { document: file, stored, size: total } = upload;
    if (bytes > 0) this.#deps.emit({ type: 'chunk.received', file, fresh: bytes, received: stored.bytes, total });
  }

  /** Throws when the body has bytes past the size. */
  async #expectEnd(body: RequestBody, size: number | null, position: number): Promise<void> {
    const { buffer } = body;
    if (buffer.bytes === 0 && !buffer.ended) await body.read(() => buffer.waitFor(1, null));
    if (buffer.bytes === 0) return;
    throw size === null
      ? fileTooLarge(position + buffer.bytes, this.#deps.limits.maxFileBytes)
      : outOfBounds(position, size);
  }
}
