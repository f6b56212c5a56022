import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { program } from '../../../src/cli/program.ts';
import { runCli, temporaryFolder } from '../../support/servers/processes.ts';

const has = (shell: string) => spawnSync(shell, ['-c', 'true']).status === 0;

test('bash completes commands, options and values', async (t) => {
  const { stdout } = await runCli(t, ['completion', 'bash']);
  const folder = await temporaryFolder(t);
  const script = join(folder, 'lading.bash');
  await writeFile(script, stdout);
  const complete = (...words: string[]) => {
    const list = words.map((word) => `'${word}'`).join(' ');
    const run = `cd ${folder}; source ${script}; COMP_WORDS=(lading ${list}); COMP_CWORD=${words.length}; _lading; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return spawnSync('bash', ['-c', run], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter((line) => line !== '');
  };
  assert.deepEqual(complete('up'), ['upload']);
  assert.deepEqual(complete('upload', '--chu'), ['--chunk-size']);
  for (const word of ['list', 'create', 'delete']) assert.ok(complete('clients', '').includes(word));
  assert.deepEqual(complete('clients', 'cr'), ['create']);
  assert.deepEqual(complete('clients', 'create', '--ro'), ['--role']);
  assert.deepEqual(complete('quotas', 's'), ['show', 'set']);
  assert.deepEqual(complete('quotas', 'set', '--open'), ['--open-uploads']);
  assert.deepEqual(complete('--json', 'sw'), ['sweep']);
  assert.deepEqual(complete('ls', '--serv'), ['--server']);
  // Values from a fixed set, local files, and values that only the server knows.
  assert.deepEqual(complete('clients', 'create', '--role', ''), ['client', 'ops', 'admin', 'root']);
  assert.deepEqual(complete('clients', 'create', '--role', 'a'), ['admin']);
  assert.deepEqual(complete('ls', '--status', 'c'), ['complete']);
  assert.deepEqual(complete('quotas', 'set', 'ten'), ['tenant']);
  assert.deepEqual(complete('completion', 'z'), ['zsh']);
  assert.deepEqual(complete('deliveries', 'targets', 'add', 'web'), ['webhook']);
  await writeFile(join(folder, 'a recording.wav'), '');
  assert.deepEqual(complete('upload', 'a'), ['a recording.wav']);
  assert.deepEqual(complete('ls', '--ca', 'la'), ['lading.bash']);
  assert.deepEqual(complete('upload', '--name', 'a'), [], 'the option takes no local file');
  assert.deepEqual(complete('rm', 'a'), [], 'a name on the server');
  assert.deepEqual(complete('serve', '--data'), ['--data-dir']);
  assert.deepEqual(complete('serve', '--data-dir', 'a'), ['a recording.wav']);
  assert.deepEqual(complete('serve', '--durability', ''), ['chunk', 'seal']);
  assert.ok(complete('serve', '--').includes('--log-level'));
});

test('the script for each shell contains every command and is valid if the shell is installed', async (t) => {
  const folder = await temporaryFolder(t);
  const commands = program().commands.map((command) => command.name());
  assert.ok(commands.length >= 12);
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout } = await runCli(t, ['completion', shell]);
    assert.equal(code, 0);
    for (const command of commands) assert.match(stdout, new RegExp(`\\b${command}\\b`), `${shell}: ${command}`);
    const script = join(folder, shell);
    await writeFile(script, stdout);
    if (has(shell)) assert.equal(spawnSync(shell, ['-n', script]).status, 0, shell);
  }
  assert.equal((await runCli(t, ['completion', 'tcsh'])).code, 2);
});

test('every command and option has a description', () => {
  const root = program();
  for (const command of root.commands) {
    assert.notEqual(command.description(), '', command.name());
    for (const option of command.options) assert.notEqual(option.description, '', `${command.name()} ${option.flags}`);
  }
});
