/** Settings, defaults, commands and options in the documentation exist in the program. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from 'commander';
import { program } from '../../src/cli/program.ts';
import { SETTINGS, type Setting } from '../../src/settings/settings.ts';
import { blocks, PAGES, page, prose, tableRows } from '../support/pages.ts';

const ALL: readonly Setting[] = SETTINGS;
/** Variables of the command line, which the table of settings does not contain. */
const CLI_VARIABLES = ['SERVER', 'CLIENT_ID', 'CLIENT_SECRET', 'TOKEN', 'CA', 'CONFIG'];

test('every setting that a page names exists', () => {
  const known = new Set([...ALL.map(({ env }) => env), ...CLI_VARIABLES.map((name) => `LADING_${name}`)]);
  let seen = 0;
  for (const path of PAGES) {
    for (const [, name = '', rest] of page(path).matchAll(/\b(LADING_[A-Z_]*[A-Z])(_?…)?/g)) {
      const exists = rest === undefined ? known.has(name) : [...known].some((other) => other.startsWith(`${name}_`));
      assert.ok(exists, `${path}: there is no setting ${name}${rest ?? ''}`);
      seen += 1;
    }
  }
  assert.ok(seen > 100);
});

test('the protocol states the defaults of the settings', () => {
  for (const [name, shown = ''] of tableRows('Setting', page('docs/protocol.md'))) {
    const setting = ALL.find(({ env }) => `\`${env}\`` === name);
    assert.equal(shown.replace(/[` ]/g, ''), setting?.default, name);
  }
});

test('every command and option that a page names exists', () => {
  let seen = 0;
  for (const path of PAGES) {
    for (const line of commandLines(page(path))) {
      checkCommand(line, path);
      seen += 1;
    }
  }
  assert.ok(seen > 60, `only ${seen} commands`);
});

/** The arguments of `lading` in code spans and shell blocks, up to a comment, a pipe or a redirection. */
function commandLines(text: string): string[] {
  const spans = [...prose(text).matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
  const shell = blocks(text).filter(({ info }) => info.startsWith('sh'));
  const lines = shell.flatMap(({ body }) => body.replaceAll('\\\n', ' ').split('\n'));
  return [...spans, ...lines].flatMap((line) =>
    [...line.matchAll(/(?:^|[|(] ?|=\S* )lading (?!\(\))([^|#)<>&]+)/g)].map(([, rest = '']) => rest.trim()),
  );
}

function checkCommand(line: string, path: string): void {
  let command: Command = program();
  const options: string[] = [];
  for (const word of line.split(/\s+/)) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next !== undefined) command = next;
    else if (/^--?[a-z]/.test(word)) options.push(word.replace(/=.*/, ''));
  }
  const [first = ''] = line.split(/\s+/);
  if (/^[a-z]/.test(first)) assert.notEqual(command.name(), 'lading', `${path}: there is no command ${first}`);
  // Other tests compare the flags of the server with the settings.
  if (command.name() === 'serve') return;
  for (const option of options) {
    const known = [...chain(command)].some((one) =>
      one.options.some(({ short, long }) => [short, long].includes(option)),
    );
    assert.ok(known || ['--help', '-h'].includes(option), `${path}: lading ${line}: there is no ${option}`);
  }
}

/** A command and its parents. */
function* chain(command: Command): Generator<Command> {
  for (let one: Command | null = command; one !== null; one = one.parent) yield one;
}
