/**
 * Whole chunks of a train in one segment, without their headers, so that a worker gets one message for many chunks:
 *
 *     | data of chunk 0 | data of chunk 1 | …            free |
 *
 * A pack holds only bytes that have arrived, so it never waits for the client.
 */
import type { SegmentJob, SegmentRange } from '../../contracts/blobs.ts';
import { lengthOf } from '../../protocol/extents.ts';
import type { TrainHeader } from '../../protocol/train.ts';
import type { ReservedExtents } from '../files/reservations.ts';
import type { BodyBuffer } from './body-buffer.ts';
import type { SegmentSize } from './buffer-pool.ts';

/** Maximum number of chunks in a pack. It bounds the memory for their headers when the chunks are tiny. */
const MAX_CHUNKS = 4096;

export interface ChunkPackOptions {
  buffer: ArrayBuffer;
  size: SegmentSize;
  /** Reservation for the extents of its new chunks. */
  reserved: ReservedExtents;
  /** Position of its first chunk in the train. */
  first: number;
}

export class ChunkPack {
  readonly buffer: ArrayBuffer;
  readonly size: SegmentSize;
  readonly reserved: ReservedExtents;
  readonly first: number;
  readonly chunks: TrainHeader[] = [];
  readonly #ranges: SegmentRange[] = [];
  #bytes = 0;

  constructor({ buffer, size, reserved, first }: ChunkPackOptions) {
    this.buffer = buffer;
    this.size = size;
    this.reserved = reserved;
    this.first = first;
  }

  get ranges(): readonly SegmentRange[] {
    return this.#ranges;
  }

  /** @param length data bytes of a chunk */
  hasRoomFor(length: number): boolean {
    return this.chunks.length < MAX_CHUNKS && this.#bytes + length <= this.buffer.byteLength;
  }

  /** Moves the data of a chunk from the body buffer, which must hold all of it. */
  add(chunk: TrainHeader, action: SegmentRange['action'], body: BodyBuffer): void {
    const length = lengthOf(chunk);
    body.drainInto(new Uint8Array(this.buffer, this.#bytes, length));
    this.#bytes += length;
    this.chunks.push(chunk);
    this.#ranges.push({ extent: { start: chunk.start, end: chunk.end }, action });
  }

  /** Drops all chunks but the first `count`. */
  cutTo(count: number): void {
    this.chunks.length = count;
    this.#ranges.length = count;
    this.#bytes = this.chunks.reduce((sum, chunk) => sum + lengthOf(chunk), 0);
  }

  /** The job for a worker. The worker owns the buffer until it returns it with the result. */
  job(): SegmentJob {
    const start = this.chunks[0]?.start ?? 0;
    return { buffer: this.buffer, length: this.#bytes, start, ranges: [...this.#ranges] };
  }
}
