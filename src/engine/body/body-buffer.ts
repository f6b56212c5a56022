/**
 * The bytes of one request between the socket and a segment. It never holds more than its limit: then the socket waits, and
 * through TCP the client.
 */
import type { Readable } from 'node:stream';
import { LadingError } from '../../errors.ts';
import { isCutShort } from './cut-short.ts';

/** Pieces up to this size are copied together, so that a client that sends single bytes costs bytes and not objects. */
const SMALL_PIECE_BYTES = 1024;
/** What small pieces are copied into: as small as this for the first ones, and twice as large each time that it is full. */
const MIN_TAIL_BYTES = 64;
const MAX_TAIL_BYTES = 4096;

export class BodyBuffer {
  /** Bytes that arrived, whether taken or not. */
  arrived = 0;
  /** Bytes that are here now. */
  bytes = 0;
  ended = false;
  failure: Error | null = null;
  /** Why a body whose bytes count by themselves ended before its end; null while it did not. */
  truncatedBy: LadingError | null = null;
  /** Rejects with the failure, for whoever waits for something else than bytes. */
  readonly failed: Promise<never>;
  readonly #source: Readable;
  readonly #limit: () => number;
  readonly #onBytes: (count: number) => void;
  readonly #keepsPartial: boolean;
  #blocks: Buffer[] = [];
  /** The small pieces that came last, behind `#pieces`: its first `#tailBytes` bytes. */
  #tail: Buffer | null = null;
  #tailBytes = 0;
  #paused = false;
  #wake: (() => void) | null = null;
  /** Bytes that are waited for. */
  #wanted = 0;
  #reject: (error: Error) => void = () => {};

  /** @param keepsBroken a body that breaks ends there, and what arrived of it is worth something; else it is a failure */
  constructor(source: Readable, limit: () => number, onBytes: (count: number) => void, keepsBroken = false) {
    this.#source = source;
    this.#keepsPartial = keepsBroken;
    this.#limit = limit;
    this.#onBytes = onBytes;
    this.failed = new Promise((_, reject) => {
      this.#reject = reject;
    });
    // Most requests wait for nothing else, and then nobody listens.
    this.failed.catch(() => {});
    source.on('data', this.#take);
    source.on('end', this.#end);
    source.on('error', this.#broken);
    source.on('close', this.#broken);
    source.on('aborted', this.#broken);
    // What broke before anybody listened says nothing any more.
    if (isCutShort(source)) this.#broken();
    else if (source.readableEnded) this.#end();
  }

  #take = (piece: Buffer): void => {
    this.arrived += piece.length;
    this.bytes += piece.length;
    if (piece.length > SMALL_PIECE_BYTES) {
      this.#closeTail();
      this.#blocks.push(piece);
    } else {
      this.#append(piece);
    }
    this.#onBytes(piece.length);
    if (!this.#paused && this.bytes >= this.#limit()) {
      this.#paused = true;
      this.#source.pause();
    }
    if (this.#isEnough()) this.#notify();
  };

  /** True when nobody need wait: what is waited for is here, or as much as may be. */
  #isEnough(): boolean {
    return this.bytes >= Math.min(this.#wanted, this.#limit());
  }

  #append(piece: Buffer): void {
    const tail = this.#tail;
    if (tail && tail.length - this.#tailBytes >= piece.length) {
      tail.set(piece, this.#tailBytes);
      this.#tailBytes += piece.length;
      return;
    }
    this.#closeTail();
    const grown = tail ? Math.min(MAX_TAIL_BYTES, 2 * tail.length) : MIN_TAIL_BYTES;
    // Not from node's pool: a few bytes would keep 8 KiB of it.
    this.#tail = Buffer.allocUnsafeSlow(Math.max(grown, piece.length));
    this.#tail.set(piece);
    this.#tailBytes = piece.length;
  }

  /** What comes next goes behind the small pieces that came so far. */
  #closeTail(): void {
    if (this.#tail) this.#blocks.push(this.#tail.subarray(0, this.#tailBytes));
    this.#tail = null;
    this.#tailBytes = 0;
  }

  #end = (): void => {
    this.ended = true;
    this.#notify();
  };

  #broken = (): void => {
    if (this.ended) return;
    const broken = new LadingError(
      'length_mismatch',
      'The connection broke before the chunk was whole. Send it again.',
    );
    if (this.#keepsPartial) this.truncate(broken);
    else this.fail(broken);
  };

  /** Takes no more than what is here: for whoever reads on, the body ends with it. */
  truncate(why: LadingError): void {
    if (this.ended) return;
    this.truncatedBy = why;
    this.#reject(why);
    this.ended = true;
    this.#source.off('data', this.#take);
    this.#source.pause();
    this.#notify();
  }

  /**
   * As `endHere`, after what the system holds already was read: as long as every turn of the event loop brings something, and for
   * `mostMs` at most, for a sender that is alive may never pause.
   */
  truncateWhenIdle(why: LadingError, mostMs: number): void {
    const since = performance.now();
    let before = -1;
    const look = (): void => {
      if (this.ended) return;
      const idle = this.arrived === before && !this.#paused;
      if (idle || performance.now() - since >= mostMs) {
        this.truncate(why);
        return;
      }
      before = this.arrived;
      setImmediate(() => setImmediate(look));
    };
    setImmediate(look);
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Ends the waiting for more: the next look at the inbox finds this error. The first failure stays. */
  fail(error: Error): void {
    this.failure ??= error;
    this.#reject(this.failure);
    this.#notify();
  }

  /** True while this side keeps the client waiting, so that nobody blames the client for its silence. */
  get isPaused(): boolean {
    return this.#paused;
  }

  /**
   * The limit moves with the number of requests: lets a stopped sender go on after it rose, serves who waits after it fell. Called
   * now and then, for no event tells.
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
   * Resolves when at least `count` bytes are here, the body ended, or `quietMs` passed (null: no limit); true when it was not the
   * quiet. Throws the failure. The count is lowered to the inbox's own limit, for more would never come.
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

  /** Moves up to `into.length` bytes out; the number moved. Lets the client go on. */
  drainInto(into: Uint8Array): number {
    this.#closeTail();
    let moved = 0;
    let used = 0;
    while (used < this.#blocks.length && moved < into.length) {
      const piece = this.#blocks[used] as Buffer;
      const room = into.length - moved;
      if (piece.length <= room) {
        into.set(piece, moved);
        moved += piece.length;
        used += 1;
      } else {
        into.set(piece.subarray(0, room), moved);
        this.#blocks[used] = piece.subarray(room);
        moved += room;
      }
    }
    if (used > 0) this.#blocks.splice(0, used);
    this.bytes -= moved;
    this.#resume();
    return moved;
  }

  /** Stops listening; what is unread stays with the source, which is left paused if it has not ended. */
  detach(): void {
    this.#source.off('data', this.#take);
    this.#source.off('end', this.#end);
    this.#source.off('error', this.#broken);
    this.#source.off('close', this.#broken);
    this.#source.off('aborted', this.#broken);
    // Whoever owns the source may still see it break; without a listener that would be an uncaught error.
    this.#source.on('error', () => {});
    if (!this.ended || this.truncatedBy) this.#source.pause();
    this.#blocks = [];
    this.#tail = null;
  }
}
