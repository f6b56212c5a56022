/** Checksums of the source of an upload: its digest, and comparisons with the file on the server. */
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { Crc32 } from '../calls/options.ts';
import { VerificationError } from '../transport/failures.ts';
import type { UploadSource } from './upload-options.ts';

/** Bytes to read at a time. */
const READ_BYTES = 8 * 1024 * 1024;

/** Computes the checksums of one source in the background. */
export class SourceChecksums {
  readonly #source: UploadSource;
  readonly #crc32: Crc32;
  readonly #stop: AbortController;
  #pending: Promise<Digest> | null = null;
  #digest: Digest | null = null;

  /** @param stop aborts the computations; aborted when the digest cannot be computed */
  constructor(source: UploadSource, crc32: Crc32, stop: AbortController) {
    this.#source = source;
    this.#crc32 = crc32;
    this.#stop = stop;
  }

  /** The digest of the whole source; null until it is computed. */
  get digest(): Digest | null {
    return this.#digest;
  }

  /** Starts to compute the digest, if the source supports it. */
  startDigest(): void {
    this.#pending = this.#source.digest?.(this.#stop.signal) ?? null;
    this.#pending?.then(
      (digest) => {
        this.#digest = digest;
      },
      (error: unknown) => this.#stop.abort(error),
    );
  }

  /** The digest to send with a chunk, if it is known. Waits for it before the last chunk. */
  async digestToSend(isLastChunk: boolean): Promise<Digest | undefined> {
    if (this.#pending === null) return undefined;
    if (this.#digest === null && isLastChunk) this.#digest = await this.#pending;
    return this.#digest ?? undefined;
  }

  /** Resolves when no digest is being computed. */
  async settled(): Promise<void> {
    await this.#pending?.catch(() => {});
  }

  /** True when a complete file has the size and CRC-32 of the source. */
  async matches(status: FileStatus): Promise<boolean> {
    if (status.total_bytes !== this.#source.size || status.crc32 === null) return false;
    return Number.parseInt(status.crc32, 16) === (await this.#crcOfSource());
  }

  /**
   * Compares the complete file with the source, unless the server already verified the digest. The server checked every chunk, but
   * bytes of earlier runs may be from another version of the file.
   * @param sentCrc CRC-32 of the file if this run sent all of it, else null
   * @throws VerificationError
   */
  async verify(status: FileStatus, sentCrc: number | null): Promise<void> {
    if (this.#digest !== null || status.crc32 === null) return;
    if (Number.parseInt(status.crc32, 16) === (sentCrc ?? (await this.#crcOfSource()))) return;
    throw new VerificationError(
      'The file on the server contains bytes of an earlier version of the local file. Upload it again with overwrite (on the command line: --overwrite).',
    );
  }

  async #crcOfSource(): Promise<number> {
    let crc = 0;
    for (let at = 0; at < this.#source.size; at += READ_BYTES) {
      this.#stop.signal.throwIfAborted();
      const end = Math.min(at + READ_BYTES, this.#source.size) - 1;
      crc = this.#crc32(await this.#source.read(at, end), crc);
    }
    return crc;
  }
}
