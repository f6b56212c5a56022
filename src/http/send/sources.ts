/** Where the bytes of a response come from: extents of a file and text between them, or a file that is still arriving. */
import type { Reader } from '../../contracts/blobs.ts';
import type { Representation } from '../../engine/read/open-file.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';

/** A body that is read block by block. */
export interface Source {
  /** Bytes still to come; null while unknown. */
  readonly remaining: number | null;
  /** Null when `fill` has something to give at once, or the end; else resolves when it has. */
  ready(): Promise<void> | null;
  /** Puts bytes into the buffer from its start; how many. 0 only at the end. Throws `Incomplete` or `Truncated` when bytes are missing. */
  fill(into: Uint8Array): Promise<number>;
  /** Ends what `ready` waits for: the client is gone. */
  cancel(): void;
}

/** The file that is followed will not become whole, or not soon; what was sent of it must not look whole. */
export class Incomplete extends Error {
  override readonly name = 'Incomplete';
}

/** Stored bytes are gone: the disk lost them, or somebody else changed the file. */
export class Truncated extends Error {
  override readonly name = 'Truncated';
}

/** Who asked may no longer read the file. */
export class Withdrawn extends Error {
  override readonly name = 'Withdrawn';
}

/** Bytes as they are, or an extent of the file. */
export type Piece = Uint8Array | Extent;

export class PiecesSource implements Source {
  readonly #reader: Reader;
  readonly #pieces: readonly Piece[];
  readonly #isAuthorized: () => boolean;
  #index = 0;
  /** Bytes of the current piece that were given. */
  #given = 0;
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
    if (!this.#isAuthorized()) throw new Withdrawn('Who asked may no longer read the file.');
    let filled = 0;
    for (let piece = this.#pieces[this.#index]; piece && filled < into.length; piece = this.#pieces[this.#index]) {
      const length = Math.min(bytesOf(piece) - this.#given, into.length - filled);
      if (piece instanceof Uint8Array) into.set(piece.subarray(this.#given, this.#given + length), filled);
      else await readExactly(this.#reader, into.subarray(filled, filled + length), piece.start + this.#given);
      filled += length;
      this.#given += length;
      if (this.#given === bytesOf(piece)) {
        this.#index += 1;
        this.#given = 0;
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

export interface FollowOptions {
  /** Size of the whole file; null while it is not declared. */
  size: number | null;
  /** Starts watching the name; returns the function that ends it. */
  watch(listener: () => void): () => void;
  /** So long without a change, in milliseconds, and it is over. */
  silenceMs: number;
  /** Asked after silence when the size is not known: true when the bytes up to this position are everything that ever came. */
  isWhole(size: number): Promise<boolean>;
  /** False once the principal may no longer read the file. */
  isAuthorized(): boolean;
}

/** A file from its first byte to its last, waiting for what has not arrived. */
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
    if (!this.#options.isAuthorized()) throw new Withdrawn('Who asked may no longer read the file.');
    const state = this.#representation.state();
    const length = Math.min(this.#available(), into.length);
    if (length === 0) {
      if (await this.#endsHere(state)) return 0;
      throw new Incomplete(
        state === 'open' ? 'Nothing more of the file came.' : 'The upload ended before the file was whole.',
      );
    }
    await readExactly(this.#representation.reader, into.subarray(0, length), this.#position);
    this.#position += length;
    return length;
  }

  /** Waits no longer: what is there is sent, and then it is over. */
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
        // A large chunk on a slow line is something that comes, too.
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

  /** Nothing is there to be read at the position: is it the end of the file? */
  async #endsHere(state: 'open' | 'sealed' | 'discarded'): Promise<boolean> {
    const { size } = this.#options;
    if (this.#cancelled || state === 'discarded') return false;
    if (size !== null) return size === this.#position;
    return state === 'sealed' || this.#options.isWhole(this.#position);
  }
}
