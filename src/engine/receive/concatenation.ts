/**
 * Files made of partial uploads (tus: concatenation). A concatenated file begins as an empty upload that names its parts. Once all parts
 * have all bytes, its blobs share the bytes of the parts. If the disk cannot share bytes, they are read, checked and stored again:
 *
 *     parts → shared blobs → document with the blobs → one commit → seal
 *     parts → reader → body buffer → … → one commit, if the CRC-32 is that of the parts together → seal
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { BlobStore } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import { LadingError } from '../../errors.ts';
import { crc32Combine } from '../../protocol/crc32.ts';
import { MIB } from '../../protocol/sizes.ts';
import type { FileDocument } from '../../records/file.ts';
import { type FileBlob, linkedBlobs } from '../../records/file-blobs.ts';
import type { Watchers } from '../files/watchers.ts';
import type { Committer, FreshExtent } from '../uploads/commit.ts';
import type { Declaration } from '../uploads/declaration.ts';
import type { Sealer } from '../uploads/seal.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import type { Usage } from '../uploads/usage.ts';
import type { Append } from './append.ts';
import { crcBytes } from './append-checks.ts';
import {
  ActiveRequest,
  type Concatenated,
  type Proof,
  type ResourceAddress,
  type ResourceState,
} from './upload-resource.ts';

/** Bytes of one read of a part. */
const READ_BYTES = MIB / 2;
const MAX_PARTS = 1_000;
/** How long the creating request waits for the concatenation, which then continues in the background. */
const PATIENCE_MS = 10_000;

export interface ConcatenationDeps {
  blobs: BlobStore;
  catalog: Catalog;
  uploads: UploadTable;
  usage: Usage;
  committer: Committer;
  sealer: Sealer;
  watchers: Watchers;
  /** The request that receives into each upload with an address. */
  activeRequests: Map<string, ActiveRequest>;
  /** Writes to the log. */
  warn(message: string, details: object): void;
}

export class Concatenation {
  readonly #deps: ConcatenationDeps;
  readonly #append: Append;
  readonly #activeRequests: Map<string, ActiveRequest>;
  readonly #track: (work: () => Promise<void>) => Promise<void>;

  /**
   * @param track runs background work; a stop of the server waits for it
   */
  constructor(deps: ConcatenationDeps, append: Append, track: (work: () => Promise<void>) => Promise<void>) {
    this.#deps = deps;
    this.#append = append;
    this.#activeRequests = deps.activeRequests;
    this.#track = track;
  }

  /** After a start: continues concatenations that wait for parts, or that a stop interrupted. */
  resume(): void {
    for (const upload of this.#deps.uploads.all()) this.#tryLater(upload);
  }

  /**
   * The parts of a new concatenated file, all of this owner.
   * @param find as `ResumableUploads.find`
   * @throws LadingError `invalid_request`
   */
  async partsOf(
    owner: string,
    { parts }: Concatenated,
    find: (address: ResourceAddress) => Promise<ResourceState>,
  ): Promise<FileDocument[]> {
    if (parts.length === 0 || parts.length > MAX_PARTS)
      throw new LadingError('invalid_request', `A file can be concatenated from 1 to ${MAX_PARTS} partial uploads.`);
    return await Promise.all(
      parts.map(async (address) => {
        const state = await find(address).catch(() => null);
        const document =
          state?.kind === 'partial' && state.owner === owner && (await this.#deps.catalog.get(address.id));
        if (document) return document;
        throw new LadingError(
          'invalid_request',
          'One of the uploads to concatenate is not a partial upload, or belongs to another owner.',
        );
      }),
    );
  }

  /** The total size of the parts; null while the size of one is undeclared. */
  async sizeOf(ids: string[]): Promise<number | null> {
    const documents = await Promise.all(ids.map((id) => this.#deps.catalog.get(id)));
    return sizeOf(documents);
  }

  /** Called when a part has all bytes. Retries the concatenations that wait for it. */
  partCompleted(partId: string): void {
    for (const upload of this.#deps.uploads.all()) {
      if (upload.document.resource?.final?.parts.includes(partId)) this.#tryLater(upload);
    }
  }

  #tryLater(upload: OpenUpload): void {
    if (!upload.document.resource?.final || upload.isSealed || this.#activeRequests.has(upload.id)) return;
    this.#tryTracked(upload).catch((error: unknown) => this.#warnOfFailure(upload, error));
  }

  #warnOfFailure({ id, endReason }: OpenUpload, error: unknown): void {
    if (!endReason) this.#deps.warn('uploads could not be concatenated; the next start tries again', { id, error });
  }

  /** Starts the concatenation of a new upload. Resolves when it is done or cannot run yet, or after `PATIENCE_MS`. */
  async start(upload: OpenUpload): Promise<void> {
    await within(this.#tryTracked(upload), PATIENCE_MS, (error) => this.#warnOfFailure(upload, error));
  }

  /** Concatenates; a stop of the server waits for it. */
  #tryTracked(upload: OpenUpload): Promise<void> {
    return this.#track(() => this.#concatenate(upload));
  }

  /** Does nothing unless all parts have all bytes. */
  async #concatenate(upload: OpenUpload): Promise<void> {
    const ids = upload.document.resource?.final?.parts ?? [];
    const parts: OpenUpload[] = [];
    for (const id of ids) {
      const document = await this.#deps.catalog.get(id);
      const part = document && this.#deps.uploads.of(document);
      if (!part?.hasAllBytes) return;
      parts.push(part);
    }
    if (this.#activeRequests.has(upload.id) || upload.endReason || upload.isSealed) return;
    const request = new ActiveRequest();
    this.#activeRequests.set(upload.id, request);
    try {
      if (!(await this.#link(upload, parts))) await this.#copy(upload, parts, request);
      for (const part of parts) await this.#markConcatenated(part);
    } finally {
      this.#activeRequests.delete(upload.id);
      request.finish();
    }
  }

  /** Marks a part whose bytes are in a file. The sweep then removes it when it is stale, instead of parking it. */
  async #markConcatenated(part: OpenUpload): Promise<void> {
    const { committer, uploads } = this.#deps;
    if (part.endReason || part.document.resource?.joined) return;
    const joined: Declaration = { size: null, reprDigest: null, contentType: null, isConcatenated: true };
    await uploads.using(part, (handles) => committer.commit(part, handles, [], joined));
  }

  /**
   * Concatenates without copying: new blobs share the bytes of the parts. First the document names these blobs, and only then do their
   * bytes count; a crash in between leaves blobs that the next attempt replaces. False if the disk cannot share bytes.
   */
  async #link(upload: OpenUpload, parts: OpenUpload[]): Promise<boolean> {
    const { blobs, committer, sealer, uploads, usage } = this.#deps;
    const { owner } = upload.document;
    const filled = parts.filter(({ size }) => size !== null && size > 0);
    const size = sizeOf(parts) ?? 0;
    usage.check(owner, { bytes: size, dayBytes: size });
    const linked: FileBlob[] = [];
    const isCommitted = (): boolean => linkedBlobs(upload.document) === linked;
    try {
      for (const part of filled) {
        const id = randomBytes(16).toString('hex');
        if (!(await uploads.using(part, () => blobs.link(part.id, id)))) return false;
        linked.push({ id, size: part.size ?? 0 });
      }
      const declaration = { size: null, reprDigest: null, contentType: null, linkedBlobs: linked };
      await uploads.using(upload, (handles) => committer.commit(upload, handles, [], declaration));
      // The committer writes no document while another file is about to take the name.
      if (!isCommitted()) throw upload.closedError();
    } finally {
      if (!isCommitted()) for (const { id } of linked) await blobs.remove(id);
    }
    await uploads.using(upload, async (handles) => {
      await committer.commit(upload, handles, freshOf(filled), { size, reprDigest: null, contentType: null });
    });
    this.#deps.watchers.notify(owner, upload.document.name);
    if (upload.isComplete) await sealer.seal(upload);
    return true;
  }

  async #copy(upload: OpenUpload, parts: OpenUpload[], request: ActiveRequest): Promise<void> {
    const source = Readable.from(bytesOf(this.#deps.uploads, parts), { objectMode: false });
    try {
      const size = sizeOf(parts) ?? 0;
      const proof = (): Proof => ({ algorithm: 'crc32', value: crcOf(parts) });
      await this.#append.run(source, upload, { offset: 0, size, contentLength: size, proof }, request);
    } finally {
      source.destroy();
    }
  }
}

/** Null while the size of one part is undeclared. */
export function sizeOf(parts: readonly ({ size: number | null } | null)[]): number | null {
  let sum = 0;
  for (const part of parts) {
    if (!part || part.size === null) return null;
    sum += part.size;
  }
  return sum;
}

/** The extents that the parts fill in the concatenated file, with the checksums from their manifests. */
function freshOf(parts: readonly OpenUpload[]): FreshExtent[] {
  let start = 0;
  return parts.map(({ stored, size }) => {
    const length = size ?? 0;
    const extent = { start, end: start + length - 1, crc32: stored.crc32IfComplete(length) ?? 0 };
    start += length;
    return extent;
  });
}

/** The bytes of all parts. Each part is held open while it is read. */
async function* bytesOf(uploads: UploadTable, parts: OpenUpload[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    const { part: bytes } = await part.enter(() => uploads.open(part.id));
    try {
      const { size } = part;
      for (let position = 0; size !== null && position < size; ) {
        const into = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, size - position));
        const read = await bytes.read(into, position);
        if (read < into.length) throw new Error('a partial upload is shorter on disk than its manifest says');
        position += read;
        yield into;
      }
    } finally {
      part.leave();
    }
  }
}

/** CRC-32 of all parts together, computed from their manifests. */
function crcOf(parts: readonly OpenUpload[]): Uint8Array {
  let crc = 0;
  for (const { stored, size } of parts) {
    if (size !== null && size > 0) crc = crc32Combine(crc, stored.crc32IfComplete(size) ?? 0, size);
  }
  return crcBytes(crc);
}

/** Waits for `work` for at most `ms`. After that, `work` continues in the background, and `onLate` receives its failure. */
async function within(work: Promise<void>, ms: number, onLate: (error: unknown) => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms);
  });
  const first = await Promise.race([work, timeout]).finally(() => clearTimeout(timer));
  if (first === 'late') work.catch(onLate);
}
