import { writableTime } from './bounds.ts';

/** The same without zone and fraction, as programs of an older server read it: `2026-04-26T15:30:45`, UTC. */
export function plainTime(time: number): string {
  return iso(time).slice(0, 19);
}

/** A moment in milliseconds since the epoch as the wire has it: ISO 8601, UTC. It never throws: what was stored must not break a list. */
export function iso(time: number): string {
  return new Date(writableTime(time)).toISOString();
}
