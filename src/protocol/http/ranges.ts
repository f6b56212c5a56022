/**
 * The `Range` field of RFC 9110 §14: from its text to the extents that are sent.
 *
 *   bytes=0-4          first five bytes            bytes=10-        from 10 to the end
 *   bytes=-5           last five                   bytes=0-4,10-14  two parts, in the requested order
 *
 * A field that cannot be parsed is ignored and the whole representation is sent, as §14.2 allows. A valid field that selects nothing is
 * unsatisfiable. The work is bounded: a field that is longer than any server accepts is ignored without parsing it, and ranges that
 * would send the same bytes repeatedly, or in too many parts, are joined first.
 */
import type { Extent } from '../extents.ts';

/** Longest field that is parsed, in characters; more than the header limit of Node's HTTP server. */
const MAX_FIELD_LENGTH = 64 * 1024;
/** Maximum number of parts in a response. A set that has more after joining is ignored. */
export const MAX_PARTS = 256;
/** Ranges of an unreasonable set are joined over gaps of up to this many bytes, about the size of the header of a part. */
const JOINED_GAP = 128;

/** The result of applying a `Range` field. */
export type RangeSelection =
  /** Send the whole representation, because the field is ignored. */
  | { kind: 'whole' }
  /** No requested byte exists: 416. */
  | { kind: 'unsatisfiable' }
  /** The range counts from the end, and the size is not known. */
  | { kind: 'size_needed' }
  /** One extent: a plain 206. Several: a multipart 206. */
  | { kind: 'parts'; extents: [Extent, ...Extent[]] };

/** `last: null` is open-ended; `first: null` is a suffix of `last` bytes. */
interface RangeSpec {
  first: number | null;
  last: number | null;
}

/**
 * Applies a `Range` field to a representation of `size` bytes. If the size is null (unknown), ranges are not clipped, and a range that
 * counts from the end is `size_needed`. Never throws.
 */
export function parseRange(value: string, size: number | null, maxParts = MAX_PARTS): RangeSelection {
  const specs = parseSpecs(value);
  if (specs === null) return { kind: 'whole' };
  // A suffix is satisfiable for any size (§14.1.2), but an empty representation has no bytes for a part.
  if (size === 0 && specs.some(({ first, last }) => first === null && last !== 0)) return { kind: 'whole' };
  const extents: Extent[] = [];
  for (const spec of specs) {
    if (size === null && (spec.first === null || spec.last === null)) return { kind: 'size_needed' };
    const extent = resolve(spec, size ?? Number.MAX_SAFE_INTEGER);
    if (extent !== null) extents.push(extent);
  }
  const parts = isReasonable(extents, size, maxParts) ? extents : join(extents, JOINED_GAP);
  if (parts.length > maxParts) return { kind: 'whole' };
  const [first, ...rest] = parts;
  return first === undefined ? { kind: 'unsatisfiable' } : { kind: 'parts', extents: [first, ...rest] };
}

/** Returns null for another unit, and for a text that is not a list of byte ranges. A list may have empty elements (§14.1.1). */
function parseSpecs(value: string): RangeSpec[] | null {
  if (value.length > MAX_FIELD_LENGTH) return null;
  const equals = value.indexOf('=');
  if (value.slice(0, Math.max(equals, 0)).toLowerCase() !== 'bytes') return null;
  const specs: RangeSpec[] = [];
  for (const element of value.slice(equals + 1).split(',')) {
    const text = trimBlanks(element);
    if (text === '') continue;
    const spec = parseSpec(text);
    if (spec === null) return null;
    specs.push(spec);
  }
  return specs.length === 0 ? null : specs;
}

function parseSpec(text: string): RangeSpec | null {
  const dash = text.indexOf('-');
  if (dash < 0) return null;
  const first = parseDigits(text.slice(0, dash));
  const last = parseDigits(text.slice(dash + 1));
  if (first === undefined || last === undefined || (first === null && last === null)) return null;
  if (first !== null && last !== null && last < first) return null;
  return { first, last };
}

/** Returns null for an empty text and undefined for other characters than digits. A number too large for any file is clamped. */
function parseDigits(text: string): number | null | undefined {
  if (text === '') return null;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return undefined;
  }
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER);
}

/** Removes optional white space, which in HTTP is space and tab only. `trim` would remove more. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Clips a range to the size. Returns null if none of its bytes exist. */
function resolve({ first, last }: RangeSpec, size: number): Extent | null {
  if (first === null) {
    const length = Math.min(last ?? 0, size);
    return length === 0 ? null : { start: size - length, end: size - 1 };
  }
  return first >= size ? null : { start: first, end: Math.min(last ?? size - 1, size - 1) };
}

/**
 * True if a set is sent as requested, in that order. §14.2 allows a server to refuse more than two overlapping ranges, or many small
 * ranges.
 */
function isReasonable(extents: readonly Extent[], size: number | null, maxParts: number): boolean {
  if (extents.length > maxParts) return false;
  let total = 0;
  for (const { start, end } of extents) total += end - start + 1;
  if (size !== null && total > size) return false;
  return overlaps(extents) <= 1;
}

/** Counts the ranges that start inside another range. */
function overlaps(extents: readonly Extent[]): number {
  let count = 0;
  let reach = -1;
  for (const { start, end } of extents.toSorted((a, b) => a.start - b.start)) {
    if (start <= reach) count += 1;
    reach = Math.max(reach, end);
  }
  return count;
}

/** Sorts the extents, and merges those that overlap or are at most `gap` bytes apart. */
function join(extents: readonly Extent[], gap: number): Extent[] {
  const joined: Extent[] = [];
  for (const extent of extents.toSorted((a, b) => a.start - b.start)) {
    const previous = joined.at(-1);
    if (previous !== undefined && extent.start <= previous.end + 1 + gap)
      previous.end = Math.max(previous.end, extent.end);
    else joined.push({ ...extent });
  }
  return joined;
}
