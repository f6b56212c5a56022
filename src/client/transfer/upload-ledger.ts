/** What an upload knows: what the server has, what is still to be sent, and whether the file is done. No I/O. */
import { LadingError } from '../../errors.ts';
import { type Extent, ExtentSet, lengthOf } from '../../protocol/extents.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { Plan } from './plan.ts';

export class UploadState {
  readonly size: number;
  readonly plan = new Plan();
  /** Chunks on their way. */
  readonly inFlight = new Set<Extent>();
  /** What this run sent and nobody lost, for the CRC-32 of the whole. */
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

  /** Bytes that this run brought. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** The status that said that everything is there. */
  get complete(): FileStatus | null {
    return this.#complete;
  }

  /** Id of the complete file to be replaced, until the replacement exists: only until then chunks say `overwrite`. */
  get replacing(): string | null {
    return this.#replacing;
  }

  /** The file with this id is to be replaced. */
  replace(id: string | null): void {
    this.#replacing = id;
  }

  /** Takes over what the server says it has: what is missing is planned, a finished file ends the upload. Throws `file_complete`. */
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

  /** A chunk was acknowledged. */
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

  /** What was sent so far belongs to an upload that the server gave up. */
  forget(): void {
    this.#sent = new ExtentSet();
    this.#id = null;
  }

  /** CRC-32 of the whole when this run sent all of it, else null. */
  crc32(): number | null {
    return this.#sent.whole(this.size);
  }
}

/** What is in the way of an upload, as an error that says what to do. */
export function nameConflict(status: FileStatus, size: number): LadingError {
  if (status.status === 'complete') {
    return new LadingError(
      'file_complete',
      'A complete file of that name has other content. Upload with overwrite to replace it.',
    );
  }
  return new LadingError(
    'size_conflict',
    `An unfinished upload of that name has ${status.total_bytes} bytes, this file ${size}. Delete it, or upload with overwrite.`,
    { expected: status.total_bytes ?? 0, actual: size },
  );
}
