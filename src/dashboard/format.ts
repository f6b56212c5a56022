/** Formats sizes, times and errors for people. */
import type { FileStatus } from '../client/client.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Formats a size with binary units: `1.5 MiB`; empty for null. */
export function size(bytes: number | null): string {
  if (bytes === null) return '';
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Formats a time in the zone and language of the browser. A time without a zone is UTC. */
export function time(iso: string | null): string {
  const zoned = iso !== null && /T[\d:.]+$/.test(iso) ? `${iso}Z` : iso;
  return zoned === null ? '' : new Date(zoned).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** Formats a duration: `12 s`, `3 min`, `2 h 5 min`; empty if it is unknown. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  const minutes = Math.ceil(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Describes how a parked upload resumes and when it is deleted. */
export function parkedNote({ expires_at: removed }: { expires_at: string | null }): string {
  const end = removed === null ? 'never removed' : `removed on ${time(removed)}`;
  return `resumes with the next chunk, ${end}`;
}

/** The value of the column "Kept until". */
export function keptUntil(file: FileStatus): string {
  if (file.status === 'complete') return 'complete';
  if (file.stale) return parkedNote(file);
  return file.expires_at === null ? 'never removed' : time(file.expires_at);
}

/** The message of an error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
