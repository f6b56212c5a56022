/**
 * Limits for numbers and dates in requests. A number above them is not an exact integer in JavaScript, and a date outside them has no
 * RFC 3339 form (§5.6 gives a year four digits). Checking them at the door keeps such values out of every reply.
 */
import { LadingError } from '../errors.ts';

const SECONDS_A_DAY = 24 * 3600;
const SECONDS_A_YEAR = 365 * SECONDS_A_DAY;

/** The longest lifetimes that a request may ask for, in seconds. */
export const MAX_SECONDS = {
  share: SECONDS_A_YEAR,
  grant: 10 * SECONDS_A_YEAR,
  token: 10 * SECONDS_A_YEAR,
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

/** Parses a whole number from `least` to `most`, written in decimal digits only. Returns null for any other text. */
export function wholeNumber(text: string, least = 0, most = MAX_COUNT): number | null {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return number >= least && number <= most ? number : null;
}

/**
 * Returns when something that is created now expires. JSON requests, HTML forms and the command line all use it.
 *
 * @param now milliseconds since the epoch
 * @param lifeMs lifetime in milliseconds; null means that it does not expire
 * @throws LadingError `validation_failed` unless the lifetime is a whole number of milliseconds from 1 to `mostSeconds` * 1000
 */
export function expiryOf<Life extends number | null>(now: number, lifeMs: Life, mostSeconds: number): Life {
  if (lifeMs === null) return lifeMs;
  if (!Number.isSafeInteger(lifeMs) || lifeMs < 1 || lifeMs > mostSeconds * 1000) {
    throw new LadingError('validation_failed', `A lifetime must be a number of seconds from 1 to ${mostSeconds}.`);
  }
  return (now + lifeMs) as Life;
}
