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
  'src/cli/kept-tokens.ts': 'when a token lapses that one command keeps for another',
  'src/client/failures.ts': 'Retry-After as a date, of a server that sends no Date field',
  'src/protocol/conditionals.ts': 'which century a year of two digits is of',
};

/** Comments, and strings in which nothing is computed. */
const WORDS = /\/\*[\s\S]*?\*\/|(?<![:\\])\/\/.*$|'(?:[^'\\\n({]|\\.)*'|"(?:[^"\\\n({]|\\.)*"/gm;
/** `Date` where it converts what is given to it. A moment is a number here, so the word is no type either. */
const TIMELESS = /\bnew Date\(\s*(?![\s).])|\bDate\.(?:parse|UTC)\b|\binstanceof Date\b|(?<=[{,]\s*)Date(?=:)/g;
const READS =
  /(?<![\w$#]|(?<!\b(?:globalThis|window|self))\.)Date\b|\btimeOrigin\b|\bTemporal\b|DateTimeFormat\([^)]*\)\.format(?:ToParts)?\(\s*\)/;

/** True for a source that asks the machine what time it is, in whatever form. */
function readsDate(text: string): boolean {
  // A property may be named by a string.
  const code = text.replaceAll(/\bDate\s*\[/g, 'Date.now[').replaceAll(WORDS, "''");
  return READS.test(code.replaceAll(TIMELESS, ''));
}

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
  for (const folder of ['src/client/', 'src/cli/', 'src/dashboard/', 'src/http/', 'workers/'])
    assert.ok(
      files.some((file) => file.startsWith(folder)),
      folder,
    );
  const readers: string[] = [];
  for (const file of files) if (readsDate(await readFile(join(root, file), 'utf8'))) readers.push(file);
  assert.deepEqual(readers.sort(), Object.keys(DATES).sort());
});

test('nothing but the timetable is given to a scheduler that goes by the date', async () => {
  for (const file of await sources()) {
    const text = await readFile(join(root, file), 'utf8');
    if (file === 'src/timetable.ts' || file === 'src/config.ts') continue;
    assert.doesNotMatch(text, /from 'node-cron'/, file);
  }
});

test('the law sees every form in which the date is read, and nothing else', () => {
  const reading = [
    'const t = Date.now();',
    'const t = new Date();',
    'const t = new Date;',
    'const t = Date();',
    "const t = Date['now']();",
    'const { now } = Date;',
    'const clock = Date.now;',
    'const t = globalThis.Date.now();',
    'const t = +new (Date)();',
    'const t = new Date(...[]);',
    'use(Date);',
    'const t = `$' + '{Date.now()}`;',
    'const t = performance.timeOrigin + performance.now();',
    'const t = Temporal.Now.instant();',
    "const t = new Intl.DateTimeFormat('en').format();",
  ];
  for (const text of reading) assert.ok(readsDate(text), text);
  assert.ok(readsDate('const page = <p>{Date.now()}</p>;'));
  const others = [
    'const t = new Date(0);',
    'const t = new Date(iso).getTime();',
    'const t = Date.parse(text) + Date.UTC(2026, 1);',
    'const is = value instanceof Date;',
    'const { lastDate, Dates } = input.Date;',
    "// Date.now()\nconst header = 'Date';",
    'const fields = { Date: value };',
    "const t = new Intl.DateTimeFormat('en').format(date);",
    'performance.now();',
  ];
  for (const text of others) assert.ok(!readsDate(text), text);
});
