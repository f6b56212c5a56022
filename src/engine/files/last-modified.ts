/**
 * Last-Modified of a file that takes the place of another one, or of one that was there before. Dates have whole seconds and may be set
 * back, and a client compares them with what it was told of the file before (RFC 9110 §8.8.2.2): so the date of the new file is later than
 * any that was sent of its name.
 *
 *     old file 12:00:05 → new one in the same second        12:00:06, not sent before it has come
 *     date set back from 12:00 to 10:00 → new one at 10:30  12:00:01, for whatever was there at 10:30 for the first time
 */
import type { Clock } from '../../contracts/clock.ts';
import type { FileDocument } from '../../records/file.ts';

const SECOND_MS = 1000;
/** How long a name is remembered beyond the date of the file that it had: the date is corrected by seconds without a word. */
const REMEMBERED_MS = 5 * SECOND_MS;

export interface EndedUpload {
  document: FileDocument;
  lastCommitAt: number;
  isContiguous: boolean;
}

/** Milliseconds since the epoch; null while the file is not complete. */
export function lastModifiedOf({ modifiedAt, completedAt }: FileDocument): number | null {
  return modifiedAt ?? completedAt;
}

export class LastModified {
  readonly #clock: Clock;
  /** Names of files that were deleted a moment ago → Last-Modified of the file, the oldest deletion first. */
  readonly #deleted = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** An upload was ended with what could be read of it. */
  ended({ document, lastCommitAt, isContiguous }: EndedUpload): void {
    this.deleted({ ...document, ...(isContiguous ? { modifiedAt: this.at(lastCommitAt) } : document.continues) });
  }

  /** A file was deleted. */
  deleted(file: FileDocument): void {
    const { owner, name } = file;
    const lastModified = lastModifiedOf(file);

    const now = this.#clock.now();
    for (const [key, date] of this.#deleted) {
      if (date + REMEMBERED_MS > now) break;
      this.#deleted.delete(key);
    }
    // A later one is not sent.
    if (lastModified === null || lastModified > now + REMEMBERED_MS) return;
    const key = keyOf(owner, name);
    const before = this.#deleted.get(key) ?? 0;
    this.#deleted.delete(key);
    this.#deleted.set(key, Math.max(before, lastModified));
  }

  /**
   * Last-Modified of a file that becomes complete now.
   * @param replaced Last-Modified of the replaced file; null: no file is replaced
   * @param since when the file became readable
   */
  next({ owner, name }: FileDocument, replaced: number | null, since = this.#clock.now()): number {
    const before = Math.max(replaced ?? 0, this.#deleted.get(keyOf(owner, name)) ?? 0);
    return Math.max(this.at(since), nextSecond(before));
  }

  /** The date as Last-Modified of bytes that came at it: none that was given out before the date was set back. */
  at(date: number): number {
    const { latest } = this.#clock;
    return date <= latest ? nextSecond(latest) : date;
  }
}

function nextSecond(date: number): number {
  return (Math.floor(date / SECOND_MS) + 1) * SECOND_MS;
}

function keyOf(owner: string, name: string): string {
  return `${owner} ${name}`;
}
