/**
 * A chunk train (PROTOCOL §8): many chunks in one request, from the first byte to the last commit:
 *
 *     header → chunk buffered? → find the target → reserve → pack → worker → verified → group → commit
 *                     └─ larger than a pack, or partly stored: received on its own, like the chunk of a single-chunk request
 *
 * A train reserves only extents that have arrived, and holds no reservation while it waits for another request. So two requests never
 * wait for each other.
 */
import type { SegmentJob, SegmentRange, SegmentResult } from '../../contracts/blobs.ts';
import { LadingError } from '../../errors.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { parseTrainHeader, type TrainHeader, trainHeaderBytes } from '../../protocol/train.ts';
import { BodyWriter, type Received } from '../body/body-writer.ts';
import { SMALL_SEGMENT_BYTES } from '../body/buffer-pool.ts';
import { CRC_IN_TRAIN, checksumError } from '../body/chunk-checksums.ts';
import type { RequestBody, RequestBodyDeps } from '../body/request-body.ts';
import { type ChunkIntent, type ChunkLimits, checkExtent } from '../receive/chunk-intent.ts';
import type { ChunkTargets, ChunkTargetsDeps } from '../receive/chunk-target.ts';
import type { TrainPosition } from './train-group.ts';
import {
  SealedTarget,
  type SealedTargetDeps,
  type TrainTarget,
  UploadTarget,
  type UploadTargetDeps,
} from './train-target.ts';
import type { TrainWriter } from './train-writer.ts';

/** The request line and headers of a train, parsed. The fields that describe a single chunk are null. */
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
  /** The chunk being read, for error replies. */
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
          `The train ends within a chunk header, which has ${header.length} bytes in this train.`,
          { expected: header.length, actual: buffer.bytes },
        )
      );
    }
    buffer.drainInto(header);
    return parseTrainHeader(header);
  }

  /** Waits until `count` bytes are buffered. False if the body ends first, or if the buffer cannot hold that many. */
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

  /** The error for a body that ends within this chunk. */
  #cut(header: Extent): LadingError {
    const { truncatedBy } = this.#body.buffer;
    const text = `The train ends within the chunk ${header.start}-${header.end}, whose header announces ${lengthOf(header)} data bytes.`;
    return truncatedBy ?? new LadingError('length_mismatch', text, { expected: lengthOf(header) });
  }

  /** Adds a buffered chunk to a pack. False if some of its bytes, but not all, are stored already. */
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
      // Another request is receiving these bytes, or an earlier chunk of this train contains them.
      await writer.settle();
      await this.#body.hold(target.whenFree(header));
    }
  }

  /** Receives a chunk on its own, one segment at a time. */
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
    const writer = new BodyWriter(buffer, write, this.#deps.buffers, header, plan, {
      pauseMs: Number.POSITIVE_INFINITY,
      toPart: true,
    });
    const received = await this.#body.receive(writer).catch((error: unknown) => {
      const isCut = error instanceof LadingError && error.code === 'length_mismatch';
      throw isCut ? this.#cut(header) : error;
    });
    const wrong = checksumError(header, received.sum, received.crc32, CRC_IN_TRAIN);
    if (wrong) throw wrong;
    if (received.conflict) throw await target.conflict();
    return received;
  }

  /** The target of a chunk: that of the previous chunk, or a new one if that upload has become a file since. */
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
    // The first chunk began the replacement. The rest of the train must not begin another, even once this one is complete.
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

  /** Finishes the train: the body has ended, and all chunks are committed. */
  async #end(): Promise<FileStatus> {
    const { target, committedChunks } = this.#writer;
    const { owner, name, trailingDigests } = this.#intent;
    const digest = trailingDigests?.reprDigest?.();
    if (digest && target) await target.declare(digest);
    const status = target ? target.status() : await this.#deps.status(owner, name);
    return { ...status, committed_chunks: committedChunks };
  }

  /** True when no chunk caused the error: the client disconnected, stalled or lost its authorization, or the server is busy or stopping. */
  #isOfClient(error: unknown): boolean {
    const { failure, truncatedBy } = this.#body.buffer;
    const isBusy = error instanceof LadingError && error.code === 'overloaded';
    return error === failure || error === truncatedBy || isBusy || !(error instanceof LadingError);
  }

  /** The error for the reply, which also says how many chunks were committed. */
  async #refusal(error: unknown, chunk: TrainPosition | null): Promise<unknown> {
    if (!(error instanceof LadingError)) return error;
    if (error.code === 'insufficient_storage') await this.#writer.target?.freeSpace();
    // A digest mismatch discards the whole upload.
    const committed = error.code === 'digest_mismatch' ? 0 : this.#writer.committedChunks;
    const members = { committed_chunks: committed, ...(chunk ? { failed_chunk: chunk } : {}) };
    return new LadingError(error.code, error.message, { ...error.members, ...members }, { cause: error });
  }
}
