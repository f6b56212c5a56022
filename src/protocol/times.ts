/** Times as they are written. */
import { writableTime } from './bounds.ts';

/** Formats a time in UTC without zone and fraction, as programs of an older server expect it: `2026-04-26T15:30:45`. */
export function plainTime(time: number): string {
  return iso(time).slice(0, 19);
}

/** Formats milliseconds since the epoch as ISO 8601 in UTC. Never throws, so that one invalid stored value does not break a list. */
export function iso(time: number): string {
  return new Date(writableTime(time)).toISOString();
}
