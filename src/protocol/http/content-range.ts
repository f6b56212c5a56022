/** Content-Range (RFC 9110 §14.4), on requests and on responses. */
import { LadingError } from '../../errors.ts';
import { MAX_OFFSET } from '../chunk.ts';
import type { Extent } from '../extents.ts';

export interface ContentRange {
  /** Null when an asterisk stands for it: none of the file's bytes are meant, only its size. */
  range: Extent | null;
  /** Size of the whole file; null when it is not known yet (`/*`). */
  size: number | null;
}

const SYNTAX = /^bytes +(?:(\d+)-(\d+)|\*)\/(?:(\d+)|\*)$/i;

/**
 * Reads `bytes START-END/SIZE`, where an asterisk may stand for the range or for the size, not both. Throws `invalid_request`
 * for anything else and `out_of_bounds` when the range goes past the size.
 */
export function parseContentRange(value: string): ContentRange {
  const match = SYNTAX.exec(value.trim());
  if (match === null) throw refuse('is malformed');
  const [, start, end, size] = match;
  const result: ContentRange = {
    range: start === undefined || end === undefined ? null : { start: toNumber(start), end: toNumber(end) },
    size: size === undefined ? null : toNumber(size),
  };
  if (result.range === null) {
    if (result.size === null) throw refuse('says nothing');
    return result;
  }
  if (result.range.end < result.range.start) throw refuse('ends before it starts');
  if (result.size !== null && result.range.end >= result.size) {
    throw new LadingError(
      'out_of_bounds',
      'Content-Range goes past the size that it gives; the end is the offset of the last byte.',
      {
        expected: result.size,
        actual: result.range.end,
      },
    );
  }
  return result;
}

/** False for what no grammar of ranges has, such as a unit that is not bytes or a word; a range that is only wrong is one. */
export function isContentRange(value: string): boolean {
  const text = value.trim();
  return SYNTAX.test(text) && !/\*\/\*$/.test(text);
}

/** The field's value; at least one of `range` and `size` is known. */
export function formatContentRange({ range, size }: ContentRange): string {
  return `bytes ${range === null ? '*' : `${range.start}-${range.end}`}/${size ?? '*'}`;
}

function toNumber(digits: string): number {
  const number = Number(digits);
  if (number > MAX_OFFSET) throw refuse(`has a number above ${MAX_OFFSET}`);
  return number;
}

function refuse(why: string): LadingError {
  return new LadingError(
    'invalid_request',
    `Content-Range ${why}. Send "bytes START-END/SIZE", END inclusive, with * for a size that is not known yet.`,
  );
}
