/** Paths that do not name a regular file: every reader refuses them at once instead of blocking. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { startServer } from '../support/product/server.ts';
import { repoRoot } from '../support/root.ts';
import { runCli, temporaryFolder } from '../support/servers/processes.ts';

const MAIN = join(repoRoot(), 'dist/src/main.js');

/** Creates one path of each kind and returns it with the expected words of the error. */
async function oddPaths(t: TestContext) {
  const folder = await temporaryFolder(t);
  const at = (name: string) => join(folder, name);
  assert.equal(spawnSync('mkfifo', [at('pipe')]).status, 0);
  await mkdir(at('folder'));
  await writeFile(at('large'), '');
  await truncate(at('large'), 64 * 1024 ** 2);
  return [
    [at('pipe'), /is a named pipe/],
    [at('folder'), /is a directory/],
    ['/dev/zero', /is a device/],
    [at('large'), /is larger than 4 MiB/],
    [at('nothing'), /cannot be read \(ENOENT\)/],
    [join(at('large'), 'below'), /cannot be read \(ENOTDIR\)/],
  ] as const;
}

function start(cwd: string, env: Record<string, string>) {
  return spawnSync(process.execPath, [MAIN], {
    cwd,
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env.PATH ?? '', LADING_PORT: '0', LADING_DATA_DIR: join(cwd, 'data'), ...env },
  });
}

/** Returns the error output. It must be one line without a stack trace. */
function refusal({ status, stderr }: { status: number | null; stderr: string }): string {
  const lines = stderr.trimEnd().split('\n');
  assert.equal(lines.length, 1, stderr);
  assert.match(stderr, /^lading: /);
  assert.ok(status === 1 || status === 2, `${status}`);
  return stderr;
}

test('a .env that is a pipe, a device or too large stops the start with one line', async (t) => {
  const cwd = await temporaryFolder(t);
  for (const [path, words] of await oddPaths(t)) {
    if (/directory|ENOENT/.test(String(words))) continue;
    await rm(join(cwd, '.env'), { force: true });
    assert.equal(spawnSync('ln', ['-s', path, join(cwd, '.env')]).status, 0);
    assert.match(refusal(start(cwd, {})), /\.env in the working directory/);
    assert.match(refusal(start(cwd, {})), words);
  }
});

test('certificates and keys that are not regular files stop the start with one line', async (t) => {
  const cwd = await temporaryFolder(t);
  for (const [path, words] of await oddPaths(t)) {
    const error = refusal(start(cwd, { LADING_TLS_CERT: path, LADING_TLS_KEY: path }));
    assert.match(error, words);
    assert.match(error, /LADING_TLS_CERT names a file that/);
  }
});

test('a log file that is a directory, or a pipe without a reader, stops the start with one line', async (t) => {
  const cwd = await temporaryFolder(t);
  for (const [path, code] of [
    [join(cwd, 'pipe'), 'ENXIO'],
    [join(cwd, 'folder'), 'EISDIR'],
  ] as const) {
    if (code === 'ENXIO') spawnSync('mkfifo', [path]);
    else await mkdir(path);
    const error = refusal(start(cwd, { LADING_LOG_FILE: path }));
    assert.match(error, new RegExp(`LADING_LOG_FILE names a file that cannot be written \\(${code}\\)`));
  }
});

test('a working directory that was deleted stops the start with one line', async (t) => {
  const folder = await temporaryFolder(t);
  const cwd = join(folder, 'deleted');
  await mkdir(cwd);
  const script = `cd '${cwd}' && rmdir '${cwd}' && exec '${process.execPath}' '${MAIN}'`;
  const env = { PATH: process.env.PATH ?? '', LADING_PORT: '0', LADING_DATA_DIR: join(folder, 'data') };
  const error = refusal(spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 60_000, env }));
  assert.match(error, /the working directory does not exist \(ENOENT\)/);
});

test('the command line refuses paths that are not files, and reads pipes that a shell creates', async (t) => {
  const server = await startServer(t);
  const cwd = await temporaryFolder(t);
  const env = { LADING_SERVER: server.origin, LADING_CLIENT_ID: server.client.id };
  for (const [path, words] of await oddPaths(t)) {
    // The command line waits for a writer of a pipe until Ctrl-C.
    if (/pipe/.test(String(words))) continue;
    for (const args of [
      ['--client-secret-file', path, 'ls'],
      ['--ca', path, 'ls'],
      ['--config', path, 'ls'],
      ['import', path, '--dry-run'],
    ]) {
      const { code, stderr } = await runCli(t, args, { cwd, env: { ...env, LADING_CLIENT_SECRET: 'x' } });
      assert.equal(code, args[0] === 'import' || args[0] === '--ca' ? 9 : 2, `${args}: ${stderr}`);
      // A settings file is checked for its permissions first.
      if (args[0] !== '--config' || !/MiB/.test(String(words))) assert.match(stderr, words);
    }
  }
  const cli = join(repoRoot(), 'dist/src/cli/main.js');
  const script = `'${process.execPath}' '${cli}' --client-secret-file <(printf '%s\\n' "$SECRET") ls --json`;
  const environment = { PATH: process.env.PATH ?? '', HOME: cwd, ...env, SECRET: server.client.secret };
  const listed = await promisify(execFile)('bash', ['-c', script], { cwd, env: environment });
  assert.match(listed.stdout, /"files"/);
});
