/** The state of an upload: which bytes the server has, which remain, and whether the file is complete. No I/O. */
import { LadingError } from '../../errors.ts';
import { type Extent, ExtentSet, lengthOf } from '../../protocol/extents.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { Plan } from './plan.ts';

/** The state of one upload. */
export class UploadState {
  readonly size: number;
  readonly plan = new Plan();
  /** Chunks in flight. */
  readonly inFlight = new Set<Extent>();
  /** Bytes that this run sent and the server still has, for the CRC-32 of the whole file. */
  #sent = new ExtentSet();
  #sentBytes = 0;
  #done = 0;
  #id: string | null = null;
  #replacing: string | null = null;
  #complete: FileStatus | null = null;

  constructor(size: number) {
    this.size = size;
  }

  /** Bytes that the server has. */
  get storedBytes(): number {
    return this.#done;
  }

  /** Bytes that this run sent. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** The status of the complete file; null until then. */
  get complete(): FileStatus | null {
    return this.#complete;
  }

  /** Id of the complete file to replace, until the replacement exists. Until then, chunks are sent with `overwrite`. */
  get replacing(): string | null {
    return this.#replacing;
  }

  /** Sets the id of the file to replace. */
  replace(id: string | null): void {
    this.#replacing = id;
  }

  /** Adopts a status of the server: plans the missing ranges, or finishes if the file is complete. Throws `file_complete`. */
  adopt(status: FileStatus): void {
    if (status.id !== this.#replacing) this.#replacing = null;
    if (status.id !== this.#id && this.#id !== null) this.#sent = new ExtentSet();
    this.#id = status.id;
    const replacing = this.#replacing !== null;
    if (status.status === 'complete' && !replacing) {
      if (status.total_bytes !== this.size) throw nameConflict(status, this.size);
      this.finish(status);
      return;
    }
    this.#done = replacing ? 0 : status.bytes_received;
    const known = replacing ? 0 : (status.total_bytes ?? 0);
    const missing = replacing ? [] : status.missing.map(([start, end]) => ({ start, end }));
    if (known < this.size) missing.push({ start: known, end: this.size - 1 });
    this.plan.reset(missing, this.inFlight);
  }

  /** Records an acknowledged chunk. */
  acknowledged(piece: Extent, crc32: number, status: FileStatus): void {
    const length = lengthOf(piece);
    if (status.id !== this.#id && this.#id !== null) this.#sent = new ExtentSet();
    this.#id = status.id;
    if (status.id !== this.#replacing) this.#replacing = null;
    if (!this.#sent.overlaps(piece)) this.#sent.add(piece, crc32);
    this.#sentBytes += length;
    this.#done = Math.min(this.size, this.#done + length);
    if (status.status === 'complete' && status.total_bytes === this.size) this.finish(status);
  }

  finish(status: FileStatus): void {
    this.#complete = status;
    this.#replacing = null;
    this.#done = this.size;
    this.plan.reset([], []);
  }

  /** Discards the record of sent bytes, because the server discarded the upload. */
  forget(): void {
    this.#sent = new ExtentSet();
    this.#id = null;
  }

  /** CRC-32 of the whole file if this run sent all of it, else null. */
  crc32(): number | null {
    return this.#sent.crc32IfComplete(this.size);
  }
}

/** The name is in use by a complete file (`file_complete`) or an unfinished upload (`size_conflict`). The option `overwrite` replaces it. */
export class NameInUseError extends LadingError {}

/** The error for a name that is in use. @param size size of the file that was to be uploaded; null if it is unknown */
export function nameConflict({ status, total_bytes: total }: FileStatus, size: number | null): NameInUseError {
  if (status === 'complete') {
    const detail =
      size === null ? 'A complete file of this name exists.' : 'A complete file of this name has different content.';
    return new NameInUseError('file_complete', detail);
  }
  if (size === null) return new NameInUseError('size_conflict', 'An unfinished upload of this name exists.');
  return new NameInUseError(
    'size_conflict',
    `An unfinished upload of this name has ${total} bytes, but this file has ${size}.`,
    { expected: total ?? 0, actual: size },
  );
}
