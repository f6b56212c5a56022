/** Who may read the date of the machine. Everybody else asks the `Clock`, or measures by `performance.now()`, which nobody sets. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from './support/root.ts';

const root = repoRoot();

/** File → why the date itself is meant there. */
const DATES: Record<string, string> = {
  'src/clock.ts': 'the clock itself',
  'src/http/log.ts': 'lines of the log bear the date of the machine, or a step could not be seen in them',
  'src/http/parse-error.ts': 'the Date field of an answer that no request was read for',
  'src/client/failures.ts': 'Retry-After as a date, of a server that sends no Date field',
  'src/protocol/conditionals.ts': 'which century a year of two digits is of',
};

const READS = /\bDate\.now\b|\bnew Date\(\s*\)|\bnew Date\b(?!\s*\()|(?<![.\w])Date\(\s*\)/;

async function sources(): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ['src', 'workers']) {
    const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      if (!entry.isFile() || !/\.(?:[cm]?[jt]s|tsx)$/.test(entry.name)) continue;
      found.push(relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
    }
  }
  return found;
}

test('only those who mean a date read the date of the machine', async () => {
  const files = await sources();
  assert.ok(files.length > 200, 'the sources are found');
  const readers: string[] = [];
  for (const file of files) if (READS.test(await readFile(join(root, file), 'utf8'))) readers.push(file);
  assert.deepEqual(readers.sort(), Object.keys(DATES).sort());
});

test('nothing but the timetable is given to a scheduler that goes by the date', async () => {
  for (const file of await sources()) {
    const text = await readFile(join(root, file), 'utf8');
    if (file === 'src/timetable.ts' || file === 'src/config.ts') continue;
    assert.doesNotMatch(text, /from 'node-cron'/, file);
  }
});
