/**
 * Conditional requests: RFC 9110 §8.8 (validators), §13 (preconditions and their order), §5.6.7 (the three date formats). A malformed
 * field never fails the request: it is ignored, or matches nothing, as the RFC says.
 */

/** An entity tag, as in `ETag`. */
export interface EntityTag {
  weak: boolean;
  /** Without the quotes. */
  opaque: string;
}

/** The validators of the current representation, which preconditions are compared with. */
export interface Validators {
  /** As sent in `ETag`, quotes included; null when the representation has none. */
  etag: string | null;
  /** Milliseconds since the epoch; whole seconds count. Null when unknown. */
  lastModified: number | null;
  /** False if the resource has no current representation. Then `*` does not match. */
  exists: boolean;
}

/** The precondition fields of a request, as Node's lower-case header object holds them. */
export interface PreconditionFields {
  'if-match'?: string | undefined;
  'if-none-match'?: string | undefined;
  'if-modified-since'?: string | undefined;
  'if-unmodified-since'?: string | undefined;
}

/** `failed`: 412. `not_modified`: 304, only for GET and HEAD. `proceed`: perform the method (then look at `Range`). */
export type Verdict = 'proceed' | 'not_modified' | 'failed';

/** Evaluates the preconditions in the order of §13.2.2. `Range` and `If-Range` follow after it. */
export function checkPreconditions(method: string, fields: PreconditionFields, current: Validators): Verdict {
  const reads = method === 'GET' || method === 'HEAD';
  const ifMatch = fields['if-match'];
  if (ifMatch !== undefined) {
    if (!listMatches(ifMatch, current, strongMatch)) return 'failed';
  } else if (modifiedSince(fields['if-unmodified-since'], current) === true) {
    return 'failed';
  }
  const ifNoneMatch = fields['if-none-match'];
  if (ifNoneMatch !== undefined) {
    if (listMatches(ifNoneMatch, current, weakMatch)) return reads ? 'not_modified' : 'failed';
  } else if (reads && modifiedSince(fields['if-modified-since'], current) === false) {
    return 'not_modified';
  }
  return 'proceed';
}

/**
 * Whether `Range` applies under this `If-Range` (§13.1.5): the value is the current strong tag, or exactly the date that was sent as
 * `Last-Modified`. A value that cannot be parsed does not match.
 */
export function ifRangeHolds(value: string, current: Validators): boolean {
  const tag = parseEntityTag(value);
  if (tag !== null) {
    const own = current.etag === null ? null : parseEntityTag(current.etag);
    return own !== null && strongMatch(tag, own);
  }
  const date = parseHttpDate(value);
  return date !== null && current.lastModified !== null && date === wholeSeconds(current.lastModified);
}

/** Parses `"abc"` or `W/"abc"`. Returns null for any other text. */
export function parseEntityTag(value: string): EntityTag | null {
  const found = scanTag(value, 0);
  return found !== null && found.next === value.length ? found.tag : null;
}

/**
 * Parses the value of `If-Match` or `If-None-Match`: `*`, or entity tags separated by commas. A tag itself may contain a comma. Returns
 * null for any other text. The time is linear in the length.
 */
export function parseEntityTags(value: string): '*' | EntityTag[] | null {
  const tags: EntityTag[] = [];
  let at = skipBlanks(value, 0);
  if (value[at] === '*') return skipBlanks(value, at + 1) === value.length ? '*' : null;
  while (at < value.length) {
    if (value[at] !== ',') {
      const found = scanTag(value, at);
      if (found === null) return null;
      tags.push(found.tag);
      at = skipBlanks(value, found.next);
      if (at < value.length && value[at] !== ',') return null;
    }
    at = skipBlanks(value, at + 1);
  }
  return tags.length === 0 ? null : tags;
}

/** §8.8.3.2: the tags are equal and neither is weak. */
function strongMatch(a: EntityTag, b: EntityTag): boolean {
  return !a.weak && !b.weak && a.opaque === b.opaque;
}

/** §8.8.3.2: the tags are equal, weak or not. */
function weakMatch(a: EntityTag, b: EntityTag): boolean {
  return a.opaque === b.opaque;
}

function listMatches(value: string, current: Validators, match: (a: EntityTag, b: EntityTag) => boolean): boolean {
  const tags = parseEntityTags(value);
  if (tags === null) return false;
  if (tags === '*') return current.exists;
  const own = current.etag === null ? null : parseEntityTag(current.etag);
  return own !== null && tags.some((tag) => match(tag, own));
}

/** Returns null if the field must be ignored: it is absent or not a date, or the representation has no date. */
function modifiedSince(field: string | undefined, current: Validators): boolean | null {
  if (field === undefined || current.lastModified === null) return null;
  const date = parseHttpDate(field);
  return date === null ? null : wholeSeconds(current.lastModified) > date;
}

function scanTag(value: string, from: number): { tag: EntityTag; next: number } | null {
  const weak = value.startsWith('W/', from);
  const open = weak ? from + 2 : from;
  if (value[open] !== '"') return null;
  const close = value.indexOf('"', open + 1);
  if (close < 0) return null;
  for (let at = open + 1; at < close; at += 1) {
    const code = value.charCodeAt(at);
    if (code <= 0x20 || code === 0x7f) return null;
  }
  return { tag: { weak, opaque: value.slice(open + 1, close) }, next: close + 1 };
}

function skipBlanks(value: string, from: number): number {
  let at = from;
  while (value[at] === ' ' || value[at] === '\t') at += 1;
  return at;
}

// ---------------------------------------------------------------- dates

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)';
const MONTH = `(?<month>${MONTHS.join('|')})`;
const TIME = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)';
const FORMS = [
  // Sun, 06 Nov 1994 08:49:37 GMT, the only form that may be sent
  new RegExp(`^${DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`),
  // Sunday, 06-Nov-94 08:49:37 GMT (RFC 850)
  new RegExp(`^${LONG_DAY}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`),
  // Sun Nov  6 08:49:37 1994 (C's asctime)
  new RegExp(`^${DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
];

/** Parses a date in any of the three formats to milliseconds since the epoch. Returns null for any other text. */
export function parseHttpDate(value: string, now: number = Date.now()): number | null {
  for (const form of FORMS) {
    const groups = form.exec(value)?.groups;
    if (groups !== undefined) return dateOf(groups, now);
  }
  return null;
}

/** Formats a date for a header field: `Sun, 06 Nov 1994 08:49:37 GMT`. Fractions of a second are dropped. */
export function formatHttpDate(time: number): string {
  return new Date(time).toUTCString();
}

function dateOf(groups: Record<string, string>, now: number): number | null {
  const year = groups.year?.length === 2 ? fullYear(Number(groups.year), now) : Number(groups.year);
  const month = MONTHS.indexOf(groups.month ?? '');
  const day = Number(groups.day);
  const [hour, minute, second] = [Number(groups.hour), Number(groups.minute), Number(groups.second)];
  // 60 is a leap second.
  if (hour > 23 || minute > 59 || second > 60) return null;
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return null;
  return date.setUTCHours(hour, minute, second);
}

/** §5.6.7: a two-digit year more than 50 years ahead means the most recent past year with these digits. */
function fullYear(twoDigits: number, now: number): number {
  const thisYear = new Date(now).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + twoDigits;
  return year > thisYear + 50 ? year - 100 : year;
}

function wholeSeconds(time: number): number {
  return Math.floor(time / 1000) * 1000;
}
