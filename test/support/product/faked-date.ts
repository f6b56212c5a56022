/** A server process whose date a test sets while it runs (libfaketime). Its monotonic clock stays what it is. */
import { existsSync, readdirSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where Debian and its like put it; null: not on this machine. */
function library(): string | null {
  const folders = ['/usr/lib', '/usr/local/lib', '/usr/lib64'];
  const candidates = folders.flatMap((folder) => [
    join(folder, 'faketime/libfaketime.so.1'),
    ...(existsSync(folder) ? readdirSync(folder) : []).map((name) => join(folder, name, 'faketime/libfaketime.so.1')),
  ]);
  return candidates.find((path) => existsSync(path)) ?? null;
}

/** For `skip`. */
export const withoutFaketime: string | false = library() === null && 'no libfaketime on this machine';

export interface FakedDate {
  /** For the environment of the process. */
  env: Record<string, string>;
  /** Sets the date of the process so many milliseconds off the true one. */
  set(offMs: number): Promise<void>;
}

/** @param folder of the test, for the file that the process looks at */
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
