/** The reply to a train of chunks as lines of JSON (PROTOCOL §8): one line for each commit, and a last line with the outcome. */
import { Readable } from 'node:stream';
import type { CommittedGroup } from '../../engine/trains/train-group.ts';
import type { Extent } from '../../protocol/extents.ts';

/** Maximum number of bytes buffered for the client. While the buffer is full, commits are merged into one line. */
const WAITING_BYTES = 4096;
/** Maximum number of ranges in a line. */
const MAX_RANGES = 1000;

export class TrainLines extends Readable {
  /** Resolves with the first commit. */
  readonly begun: Promise<void>;
  #hasBegun = false;
  #begin: () => void = () => {};
  /** Commits that have not been sent yet. */
  #waiting: { committed: Extent[]; more: boolean; last: CommittedGroup } | null = null;
  #isFull = false;

  constructor() {
    super({ highWaterMark: WAITING_BYTES });
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Sends a line about a commit, or merges it into the waiting line. */
  group(group: CommittedGroup): void {
    this.#hasBegun = true;
    this.#begin();
    this.#waiting ??= { committed: [], more: false, last: group };
    const { committed } = this.#waiting;
    for (const extent of group.committed) {
      const last = committed.at(-1);
      if (last && last.end + 1 === extent.start) last.end = extent.end;
      else if (committed.length < MAX_RANGES) committed.push({ ...extent });
      else this.#waiting.more = true;
    }
    this.#waiting.last = group;
    if (!this.#isFull) this.#send();
  }

  /** Sends the last line, which must be JSON. The stream stays open until `end`. */
  outcome(line: string): void {
    this.#send();
    if (!this.destroyed) this.push(`${line}\n`);
  }

  end(): void {
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {
    this.#isFull = false;
    this.#send();
  }

  #send(): void {
    if (!this.#waiting || this.destroyed) return;
    const { committed, more, last } = this.#waiting;
    this.#waiting = null;
    const line = {
      committed: committed.map(({ start, end }) => [start, end]),
      ...(more ? { committed_more: true } : {}),
      committed_chunks: last.committedChunks,
      bytes_received: last.received,
      next_expected_byte: last.next,
    };
    this.#isFull = !this.push(`${JSON.stringify(line)}\n`);
  }
}
