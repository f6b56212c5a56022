/** A moment in milliseconds since the epoch as the wire has it: ISO 8601, UTC. */
export function iso(time: number): string {
  return new Date(time).toISOString();
}
