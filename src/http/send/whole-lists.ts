/**
 * Sends lists of any length in one answer. It reads a page whenever the client has read the previous one, so that an answer holds one page
 * in memory and does not block the event loop.
 */
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { LadingError } from '../../errors.ts';

/** Number of entries in a page. */
export const WHOLE_LIST_STEP = 50;

/** How a list becomes text. */
export interface WholeList<T> {
  /** Text before all entries, between two entries, and after all entries. */
  before: string;
  between: string;
  after: string;
  entry(item: T): string;
  /** False once the principal may no longer see the list; then the answer is cut off. */
  isAuthorized(): boolean;
}

/** The texts of a JSON array. */
export const JSON_ARRAY = {
  before: '[',
  between: ',',
  after: ']',
  entry: (item: unknown): string => JSON.stringify(item),
};

/**
 * Returns the answer as a stream. Rejects if the first page fails; a later failure cuts the answer off.
 * @param pages pages of any length; empty ones are allowed
 */
export async function wholeList<T>(pages: AsyncGenerator<readonly T[], void>, list: WholeList<T>): Promise<Readable> {
  const first = await pages.next();
  return Readable.from(texts(pages, first, list), { objectMode: false, highWaterMark: 16 * 1024 });
}

async function* texts<T>(
  pages: AsyncGenerator<readonly T[], void>,
  first: IteratorResult<readonly T[], void>,
  { before, between, after, entry, isAuthorized }: WholeList<T>,
): AsyncGenerator<Buffer> {
  try {
    let lead = before;
    for (let next = first; next.done !== true; next = await pages.next()) {
      if (next.value.length > 0) {
        yield Buffer.from(lead + next.value.map(entry).join(between));
        lead = between;
      }
      await turn();
      if (!isAuthorized())
        throw new LadingError('unauthorized', 'The token was revoked while the list was being sent.');
    }
    yield Buffer.from(lead === before ? before + after : after);
  } finally {
    await pages.return();
  }
}

/** Yields the pages of a list that is read by cursors. */
export async function* pagesOf<T, C>(
  page: (cursor: C | null) => Promise<{ items: readonly T[]; next: C | null }>,
  cursor: C | null,
): AsyncGenerator<readonly T[], void> {
  let at = cursor;
  do {
    const { items, next } = await page(at);
    yield items;
    at = next;
  } while (at !== null);
}
