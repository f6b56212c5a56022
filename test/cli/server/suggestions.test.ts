/** Completion of values from the server, in real shells. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { chmod, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { connect } from '../../../src/client/node.ts';
import { startServer } from '../../support/product/server.ts';
import { repoRoot } from '../../support/root.ts';
import { runCli, temporaryFolder } from '../../support/servers/processes.ts';
import { bytesOf, sourceOf } from '../../support/tables/fixtures.ts';

const run = promisify(execFile);

function missing(shell: string): string | false {
  return spawnSync(shell, ['-c', 'true']).status === 0 ? false : `${shell} is not installed`;
}

/** A server with file names that are dangerous in a shell, and a directory on the `PATH` with the command. */
async function setUp(t: TestContext) {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  const client = connect({ server: server.origin, token: server.admin.token });
  t.after(() => client.close());
  for (const name of [
    'day/one.wav',
    'day/two.wav',
    'a note.txt',
    '$(touch pwned)',
    'b`touch pwned`',
    'clock:12:30',
    "it's",
  ]) {
    await client.upload(sourceOf(bytesOf(10)), { name });
  }
  await client.clients.create({ name: 'camera-7', role: 'client' });
  const command = join(folder, 'lading');
  await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${repoRoot()}/dist/src/cli/main.js' "$@"\n`);
  await chmod(command, 0o755);
  const env = {
    PATH: `${folder}:${process.env.PATH}`,
    HOME: folder,
    TERM: 'dumb',
    LADING_SERVER: server.origin,
    LADING_TOKEN: server.admin.token,
  };
  const script = async (shell: string) => {
    const { stdout } = await runCli(t, ['completion', shell]);
    const path = join(folder, `script.${shell}`);
    await writeFile(path, stdout);
    return path;
  };
  const isUnharmed = async () => assert.ok(!(await readdir(folder)).includes('pwned'), 'a name was run as a command');
  return { server, folder, env, script, isUnharmed };
}

test('suggestions come from the server, and a failure prints nothing', async (t) => {
  const { server, folder, env } = await setUp(t);
  const ask = async (words: string[], more: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await runCli(t, ['__complete', ...words], {
      cwd: folder,
      env: { ...env, ...more },
    });
    assert.equal(code, 0);
    assert.equal(stderr, '');
    return stdout.split('\n').filter((line) => line !== '');
  };
  assert.deepEqual(await ask(['file', '', 'download']), [
    '$(touch pwned)',
    'a note.txt',
    'b`touch pwned`',
    'clock:12:30',
    'day/',
    "it's",
  ]);
  assert.deepEqual(await ask(['file', 'day/', 'rm']), ['day/one.wav', 'day/two.wav']);
  assert.deepEqual(await ask(['client', 'cam', 'clients', 'delete']), ['camera-7']);
  assert.ok((await ask(['who', '', 'ls', '--owner'])).includes('camera-7'));
  assert.deepEqual(await ask(['tenant', 'def', 'clients', 'list', '--tenant']), []);
  assert.deepEqual(await ask(['file', '', 'download', '--owner', server.client.id]), []);
  assert.deepEqual(
    await ask(['client', ''], { LADING_TOKEN: server.client.token }),
    [],
    'a client may not list clients',
  );
  assert.deepEqual(await ask(['file', ''], { LADING_TOKEN: 'wrong' }), []);
  assert.deepEqual(await ask(['file', '', '--server', 'http://127.0.0.1:9', 'ls']), []);
  assert.deepEqual(await ask(['file', '', '--config', '/dev/zero', 'ls'], { LADING_TOKEN: '' }), []);
  assert.deepEqual(await ask(['nonsense', '']), []);
  assert.deepEqual(await ask([]), []);
});

test('bash completes values from the server and runs none of them', { skip: missing('bash') }, async (t) => {
  const { folder, env, script, isUnharmed } = await setUp(t);
  const path = await script('bash');
  const complete = async (...words: string[]) => {
    const list = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    const line = `lading ${words.join(' ')}`.replaceAll("'", "'\\''");
    const code = `source ${path}; COMP_LINE='${line}'; COMP_POINT=\${#COMP_LINE}; COMP_WORDS=(lading ${list}); COMP_CWORD=${words.length}; _lading; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await run('bash', ['-c', code], { cwd: folder, env });
    return stdout.split('\n').filter((word) => word !== '' && !word.startsWith('--'));
  };
  assert.deepEqual(await complete('download', ''), [
    '$(touch pwned)',
    'a note.txt',
    'b`touch pwned`',
    'clock:12:30',
    'day/',
    "it's",
  ]);
  assert.deepEqual(await complete('status', 'day/o'), ['day/one.wav']);
  // The words as bash splits them.
  assert.deepEqual(await complete('rm', 'clock', ':', '12', ':'), []);
  assert.deepEqual(await complete('rm', 'a\\ n'), ['a note.txt']);
  assert.deepEqual(await complete('clients', 'delete', 'cam'), ['camera-7']);
  assert.deepEqual(await complete('ls', '--owner', 'cam'), ['camera-7']);
  assert.deepEqual(await complete('download', '--par'), []);
  await isUnharmed();
});

test('fish completes values from the server and runs none of them', { skip: missing('fish') }, async (t) => {
  const { folder, env, script, isUnharmed } = await setUp(t);
  const path = await script('fish');
  const complete = async (line: string) => {
    const code = `source ${path}; complete -C '${line}'`;
    const { stdout, stderr } = await run('fish', ['--no-config', '-c', code], { cwd: folder, env });
    assert.equal(stderr, '');
    return stdout
      .split('\n')
      .flatMap((word) => (word === '' || word.startsWith('-') ? [] : [word.split('\t')[0] ?? '']));
  };
  assert.deepEqual(await complete('lading upl'), ['upload']);
  assert.deepEqual((await complete('lading clients ')).sort(), ['create', 'delete', 'list']);
  assert.deepEqual(await complete('lading clients create --role a'), ['admin']);
  assert.deepEqual((await complete('lading status day/')).sort(), ['day/one.wav', 'day/two.wav']);
  const all = await complete('lading rm ');
  for (const name of ['$(touch pwned)', 'day/', 'clock:12:30'])
    assert.ok(
      all.some((word) => word.replaceAll('\\', '') === name),
      name,
    );
  assert.deepEqual(await complete('lading clients delete cam'), ['camera-7']);
  assert.deepEqual(await complete('lading ls --owner cam'), ['camera-7']);
  assert.deepEqual(await complete('lading upload lad'), ['lading'], 'a local file');
  assert.deepEqual(await complete('lading rm lad'), [], 'no local file');
  await isUnharmed();
});

test('zsh completes values from the server and runs none of them', { skip: missing('zsh') }, async (t) => {
  const { folder, env, script, isUnharmed } = await setUp(t);
  const path = await script('zsh');
  // Runs zsh in a pseudo-terminal, types each line and a tab, and prints the completed line.
  const driver = join(folder, 'driver.zsh');
  await writeFile(
    driver,
    `zmodload zsh/zpty
zpty shell 'TERM=dumb zsh -f -i'
until_seen() { local all='' piece; while zpty -r shell piece; do all+=$piece; [[ $all == *$1* ]] && break; done; print -r -- "$all" }
zpty -w shell 'PS1=; PROMPT_SP=; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; source ${path}; bindkey "^I" complete-word; show() { print -r -- "<<\${(q)BUFFER}>>"; BUFFER= }; zle -N show; bindkey "^X" show; print RE""ADY'
until_seen READY >/dev/null
for typed in "$@"; do
  zpty -w -n shell "$typed"$'\\t\\x18'
  line=$(until_seen '>>')
  print -r -- "\${\${line##*<<}%%>>*}"
done
zpty -d shell
`,
  );
  const complete = async (...lines: string[]) => {
    const { stdout } = await run('zsh', ['-f', driver, ...lines], { cwd: folder, env, timeout: 120_000 });
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) =>
        line
          .replaceAll('\\\\', '\\')
          .replaceAll('\\ ', ' ')
          .replace(/[ \\]+$/, ''),
      );
  };
  const typed = [
    ['lading upl', 'lading upload'],
    ['lading clients cr', 'lading clients create'],
    ['lading clients create --role a', 'lading clients create --role admin'],
    ['lading status day/o', 'lading status day/one.wav'],
    ['lading rm d', 'lading rm day/'],
    ['lading clients delete cam', 'lading clients delete camera-7'],
    ['lading ls --owner cam', 'lading ls --owner camera-7'],
    ['lading upload lad', 'lading upload lading'],
  ] as const;
  assert.deepEqual(
    await complete(...typed.map(([before]) => before)),
    typed.map(([, after]) => after),
  );
  await complete('lading rm ', 'lading rm b');
  await isUnharmed();
});
