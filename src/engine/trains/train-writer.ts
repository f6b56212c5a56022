/**
 * Verifies and commits the chunks of a train in order, while later ones arrive:
 *
 *     pack being filled → packs at the workers → verified → group being committed
 *
 * A full pack goes to a worker. A partly filled one goes at once if no other work is in progress, so that a single chunk never waits for
 * a timer. The chunks verified during one commit form the next group. The reader waits when too many verified bytes are uncommitted.
 */
import type { SegmentResult } from '../../contracts/blobs.ts';
import { MIB } from '../../protocol/sizes.ts';
import type { TrainHeader } from '../../protocol/train.ts';
import type { Received } from '../body/body-writer.ts';
import type { BufferPool, SegmentSize } from '../body/buffer-pool.ts';
import { CRC_IN_TRAIN, checksumError } from '../body/chunk-checksums.ts';
import { ChunkPack } from '../body/chunk-pack.ts';
import type { RequestBody } from '../body/request-body.ts';
import { assertAuthorized } from '../files/refusals.ts';
import { type CommittedGroup, Group, type TrainPosition } from './train-group.ts';
import { type Quota, reserveQuota } from './train-quota.ts';
import type { TrainTarget } from './train-target.ts';

/** Maximum number of packs of one train at the workers. */
const MAX_JOBS = 2;
/** The reader waits while the uncommitted group has reached one of these sizes. */
const MAX_GROUP_BYTES = 16 * MIB;
const MAX_GROUP_CHUNKS = 8192;

export interface TrainWriterOptions {
  buffers: BufferPool;
  body: RequestBody;
  isAuthorized: (() => boolean) | undefined;
  onGroup(group: CommittedGroup): void;
}

/** A pack at a worker. */
interface Job {
  pack: ChunkPack;
  target: TrainTarget;
  written: Promise<SegmentResult | null>;
  quota: Quota;
}

export class TrainWriter {
  /** Number of chunks read from the body. */
  taken = 0;
  /** Number of committed chunks, counted from the start of the train. */
  committedChunks = 0;
  readonly #options: TrainWriterOptions;
  #target: TrainTarget | null = null;
  #pack: ChunkPack | null = null;
  #packSize: SegmentSize = 'small';
  #group = new Group();
  #jobs = 0;
  #collected: Promise<void> = Promise.resolve();
  #isCommitting = false;
  /** A commit failed. No later group may be committed, because chunks are committed in train order. */
  #isLost = false;
  #failure: { error: unknown; chunk: TrainPosition | null } | null = null;
  #wake: () => void = () => {};

  constructor(options: TrainWriterOptions) {
    this.#options = options;
  }

  get target(): TrainTarget | null {
    return this.#target;
  }

  /** Sets the target of the next chunks. Call `settle` first. */
  setTarget(target: TrainTarget | null): void {
    this.#target = target;
  }

  /** The first failure, and the chunk that caused it. */
  get failure(): { error: unknown; chunk: TrainPosition | null } | null {
    return this.#failure;
  }

  /** A pack for this target with room for `length` bytes. @throws LadingError the failure of an earlier chunk, `overloaded` */
  async packFor(target: TrainTarget, length: number): Promise<ChunkPack> {
    for (;;) {
      this.#assertNotFailed();
      if (this.#pack?.hasRoomFor(length)) return this.#pack;
      if (this.#pack) {
        this.#dispatch();
        this.#packSize = 'large';
      }
      if (this.#isFull()) {
        await this.#change();
        continue;
      }
      const size = this.#packSize;
      const { body, buffers } = this.#options;
      const taken = buffers.take(size);
      const buffer = taken instanceof ArrayBuffer ? taken : await body.hold(taken);
      this.#pack = new ChunkPack({ buffer, size, reserved: target.reserveMany(), first: this.taken });
    }
  }

  /** Adds a chunk that was received and verified on its own. Call `flush` first. @param release called once it is committed or has failed */
  async addReceived(chunk: TrainHeader, received: Received, release: () => void): Promise<void> {
    this.taken += 1;
    while (this.#jobs > 0) await this.#change();
    if (this.#failure) {
      release();
      throw this.#failure.error;
    }
    this.#group.add(chunk, received.fresh);
    this.#group.onEnd(release);
    this.pump();
    while (this.#isFull()) await this.#change();
  }

  /** Dispatches a partly filled pack and commits the group if no other work is in progress. Call it before waiting for the client. */
  pump(): void {
    if (this.#pack && this.#pack.chunks.length > 0 && this.#jobs === 0 && !this.#isCommitting) {
      this.#packSize = 'small';
      this.#dispatch();
    }
    this.#commitNext();
  }

  /** Sends the pack to a worker. */
  flush(): void {
    this.#dispatch();
  }

  /** Resolves when every chunk read so far has been committed or refused and every reservation is released. */
  async finish(): Promise<void> {
    this.#dispatch();
    while (this.#jobs > 0 || this.#isCommitting || this.#group.chunks > 0) await this.#change();
  }

  /** As `finish`. @throws LadingError the failure of a chunk */
  async settle(): Promise<void> {
    await this.finish();
    this.#assertNotFailed();
  }

  #assertNotFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #isFull(): boolean {
    const { bytes, chunks } = this.#group;
    return this.#jobs >= MAX_JOBS || bytes >= MAX_GROUP_BYTES || chunks >= MAX_GROUP_CHUNKS;
  }

  async #change(): Promise<void> {
    const changed = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await this.#options.body.hold(changed);
  }

  /** Ends the train at its first failure, in train order. The reader stops, and no later chunk is committed. */
  #fail(error: unknown, chunk: TrainPosition | null): void {
    this.#failure = { error, chunk };
    this.#options.body.buffer.fail(error instanceof Error ? error : new Error(String(error)));
  }

  #dispatch(): void {
    const pack = this.#pack;
    const target = this.#target;
    this.#pack = null;
    if (!pack || !target) return;
    const quota = reserveQuota(target, pack);
    const written = this.#write(pack, target);
    // `#collect` handles failures in order. Until then, Node must not report them as unhandled.
    written.catch(() => {});
    this.#jobs += 1;
    this.#collected = this.#collected.then(() => this.#collect({ pack, target, written, quota }));
  }

  /** Writes a pack; null when it is empty. Its buffer is back in the pool when the promise settles. */
  async #write(pack: ChunkPack, target: TrainTarget): Promise<SegmentResult | null> {
    let result: SegmentResult | null = null;
    try {
      if (pack.chunks.length > 0) result = await target.write(pack.job());
      return result;
    } finally {
      this.#options.buffers.give(result?.buffer ?? pack.buffer, pack.size);
    }
  }

  async #collect({ pack, target, written, quota }: Job): Promise<void> {
    const group = this.#group;
    const before = group.chunks;
    try {
      const result = await written;
      if (!this.#failure && result) await this.#verify(pack, target, result);
      if (!this.#failure && quota.refusal) this.#fail(quota.refusal.error, quota.refusal.chunk);
    } catch (error) {
      if (!this.#failure) this.#fail(error, null);
    }
    const release = (): void => {
      quota.release();
      pack.reserved.release();
    };
    if (this.#group === group && group.chunks > before) group.onEnd(release);
    else release();
    this.#jobs -= 1;
    this.pump();
    this.#wake();
  }

  /** Adds the chunks of a pack to the group, up to the first invalid one. */
  async #verify(pack: ChunkPack, target: TrainTarget, result: SegmentResult): Promise<void> {
    for (const [index, chunk] of pack.chunks.entries()) {
      const { start, end } = chunk;
      const crc32 = result.rangeCrcs[index] ?? 0;
      const wrong = checksumError(chunk, result.rangeSums[index] ?? 0, crc32, CRC_IN_TRAIN);
      const refusal = wrong ?? (result.conflictAt === index ? await target.conflict() : null);
      if (refusal) {
        this.#fail(refusal, { position: pack.first + index, start, end });
        return;
      }
      this.#group.add(chunk, pack.ranges[index]?.action === 'write' ? [{ start, end, crc32 }] : []);
    }
  }

  #commitNext(): void {
    if (this.#isCommitting || this.#group.chunks === 0 || !this.#target) return;
    const group = this.#group;
    this.#group = new Group();
    this.#isCommitting = true;
    void this.#commit(group, this.#target).then(() => {
      this.#isCommitting = false;
      this.pump();
      this.#wake();
    });
  }

  async #commit(group: Group, target: TrainTarget): Promise<void> {
    try {
      if (this.#isLost) return;
      assertAuthorized(this.#options.isAuthorized);
      await target.commit(group.ascending);
      this.committedChunks += group.chunks;
      const { committed, chunks, bytes } = group;
      this.#options.onGroup({
        ...{ committed, chunks, bytes, committedChunks: this.committedChunks },
        ...target.progress(),
      });
    } catch (error) {
      // Later chunks of the train must not be committed without these.
      this.#isLost = true;
      this.#fail(error, null);
    } finally {
      group.end();
    }
  }
}
