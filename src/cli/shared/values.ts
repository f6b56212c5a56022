/** Parses and formats values of the command line. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { FileStatus, RangeRequest, Role } from '../../client/client.ts';
import { bytesOf } from '../../protocol/sizes.ts';
import { printable } from './terminal.ts';

/** Roles, from least to most rights. The server decides who may assign them. */
export const ROLES = ['client', 'ops', 'admin', 'root'] as const satisfies readonly Role[];

/** A hundred years. Without a limit, a long number becomes Infinity, which JSON serializes as null: no expiry. */
const MAX_TIME_MS = 36_500 * 86_400_000;

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** The state in one word: the status, `parked` or `damaged`. */
export function stateOf({ stale, damaged, status }: FileStatus): string {
  if (damaged === true) return 'damaged';
  return stale === true ? 'parked' : status;
}

/** Parses a size of at least one byte, such as `512K` or `8MiB`. */
export function parseSize(text: string): number {
  const bytes = Math.round(bytesOf(text) ?? 0);
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new InvalidArgumentError('Use a size such as 1048576, 512K, 8MiB or 5MB.');
  }
  return bytes;
}

/** Parses a number from 1 to 9999. */
export function parseCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new InvalidArgumentError('Use a whole number of at least 1.');
  return count;
}

/** Like `parseCount`, with a higher limit. */
export function parseMany(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new InvalidArgumentError('Use a whole number of at least 1.');
  return count;
}

/** Parses `90`, `90s`, `15m`, `1h` or `2d` into milliseconds; 0 is allowed. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match?.[2] ?? 's'];
  if (match === null || unit === undefined) throw new InvalidArgumentError('Use a time such as 90s, 15m, 1h or 2d.');
  const ms = Number(match[1]) * unit;
  if (ms > MAX_TIME_MS) throw new InvalidArgumentError('The maximum is 36500 days.');
  return ms;
}

/** Parses an ETag, with or without quotation marks (a shell may remove them). `*` means any version. */
export function parseEtag(text: string): string {
  const bare = text.startsWith('"') && text.endsWith('"') && text.length > 1 ? text.slice(1, -1) : text;
  if (bare === '*') return '*';
  if (!/^[\x21\x23-\x7e]+$/.test(bare)) throw new InvalidArgumentError('Use the ETag that "lading status" prints.');
  return `"${bare}"`;
}

/** Adds the options of every transfer, `retryFor` and `progressEvery`, both in milliseconds. */
export function addTransferOptions(command: Command): Command {
  const time = (flags: string, help: string, ms: number, shown: string) =>
    new Option(`${flags} <time>`, help).argParser(parseDuration).default(ms, shown);
  return command
    .addOption(time('--retry-for', 'give up after this time without progress', 3_600_000, '1h'))
    .addOption(
      time('--progress-every', 'interval of progress lines when standard error is not a terminal', 5_000, '5s'),
    );
}

/** Parses `100-199` (inclusive), `100-` (to the end) or `-100` (the last 100 bytes). */
export function parseRange(text: string): RangeRequest {
  const match = /^(\d{0,15})-(\d{0,15})$/.exec(text.trim());
  const [first = '', last = ''] = match?.slice(1) ?? [];
  if (first !== '' && last === '') return { start: Number(first) };
  if (first === '' && last !== '' && Number(last) > 0) return { suffix: Number(last) };
  if (first !== '' && last !== '' && Number(first) <= Number(last)) return { start: Number(first), end: Number(last) };
  throw new InvalidArgumentError(
    'Use a range such as 0-99 (the first 100 bytes), 100- (from byte 100) or -100 (the last 100 bytes).',
  );
}

/** Formats bytes: `7 B`, `1.5 MiB`, `312 GiB`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Formats a duration: `0:07`, `12:40`, `3:05:00`. */
export function formatSeconds(seconds: number): string {
  const total = Math.ceil(seconds);
  const pad = (n: number) => String(n).padStart(2, '0');
  const minutes = Math.floor(total / 60);
  return minutes < 60
    ? `${minutes}:${pad(total % 60)}`
    : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(total % 60)}`;
}

/** Aligns columns and escapes unsafe characters. @param right indexes of the columns to align on the right */
export function table(texts: readonly (readonly string[])[], right: readonly number[] = []): string {
  const rows = texts.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}
