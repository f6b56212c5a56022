/**
 * The laws of the source tree: allowed imports, no import cycles, no long files or functions, and words that comments must not use.
 * Imports of types count. Fix the file that breaks a law; there is no list of exceptions.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';
import { FOLDERS, ROOMS, STRANGERS } from './support/rooms.ts';
import { repoRoot } from './support/root.ts';

const root = repoRoot();

const MAX_LINES = 300;
const MAX_TABLE_LINES = 400;
const MAX_FUNCTION_LINES = 70;
const MAX_FILES = 16;
/** Lists of rows rather than code. */
const TABLES: readonly string[] = [
  'test/http/observe/audit-changes.test.ts',
  'test/http/openapi/pages-replies.test.ts',
  'test/support/tables/file-writes.ts',
];

/** Files that may read the environment, and what they read. */
const ENVIRONMENT: Record<string, string> = {
  'src/settings/environment.ts': 'settings of the server',
  'src/cli/shared/settings.ts': 'settings of the command line',
  'src/calls/sip.ts': 'PATH of the program that it runs',
  'src/calls/speech.ts': 'PATH of the program that it runs',
  'src/client/transport/connections.ts': 'proxies and authorities, by variables that all programs share',
};
/** Files that may use `Math.random`, and what for. Secrets and ids come from `node:crypto`. */
const RANDOM: Record<string, string> = {
  'src/client/transfer/retry.ts': 'jitter between attempts',
  'src/delivery/scheduler.ts': 'jitter between attempts',
  'src/delivery/send/ftp-names.ts': 'different pauses of two deliveries that want one name',
};

interface Source {
  path: string;
  text: string;
  imports: string[];
}

async function sources(): Promise<Source[]> {
  const found: Source[] = [];
  for (const folder of ['src', 'workers', 'bench', 'test']) {
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(?:ts|tsx|css)$/.test(entry.name)) continue;
      const path = relative(root, join(entry.parentPath, entry.name));
      found.push({ path, text: readFileSync(join(root, path), 'utf8'), imports: [] });
    }
  }
  const known = new Set(found.map(({ path }) => path));
  for (const source of found) {
    for (const [, name = ''] of source.text.matchAll(
      /(?:\bfrom\s*|\bimport\s*\(?\s*|new URL\(\s*)['"](\.[^'"]+)['"]/g,
    )) {
      const target = normalize(join(dirname(source.path), name));
      for (const path of [target, target.replace(/\.js$/, '.ts')]) if (known.has(path)) source.imports.push(path);
    }
  }
  return found;
}

const all = await sources();
const product = all.filter(({ path }) => /^(?:src|workers)\//.test(path));

function roomOf(path: string): string {
  const [top = '', name = ''] = path.split('/');
  return top === 'src' ? name.replace(/\.ts$/, '') : top;
}

function folderOf(path: string): string {
  return dirname(path).replace(/^src\//, '');
}

/** Fails with all breaches of a law, so that one run shows them all. */
function assertNone(breaches: readonly string[]): void {
  assert.deepEqual([...new Set(breaches)].sort(), []);
}

test('a room imports only the rooms below it', () => {
  assert.ok(product.length > 300, 'the sources are found');
  const breaches: string[] = [];
  for (const { path, imports } of product) {
    const room = roomOf(path);
    const allowed = ROOMS[room];
    if (!allowed) breaches.push(`${path}: the room ${room} has no row`);
    for (const target of imports) {
      const other = roomOf(target);
      if (other !== room && allowed && !allowed.includes(other)) breaches.push(`${path} imports ${target}`);
    }
  }
  assertNone(breaches);
});

test('a folder imports only the folders before it', () => {
  const breaches: string[] = [];
  for (const order of FOLDERS) {
    for (const { path, imports } of product) {
      const position = order.indexOf(folderOf(path));
      if (position < 0) continue;
      for (const target of imports)
        if (order.indexOf(folderOf(target)) > position) breaches.push(`${path} imports ${target}`);
    }
  }
  for (const pair of STRANGERS) {
    for (const { path, imports } of product) {
      const other = pair.find((folder) => !path.startsWith(`src/${folder}/`));
      if (!pair.some((folder) => path.startsWith(`src/${folder}/`))) continue;
      for (const target of imports) if (target.startsWith(`src/${other}/`)) breaches.push(`${path} imports ${target}`);
    }
  }
  assertNone(breaches);
});

test('each folder of a room is in the order of its room', () => {
  const listed = new Set(FOLDERS.flat());
  const rooms = new Set(FOLDERS.flat().map((folder) => folder.split('/')[0]));
  const folders = new Set(product.map(({ path }) => folderOf(path)));
  assertNone(
    [...folders].filter((folder) => rooms.has(folder.split('/')[0]) && folder !== 'storage' && !listed.has(folder)),
  );
});

test('imports have no cycles', () => {
  const graph = new Map(all.map(({ path, imports }) => [path, imports]));
  const state = new Map<string, 'open' | 'done'>();
  const cycles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      cycles.push([...way.slice(way.indexOf(path)), path].join(' → '));
      return;
    }
    state.set(path, 'open');
    for (const next of graph.get(path) ?? []) visit(next, [...way, path]);
    state.set(path, 'done');
  };
  for (const path of graph.keys()) visit(path, []);
  assertNone(cycles);
});

test('no folder has too many files', () => {
  const counts = new Map<string, number>();
  for (const { path } of product) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  assertNone([...counts].filter(([, count]) => count > MAX_FILES).map(([folder]) => folder));
});

test('no file is too long', () => {
  const breaches: string[] = [];
  for (const { path, text } of all) {
    const lines = text.split('\n').length - 1;
    const max = TABLES.includes(path) ? MAX_TABLE_LINES : MAX_LINES;
    if (lines > max) breaches.push(path);
  }
  assertNone(breaches);
});

/** The functions of a formatted source: a header that opens a block, and the line of the same indentation that closes it. */
function* functionsOf(text: string): Generator<{ lines: number; header: string }> {
  const lines = text.split('\n');
  for (const [at, header] of lines.entries()) {
    if (!/(?:=> |\)(?:: .*)? )\{$/.test(header)) continue;
    if (/^\s*(?:\} )?(?:if|else|for|while|switch|catch|do|with)\b/.test(header)) continue;
    const indent = /^ */.exec(header)?.[0] ?? '';
    const end = lines.findIndex((line, index) => index > at && line.startsWith(`${indent}}`));
    if (end > 0) yield { lines: end - at + 1, header: header.trim() };
  }
}

test('no function is too long', () => {
  const breaches: string[] = [];
  for (const { path, text } of all) {
    if (path.startsWith('test/')) continue;
    for (const { lines, header } of functionsOf(text))
      if (lines > MAX_FUNCTION_LINES) breaches.push(`${path}: ${header}`);
  }
  assertNone(breaches);
});

test('only listed files read the environment or use Math.random', () => {
  const environment: string[] = [];
  const random: string[] = [];
  for (const { path, text } of product) {
    const code = text.replaceAll(/\/\*[\s\S]*?\*\/|(?<![:\\])\/\/.*$/gm, '');
    if (/\bprocess\.env\b/.test(code)) environment.push(path);
    if (/\bMath\.random\b/.test(code)) random.push(path);
  }
  assertNone(environment.filter((path) => !(path in ENVIRONMENT)));
  assertNone(random.filter((path) => !(path in RANDOM)));
});

/** Words that are not terms of the field, or are used for several things. */
const WORDS: readonly [RegExp, string][] = [
  [/(?:\/\*\*?|\*|\/\/) Of\b/, 'a comment that begins with "Of" has no subject'],
  [/\b[Ww]hoever\b/, '"whoever": name the client, the caller, the owner'],
  [/\bso and so\b/, '"so and so": name the number'],
  [/\b(?:is|are) none\b/, '"is none": say "is not" or "is invalid"'],
];

/** Comments and strings of a source, line by line. */
function proseOf(text: string): string[] {
  return text.split('\n').filter((line) => /^\s*(?:\/?\*|\/\/)|\/\/ |\/\*\*|['"`]/.test(line));
}

test('comments and messages use the terms of the field', () => {
  const breaches: string[] = [];
  for (const { path, text } of all) {
    if (path.startsWith('test/tidy')) continue;
    for (const line of proseOf(text))
      for (const [word, why] of WORDS) if (word.test(line)) breaches.push(`${path}: ${line.trim()} (${why})`);
  }
  assertNone(breaches);
});

test('the names of limits use MAX and MIN', () => {
  assertNone(
    all.flatMap(({ path, text }) =>
      path === 'test/tidy.test.ts'
        ? []
        : (text.match(/\b(?:MOST|LONGEST|LARGEST|LEAST|SMALLEST)_[A-Z_]+/g) ?? []).map((name) => `${path}: ${name}`),
    ),
  );
});
