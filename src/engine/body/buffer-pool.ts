/**
 * The buffers through which every uploaded byte passes on its way to a worker. Their number follows from one setting
 * (`LADING_BUFFER_BYTES`), never from how many clients are connected:
 *
 *     |<------------------ LADING_BUFFER_BYTES ------------------>|
 *     | large segments, 1 MiB      | small, 64 KiB | body buffers   |
 *     |            1/2             |      1/4      |       1/4       |
 *
 * A fast sender fills large segments. A slow sender collects its bytes in its body buffer and uses small segments, so that slow senders
 * never take large segments from fast ones, however many there are.
 */
import { LadingError } from '../../errors.ts';

export const SMALL_SEGMENT_BYTES = 64 * 1024;
export const LARGE_SEGMENT_BYTES = 1024 * 1024;
/** Minimum size of a body buffer, below which a job for a worker costs more than its bytes. Reached with 8,000 requests at 32 MiB. */
const MIN_HELD_BYTES = 1024;

interface Waiter {
  resolve(buffer: ArrayBuffer): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

/** A fixed number of buffers of one size. Waiting requests are served in order. */
class FreeList {
  readonly #size: number;
  readonly #max: number;
  readonly #free: ArrayBuffer[] = [];
  readonly #waiting: Waiter[] = [];
  #created = 0;

  constructor(size: number, max: number) {
    this.#size = size;
    this.#max = max;
  }

  get inUse(): number {
    return this.#created - this.#free.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  take(maxWaitMs: number): ArrayBuffer | Promise<ArrayBuffer> {
    const free = this.#free.pop();
    if (free) return free;
    if (this.#created < this.#max) {
      this.#created += 1;
      return new ArrayBuffer(this.#size);
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve,
        reject,
        timer: setTimeout(() => {
          this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
          reject(
            new LadingError('overloaded', 'The server has no free buffer for this request body. Send it again later.', {
              retry_after: Math.max(1, Math.ceil(maxWaitMs / 1000)),
            }),
          );
        }, maxWaitMs),
      };
      this.#waiting.push(waiter);
    });
  }

  give(buffer: ArrayBuffer): void {
    const waiter = this.#waiting.shift();
    if (waiter) {
      clearTimeout(waiter.timer);
      waiter.resolve(buffer);
    } else {
      this.#free.push(buffer);
    }
  }
}

export type SegmentSize = 'small' | 'large';

/** The large and the small segments, a fixed number of each. */
export class BufferPool {
  readonly #small: FreeList;
  readonly #large: FreeList;
  readonly #maxWaitMs: number;
  readonly #heldBytes: number;
  #receivers = 0;

  /**
   * @param bufferBytes memory for segments and body buffers together
   * @param maxWaitMs time that a request waits for a buffer before it is refused with `overloaded`
   */
  constructor(bufferBytes: number, maxWaitMs: number) {
    this.#large = new FreeList(LARGE_SEGMENT_BYTES, Math.max(2, Math.floor(bufferBytes / 2 / LARGE_SEGMENT_BYTES)));
    this.#small = new FreeList(SMALL_SEGMENT_BYTES, Math.max(8, Math.floor(bufferBytes / 4 / SMALL_SEGMENT_BYTES)));
    this.#heldBytes = bufferBytes / 4;
    this.#maxWaitMs = maxWaitMs;
  }

  take(size: SegmentSize): ArrayBuffer | Promise<ArrayBuffer> {
    return (size === 'large' ? this.#large : this.#small).take(this.#maxWaitMs);
  }

  /**
   * Returns a buffer. If the worker that had it died, the buffer is detached, and a new one of `size` replaces it.
   */
  give(buffer: ArrayBuffer, size: SegmentSize): void {
    const bytes = size === 'large' ? LARGE_SEGMENT_BYTES : SMALL_SEGMENT_BYTES;
    const usable = buffer.byteLength === bytes ? buffer : new ArrayBuffer(bytes);
    (size === 'large' ? this.#large : this.#small).give(usable);
  }

  /** Maximum size of one body buffer. It shrinks as more requests send. */
  holdLimit(): number {
    const share = Math.floor(this.#heldBytes / Math.max(1, this.#receivers));
    return Math.min(SMALL_SEGMENT_BYTES, Math.max(MIN_HELD_BYTES, share));
  }

  addReceiver(): void {
    this.#receivers += 1;
  }

  removeReceiver(): void {
    this.#receivers -= 1;
  }

  /** For the metrics page. */
  gauges() {
    return {
      receiving: this.#receivers,
      segments_large_in_use: this.#large.inUse,
      segments_small_in_use: this.#small.inUse,
      segments_waiting: this.#large.waiting + this.#small.waiting,
    };
  }
}
