/**
 * Limits of numbers and dates. A larger number is not an exact integer in JavaScript, and a date outside the limits has no RFC 3339 form
 * (§5.6 gives a year four digits). Requests are checked, so that no such value is stored or sent.
 */
import { LadingError } from '../errors.ts';

const SECONDS_PER_DAY = 24 * 3600;
const SECONDS_PER_YEAR = 365 * SECONDS_PER_DAY;

/** The longest lifetimes that a request may ask for, in seconds. */
export const MAX_SECONDS = {
  share: SECONDS_PER_YEAR,
  grant: 10 * SECONDS_PER_YEAR,
  token: 10 * SECONDS_PER_YEAR,
} as const;

/** The largest count or number of bytes: the largest integer that a JavaScript number holds exactly. */
export const MAX_COUNT = Number.MAX_SAFE_INTEGER;

/** The first and the last moment whose ISO 8601 year has four digits, in milliseconds since the epoch. */
const FIRST_TIME = Date.parse('0000-01-01T00:00:00Z');
const LAST_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Clamps a time to the range that ISO 8601 can write with a four-digit year. `NaN` becomes the epoch. */
export function writableTime(time: number): number {
  if (Number.isNaN(time)) return 0;
  return Math.min(LAST_TIME, Math.max(FIRST_TIME, time));
}

/** Parses a whole number from `min` to `max`, written in decimal digits only. Returns null for any other text. */
export function wholeNumber(text: string, min = 0, max = MAX_COUNT): number | null {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return number >= min && number <= max ? number : null;
}

/**
 * Returns the expiry time of something that is created now. JSON requests, HTML forms and the command line share this check.
 *
 * @param now milliseconds since the epoch
 * @param lifeMs lifetime in milliseconds; null means that it does not expire
 * @throws LadingError `validation_failed` unless the lifetime is a whole number of milliseconds from 1 to `maxSeconds` * 1000
 */
export function expiryOf<Life extends number | null>(now: number, lifeMs: Life, maxSeconds: number): Life {
  if (lifeMs === null) return lifeMs;
  if (!Number.isSafeInteger(lifeMs) || lifeMs < 1 || lifeMs > maxSeconds * 1000) {
    throw new LadingError('validation_failed', `A lifetime must be a number of seconds from 1 to ${maxSeconds}.`);
  }
  return (now + lifeMs) as Life;
}
