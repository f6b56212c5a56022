/**
 * Uploads with a URL of their own, to which requests of any length append (tus, resumable uploads):
 *
 *     create → document → append: bytes → segments → workers → commits at intervals → … → seal
 *
 * Received bytes are committed at the end of the body and, before that, after a number of bytes or some time. So they are kept when the
 * connection breaks, and a crash loses only those since the last commit. A request for the offset, or a new append, takes over: it ends the
 * request that is still sending and waits until the bytes of that request are committed.
 */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { FileDocument } from '../../records/file.ts';
import { fileTooLarge, uploadInProgress } from '../files/refusals.ts';
import { ALL_BYTES } from '../files/reservations.ts';
import { noName } from '../files/watchers.ts';
import { expiryOf, type Lifetime } from '../uploads/lifetime.ts';
import type { Precondition } from '../uploads/preconditions.ts';
import type { Handles, OpenUpload } from '../uploads/upload.ts';
import { Append, type AppendDeps } from './append.ts';
import { checkAppend } from './append-checks.ts';
import { Concatenation, type ConcatenationDeps, sizeOf } from './concatenation.ts';
import { freeNames } from './free-names.ts';
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

/** Maximum number of unfinished uploads that wait for the same name. */
const MAX_WAITING = 8;

export interface ResumableUploadsDeps extends AppendDeps, ConcatenationDeps {
  clock: Clock;
  limits: { maxFileBytes: number } & Lifetime;
  /** True when the upload is visible to other requests and none is sending to it. */
  isIdle(upload: OpenUpload): boolean;
}

export class ResumableUploads {
  readonly #deps: ResumableUploadsDeps;
  readonly #cancel: (upload: OpenUpload) => Promise<unknown>;
  readonly #activeRequests: Map<string, ActiveRequest>;
  readonly #append: Append;
  readonly #concatenation: Concatenation;

  /**
   * @param cancel discards an unfinished upload
   * @param track runs background work; a stop of the server waits for it
   */
  constructor(
    deps: ResumableUploadsDeps,
    cancel: (upload: OpenUpload) => Promise<unknown>,
    track: (work: () => Promise<void>) => Promise<void>,
  ) {
    this.#deps = deps;
    this.#activeRequests = deps.activeRequests;
    this.#cancel = cancel;
    this.#append = new Append(deps);
    this.#concatenation = new Concatenation(deps, this.#append, track);
  }

  /**
   * @throws LadingError `file_too_large`, `quota_exceeded`, `already_exists`, `precondition_failed`,
   * `insufficient_storage`, and for a concatenation `invalid_request`
   */
  async create(intent: ResourceIntent): Promise<ResourceAddress> {
    const { current, usage, limits } = this.#deps;
    const { owner, concatenation } = intent;
    const parts = concatenation
      ? await this.#concatenation.partsOf(owner, concatenation, (address) => this.find(address))
      : [];
    const size = concatenation ? sizeOf(parts) : intent.size;
    if (size !== null && size > limits.maxFileBytes) throw fileTooLarge(size, limits.maxFileBytes);
    usage.check(owner, { bytes: size ?? 0, dayBytes: size ?? 0, openUploads: 1 });
    await current.assert(intent.precondition, owner, intent.name);
    const { upload, address } = await this.#createUpload({ ...intent, size }, parts);
    try {
      if (upload.isComplete) await this.#deps.sealer.seal(upload);
      else if (concatenation) await this.#concatenation.start(upload);
    } catch (error) {
      // No client knows the URL, so nobody could continue or remove the upload.
      await this.remove(address).catch(() => {});
      throw error;
    }
    return address;
  }

  /** Creates the upload under a free name. */
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
      const reserved = upload.isVisible ? null : upload.tryReserve(ALL_BYTES);
      try {
        if (!reserved || upload.document.resource) continue;
        const before = upload.document;
        // Set before the commit: concurrent requests for the name must see that the upload has an address.
        upload.document = { ...before, resource: resourceDocument(intent, secret, parts) };
        try {
          await current.assert(intent.precondition, owner, intent.name);
          const { size, contentType, reprDigest = null } = intent;
          await committer.commit(upload, handles, [], { size, reprDigest, contentType });
        } catch (error) {
          if (!upload.isVisible) upload.document = before;
          throw error;
        }
        if (!intent.partial) this.#deps.watchers.notify(owner, name);
        return { upload, address: { id: upload.id, secret } };
      } finally {
        reserved?.release();
        await uploads.leave(upload);
      }
    }
    throw new LadingError('already_exists', 'A file of this name exists or is being uploaded.');
  }

  /** The names to try, in order. */
  #namesFor({ owner, name, ifTaken, partial }: ResourceIntent): Iterable<string> | AsyncIterable<string> {
    // No file can have this name, so the part never conflicts with a file and is reachable only at its URL.
    if (partial) return [noName()];
    if (ifTaken !== 'rename') return [name];
    return freeNames(this.#deps, { owner, name });
  }

  /** Null when the name is taken. An upload that replaces an idle unfinished upload waits beside it until it is complete. */
  async #enter(
    { owner, ifTaken }: ResourceIntent,
    name: string,
  ): Promise<{ upload: OpenUpload; handles: Handles } | null> {
    const { uploads, catalog, isIdle } = this.#deps;
    const replaces = ifTaken === 'replace';
    const holder = uploads.find(owner, name);
    if (holder && !(replaces && isIdle(holder))) return null;
    const waiting = replaces ? uploads.waitingFor(owner, name) : [];
    if (holder || waiting.length > 0) {
      await this.#makeRoom(waiting);
      const entered = await uploads.enterWaiting(owner, name);
      // Other uploads may have begun meanwhile.
      if (uploads.waitingFor(owner, name).indexOf(entered.upload) < MAX_WAITING) return entered;
      await uploads.leave(entered.upload);
      throw uploadInProgress();
    }
    if (!replaces && (await catalog.find(owner, name)).sealed) return null;
    const { target, handles } = await uploads.enter(owner, name, replaces);
    return 'sealed' in target || !handles ? null : { upload: target.upload, handles };
  }

  /**
   * Cancels the oldest upload whose client never used its URL. A client that keeps losing the reply with the URL creates upload after upload.
   * @throws LadingError `already_exists`
   */
  async #makeRoom(waiting: OpenUpload[]): Promise<void> {
    if (waiting.length < MAX_WAITING) return;
    const lost = waiting.find((upload) => !upload.acknowledged && this.#deps.isIdle(upload));
    if (!lost) throw uploadInProgress();
    await this.#cancel(lost);
  }

  /**
   * The state of the upload. A request that sends to it is ended first.
   * @throws LadingError `not_found`
   */
  async state(address: ResourceAddress): Promise<ResourceState> {
    const { kind } = await this.find(address);
    // A concatenation is done by the server itself, so no client takes it over.
    if (kind !== 'concatenation') await this.#takeOver(address.id);
    return await this.find(address);
  }

  /** As `state`, but does not end a request that sends to the upload. */
  async peek(address: ResourceAddress): Promise<ResourceState> {
    const state = await this.find(address);
    await this.#acknowledge(address.id);
    return state;
  }

  async #acknowledge(id: string): Promise<void> {
    const document = await this.#deps.catalog.get(id);
    const upload = document && this.#deps.uploads.of(document);
    if (upload) upload.acknowledged = true;
  }

  /** As `peek`, but does not record that the client knows the URL. */
  async find({ id, secret }: ResourceAddress): Promise<ResourceState> {
    const document = await this.#deps.catalog.get(id);
    const resource = document?.resource;
    if (!document || !resource || !sameHash(resource.keyHash, hashOf(secret))) throw noSuchUpload();
    const { owner, name } = document;
    const { creator, metadata, partial, final, endsWhenTold: needsExplicitEnd = false } = resource;
    const { clock, limits } = this.#deps;
    const kind = partial ? 'partial' : final ? 'concatenation' : 'plain';
    const concatHeader = final?.said ?? null;
    const shared = { owner, name, creator, metadata, kind, concatHeader, needsExplicitEnd } as const;
    if (document.state === 'sealed') {
      const size = document.size ?? 0;
      // The URL of a complete upload stays valid for as long as that of an unfinished one.
      if (clock.since(document.completedAt ?? 0) >= limits.staleMs + (limits.removeMs ?? Number.POSITIVE_INFINITY))
        throw noSuchUpload();
      return { ...shared, offset: size, size, complete: true, expiresAt: null };
    }
    const upload = this.#deps.uploads.of(document);
    if (!upload) throw noSuchUpload();
    const expiresAt = expiryOf(upload, limits);
    const offset = upload.stored.firstGap();
    const complete = upload.isSealed || (kind === 'partial' && upload.hasAllBytes);
    const size = final && upload.size === null ? await this.#concatenation.sizeOf(final.parts) : upload.size;
    return { ...shared, offset, size, complete, expiresAt };
  }

  /**
   * Appends the bytes of `source` to its end, and resolves with the new state. If the body breaks, throws the reason. The bytes received
   * until then are kept, unless there is a `proof`.
   * @throws LadingError `not_found`, `forbidden` for a concatenation, `offset_mismatch`, `out_of_bounds`, `size_conflict`, `file_too_large`,
   * `quota_exceeded`, `superseded`, `request_timeout`, `length_mismatch`, `checksum_mismatch`, `precondition_failed`, `insufficient_storage`
   */
  async append(source: Readable, address: ResourceAddress, intent: AppendIntent): Promise<ResourceState> {
    const { kind } = await this.find(address);
    if (kind === 'concatenation')
      throw new LadingError(
        'forbidden',
        'This upload is a concatenation of partial uploads. No bytes can be appended to it.',
      );
    const request = await this.#claim(address.id);
    let part: OpenUpload | null = null;
    try {
      const { owner, name, offset, size, complete } = await this.find(address);
      checkAppend(intent, offset, size, this.#deps.limits);
      await this.#deps.current.assert(intent.precondition, owner, name);
      if (!complete) {
        const document = await this.#deps.catalog.get(address.id);
        const upload = document && this.#deps.uploads.of(document);
        if (!upload) throw noSuchUpload();
        if (kind === 'partial') part = upload;
        await this.#append.run(source, upload, intent, request);
      }
    } finally {
      this.#activeRequests.delete(address.id);
      request.finish();
      if (part?.hasAllBytes) this.#concatenation.partCompleted(part.id);
    }
    await this.#acknowledge(address.id);
    return await this.find(address);
  }

  /**
   * Discards an unfinished upload and ends a request that sends to it. Keeps a complete file and only invalidates its upload URL.
   * @throws LadingError `not_found`, `precondition_failed`
   */
  async remove(address: ResourceAddress, precondition?: Precondition): Promise<void> {
    const { owner, name } = await this.find(address);
    await this.#deps.current.assert(precondition, owner, name);
    await this.#takeOver(address.id);
    const document = await this.#deps.catalog.get(address.id);
    if (!document) throw noSuchUpload();
    const upload = this.#deps.uploads.of(document);
    if (upload && !upload.isSealed) await this.#cancel(upload);
    // Another file may replace it meanwhile.
    await this.#deps.catalog.amend(address.id, ({ resource: _, ...rest }) => rest);
  }

  /** Continues concatenations that wait for parts, or that a stop interrupted. To be called after a start. */
  resume(): void {
    this.#concatenation.resume();
  }

  /** Makes this request the only one that sends to the upload, until a newer one takes over. */
  async #claim(id: string): Promise<ActiveRequest> {
    await this.#takeOver(id);
    // Other requests may have waited for the same request to end.
    while (this.#activeRequests.has(id)) await this.#takeOver(id);
    const request = new ActiveRequest();
    this.#activeRequests.set(id, request);
    return request;
  }

  async #takeOver(id: string): Promise<void> {
    for (let running = this.#activeRequests.get(id); running; running = this.#activeRequests.get(id)) {
      running.end(new LadingError('superseded', 'A newer request for this upload took over.'));
      await running.finished;
    }
  }
}
