/** A server process whose date a test sets while it runs (libfaketime). Its monotonic clock does not change. */
import { existsSync, readdirSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The path of libfaketime on Debian and similar systems; null if it is not installed. */
function library(): string | null {
  const folders = ['/usr/lib', '/usr/local/lib', '/usr/lib64'];
  const candidates = folders.flatMap((folder) => [
    join(folder, 'faketime/libfaketime.so.1'),
    ...(existsSync(folder) ? readdirSync(folder) : []).map((name) => join(folder, name, 'faketime/libfaketime.so.1')),
  ]);
  return candidates.find((path) => existsSync(path)) ?? null;
}

/** The reason to skip the tests that need libfaketime; false if it is installed. */
export const withoutFaketime: string | false = library() === null && 'libfaketime is not installed';

export interface FakedDate {
  /** Variables for the environment of the process. */
  env: Record<string, string>;
  /** Sets the date of the process to the real date plus this number of milliseconds. */
  set(offMs: number): Promise<void>;
}

/** @param folder a folder for the file with the date, which the process reads */
export async function fakedDate(folder: string): Promise<FakedDate> {
  const file = join(folder, 'date');
  const set = async (offMs: number): Promise<void> => {
    const seconds = offMs / 1000;
    await writeFile(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    await rename(`${file}.new`, file);
  };
  await set(0);
  return {
    env: {
      LD_PRELOAD: library() ?? '',
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
    },
    set,
  };
}
