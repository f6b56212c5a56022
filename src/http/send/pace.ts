/** How fast one connection takes bytes, and so how much memory its next block is worth: what it takes in 50 ms. */
const BLOCK_MS = 50;
const FIRST_BLOCK = 64 * 1024;
/**
 * The systems of both sides may take some MiB for a client that reads nothing. Only one that took more has shown that it reads.
 */
const PROOF_BYTES = 8 * 1024 ** 2;
/** Older times count half after so long; a client that stops and goes is judged by its average. */
const HALF_LIFE_MS = 2_000;
/** Blocks of a client this fast are worth reading ahead. */
const QUICK_BLOCK = 128 * 1024;

export class Pace {
  readonly #most: number;
  #total = 0;
  #bytes = 0;
  #ms = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** So many bytes were accepted within so much time. */
  accepted(bytes: number, ms: number): void {
    this.#total += bytes;
    this.#bytes += bytes;
    this.#ms += ms;
    if (this.#ms > HALF_LIFE_MS) {
      this.#bytes /= 2;
      this.#ms /= 2;
    }
  }

  /** It has shown that it reads. */
  get proven(): boolean {
    return this.#total >= PROOF_BYTES;
  }

  /** Bytes of the next block. */
  get block(): number {
    const most = this.proven ? this.#most : Math.min(FIRST_BLOCK, this.#most);
    if (this.#total === 0) return most;
    return Math.min((this.#bytes / Math.max(this.#ms, 0.001)) * BLOCK_MS, most);
  }

  get quick(): boolean {
    return this.block >= QUICK_BLOCK;
  }
}
