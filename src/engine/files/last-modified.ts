/**
 * Chooses Last-Modified dates that never repeat or go back for one name. HTTP dates have whole seconds, the system clock can be set back,
 * and clients compare the new date with the one that they have (RFC 9110 §8.8.2.2). So a new file gets a later date than any sent before.
 *
 *     old file 12:00:05 → new file in the same second            12:00:06, not sent before that second
 *     clock set back from 12:00 to 10:00 → new file at 10:30     12:00:01
 */
import type { Clock } from '../../contracts/clock.ts';
import type { FileDocument } from '../../records/file.ts';

const SECOND_MS = 1000;
/** How long after the date of its file a deleted name is remembered. Covers clock corrections of a few seconds. */
const REMEMBERED_MS = 5 * SECOND_MS;

/** What is known about an upload after its end. */
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

  /** Records that an upload ended and that its bytes can no longer be read. */
  recordEnd({ document, lastCommitAt, isContiguous }: EndedUpload): void {
    this.recordDeletion({
      ...document,
      ...(isContiguous ? { modifiedAt: this.at(lastCommitAt) } : document.continues),
    });
  }

  /** Records that a file was deleted. */
  recordDeletion(file: FileDocument): void {
    const { owner, name } = file;
    const lastModified = lastModifiedOf(file);
    const now = this.#clock.now();
    for (const [key, date] of this.#deleted) {
      if (date + REMEMBERED_MS > now) break;
      this.#deleted.delete(key);
    }
    // Dates in the future are never sent, so no client can have this one.
    if (lastModified === null || lastModified > now + REMEMBERED_MS) return;
    const key = keyOf(owner, name);
    const before = this.#deleted.get(key) ?? 0;
    this.#deleted.delete(key);
    this.#deleted.set(key, Math.max(before, lastModified));
  }

  /**
   * Last-Modified for a file that becomes complete now.
   * @param replaced Last-Modified of the replaced file; null: no file is replaced
   * @param since when the file became readable
   */
  next({ owner, name }: FileDocument, replaced: number | null, since = this.#clock.now()): number {
    const before = Math.max(replaced ?? 0, this.#deleted.get(keyOf(owner, name)) ?? 0);
    return Math.max(this.at(since), nextSecond(before));
  }

  /** Last-Modified for bytes that arrived at this date. If the clock was set back, it is later than every date sent before. */
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
