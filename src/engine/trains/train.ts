/**
 * A chunk train (PROTOCOL §8): many chunks in one request, from the first byte to the last commit:
 *
 *     header → whole chunk here? → find the target → reserve → pack → worker → verified → group → commit
 *                     └─ larger than a pack, or partly stored: received by itself, as the chunk of a request is
 *
 * The train reserves only what has arrived, and it waits for another request only while it holds no reservation: so it never
 * keeps bytes from a request that it waits for.
 */
import type { SegmentJob, SegmentRange, SegmentResult } from '../../contracts/blobs.ts';
import { LadingError } from '../../errors.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { parseTrainHeader, type TrainHeader, trainHeaderBytes } from '../../protocol/train.ts';
import { BodyWriter, type Received } from '../body/body-writer.ts';
import { SMALL_SEGMENT_BYTES } from '../body/buffer-pool.ts';
import type { RequestBody, RequestBodyDeps } from '../body/request-body.ts';
import { type ChunkIntent, type ChunkLimits, checkExtent } from '../receive/chunk-intent.ts';
import type { ChunkTargets, ChunkTargetsDeps } from '../receive/chunk-target.ts';
import { mismatch } from './chunk-checks.ts';
import type { TrainPosition } from './train-group.ts';
import {
  SealedTarget,
  type SealedTargetDeps,
  type TrainTarget,
  UploadTarget,
  type UploadTargetDeps,
} from './train-target.ts';
import type { TrainWriter } from './train-writer.ts';

/** What the request line and the headers say about a train. The fields that describe one chunk are null. */
export interface TrainIntent extends ChunkIntent {
  /** A CRC-32 follows each header. */
  hasCrc32: boolean;
}

export interface TrainUploadsDeps
  extends RequestBodyDeps,
    ChunkTargetsDeps,
    Omit<UploadTargetDeps, 'targets' | 'limits'>,
    Omit<SealedTargetDeps, 'targets'> {
  limits: ChunkLimits & UploadTargetDeps['limits'] & { openEndedMs: number };
  /** The status of a file, as the reply lists it. */
  status(owner: string, name: string): Promise<FileStatus>;
}

export class Train {
  readonly #deps: TrainUploadsDeps & { targets: ChunkTargets };
  readonly #intent: TrainIntent;
  readonly #body: RequestBody;
  readonly #writer: TrainWriter;
  readonly #header: Uint8Array;
  /** The chunk at hand. */
  #chunk: TrainPosition | null = null;

  constructor(
    deps: TrainUploadsDeps & { targets: ChunkTargets },
    intent: TrainIntent,
    body: RequestBody,
    writer: TrainWriter,
  ) {
    this.#deps = deps;
    this.#intent = intent;
    this.#body = body;
    this.#writer = writer;
    this.#header = new Uint8Array(trainHeaderBytes(intent.hasCrc32));
  }

  async run(): Promise<FileStatus> {
    const writer = this.#writer;
    try {
      for (let header = await this.#nextHeader(); header; header = await this.#nextHeader()) await this.#take(header);
      this.#chunk = null;
      await writer.settle();
      if (this.#body.buffer.truncatedBy) throw this.#body.buffer.truncatedBy;
      return await this.#end();
    } catch (error) {
      await writer.finish();
      const failure = writer.failure ?? { error, chunk: this.#isOfClient(error) ? null : this.#chunk };
      throw await this.#refusal(failure.error, failure.chunk);
    } finally {
      await writer.target?.leave();
    }
  }

  /** The next header; null at the end of the body. @throws LadingError `malformed_header` */
  async #nextHeader(): Promise<TrainHeader | null> {
    const { buffer } = this.#body;
    const header = this.#header;
    this.#chunk = { position: this.#writer.taken };
    if (!(await this.#hasBytes(header.length))) {
      if (buffer.bytes === 0) return null;
      throw (
        buffer.truncatedBy ??
        new LadingError(
          'malformed_header',
          `The train ends within a chunk header: ${header.length} bytes precede the data of each chunk.`,
          { expected: header.length, actual: buffer.bytes },
        )
      );
    }
    buffer.drainInto(header);
    return parseTrainHeader(header);
  }

  /** Waits for bytes of the client; false when fewer come before the body ends, or when the buffer cannot hold so many. */
  async #hasBytes(count: number): Promise<boolean> {
    const { buffer } = this.#body;
    if (buffer.failure) throw buffer.failure;
    if (buffer.bytes < count && !buffer.ended) {
      this.#writer.pump();
      await this.#body.read(() => buffer.waitFor(count, null));
    }
    return buffer.bytes >= count;
  }

  async #take(header: TrainHeader): Promise<void> {
    const { buffer } = this.#body;
    this.#chunk = { position: this.#writer.taken, start: header.start, end: header.end };
    checkExtent(this.#intent, header, this.#deps.limits);
    const length = lengthOf(header);
    const isWhole = length <= SMALL_SEGMENT_BYTES && (await this.#hasBytes(length));
    if (buffer.ended && buffer.bytes < length) throw this.#cut(header);
    if (!isWhole || !(await this.#packWhole(header))) await this.#receiveAlone(header);
  }

  /** The body ends within this chunk. */
  #cut(header: Extent): LadingError {
    const { truncatedBy } = this.#body.buffer;
    const text = `The train ends within the chunk ${header.start}-${header.end}, whose header announces ${lengthOf(header)} data bytes.`;
    return truncatedBy ?? new LadingError('length_mismatch', text, { expected: lengthOf(header) });
  }

  /** Adds a chunk that has arrived to a pack; false when some of its bytes are stored. */
  async #packWhole(header: TrainHeader): Promise<boolean> {
    const writer = this.#writer;
    for (;;) {
      const target = await this.#targetOf(header);
      const pack = await writer.packFor(target, lengthOf(header));
      // From here on nothing is awaited until the chunk is in the pack.
      if (target.isOver(header)) continue;
      const action = target.actionFor(header);
      if (action === 'refuse') throw await target.conflict();
      if (action === 'mixed') return false;
      if (action === 'compare' || pack.reserved.tryAdd(header)) {
        pack.add(header, action, this.#body.buffer);
        writer.taken += 1;
        return true;
      }
      // Another request receives these bytes, or an earlier chunk of this train has them.
      await writer.settle();
      await this.#body.hold(target.whenFree(header));
    }
  }

  /** Receives a chunk by itself, segment after segment. */
  async #receiveAlone(header: TrainHeader): Promise<void> {
    const writer = this.#writer;
    writer.flush();
    for (;;) {
      const target = await this.#targetOf(header);
      if (target.actionFor(header) === 'refuse') throw await target.conflict();
      const reserved = target.tryReserve(header);
      if (!reserved) {
        await writer.settle();
        await this.#body.hold(target.whenFree(header, this.#body.buffer.failed));
        continue;
      }
      this.#body.reserved = reserved;
      let releaseQuota = (): void => {};
      const release = (): void => {
        releaseQuota();
        reserved.release();
      };
      try {
        const plan = target.plan(header);
        releaseQuota = target.reserveQuota(plan);
        const received = await this.#receive(header, target, plan);
        await writer.addReceived(header, received, release);
      } catch (error) {
        release();
        throw error;
      } finally {
        this.#body.reserved = null;
      }
      return;
    }
  }

  async #receive(header: TrainHeader, target: TrainTarget, plan: SegmentRange[]): Promise<Received> {
    const { buffer } = this.#body;
    const write = (job: SegmentJob): Promise<SegmentResult> => target.write(job);
    const writer = new BodyWriter(buffer, write, this.#deps.buffers, header, plan, false, Number.POSITIVE_INFINITY);
    const received = await this.#body.receive(writer).catch((error: unknown) => {
      const isCut = error instanceof LadingError && error.code === 'length_mismatch';
      throw isCut ? this.#cut(header) : error;
    });
    const wrong = mismatch(header, received.sum, received.crc32);
    if (wrong) throw wrong;
    if (received.conflict) throw await target.conflict();
    return received;
  }

  /** Where a chunk goes: the target of the chunk before it, or another one if that upload has become a file meanwhile. */
  async #targetOf(chunk: Extent): Promise<TrainTarget> {
    const writer = this.#writer;
    for (;;) {
      const known = writer.target;
      if (known && !known.isOver(chunk)) return known;
      if (known) {
        await writer.settle();
        writer.setTarget(null);
        await this.#body.hold(known.leave());
      }
      const target = await this.#body.hold(this.#enter(chunk));
      writer.setTarget(target);
      if (target instanceof SealedTarget) return target;
    }
  }

  async #enter(chunk: Extent): Promise<TrainTarget> {
    const { targets, uploads, sealLater } = this.#deps;
    const intent = { ...this.#intent };
    const { upload, sealed, handles } = await targets.enter(intent, chunk);
    // The rest of the train belongs to the replacement that it has begun, also once that is complete.
    this.#intent.overwrite = false;
    if (!upload) return await SealedTarget.open(this.#deps, intent, sealed);
    try {
      return new UploadTarget(this.#deps, intent, upload, handles);
    } catch (error) {
      await uploads.leave(upload);
      sealLater(upload);
      throw error;
    }
  }

  /** The body has ended, and all chunks count. */
  async #end(): Promise<FileStatus> {
    const { target, committedChunks } = this.#writer;
    const { owner, name, trailingDigests } = this.#intent;
    const digest = trailingDigests?.reprDigest?.();
    if (digest && target) await target.declare(digest);
    const status = target ? target.status() : await this.#deps.status(owner, name);
    return { ...status, committed_chunks: committedChunks };
  }

  /** The error is not about a chunk: the client left, was too slow or lost its right, or the server is busy or stops. */
  #isOfClient(error: unknown): boolean {
    const { failure, truncatedBy } = this.#body.buffer;
    const isBusy = error instanceof LadingError && error.code === 'overloaded';
    return error === failure || error === truncatedBy || isBusy || !(error instanceof LadingError);
  }

  /** An error of the reply, which says how far the train came. */
  async #refusal(error: unknown, chunk: TrainPosition | null): Promise<unknown> {
    if (!(error instanceof LadingError)) return error;
    if (error.code === 'insufficient_storage') await this.#writer.target?.freeSpace();
    // Then the upload has started over from nothing.
    const committed = error.code === 'digest_mismatch' ? 0 : this.#writer.committedChunks;
    const members = { committed_chunks: committed, ...(chunk ? { failed_chunk: chunk } : {}) };
    return new LadingError(error.code, error.message, { ...error.members, ...members }, { cause: error });
  }
}
