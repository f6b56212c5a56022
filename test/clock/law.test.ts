/** Who may read the date of the machine. Everybody else asks the `Clock`, or measures by `performance.now()`, which nobody sets. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { readsDate, readsFileDate } from '../support/date-readers.ts';
import { repoRoot } from '../support/root.ts';

const root = repoRoot();

/** File → why the date itself is meant there. */
const DATES: Record<string, string> = {
  'src/clock/clock.ts': 'the clock itself',
  'src/http/observe/log.ts': 'lines of the log bear the date of the machine, or a step could not be seen in them',
  'src/http/connection/parse-error.ts': 'the Date field of an answer that no request was read for',
  'src/cli/shared/token-store.ts': 'when a token lapses that one command keeps for another',
  'src/client/transport/failures.ts': 'Retry-After as a date, of a server that sends no Date field',
  'src/protocol/http/conditionals.ts': 'which century a year of two digits is of',
};

/** The same for dates of files, which come from the date of some machine. */
const FILE_DATES: Record<string, string> = {
  'src/cli/shared/token-store.ts':
    'a lock that a killed command left an earlier day; without it the wait is only longer',
  'src/client/files/file-source.ts': 'whether a file was changed: another date, be it earlier or later',
};

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
  const fileReaders: string[] = [];
  for (const file of files) {
    const text = await readFile(join(root, file), 'utf8');
    const lang = file.endsWith('x') ? 'tsx' : 'ts';
    if (readsDate(text, lang)) readers.push(file);
    if (readsFileDate(text, lang)) fileReaders.push(file);
  }
  assert.deepEqual(readers.sort(), Object.keys(DATES).sort());
  assert.deepEqual(fileReaders.sort(), Object.keys(FILE_DATES).sort());
});

test('nothing but the timetable is given to a scheduler that goes by the date', async () => {
  for (const file of await sources()) {
    const text = await readFile(join(root, file), 'utf8');
    if (file === 'src/clock/schedule.ts' || file === 'src/settings/parsers.ts') continue;
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
    'const t = Date?.now();',
    'const t = Date /* of today */ . now();',
    'const t = new Date(/* now */);',
    'const t = new Date(// now\n);',
    'const t = new (Date as any)();',
    'const t = globalThis.Date.now();',
    'const t = globalThis?.Date.now();',
    'const t = global.Date.now();',
    "const t = globalThis['Date'].now();",
    'const t = globalThis[`Date`].now();',
    'const { Date: Moment } = globalThis;',
    'const t = +new (Date)();',
    'const t = new Date(...[]);',
    'use(Date);',
    'use({ Date });',
    'const t = `$' + '{Date.now()}`;',
    'const url = `$' + '{host}//$' + '{Date.now()}`;',
    'const url = `//`; const t = Date.now();',
    'const slashes = /a[//]b/; const t = Date.now();',
    'const globs = [`image/*`, Date.now(), `*/`];',
    "const quote = /'/.test(text) ? Date : /'/;",
    'const page = <p>{Date.now()}</p>;',
    "const page = <p>Don't, {Date.now()}, it isn't</p>;",
    'const t = performance.timeOrigin + performance.now();',
    "const t = performance['timeOrigin'];",
    'const { timeOrigin } = performance;',
    'const t = Temporal.Now.instant();',
    "const t = new Intl.DateTimeFormat('en').format();",
    "const form = new Intl.DateTimeFormat('en'); const t = form.formatToParts();",
  ];
  for (const text of reading) assert.ok(readsDate(text, 'tsx'), text);
  const others = [
    'const t = new Date(0);',
    'const t = new Date(iso).getTime();',
    'const t = Date.parse(text) + Date.UTC(2026, 1);',
    'const is = value instanceof Date;',
    'const { lastDate, Dates } = input.Date;',
    "// Date.now()\nconst header = 'Date';",
    "const text = 'Date.now()'; /* new Date() */",
    "const page = <p title='Date'>Date of the file</p>;",
    'const fields = { Date: value };',
    "const sent = reply.headers['Date'];",
    "const t = new Intl.DateTimeFormat('en').format(date);",
    'performance.now();',
  ];
  for (const text of others) assert.ok(!readsDate(text, 'tsx'), text);
  for (const text of ['const t = stat.mtimeMs;', 'const { birthtime } = await handle.stat();', 'f(() => s.ctime)'])
    assert.ok(readsFileDate(text, 'ts'), text);
  assert.ok(!readsFileDate("const name = 'mtime'; // s.mtimeMs", 'ts'));
});
