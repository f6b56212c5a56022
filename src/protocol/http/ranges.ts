/**
 * The `Range` field of RFC 9110 §14: from its text to the extents that are sent.
 *
 *   bytes=0-4          first five bytes            bytes=10-        from 10 to the end
 *   bytes=-5           last five                   bytes=0-4,10-14  two parts, in the order asked
 *
 * A field that cannot be parsed is ignored and the whole representation is sent, as §14.2 allows. A valid field that selects nothing is
 * unsatisfiable. The work is bounded: a field longer than any server accepts is ignored unread, and a set that would send the same bytes
 * again and again, or in very many parts, is joined first.
 */
import type { Extent } from '../extents.ts';

/** Longest field that is parsed, in characters; more than the header limit of Node's HTTP server. */
const MAX_FIELD_LENGTH = 64 * 1024;
/** Most parts of one response. A set that has more after joining is ignored. */
export const MAX_PARTS = 256;
/** Ranges of an unreasonable set are joined over gaps of up to this many bytes, which is what the header of another part costs. */
const JOINED_GAP = 128;

export type RangeSelection =
  /** Send the whole representation: there was no usable field. */
  | { kind: 'whole' }
  /** No requested byte exists: 416. */
  | { kind: 'unsatisfiable' }
  /** The range counts from the end, and the size is not known. */
  | { kind: 'size_needed' }
  /** One extent: a plain 206. Several: a multipart one. */
  | { kind: 'parts'; extents: [Extent, ...Extent[]] };

/** `last: null` is open-ended; `first: null` is a suffix of `last` bytes. */
interface RangeSpec {
  first: number | null;
  last: number | null;
}

/**
 * What a `Range` field selects of a representation of `size` bytes. While the size is null (not known) nothing can be clipped, and a
 * range that counts from the end is `size_needed`. Never throws.
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

/** The value of a `Content-Range` field: `bytes 0-4/26`, or `/*` while the size is unknown. */
export function formatContentRange(extent: Extent, size: number | null): string {
  return `bytes ${extent.start}-${extent.end}/${size ?? '*'}`;
}

/** Null for another unit and for anything that is not a list of byte ranges (§14.1.1: a list may have empty elements). */
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

/** Null when empty, undefined when not digits. A number too large for any file becomes the largest possible one. */
function parseDigits(text: string): number | null | undefined {
  if (text === '') return null;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return undefined;
  }
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER);
}

/** Optional white space in HTTP is space and tab; `trim` would remove more. */
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

/** The bytes of one range that exist; null if none exists. */
function resolve({ first, last }: RangeSpec, size: number): Extent | null {
  if (first === null) {
    const length = Math.min(last ?? 0, size);
    return length === 0 ? null : { start: size - length, end: size - 1 };
  }
  return first >= size ? null : { start: first, end: Math.min(last ?? size - 1, size - 1) };
}

/**
 * §14.2 names the sets that a server may refuse: more than two overlapping ranges, or many small ones. Every other set is sent as
 * requested, in that order.
 */
function isReasonable(extents: readonly Extent[], size: number | null, maxParts: number): boolean {
  if (extents.length > maxParts) return false;
  let total = 0;
  for (const { start, end } of extents) total += end - start + 1;
  if (size !== null && total > size) return false;
  return overlaps(extents) <= 1;
}

/** How many of the ranges start inside another range. */
function overlaps(extents: readonly Extent[]): number {
  let count = 0;
  let reach = -1;
  for (const { start, end } of extents.toSorted((a, b) => a.start - b.start)) {
    if (start <= reach) count += 1;
    reach = Math.max(reach, end);
  }
  return count;
}

/** Ascending and disjoint, more than `gap` bytes apart. */
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
