import { writableTime } from './bounds.ts';

/** A moment in milliseconds since the epoch as the wire has it: ISO 8601, UTC. It never throws: what was stored must not break a list. */
export function iso(time: number): string {
  return new Date(writableTime(time)).toISOString();
}
