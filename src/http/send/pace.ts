/** Measures how fast a connection accepts bytes. Its next block has the size that it accepts in 50 ms. */
const BLOCK_MS = 50;
const FIRST_BLOCK = 64 * 1024;
/**
 * The systems of both sides may buffer some MiB for a client that reads nothing. A client that accepted more has shown that it reads.
 */
const PROOF_BYTES = 8 * 1024 ** 2;
/** Older measurements count half after this time, so that the average counts for a client with pauses. */
const HALF_LIFE_MS = 2_000;
/** Clients with blocks of at least this size are fast enough for reading ahead. */
const QUICK_BLOCK = 128 * 1024;

/** The pace of one connection. */
export class Pace {
  readonly #most: number;
  #total = 0;
  #bytes = 0;
  #ms = 0;

  constructor(most: number) {
    this.#most = most;
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
    const most = this.proven ? this.#most : Math.min(FIRST_BLOCK, this.#most);
    if (this.#total === 0) return most;
    return Math.min((this.#bytes / Math.max(this.#ms, 0.001)) * BLOCK_MS, most);
  }

  /** True if the client is fast enough for reading ahead. */
  get quick(): boolean {
    return this.block >= QUICK_BLOCK;
  }
}
