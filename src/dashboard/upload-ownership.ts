/**
 * Tracks which unfinished uploads this page started. Cancelling removes only those: an upload of the same name may belong to another tab,
 * another device, or another person with the same credentials.
 *
 * When an upload is first seen, it belongs to this page if this page sent all of its bytes. It is foreign if it existed before the first
 * byte was sent, or has other bytes.
 */
import { LadingError } from '../errors.ts';
import { type Extent, ExtentSet } from '../protocol/extents.ts';
import type { FileStatus } from '../protocol/schemas/files.ts';

/** Which uploads of one name this page started. */
export class UploadOwnership {
  /** Ids of uploads that this page started. */
  readonly #own: Set<string>;
  readonly #foreign = new Set<string>();
  /** Chunks that the server has or may have. Refused chunks are removed. */
  readonly #sent = new Set<Extent>();
  readonly #size: number;
  readonly #onStarted: (id: string) => void;
  readonly #unanswered = new Set<Extent>();

  /**
   * @param size of the file that is uploaded
   * @param known ids of uploads that this page started before a reload
   * @param onStarted called once for each further id
   */
  constructor(size: number, known: Iterable<string>, onStarted: (id: string) => void) {
    this.#size = size;
    this.#own = new Set(known);
    this.#onStarted = onStarted;
  }

  /** True when a chunk without a reply may have arrived or may still arrive. */
  get mayHaveLateChunks(): boolean {
    return this.#unanswered.size > 0;
  }

  /** True when the server has or may have bytes from this page. */
  get hasSent(): boolean {
    return this.#sent.size > 0;
  }

  /** Sends a chunk with `send` and records it, unless the server refuses it. */
  async chunk(extent: Extent, send: () => Promise<FileStatus>): Promise<FileStatus> {
    this.#unanswered.add(extent);
    if (extent.end >= extent.start) this.#sent.add(extent);
    try {
      const status = await send();
      this.#unanswered.delete(extent);
      this.observe(status);
      return status;
    } catch (error) {
      // A refused chunk is not stored. After a network failure, that is unknown.
      if (error instanceof LadingError && error.status < 500) {
        this.#unanswered.delete(extent);
        this.#sent.delete(extent);
      }
      throw error;
    }
  }

  /** Evaluates a status. Returns true for an unfinished upload that this page started. */
  observe(status: FileStatus): boolean {
    const { id } = status;
    if (status.status !== 'partial' || id === null) return false;
    if (this.#own.has(id)) return true;
    if (this.#foreign.has(id)) return false;
    if (!this.#sentAllOf(status)) {
      this.#foreign.add(id);
      return false;
    }
    this.#own.add(id);
    this.#onStarted(id);
    return true;
  }

  #sentAllOf({ total_bytes: total, missing, missing_more: more }: FileStatus): boolean {
    if (this.#sent.size === 0 || total !== this.#size || more) return false;
    const sent = new ExtentSet();
    for (const extent of this.#sent) {
      for (const { extent: part, stored } of sent.split(extent)) if (!stored) sent.add(part, 0);
    }
    let at = 0;
    for (const [start, end] of [...missing, [total, total]] as [number, number][]) {
      if (start > at && !sent.covers({ start: at, end: start - 1 })) return false;
      at = end + 1;
    }
    return true;
  }
}
