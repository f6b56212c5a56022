/** The file with the time of the last run of the server: one line of JSON. */
import type { DateBox, StoredTime } from '../../../contracts/clock.ts';
import type { Disk } from '../io/disk.ts';
import { readWhole, writeFileDurably } from '../io/durable.ts';
import { guarded } from './failures.ts';
import type { Layout } from './layout.ts';

/** Opens the file with the time of the last run. */
export function dateBox(disk: Disk, { date: file, tmp }: Layout): DateBox {
  return {
    read: async () => parseTime(Buffer.from((await guarded(() => readWhole(disk, file))) ?? []).toString('utf8')),
    write: (time) => guarded(() => writeFileDurably(disk, file, Buffer.from(`${JSON.stringify(time)}\n`), { tmp })),
  };
}

/** Parses the content of the file. Null if it is invalid. Earlier versions wrote only the date. */
function parseTime(text: string): StoredTime | null {
  const value = parseJson(text);
  if (isTime(value)) return { date: value, ahead: 0, latest: 0, steady: value, boot: null, uptime: 0 };
  if (typeof value !== 'object' || value === null) return null;
  const {
    date = null,
    ahead,
    latest = 0,
    steady,
    boot = null,
    uptime,
  } = value as Partial<Record<keyof StoredTime, unknown>>;
  const numbers =
    (date === null || isTime(date)) && isTime(ahead) && isTime(latest) && isTime(steady) && typeof uptime === 'number';
  if (!numbers || (boot !== null && typeof boot !== 'string')) return null;
  return { date, ahead, latest, steady, boot, uptime };
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
