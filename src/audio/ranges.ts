/** Random access to stored bytes for parsers of media files, with a limit on the bytes that are read. */
import { AbstractTokenizer, EndOfStreamError, type IFileInfo, type IReadChunkOptions } from 'strtok3';
import type { Reader } from '../contracts/blobs.ts';

/** The bytes of a stored file. */
export interface StoredBytes extends Pick<Reader, 'read'> {
  /** In bytes. */
  size: number;
}

/** Maximum number of bytes that a parser reads from one file. A cover picture may take most of it. */
export const MAX_BYTES = 8 * 1024 ** 2;
const BLOCK_BYTES = 64 * 1024;

/** A parser reached the limit of bytes or steps. */
export class LimitExceededError extends Error {}

/** A tokenizer of the metadata library that reads blocks of 64 KiB. */
export class RangeTokenizer extends AbstractTokenizer {
  override fileInfo: IFileInfo;
  readonly #stored: StoredBytes;
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #blockStart = 0;
  #blockLength = 0;
  #bytesLeft = MAX_BYTES;

  constructor(stored: StoredBytes) {
    super({ maxBufferSize: MAX_BYTES });
    this.#stored = stored;
    this.fileInfo = { size: stored.size };
  }

  override supportsRandomAccess(): boolean {
    return true;
  }

  setPosition(position: number): void {
    this.position = position;
  }

  override async readBuffer(into: Uint8Array, options?: IReadChunkOptions): Promise<number> {
    const { length, position, mayBeLess } = this.normalizeOptions(into, options);
    this.position = position;
    const read = await this.#read(into.subarray(0, length), position, mayBeLess === true);
    this.position += read;
    return read;
  }

  override async peekBuffer(into: Uint8Array, options?: IReadChunkOptions): Promise<number> {
    const { length, position, mayBeLess } = this.normalizeOptions(into, options);
    return await this.#read(into.subarray(0, length), position, mayBeLess === true);
  }

  async #read(into: Uint8Array, position: number, mayBeLess: boolean): Promise<number> {
    let done = 0;
    while (done < into.length && position + done < this.#stored.size) {
      const at = position + done - this.#blockStart;
      if (at < 0 || at >= this.#blockLength) {
        await this.#load(position + done);
        if (this.#blockLength === 0) break;
        continue;
      }
      const piece = this.#block.subarray(at, Math.min(this.#blockLength, at + into.length - done));
      into.set(piece, done);
      done += piece.length;
    }
    if (done < into.length && !mayBeLess) throw new EndOfStreamError();
    return done;
  }

  async #load(start: number): Promise<void> {
    if (this.#bytesLeft <= 0) throw new LimitExceededError();
    const length = Math.min(BLOCK_BYTES, this.#stored.size - start);
    this.#blockLength = await this.#stored.read(this.#block.subarray(0, length), start);
    this.#blockStart = start;
    this.#bytesLeft -= this.#blockLength;
  }
}
