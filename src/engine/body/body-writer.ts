/**
 * Writes the bytes of one extent from the body buffer to the workers, one segment at a time. An extent may be far larger than a segment, so
 * its bytes are written before its checksum is known. That is safe: the extent is reserved, and the manifest does not list it yet.
 */
import type { SegmentJob, SegmentRange, SegmentResult } from '../../contracts/blobs.ts';
import { LadingError } from '../../errors.ts';
import { crc32Combine } from '../../protocol/crc32.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FreshExtent } from '../uploads/commit.ts';
import type { BodyBuffer } from './body-buffer.ts';
import { type BufferPool, type SegmentSize, SMALL_SEGMENT_BYTES } from './buffer-pool.ts';

/** A large segment goes to a worker before it is full when the client sends less than a small segment within this time. */
const QUIET_MS = 250;
/** A sender that fills a small segment within this time gets a large one. */
const FAST_MS = 60;
/** Maximum number of segments of one request at the workers. */
const IN_FLIGHT = 2;

export interface Received {
  /** Sum of the data bytes modulo 256. */
  sum: number;
  crc32: number;
  fresh: FreshExtent[];
  /** True when a compared byte differs from the stored one. Check the checksums first: a corrupt chunk is not a conflict. */
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
  ranges: SegmentRange[];
  length: number;
}

export interface BodyWriterOptions {
  /** The body may end before the extent does. */
  mayEndEarly?: boolean;
  /**
   * The body may continue after the extent, and `receive` returns after this time with the bytes read so far; `Infinity`: it returns only
   * once it has the whole extent. Null: the body must end with the extent.
   */
  pauseMs?: number | null;
  /** The store must write every byte to the part: it is read back before the commit, or its extent is merged with others. */
  toPart?: boolean;
}

export class BodyWriter {
  readonly #body: BodyBuffer;
  readonly #write: (job: SegmentJob) => Promise<SegmentResult>;
  readonly #pool: BufferPool;
  readonly #plan: SegmentRange[];
  readonly #extent: Extent;
  readonly #mayEndEarly: boolean;
  readonly #pauseMs: number | null;
  readonly #toPart: boolean;
  readonly #began = performance.now();
  readonly #jobs: Job[] = [];
  readonly #fresh: FreshExtent[] = [];
  #next = 0;
  /** Data bytes that the workers have processed. */
  bytesDone = 0;
  #sum = 0;
  #crc = 0;
  #conflict = false;
  /** True while the server waits for a buffer, not for the client. */
  isWaiting = false;

  /**
   * @param write hands a segment to a worker
   * @param plan ranges to write and to compare, ascending, together the extent
   */
  constructor(
    body: BodyBuffer,
    write: (job: SegmentJob) => Promise<SegmentResult>,
    pool: BufferPool,
    extent: Extent,
    plan: SegmentRange[],
    { mayEndEarly = false, pauseMs = null, toPart = false }: BodyWriterOptions = {},
  ) {
    this.#body = body;
    this.#write = write;
    this.#pool = pool;
    this.#extent = extent;
    this.#plan = plan;
    this.#mayEndEarly = mayEndEarly;
    this.#pauseMs = pauseMs;
    this.#toPart = toPart;
  }

  /** Reads exactly the bytes of the extent and then the end of the body. When it returns or throws, no write is in progress. */
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

  /** Waits until enough bytes for a segment have arrived, then takes a buffer that suits the speed of the sender. */
  async #takeBuffer(start: number): Promise<Filling> {
    const remaining = this.#extent.end - start + 1;
    const since = performance.now();
    // With a pause time, a partly filled segment is enough, but not an empty one.
    const wanted = Math.min(remaining, SMALL_SEGMENT_BYTES);
    const pauseMs = this.#pauseMs === Number.POSITIVE_INFINITY ? null : this.#pauseMs;
    while (!(await this.#waitForBytes(wanted, pauseMs)) && this.#body.bytes === 0);
    // With many requests the limit of the body buffer may be below a small segment. Such a sender must not get a large one.
    const available = Math.min(this.#body.bytes, remaining);
    const fast =
      performance.now() - since < FAST_MS && available >= SMALL_SEGMENT_BYTES && remaining > SMALL_SEGMENT_BYTES;
    const size: SegmentSize = fast ? 'large' : 'small';
    while (this.#jobs.length >= IN_FLIGHT) await this.#wait(this.#collect());
    const taken = this.#pool.take(size);
    const buffer = taken instanceof ArrayBuffer ? taken : await this.#wait(taken);
    const bytes = new Uint8Array(buffer, 0, Math.min(buffer.byteLength, remaining));
    return { bytes, size, used: 0, start };
  }

  /**
   * Fills a large segment until it is full, the extent ends, or the client sends less than a small segment within the time. A small
   * segment takes the bytes that have arrived: `#takeBuffer` waited for them.
   */
  async #fill(filling: Filling): Promise<void> {
    const { bytes, size } = filling;
    this.#drain(filling);
    let since = performance.now();
    let target = filling.used + SMALL_SEGMENT_BYTES;
    while (size === 'large' && filling.used < bytes.length) {
      const left = since + QUIET_MS - performance.now();
      if (left <= 0) return;
      const arrived = await this.#waitForBytes(Math.min(bytes.length - filling.used, SMALL_SEGMENT_BYTES), left);
      this.#drain(filling);
      if (!arrived || (this.#body.ended && this.#body.bytes === 0)) return;
      if (filling.used < target) continue;
      since = performance.now();
      target = filling.used + SMALL_SEGMENT_BYTES;
    }
  }

  #drain(filling: Filling): void {
    filling.used += this.#body.drainInto(filling.bytes.subarray(filling.used));
  }

  /** Waits for bytes; false when they did not arrive in time. Throws when the body ended too early. */
  async #waitForBytes(count: number, quietMs: number | null): Promise<boolean> {
    const hasBytes = this.#body.bytes >= count && !this.#body.failure;
    const arrived = hasBytes || (await this.#body.waitFor(count, quietMs));
    if (this.#body.ended && this.#body.bytes === 0 && !this.#mayEndEarly) throw this.#lengthMismatch();
    return arrived;
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
    const ranges = this.#rangesUpTo(start + length - 1);
    const isWholeChunk = !this.#toPart && this.#isWholeChunk(start, length);
    const done = this.#write({ buffer, length, start, ranges, isWholeChunk }).then(
      (result) => {
        this.#pool.give(result.buffer, size);
        return result;
      },
      (error: unknown) => {
        this.#pool.give(buffer, size);
        throw error;
      },
    );
    // #collect handles failures in order. Until then, Node must not report them as unhandled.
    done.catch(() => {});
    this.#jobs.push({ done, ranges, length });
  }

  /** True when these bytes are all of the chunk. */
  #isWholeChunk(start: number, length: number): boolean {
    if (start !== this.#extent.start) return false;
    return start + length - 1 === this.#extent.end || (this.#body.ended && this.#body.bytes === 0);
  }

  /** Takes the next ranges of the plan, up to this byte. Segments are sent in order, so each range is taken once. */
  #rangesUpTo(end: number): SegmentRange[] {
    const taken: SegmentRange[] = [];
    for (let range = this.#plan[this.#next]; range && range.extent.start <= end; range = this.#plan[this.#next]) {
      if (range.extent.end > end) {
        taken.push({ action: range.action, extent: { start: range.extent.start, end } });
        this.#plan[this.#next] = { action: range.action, extent: { start: end + 1, end: range.extent.end } };
        break;
      }
      taken.push(range);
      this.#next += 1;
    }
    return taken;
  }

  /** Adds the result of the oldest job; CRCs combine in the order of the bytes. */
  async #collect(): Promise<void> {
    const job = this.#jobs[0];
    if (!job) return;
    const result = await job.done;
    this.#jobs.shift();
    this.#conflict ||= result.conflict;
    this.#sum = (this.#sum + result.sum) & 0xff;
    this.#crc = this.bytesDone === 0 ? result.crc32 : crc32Combine(this.#crc, result.crc32, job.length);
    this.bytesDone += job.length;
    job.ranges.forEach((range, index) => {
      if (range.action === 'write')
        this.#addFresh(range.extent, result.rangeCrcs[index] ?? 0, result.kept?.[index] ?? undefined);
    });
  }

  #addFresh({ start, end }: Extent, crc32: number, bytes: Uint8Array | undefined): void {
    const last = this.#fresh.at(-1);
    if (bytes) {
      this.#fresh.push({ start, end, crc32, bytes });
    } else if (last && !last.bytes && last.end + 1 === start) {
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
