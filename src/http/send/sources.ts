/** Sources of the bytes of a response: extents of a file with text between them, or a file that is still arriving. */
import type { Reader } from '../../contracts/blobs.ts';
import type { Representation } from '../../engine/read/open-file.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';

/** A body that is read in blocks. */
export interface Source {
  /** Number of the remaining bytes; null while it is unknown. */
  readonly remaining: number | null;
  /** Null if `fill` can return bytes or the end at once; otherwise resolves when it can. */
  ready(): Promise<void> | null;
  /** Fills the buffer from its start and returns the number of bytes; 0 only at the end. Throws `Incomplete`, `Truncated` or `Withdrawn`. */
  fill(into: Uint8Array): Promise<number>;
  /** Ends the waiting of `ready`, because the client has disconnected. */
  cancel(): void;
}

/** A followed file did not become complete. The response must not look complete. */
export class Incomplete extends Error {
  override readonly name = 'Incomplete';
}

/** Stored bytes are missing: the disk lost them, or another program changed the file. */
export class Truncated extends Error {
  override readonly name = 'Truncated';
}

/** The principal may no longer read the file. */
export class AccessRevoked extends Error {
  override readonly name = 'Withdrawn';
}

/** Literal bytes, or an extent of the file. */
export type Piece = Uint8Array | Extent;

/** The bytes of a list of pieces, one after the other. */
export class PiecesSource implements Source {
  readonly #reader: Reader;
  readonly #pieces: readonly Piece[];
  readonly #isAuthorized: () => boolean;
  #index = 0;
  /** Bytes of the current piece that were read. */
  #read = 0;
  #remaining: number;

  /** @param isAuthorized false once the principal may no longer read the file */
  constructor(reader: Reader, pieces: readonly Piece[], isAuthorized: () => boolean = () => true) {
    this.#reader = reader;
    this.#pieces = pieces;
    this.#isAuthorized = isAuthorized;
    this.#remaining = pieces.reduce((sum, piece) => sum + bytesOf(piece), 0);
  }

  get remaining(): number {
    return this.#remaining;
  }

  ready(): null {
    return null;
  }

  async fill(into: Uint8Array): Promise<number> {
    if (!this.#isAuthorized()) throw new AccessRevoked('The principal may no longer read the file.');
    let filled = 0;
    for (let piece = this.#pieces[this.#index]; piece && filled < into.length; piece = this.#pieces[this.#index]) {
      const length = Math.min(bytesOf(piece) - this.#read, into.length - filled);
      if (piece instanceof Uint8Array) into.set(piece.subarray(this.#read, this.#read + length), filled);
      else await readExactly(this.#reader, into.subarray(filled, filled + length), piece.start + this.#read);
      filled += length;
      this.#read += length;
      if (this.#read === bytesOf(piece)) {
        this.#index += 1;
        this.#read = 0;
      }
    }
    this.#remaining -= filled;
    return filled;
  }

  cancel(): void {}
}

function bytesOf(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.length : lengthOf(piece);
}

async function readExactly(reader: Reader, into: Uint8Array, position: number): Promise<void> {
  const read = await reader.read(into, position);
  if (read < into.length) throw new Truncated('The stored file is shorter than it was.');
}

/** What following a file needs. */
export interface FollowOptions {
  /** Size of the file; null while it is undeclared. */
  size: number | null;
  /** Watches the file for changes; returns the function that ends this. */
  watch(listener: () => void): () => void;
  /** How long to wait for a change, in milliseconds. */
  silenceMs: number;
  /** Called after the wait if the size is undeclared. True if the file ends at `size` and has no gaps. */
  isWhole(size: number): Promise<boolean>;
  /** False once the principal may no longer read the file. */
  isAuthorized(): boolean;
}

/** A file from its first byte to its last. Waits for bytes that have not arrived. */
export class FollowSource implements Source {
  readonly #representation: Representation;
  readonly #options: FollowOptions;
  readonly #unwatch: () => void;
  #position = 0;
  #silent = false;
  #cancelled = false;
  #lastChange = performance.now();
  #wake: (() => void) | null = null;
  #waiting: Promise<void> | null = null;

  constructor(representation: Representation, options: FollowOptions) {
    this.#representation = representation;
    this.#options = options;
    this.#unwatch = options.watch(() => {
      this.#lastChange = performance.now();
      this.#wake?.();
    });
  }

  get remaining(): number | null {
    const { size } = this.#options;
    return size === null ? null : size - this.#position;
  }

  ready(): Promise<void> | null {
    if (!this.#mustWait()) return null;
    this.#waiting ??= this.#wait().finally(() => {
      this.#waiting = null;
    });
    return this.#waiting;
  }

  async fill(into: Uint8Array): Promise<number> {
    if (!this.#options.isAuthorized()) throw new AccessRevoked('The principal may no longer read the file.');
    const state = this.#representation.state();
    const length = Math.min(this.#available(), into.length);
    if (length === 0) {
      if (await this.#endsHere(state)) return 0;
      throw new Incomplete(
        state === 'open' ? 'No more bytes of the file arrived.' : 'The upload ended before the file was complete.',
      );
    }
    await readExactly(this.#representation.reader, into.subarray(0, length), this.#position);
    this.#position += length;
    return length;
  }

  /** Stops waiting. The bytes that have arrived are still sent. */
  stop(): void {
    this.#silent = true;
    this.#wake?.();
  }

  cancel(): void {
    this.#cancelled = true;
    this.#unwatch();
    this.#wake?.();
  }

  #available(): number {
    return this.#representation.committedUpTo(this.#position) - this.#position;
  }

  #mustWait(): boolean {
    if (this.#cancelled || this.#silent || this.remaining === 0) return false;
    return this.#representation.state() === 'open' && this.#available() === 0;
  }

  async #wait(): Promise<void> {
    while (this.#mustWait()) {
      const left = this.#lastChange + this.#options.silenceMs - performance.now();
      if (left <= 0) {
        // A large chunk may be arriving on a slow line.
        this.#silent = !this.#representation.isReceiving();
        this.#lastChange = performance.now();
        continue;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.ceil(left));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
  }

  /** True if the file ends at the current position. */
  async #endsHere(state: 'open' | 'sealed' | 'discarded'): Promise<boolean> {
    const { size } = this.#options;
    if (this.#cancelled || state === 'discarded') return false;
    if (size !== null) return size === this.#position;
    return state === 'sealed' || this.#options.isWhole(this.#position);
  }
}
