/**
 * Last-Modified of a file that replaces another one. Dates have whole seconds, the system's clock can be set back, and a client compares the
 * new date with the one that it has (RFC 9110 §8.8.2.2). So the date of the new file is later than every date that was sent for its name.
 *
 *     old file 12:00:05 → new file in the same second            12:00:06, not sent before that second
 *     clock set back from 12:00 to 10:00 → new file at 10:30     12:00:01
 */
import type { Clock } from '../../contracts/clock.ts';
import type { FileDocument } from '../../records/file.ts';

const SECOND_MS = 1000;
/** How long a deleted name is remembered past the date of its file, because the clock may be corrected by a few seconds. */
const REMEMBERED_MS = 5 * SECOND_MS;

/** The facts about an upload that its end leaves behind. */
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

  /** An upload ended, and with it the bytes that could be read. */
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
    // A date in the future is not sent.
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

  /** The Last-Modified of bytes that arrived at this date: later than every date that was sent before the clock was set back. */
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
