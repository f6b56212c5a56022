/**
 * One chunk's bytes on their way from the socket through segments to the workers. A chunk may be far larger than a segment, so its
 * bytes are written before its checksum is known; that is safe because the range is reserved and the manifest does not list it.
 */
import type { SegmentJob, SegmentRange, SegmentResult } from '../../contracts/blobs.ts';
import { LadingError } from '../../errors.ts';
import { crc32Combine } from '../../protocol/crc32.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FreshExtent } from '../uploads/commit.ts';
import type { BodyBuffer } from './body-buffer.ts';
import { type BufferPool, type SegmentSize, SMALL_SEGMENT_BYTES } from './buffer-pool.ts';

/** A large segment goes to a worker part-filled when its socket does not bring a small one's worth within this time. */
const QUIET_MS = 250;
/** A sender that fills a small segment within this time is worth a large one. */
const FAST_MS = 60;
/** Segments of one chunk at the workers at one time. */
const IN_FLIGHT = 2;

export interface Received {
  /** Sum of the data bytes modulo 256. */
  sum: number;
  crc32: number;
  fresh: FreshExtent[];
  /** A compared byte differs from what is stored. Only a chunk whose checksums are right can be said to conflict. */
  conflict: boolean;
}

interface Filling {
  bytes: Uint8Array<ArrayBuffer>;
  size: SegmentSize;
  used: number;
  start: number;
}

interface Job {
  done: Promise<SegmentResult>;
  pieces: SegmentRange[];
  length: number;
}

export class BodyWriter {
  readonly #body: BodyBuffer;
  readonly #write: (job: SegmentJob) => Promise<SegmentResult>;
  readonly #pool: BufferPool;
  readonly #plan: SegmentRange[];
  readonly #extent: Extent;
  readonly #mayEndEarly: boolean;
  readonly #pauseMs: number | null;
  readonly #began = performance.now();
  readonly #jobs: Job[] = [];
  readonly #fresh: FreshExtent[] = [];
  #next = 0;
  /** Data bytes that the workers have done. */
  bytesDone = 0;
  #sum = 0;
  #crc = 0;
  #conflict = false;
  /** True while this side waits for a buffer, not for the client. */
  isWaiting = false;

  /**
   * @param write hands a segment to a worker
   * @param pieces what of the extent is written and what is compared, ascending, together the extent
   * @param toItsEnd the body may end before the extent does
   * @param pauseMs the body may also go on after the extent, and what was read of it is wanted after so long
   */
  constructor(
    inbox: BodyBuffer,
    write: (job: SegmentJob) => Promise<SegmentResult>,
    pool: BufferPool,
    extent: Extent,
    pieces: SegmentRange[],
    toItsEnd = false,
    pauseMs: number | null = null,
  ) {
    this.#body = inbox;
    this.#write = write;
    this.#pool = pool;
    this.#extent = extent;
    this.#plan = pieces;
    this.#mayEndEarly = toItsEnd;
    this.#pauseMs = pauseMs;
  }

  /** Reads exactly the extent's bytes and then the end of the body. When it returns or throws, no write is under way. */
  async receive(): Promise<Received> {
    try {
      await this.#readAll();
      while (this.#jobs.length > 0) await this.#collect();
      if (this.#pauseMs === null) await this.#expectEnd();
    } finally {
      await Promise.allSettled(this.#jobs.map((job) => job.done));
    }
    return { sum: this.#sum, crc32: this.#crc, fresh: this.#fresh, conflict: this.#conflict };
  }

  async #readAll(): Promise<void> {
    let position = this.#extent.start;
    while (position <= this.#extent.end) {
      if (this.#mayEndEarly && !(await this.#hasMore())) return;
      const filling = await this.#takeBuffer(position);
      try {
        await this.#fill(filling);
      } catch (error) {
        this.#pool.give(filling.bytes.buffer, filling.size);
        throw error;
      }
      position += filling.used;
      this.#dispatch(filling);
      if (this.#pauseMs !== null && performance.now() - this.#began >= this.#pauseMs) return;
    }
  }

  /** False at the end of the body. */
  async #hasMore(): Promise<boolean> {
    if (this.#body.bytes === 0 || this.#body.failure) await this.#body.waitFor(1, null);
    return this.#body.bytes > 0;
  }

  /** Waits until it is worth taking a segment, then takes the one that suits the sender's speed. */
  async #takeBuffer(start: number): Promise<Filling> {
    const remaining = this.#extent.end - start + 1;
    const since = performance.now();
    // Whoever pauses takes less than that, too, but not nothing.
    const worth = Math.min(remaining, SMALL_SEGMENT_BYTES);
    while (!(await this.#waitForBytes(worth, this.#pauseMs)) && this.#body.bytes === 0);
    // Where many share the inboxes' memory, less than a small segment may have come; that is no reason for a large one.
    const here = Math.min(this.#body.bytes, remaining);
    const fast = performance.now() - since < FAST_MS && here >= SMALL_SEGMENT_BYTES && remaining > SMALL_SEGMENT_BYTES;
    const size: SegmentSize = fast ? 'large' : 'small';
    while (this.#jobs.length >= IN_FLIGHT) await this.#wait(this.#collect());
    const taken = this.#pool.take(size);
    const buffer = taken instanceof ArrayBuffer ? taken : await this.#wait(taken);
    const bytes = new Uint8Array(buffer, 0, Math.min(buffer.byteLength, remaining));
    return { bytes, size, used: 0, start };
  }

  /**
   * Fills a large segment until it is full, the chunk ends, or the sender brings less than a small one within the time. A small one
   * takes what is here and goes: what it is worth was waited for before it was taken.
   */
  async #fill(filling: Filling): Promise<void> {
    const { bytes, size } = filling;
    this.#drain(filling);
    let since = performance.now();
    let worth = filling.used + SMALL_SEGMENT_BYTES;
    while (size === 'large' && filling.used < bytes.length) {
      const left = since + QUIET_MS - performance.now();
      if (left <= 0) return;
      const came = await this.#waitForBytes(Math.min(bytes.length - filling.used, SMALL_SEGMENT_BYTES), left);
      this.#drain(filling);
      if (!came || (this.#body.ended && this.#body.bytes === 0)) return;
      if (filling.used < worth) continue;
      since = performance.now();
      worth = filling.used + SMALL_SEGMENT_BYTES;
    }
  }

  #drain(filling: Filling): void {
    filling.used += this.#body.drainInto(filling.bytes.subarray(filling.used));
  }

  /** Waits for bytes; false when they did not come in time. A body that ends with none left is too short. */
  async #waitForBytes(count: number, quietMs: number | null): Promise<boolean> {
    const here = this.#body.bytes >= count && !this.#body.failure;
    const came = here || (await this.#body.waitFor(count, quietMs));
    if (this.#body.ended && this.#body.bytes === 0 && !this.#mayEndEarly) throw this.#lengthMismatch();
    return came;
  }

  async #wait<T>(promise: Promise<T>): Promise<T> {
    this.isWaiting = true;
    try {
      return await promise;
    } finally {
      this.isWaiting = false;
    }
  }

  #dispatch(filling: Filling): void {
    const { bytes, used: length, start, size } = filling;
    const buffer = bytes.buffer;
    const pieces = this.#rangesUpTo(start + length - 1);
    const done = this.#write({ buffer, length, start, pieces }).then(
      (result) => {
        this.#pool.give(result.buffer, size);
        return result;
      },
      (error: unknown) => {
        this.#pool.give(buffer, size);
        throw error;
      },
    );
    // Looked at in order by #collect; until then a failure must not count as unhandled.
    done.catch(() => {});
    this.#jobs.push({ done, pieces, length });
  }

  /** Cuts the next pieces off the plan, up to this byte. Segments come in order, so each piece is looked at once. */
  #rangesUpTo(end: number): SegmentRange[] {
    const cut: SegmentRange[] = [];
    for (let piece = this.#plan[this.#next]; piece && piece.extent.start <= end; piece = this.#plan[this.#next]) {
      if (piece.extent.end > end) {
        cut.push({ action: piece.action, extent: { start: piece.extent.start, end } });
        this.#plan[this.#next] = { action: piece.action, extent: { start: end + 1, end: piece.extent.end } };
        break;
      }
      cut.push(piece);
      this.#next += 1;
    }
    return cut;
  }

  /** Takes the oldest job's result into account; CRCs combine in the order of the bytes. */
  async #collect(): Promise<void> {
    const job = this.#jobs[0];
    if (!job) return;
    const result = await job.done;
    this.#jobs.shift();
    this.#conflict ||= result.conflict;
    this.#sum = (this.#sum + result.sum) & 0xff;
    this.#crc = this.bytesDone === 0 ? result.crc32 : crc32Combine(this.#crc, result.crc32, job.length);
    this.bytesDone += job.length;
    job.pieces.forEach((piece, index) => {
      if (piece.action === 'write') this.#addFresh(piece.extent, result.pieceCrcs[index] ?? 0);
    });
  }

  #addFresh({ start, end }: Extent, crc32: number): void {
    const last = this.#fresh.at(-1);
    if (last && last.end + 1 === start) {
      last.crc32 = crc32Combine(last.crc32, crc32, end - start + 1);
      last.end = end;
    } else {
      this.#fresh.push({ start, end, crc32 });
    }
  }

  async #expectEnd(): Promise<void> {
    if (!this.#body.ended || this.#body.bytes > 0) await this.#body.waitFor(1, null);
    if (this.#body.bytes > 0) throw this.#lengthMismatch();
  }

  #lengthMismatch(): LadingError {
    const expected = lengthOf(this.#extent);
    const { arrived } = this.#body;
    return new LadingError(
      'length_mismatch',
      `The chunk header announces ${expected} data bytes, but the body has ${this.#body.ended ? 'fewer' : 'more'}.`,
      this.#body.ended ? { expected: expected + 17, actual: arrived } : { expected: expected + 17 },
    );
  }
}
