/** The package of `npm pack` runs without build tools, and `npm start` builds only if the sources are newer than the build. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { repoRoot } from '../support/root.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { type Ended, runProgram } from '../support/servers/programs.ts';

const root = repoRoot();
const OFFLINE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED|network/i;

function npm(cwd: string, ...args: string[]): Promise<Ended> {
  return runProgram('npm', args, cwd);
}

/** Runs a command that starts the server until it has answered a request; returns its output. */
async function serves(t: TestContext, cwd: string, command: string, args: string[]): Promise<string> {
  const env = {
    ...{ PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? cwd },
    ...{ LADING_PORT: '0', LADING_WORKERS: '1', LADING_DATA_DIR: await temporaryFolder(t), LADING_LOG_LEVEL: 'warn' },
  };
  // A process group of its own, because npm starts children and does not forward SIGKILL.
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => end(child));
  let output = '';
  const collect = (bytes: Buffer): void => {
    output += bytes.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  await eventually(
    () => {
      assert.equal(child.exitCode, null, output);
      return /listens on/.test(output);
    },
    `the server of ${command} ${args.join(' ')}`,
  );
  const port = Number(/listens on \S+:(\d+)/.exec(output)?.[1]);
  const page = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal(page.status, 200);
  assert.match(await page.text(), /<script/, 'the dashboard is served');
  await end(child);
  return output;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await ended;
}

test('a packed build starts with npm start and npx lading serve without the build tools', async (t) => {
  const folder = await temporaryFolder(t);
  const packed = await npm(root, 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder);
  assert.equal(packed.code, 0, packed.stderr);
  const archive = join(folder, packed.stdout.trim().split('\n').at(-1) ?? '');
  await runProgram('tar', ['-xzf', archive, '-C', folder]);
  const app = join(folder, 'package');
  for (const name of ['package-lock.json', '.npmrc']) await cp(join(root, name), join(app, name));
  const installed = await npm(app, 'ci', '--omit=dev', '--prefer-offline', '--no-audit', '--no-fund');
  if (installed.code !== 0 && OFFLINE.test(installed.stderr)) return t.skip('the package registry cannot be reached');
  assert.equal(installed.code, 0, installed.stderr);
  await assert.rejects(readFile(join(app, 'node_modules/typescript/package.json')), { code: 'ENOENT' });

  const output = await serves(t, app, 'npm', ['start']);
  assert.doesNotMatch(output, /building|not installed/);
  assert.match(output, /^Dashboard: http:\/\/localhost:\d+\/$/m);
  assert.match(output, /^Plain HTTP on all interfaces/m);
  await serves(t, app, 'npx', ['--no-install', 'lading', 'serve']);
});

test('npm start builds only if the sources are newer than the build', async (t) => {
  const folder = await temporaryFolder(t);
  const script = join(root, 'scripts/build-if-needed.mjs');
  const checkout = join(folder, 'checkout');
  await mkdir(join(checkout, 'scripts'), { recursive: true });
  await cp(script, join(checkout, 'scripts/build-if-needed.mjs'));
  // A build that only prints a word.
  await writeFile(join(checkout, 'package.json'), JSON.stringify({ scripts: { build: 'echo built' } }));
  const run = (): Promise<Ended> => runProgram(process.execPath, ['scripts/build-if-needed.mjs'], checkout);
  const touch = async (name: string, seconds: number): Promise<void> => {
    await mkdir(join(checkout, name, '..'), { recursive: true });
    await writeFile(join(checkout, name), '');
    await utimes(join(checkout, name), seconds, seconds);
  };
  await utimes(join(checkout, 'package.json'), 1_000, 1_000);

  assert.equal((await run()).stdout, '', 'without sources there is nothing to build');
  await touch('src/main.ts', 2_000);
  const bare = await run();
  assert.equal(bare.code, 1);
  assert.match(bare.stderr, /npm ci/);
  await mkdir(join(checkout, 'node_modules'));
  await symlink(join(root, 'node_modules/typescript'), join(checkout, 'node_modules/typescript'));
  assert.match((await run()).stdout, /built/, 'there is no build yet');

  await touch('dist/src/main.js', 3_000);
  await touch('dist/src/dashboard/index.html', 3_000);
  assert.equal((await run()).stdout, '', 'the build is newer');
  await touch('src/deep/er/one.ts', 4_000);
  assert.match((await run()).stdout, /built/, 'a source is newer');
});
