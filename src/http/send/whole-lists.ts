/**
 * Lists that go out whole, however long they are: a page at a time as the client reads, so that one answer holds a page and the
 * thread is free between two.
 */
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { LadingError } from '../../errors.ts';

/** Entries that are made at a time. */
export const WHOLE_LIST_STEP = 50;

export interface WholeList<T> {
  /** Text before and after all entries, and between two. */
  before: string;
  between: string;
  after: string;
  entry(item: T): string;
  /** False once the principal may no longer see the list; then the answer is cut off. */
  isAuthorized(): boolean;
}

export const JSON_ARRAY = {
  before: '[',
  between: ',',
  after: ']',
  entry: (item: unknown): string => JSON.stringify(item),
};

/**
 * The answer as a stream. What fails before the first page is ready fails like every request; afterwards it breaks the answer off.
 * @param pages of any length, empty ones too
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
        throw new LadingError('unauthorized', 'The token was revoked while the list was on its way.');
    }
    yield Buffer.from(lead === before ? before + after : after);
  } finally {
    await pages.return();
  }
}

/** Page after page of what is found by cursors. */
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
