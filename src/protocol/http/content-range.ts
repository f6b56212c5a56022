/** Content-Range (RFC 9110 §14.4), in requests and responses. */
import { LadingError } from '../../errors.ts';
import { MAX_OFFSET } from '../chunk.ts';
import type { Extent } from '../extents.ts';

/** The parsed value of a `Content-Range` field. */
export interface ContentRange {
  /** Null for an asterisk: the field gives the size only. */
  range: Extent | null;
  /** Size of the whole file; null when it is not known yet (`/*`). */
  size: number | null;
}

const SYNTAX = /^bytes +(?:(\d+)-(\d+)|\*)\/(?:(\d+)|\*)$/i;

/**
 * Parses `bytes START-END/SIZE`. Either the range or the size may be an asterisk, but not both. Throws `invalid_request` for any other
 * text, and `out_of_bounds` when the range exceeds the size.
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
    if (result.size === null) throw refuse('gives neither a range nor a size');
    return result;
  }
  if (result.range.end < result.range.start) throw refuse('ends before it starts');
  if (result.size !== null && result.range.end >= result.size) {
    throw new LadingError(
      'out_of_bounds',
      'The range in Content-Range exceeds its size. END is the offset of the last byte.',
      {
        expected: result.size,
        actual: result.range.end,
      },
    );
  }
  return result;
}

/** True if the syntax is valid, even if the numbers are not. False for another unit, for example. */
export function isContentRange(value: string): boolean {
  const text = value.trim();
  return SYNTAX.test(text) && !/\*\/\*$/.test(text);
}

/** Formats the field's value. At least one of `range` and `size` must be known. */
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
    `Content-Range ${why}. Send "bytes START-END/SIZE", END inclusive, with * for SIZE if it is not known yet.`,
  );
}
