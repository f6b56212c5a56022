/**
 * Uploads with an address of their own, to which bytes are appended in requests of any length (tus):
 *
 *     create → document → append: bytes → segments → workers → rounds, each committed by itself → … → seal
 *
 * A round ends with the body, after so many bytes, or after so long; a body that breaks ends where it broke. So what arrived counts
 * whatever becomes of the connection, and a crash loses one round at most. Who asks for the offset or appends anew takes over:
 * a request that still receives is ended, what arrived with it is committed, and only then the offset is told.
 */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { LadingError } from '../../errors.ts';
import { MAX_OFFSET } from '../../protocol/chunk.ts';
import type { FileDocument } from '../../records/file.ts';
import { fileTooLarge, outOfBounds, uploadInProgress } from '../files/refusals.ts';
import { noName } from '../files/watchers.ts';
import { expiryOf } from '../uploads/parking.ts';
import type { Precondition } from '../uploads/preconditions.ts';
import type { Handles, OpenUpload } from '../uploads/upload.ts';
import { Append } from './append.ts';
import { freeNames } from './beside.ts';
import type { ReceiveDeps } from './chunk-upload.ts';
import { Concatenation, sizeOf } from './concatenation.ts';
import {
  ActiveRequest,
  type AppendIntent,
  hashOf,
  noSuchUpload,
  type ResourceAddress,
  type ResourceIntent,
  type ResourceState,
  resourceDocument,
  sameHash,
} from './upload-resource.ts';

const ALL = { start: 0, end: MAX_OFFSET };
/** Unfinished uploads that wait for one name. */
const MAX_WAITING = 8;

export class ResumableUploads {
  readonly #deps: ReceiveDeps;
  readonly #cancel: (upload: OpenUpload) => Promise<unknown>;
  readonly #activeRequests: Map<string, ActiveRequest>;
  readonly #append: Append;
  readonly #concatenation: Concatenation;

  /**
   * @param cancel ends an unfinished upload and removes it
   * @param track has a stop of the server wait for what no request waits for
   */
  constructor(
    deps: ReceiveDeps,
    cancel: (upload: OpenUpload) => Promise<unknown>,
    track: (work: () => Promise<void>) => Promise<void>,
  ) {
    this.#deps = deps;
    this.#activeRequests = deps.activeRequests;
    this.#cancel = cancel;
    this.#append = new Append(deps);
    this.#concatenation = new Concatenation(deps, this.#append, this.#activeRequests, track);
  }

  /**
   * @throws LadingError `file_too_large`, `quota_exceeded`, `already_exists`, `precondition_failed`,
   * `insufficient_storage`, of a join `invalid_request`
   */
  async create(intent: ResourceIntent): Promise<ResourceAddress> {
    const { current, usage, limits } = this.#deps;
    const { owner, join } = intent;
    const parts = join ? await this.#concatenation.partsOf(owner, join, (address) => this.find(address)) : [];
    const size = join ? sizeOf(parts) : intent.size;
    if (size !== null && size > limits.maxFileBytes) throw fileTooLarge(size, limits.maxFileBytes);
    usage.check(owner, { bytes: size ?? 0, dayBytes: size ?? 0, openUploads: 1 });
    await current.assert(intent.precondition, owner, intent.name);
    const { upload, address } = await this.#createUpload({ ...intent, size }, parts);
    try {
      if (upload.isComplete) await this.#deps.sealer.seal(upload);
      else if (join) await this.#concatenation.start(upload);
    } catch (error) {
      // Nobody was told where it is.
      await this.remove(address).catch(() => {});
      throw error;
    }
    return address;
  }

  /** The upload of a name that is free, or made so. */
  async #createUpload(
    intent: ResourceIntent,
    parts: FileDocument[],
  ): Promise<{ upload: OpenUpload; address: ResourceAddress }> {
    const { uploads, committer, current } = this.#deps;
    const { owner } = intent;
    const secret = randomBytes(24).toString('base64url');
    for await (const name of this.#namesFor(intent)) {
      const entered = await this.#enter(intent, name);
      if (!entered) continue;
      const { upload, handles } = entered;
      const held = upload.visible ? null : upload.tryReserve(ALL);
      try {
        if (!held || upload.document.resource) continue;
        const before = upload.document;
        // At once: who else has come for the name is to see that it has an address.
        upload.document = { ...before, resource: resourceDocument(intent, secret, parts) };
        try {
          await current.assert(intent.precondition, owner, intent.name);
          const { size, contentType, reprDigest = null } = intent;
          await committer.commit(upload, handles, [], { size, reprDigest, contentType });
        } catch (error) {
          if (!upload.visible) upload.document = before;
          throw error;
        }
        if (!intent.partial) this.#deps.watchers.changed(owner, name);
        return { upload, address: { id: upload.id, secret } };
      } finally {
        held?.release();
        await uploads.leave(upload);
      }
    }
    throw new LadingError('already_exists', 'There is a file of this name, or it is being uploaded.');
  }

  /** Names to try, one after the other. */
  #namesFor({ owner, name, place, partial }: ResourceIntent): Iterable<string> | AsyncIterable<string> {
    // No file can have this name, so no file stands in the way, and nobody gets at the piece but by its address.
    if (partial) return [noName()];
    if (place !== 'beside') return [name];
    return freeNames(this.#deps, { owner, name });
  }

  /** Null when the name is taken. What is to replace an unfinished upload that nobody sends to waits beside it until it is complete. */
  async #enter(
    { owner, place }: ResourceIntent,
    name: string,
  ): Promise<{ upload: OpenUpload; handles: Handles } | null> {
    const { uploads, catalog, isIdle } = this.#deps;
    const instead = place === 'instead';
    const there = uploads.find(owner, name);
    if (there && !(instead && isIdle(there))) return null;
    const waiting = instead ? uploads.waitingFor(owner, name) : [];
    if (there || waiting.length > 0) {
      await this.#makeRoom(waiting);
      const entered = await uploads.enterWaiting(owner, name);
      // Others may have begun meanwhile.
      if (uploads.waitingFor(owner, name).indexOf(entered.upload) < MAX_WAITING) return entered;
      await uploads.leave(entered.upload);
      throw uploadInProgress();
    }
    if (!instead && (await catalog.find(owner, name)).sealed) return null;
    const { target, handles } = await uploads.enter(owner, name, instead);
    return 'sealed' in target || !handles ? null : { upload: target.upload, handles };
  }

  /**
   * Whoever was never told of the address of an upload begins anew, again and again: of those the oldest one ends.
   * @throws LadingError `already_exists`
   */
  async #makeRoom(waiting: OpenUpload[]): Promise<void> {
    if (waiting.length < MAX_WAITING) return;
    const lost = waiting.find((upload) => !upload.acknowledged && this.#deps.isIdle(upload));
    if (!lost) throw uploadInProgress();
    await this.#cancel(lost);
  }

  /**
   * How far the upload is. A request that receives into it is ended first.
   * @throws LadingError `not_found`
   */
  async state(address: ResourceAddress): Promise<ResourceState> {
    const { kind } = await this.find(address);
    // What this side does itself needs nobody else to go on.
    if (kind !== 'join') await this.#takeOver(address.id);
    return await this.find(address);
  }

  /** For who knows the address: as `state`, and whoever receives goes on. */
  async look(address: ResourceAddress): Promise<ResourceState> {
    const state = await this.find(address);
    await this.#acknowledge(address.id);
    return state;
  }

  async #acknowledge(id: string): Promise<void> {
    const document = await this.#deps.catalog.get(id);
    const upload = document && this.#deps.uploads.of(document);
    if (upload) upload.acknowledged = true;
  }

  /** As `look`, for this side itself. */
  async find({ id, secret }: ResourceAddress): Promise<ResourceState> {
    const document = await this.#deps.catalog.get(id);
    const resource = document?.resource;
    if (!document || !resource || !sameHash(resource.keyHash, hashOf(secret))) throw noSuchUpload();
    const { owner, name } = document;
    const { creator, metadata, partial, final, endsWhenTold = false } = resource;
    const { clock, limits } = this.#deps;
    const kind = partial ? 'partial' : final ? 'join' : 'plain';
    const shared = { owner, name, creator, metadata, kind, said: final?.said ?? null, endsWhenTold } as const;
    if (document.state === 'sealed') {
      const size = document.size ?? 0;
      // The address is good as long after the end as it would have been without one.
      if (clock.since(document.completedAt ?? 0) >= limits.staleMs + (limits.removeMs ?? Number.POSITIVE_INFINITY))
        throw noSuchUpload();
      return { ...shared, offset: size, size, complete: true, expiresAt: null };
    }
    const upload = this.#deps.uploads.of(document);
    if (!upload) throw noSuchUpload();
    const expiresAt = expiryOf(upload, limits);
    const offset = upload.stored.firstGap();
    const complete = upload.sealed || (kind === 'partial' && upload.hasAllBytes);
    const size = final && upload.size === null ? await this.#concatenation.sizeOf(final.parts) : upload.size;
    return { ...shared, offset, size, complete, expiresAt };
  }

  /**
   * Appends what `source` brings, up to its end or to where it breaks, and resolves with how far the upload is then. When the request
   * was ended before its end it throws why; what arrived until then counts all the same, unless there is a `proof`.
   * @throws LadingError `not_found`, `forbidden` for a join, `offset_mismatch`, `out_of_bounds`, `size_conflict`, `file_too_large`,
   * `quota_exceeded`, `superseded`, `request_timeout`, `length_mismatch`, `checksum_mismatch`, `precondition_failed`, `insufficient_storage`
   */
  async append(source: Readable, address: ResourceAddress, intent: AppendIntent): Promise<ResourceState> {
    const { kind } = await this.find(address);
    if (kind === 'join')
      throw new LadingError('forbidden', 'This upload is made of others; nothing can be appended to it.');
    const running = await this.#claim(address.id);
    let part: OpenUpload | null = null;
    try {
      const { owner, name, offset, size, complete } = await this.find(address);
      this.#check(intent, offset, size);
      await this.#deps.current.assert(intent.precondition, owner, name);
      if (!complete) {
        const document = await this.#deps.catalog.get(address.id);
        const upload = document && this.#deps.uploads.of(document);
        if (!upload) throw noSuchUpload();
        if (kind === 'partial') part = upload;
        await this.#append.run(source, upload, intent, running);
      }
    } finally {
      this.#activeRequests.delete(address.id);
      running.finish();
      if (part?.hasAllBytes) this.#concatenation.partCompleted(part.id);
    }
    await this.#acknowledge(address.id);
    return await this.find(address);
  }

  /** Removes an unfinished upload; of a complete one only the address ends. Whoever receives is ended. @throws LadingError `not_found`, `precondition_failed` */
  async remove(address: ResourceAddress, precondition?: Precondition): Promise<void> {
    const { owner, name } = await this.find(address);
    await this.#deps.current.assert(precondition, owner, name);
    await this.#takeOver(address.id);
    const document = await this.#deps.catalog.get(address.id);
    if (!document) throw noSuchUpload();
    const upload = this.#deps.uploads.of(document);
    if (upload && !upload.sealed) await this.#cancel(upload);
    // Another file may take its place meanwhile.
    await this.#deps.catalog.amend(address.id, ({ resource: _, ...rest }) => rest);
  }

  /** After a start: joins that wait for parts, or that a stop interrupted, go on. */
  resume(): void {
    this.#concatenation.resume();
  }

  /** From here on this request alone receives into the upload, until another one takes over. */
  async #claim(id: string): Promise<ActiveRequest> {
    await this.#takeOver(id);
    // Others may have waited for the same end.
    while (this.#activeRequests.has(id)) await this.#takeOver(id);
    const running = new ActiveRequest();
    this.#activeRequests.set(id, running);
    return running;
  }

  async #takeOver(id: string): Promise<void> {
    for (let running = this.#activeRequests.get(id); running; running = this.#activeRequests.get(id)) {
      running.end(new LadingError('superseded', 'A newer request for this upload took over.'));
      await running.finished;
    }
  }

  #check(intent: AppendIntent, offset: number, known: number | null): void {
    const { maxFileBytes } = this.#deps.limits;
    if (intent.offset !== offset) {
      throw new LadingError('offset_mismatch', `The upload goes on at byte ${offset}, not at ${intent.offset}.`, {
        expected: offset,
        actual: intent.offset,
      });
    }
    const end = offset + (intent.contentLength ?? 0);
    const size = known ?? intent.size;
    // Bytes past the length end an upload that ends when it is told to; a wrong length alone does not.
    if (intent.ends !== undefined && size !== null && end > size && end > offset) throw outOfBounds(end - 1, size);
    if (intent.size !== null && known !== null && intent.size !== known) {
      throw new LadingError('size_conflict', `The size was declared as ${known}, not ${intent.size}.`, {
        expected: known,
        actual: intent.size,
      });
    }
    if (size !== null && size < offset) {
      throw new LadingError('size_conflict', `${offset} bytes are stored already; the size cannot be ${size}.`, {
        expected: offset,
        actual: size,
      });
    }
    if (size !== null && size > maxFileBytes) throw fileTooLarge(size, maxFileBytes);
    if (size !== null && end > size) throw outOfBounds(end - 1, size);
    if (end > maxFileBytes) throw fileTooLarge(end, maxFileBytes);
  }
}
