/** What the README says is what the program does. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CATALOGUE } from '../src/errors.ts';
import { settingsTable } from '../src/settings-text.ts';
import { anchors, type Block, blocks, prose, README, tableRows } from './support/readme.ts';
import { repoRoot } from './support/root.ts';
import { startServer } from './support/server.ts';
import { Tour } from './support/tour.ts';

test('the table of settings is the one that the settings are read by', () => {
  assert.ok(README.includes(`\n\n${settingsTable()}\n\n`), `the README should have this table:\n${settingsTable()}`);
});

test('the table of errors is the catalogue, in its order', () => {
  const documented = tableRows('Code').map(([code, status]) => [code?.replaceAll('`', ''), Number(status)]);
  assert.deepEqual(
    documented,
    Object.entries(CATALOGUE).map(([code, { status }]) => [code, status]),
  );
  for (const [code, , meaning] of tableRows('Code')) assert.notEqual(meaning, '', `${code} has no meaning`);
});

test('the table of routes is what the server serves', async (t) => {
  const { origin } = await startServer(t);
  const { paths } = (await (await fetch(`${origin}/openapi.json`)).json()) as { paths: Record<string, Operations> };
  const served = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { parameters = [] }]) => {
      const anyones = parameters.some(({ name }) => name === 'owner') ? ' ·' : '';
      return `${method.toUpperCase()} ${anyParameter(path)}${anyones}`;
    }),
  );
  // The two that show the interface do not describe themselves.
  const all = [...served, 'GET /openapi.json', 'GET /docs'];
  assert.deepEqual(documentedRoutes().sort(), all.sort());
  for (const path of ['/openapi.json', '/docs']) assert.equal((await fetch(`${origin}${path}`)).status, 200);
});

type Operations = Record<string, { parameters?: { name: string }[] }>;

/** `GET, HEAD `/a/{x}` ·` as `GET /a/{} ·` and `HEAD /a/{} ·`. */
function documentedRoutes(): string[] {
  return tableRows('Route').flatMap(([cell = '']) => {
    const mark = cell.endsWith('·') ? ' ·' : '';
    return [...cell.matchAll(/([A-Z]+(?:, [A-Z]+)*) `([^`?]+)[^`]*`/g)].flatMap(([, methods = '', path = '']) =>
      methods.split(', ').map((method) => `${method} ${anyParameter(path)}${mark}`),
    );
  });
}

function anyParameter(path: string): string {
  return path.replace(/\{[^}]*\}/g, '{}');
}

test('every npm script that is named exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(repoRoot(), 'package.json'), 'utf8')) as { scripts: object };
  const named = [...README.matchAll(/npm (?:run ([a-z:]+)|(start|test)\b)/g)].map(([, run, short]) => run ?? short);
  assert.ok(named.length > 5);
  for (const name of named) assert.ok(name !== undefined && name in scripts, `there is no script ${name}`);
});

test('every link inside leads somewhere', () => {
  const known = anchors();
  const targets = [...prose().matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  assert.ok(targets.length > 10);
  for (const target of targets) {
    if (/^https?:/.test(target)) continue;
    const [path = '', anchor] = target.split('#');
    if (path !== '') assert.ok(existsSync(join(repoRoot(), path)), `${target}: no such file`);
    else assert.ok(anchor !== undefined && known.has(anchor), `${target}: no such heading`);
  }
});

test('the tour with curl works, word for word', async (t) => {
  if (spawnSync('curl', ['--version']).error) return t.skip('curl is not installed');
  await follow(await Tour.begin(t), tourOf('Five minutes with curl'));
});

test('the tour with the command line works, word for word', async (t) => {
  await follow(await Tour.begin(t), tourOf('The same with the command line'));
});

test('the example for TypeScript works, word for word', async (t) => {
  const [example] = blocks().filter(({ info }) => info === 'js tour');
  assert.ok(example);
  const tour = await Tour.begin(t);
  const printed = await tour.runModule(example.body);
  assert.match(printed, /^complete [0-9a-f]{8} 0 \d+\n(\d+\n)+locks\/today\.json \d+\n200\n$/);
});

function tourOf(section: string): Block[] {
  const found = blocks().filter((block) => block.section === section && / tour\b/.test(block.info));
  assert.ok(found.length > 3, `there is no tour in ${section}`);
  return found;
}

/** Runs the blocks in turn. `text tour` is what the commands before it print, where `…` stands for anything. */
async function follow(tour: Tour, steps: Block[]): Promise<void> {
  let printed = '';
  for (const { info, body, line } of steps) {
    if (info === 'text tour') {
      assert.match(printed, pattern(body), `README line ${line}: the commands before it print something else`);
      continue;
    }
    assert.match(info, /^sh tour( restart)?$/, `README line ${line}`);
    printed = await tour.run(body);
    if (info.endsWith('restart')) await tour.startServer();
  }
}

function pattern(expected: string): RegExp {
  const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${expected.trim().split('…').map(literal).join('[\\s\\S]*?')}\\s*$`);
}
