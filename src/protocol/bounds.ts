/**
 * Bounds of the numbers and dates that come from outside, in one place. Beyond them a number cannot be stored as a whole number and a
 * date cannot be written (RFC 3339 §5.6 has four digits for a year), so what is let in here never breaks a reply later.
 */
import { LadingError } from '../errors.ts';

const SECONDS_A_DAY = 24 * 3600;
const SECONDS_A_YEAR = 365 * SECONDS_A_DAY;

/** The longest lives that a request may ask for, in seconds. */
export const MAX_SECONDS = {
  share: SECONDS_A_YEAR,
  grant: 10 * SECONDS_A_YEAR,
  token: 10 * SECONDS_A_YEAR,
} as const;

/** The most that any count or number of bytes can be: what a JavaScript number holds exactly. */
export const MAX_COUNT = Number.MAX_SAFE_INTEGER;

/** The first and the last moment that ISO 8601 writes with four digits, in milliseconds since the epoch. */
const FIRST_TIME = Date.parse('0000-01-01T00:00:00Z');
const LAST_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** The moment as one that can be written: the nearest of those, the epoch for what is no number. */
export function writableTime(time: number): number {
  if (Number.isNaN(time)) return 0;
  return Math.min(LAST_TIME, Math.max(FIRST_TIME, time));
}

/** A whole number from `least` to `most` in decimal digits and nothing else; null for any other text. */
export function wholeNumber(text: string, least = 0, most = MAX_COUNT): number | null {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return number >= least && number <= most ? number : null;
}

/**
 * When something ends that is made now. Every way to make it comes by here: JSON, pages with forms, the command line.
 * @param now milliseconds since the epoch
 * @param lifeMs null: it does not end by itself
 * @throws LadingError `validation_failed` for a life that is no whole number of milliseconds, none at all, or longer than `mostSeconds`
 */
export function endOf<Life extends number | null>(now: number, lifeMs: Life, mostSeconds: number): Life {
  if (lifeMs === null) return lifeMs;
  if (!Number.isSafeInteger(lifeMs) || lifeMs < 1 || lifeMs > mostSeconds * 1000) {
    throw new LadingError('validation_failed', `A lifetime must be a number of seconds from 1 to ${mostSeconds}.`);
  }
  return (now + lifeMs) as Life;
}
