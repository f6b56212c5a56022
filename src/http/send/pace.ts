/** Measures how fast a connection accepts bytes. Its next block has the size that it accepts in 50 ms. */
const BLOCK_MS = 50;
const FIRST_BLOCK = 64 * 1024;
/**
 * The systems of both sides may buffer some MiB for a client that reads nothing. A client that accepted more has shown that it reads.
 */
const PROOF_BYTES = 8 * 1024 ** 2;
/** The weight of older measurements halves after this time, so that pauses of a client even out. */
const HALF_LIFE_MS = 2_000;
/** Clients with blocks of at least this size are fast enough for reading ahead. */
const QUICK_BLOCK = 128 * 1024;

/** The pace of one connection. */
export class Pace {
  readonly #maxBlock: number;
  #total = 0;
  #bytes = 0;
  #ms = 0;

  /** @param maxBlock limit of a block in bytes */
  constructor(maxBlock: number) {
    this.#maxBlock = maxBlock;
  }

  /** Records that `bytes` were accepted within `ms`. */
  accepted(bytes: number, ms: number): void {
    this.#total += bytes;
    this.#bytes += bytes;
    this.#ms += ms;
    if (this.#ms > HALF_LIFE_MS) {
      this.#bytes /= 2;
      this.#ms /= 2;
    }
  }

  /** True if the client has shown that it reads. */
  get proven(): boolean {
    return this.#total >= PROOF_BYTES;
  }

  /** Size of the next block in bytes. */
  get block(): number {
    const max = this.proven ? this.#maxBlock : Math.min(FIRST_BLOCK, this.#maxBlock);
    if (this.#total === 0) return max;
    return Math.min((this.#bytes / Math.max(this.#ms, 0.001)) * BLOCK_MS, max);
  }

  /** True if the client is fast enough for reading ahead. */
  get quick(): boolean {
    return this.block >= QUICK_BLOCK;
  }
}
