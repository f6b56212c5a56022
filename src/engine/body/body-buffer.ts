/**
 * The bytes of one request body between the socket and a segment. When the buffer reaches its limit, it pauses the socket, and TCP
 * back-pressure stops the client.
 */
import type { Readable } from 'node:stream';
import { LadingError } from '../../errors.ts';
import { isCutShort } from './cut-short.ts';

/** Blocks up to this size are merged into one buffer, so that a client that sends single bytes does not create an object per byte. */
const SMALL_BLOCK_BYTES = 1024;
/** Size of the buffer for small blocks. It starts at the minimum and doubles each time it is full, up to the maximum. */
const MIN_TAIL_BYTES = 64;
const MAX_TAIL_BYTES = 4096;

export class BodyBuffer {
  /** Bytes received so far, whether drained or not. */
  arrived = 0;
  /** Bytes in the buffer now. */
  bytes = 0;
  ended = false;
  failure: Error | null = null;
  /** Why the body was truncated; null if it was not. */
  truncatedBy: LadingError | null = null;
  /** Rejects when the body fails or is truncated, for callers that wait for something other than bytes. */
  readonly failed: Promise<never>;
  readonly #source: Readable;
  readonly #limit: () => number;
  readonly #onBytes: (count: number) => void;
  readonly #keepsPartial: boolean;
  #blocks: Buffer[] = [];
  /** The last small blocks, which follow `#blocks`: the first `#tailBytes` bytes of this buffer. */
  #tail: Buffer | null = null;
  #tailBytes = 0;
  #paused = false;
  #wake: (() => void) | null = null;
  /** Number of bytes that `waitFor` waits for. */
  #wanted = 0;
  #reject: (error: Error) => void = () => {};

  /** @param keepsPartial truncates a body whose connection breaks, and keeps its bytes; by default such a body fails */
  constructor(source: Readable, limit: () => number, onBytes: (count: number) => void, keepsPartial = false) {
    this.#source = source;
    this.#keepsPartial = keepsPartial;
    this.#limit = limit;
    this.#onBytes = onBytes;
    this.failed = new Promise((_, reject) => {
      this.#reject = reject;
    });
    // Most requests wait for bytes only; then nothing handles this rejection.
    this.failed.catch(() => {});
    source.on('data', this.#onData);
    source.on('end', this.#onEnd);
    source.on('error', this.#onBroken);
    source.on('close', this.#onBroken);
    source.on('aborted', this.#onBroken);
    // A source that has already broken emits no more events.
    if (isCutShort(source)) this.#onBroken();
    else if (source.readableEnded) this.#onEnd();
  }

  #onData = (block: Buffer): void => {
    this.arrived += block.length;
    this.bytes += block.length;
    if (block.length > SMALL_BLOCK_BYTES) {
      this.#closeTail();
      this.#blocks.push(block);
    } else {
      this.#append(block);
    }
    this.#onBytes(block.length);
    if (!this.#paused && this.bytes >= this.#limit()) {
      this.#paused = true;
      this.#source.pause();
    }
    if (this.#isEnough()) this.#notify();
  };

  /** True when the wanted bytes have arrived, or the limit is reached. */
  #isEnough(): boolean {
    return this.bytes >= Math.min(this.#wanted, this.#limit());
  }

  #append(block: Buffer): void {
    const tail = this.#tail;
    if (tail && tail.length - this.#tailBytes >= block.length) {
      tail.set(block, this.#tailBytes);
      this.#tailBytes += block.length;
      return;
    }
    this.#closeTail();
    const grown = tail ? Math.min(MAX_TAIL_BYTES, 2 * tail.length) : MIN_TAIL_BYTES;
    // Not from Node's buffer pool, where a few bytes would keep a whole 8 KiB slab alive.
    this.#tail = Buffer.allocUnsafeSlow(Math.max(grown, block.length));
    this.#tail.set(block);
    this.#tailBytes = block.length;
  }

  /** Moves the small blocks to the others; the next block follows them. */
  #closeTail(): void {
    if (this.#tail) this.#blocks.push(this.#tail.subarray(0, this.#tailBytes));
    this.#tail = null;
    this.#tailBytes = 0;
  }

  #onEnd = (): void => {
    this.ended = true;
    this.#notify();
  };

  #onBroken = (): void => {
    if (this.ended) return;
    const broken = new LadingError(
      'length_mismatch',
      'The connection broke before the end of the request body. Send it again.',
    );
    if (this.#keepsPartial) this.truncate(broken);
    else this.fail(broken);
  };

  /** Accepts no more bytes: for the reader the body ends with those in the buffer. */
  truncate(why: LadingError): void {
    if (this.ended) return;
    this.truncatedBy = why;
    this.#reject(why);
    this.ended = true;
    this.#source.off('data', this.#onData);
    this.#source.pause();
    this.#notify();
  }

  /**
   * As `truncate`, but first drains what the kernel has buffered. Stops when an iteration of the event loop brings no more bytes, or after
   * `maxMs`, because an active sender may never pause.
   */
  truncateWhenIdle(why: LadingError, maxMs: number): void {
    const since = performance.now();
    let before = -1;
    const check = (): void => {
      if (this.ended) return;
      const idle = this.arrived === before && !this.#paused;
      if (idle || performance.now() - since >= maxMs) {
        this.truncate(why);
        return;
      }
      before = this.arrived;
      setImmediate(() => setImmediate(check));
    };
    setImmediate(check);
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Fails the body: the next `waitFor` throws this error. A second call keeps the first error. */
  fail(error: Error): void {
    this.failure ??= error;
    this.#reject(this.failure);
    this.#notify();
  }

  /** True while the server has paused the client. The client's silence is then not measured. */
  get isPaused(): boolean {
    return this.#paused;
  }

  /**
   * Applies a changed limit. The limit depends on the number of requests. If it rose, resumes a paused sender; if it fell, wakes the
   * reader. Called periodically, because no event reports the change.
   */
  adjust(): void {
    this.#resume();
    if (this.bytes >= this.#limit()) this.#notify();
  }

  #resume(): void {
    if (!this.#paused || this.truncatedBy || this.bytes >= this.#limit()) return;
    this.#paused = false;
    this.#source.resume();
  }

  /**
   * Waits for `count` bytes, at most the limit of the buffer, or the end of the body.
   * @param quietMs maximum wait; null: unlimited
   * @returns false when `quietMs` passed
   * @throws the failure of the body
   */
  async waitFor(count: number, quietMs: number | null): Promise<boolean> {
    this.#wanted = count;
    const enough = (): boolean => this.#isEnough() || this.ended || this.failure !== null;
    let quiet = false;
    let timer: NodeJS.Timeout | null = null;
    while (!enough() && !quiet) {
      this.#resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (quietMs !== null && timer === null) {
          timer = setTimeout(() => {
            quiet = true;
            this.#notify();
          }, quietMs);
        }
      });
    }
    if (timer !== null) clearTimeout(timer);
    if (this.failure) throw this.failure;
    return !quiet;
  }

  /** Moves up to `into.length` bytes out of the buffer and returns their number. Resumes the client. */
  drainInto(into: Uint8Array): number {
    this.#closeTail();
    let moved = 0;
    let used = 0;
    while (used < this.#blocks.length && moved < into.length) {
      const block = this.#blocks[used] as Buffer;
      const room = into.length - moved;
      if (block.length <= room) {
        into.set(block, moved);
        moved += block.length;
        used += 1;
      } else {
        into.set(block.subarray(0, room), moved);
        this.#blocks[used] = block.subarray(room);
        moved += room;
      }
    }
    if (used > 0) this.#blocks.splice(0, used);
    this.bytes -= moved;
    this.#resume();
    return moved;
  }

  /** Stops listening. Unread bytes stay in the source, which is left paused if it has not ended. */
  detach(): void {
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#source.off('error', this.#onBroken);
    this.#source.off('close', this.#onBroken);
    this.#source.off('aborted', this.#onBroken);
    // The source may still break; without a listener that would be an uncaught error.
    this.#source.on('error', () => {});
    if (!this.ended || this.truncatedBy) this.#source.pause();
    this.#blocks = [];
    this.#tail = null;
  }
}
