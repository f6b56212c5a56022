/** The command line and the server as processes of their own, so that they can be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const CLI = join(import.meta.dirname, '../../../src/cli/main.js');

export interface Finished {
  /** Exit code, null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  process: ChildProcess;
  /** What it said so far. */
  stdout: () => string;
  stderr: () => string;
  finished: Promise<Finished>;
}

export interface CliOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Bytes for its standard input, which is otherwise empty. */
  input?: string;
  /** Its standard input stays open, for the test to write to. */
  inputStays?: boolean;
}

/** Starts `lading ARGS…` in an environment of its own: nothing of the person who runs the tests gets in. */
export function startCli(t: TestContext, args: readonly string[], options: CliOptions = {}): Running {
  const env = { PATH: process.env.PATH ?? '', XDG_CONFIG_HOME: '/nonexistent/of-nobody', ...options.env };
  const child = spawn(process.execPath, [CLI, ...args], { env, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  child.stdin.on('error', () => {});
  if (!options.inputStays) child.stdin.end(options.input ?? '');
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
  const said = (pieces: Buffer[]) => Buffer.concat(pieces).toString();
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout: said(stdout), stderr: said(stderr) }));
  });
  return { process: child, stdout: () => said(stdout), stderr: () => said(stderr), finished };
}

/** Runs `lading ARGS…` to its end. */
export function runCli(t: TestContext, args: readonly string[], options: CliOptions = {}): Promise<Finished> {
  return startCli(t, args, options).finished;
}

/** The JSON objects of an output with one a line. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Record<string, unknown> => JSON.parse(line));
}

export interface ServerProcess {
  process: ChildProcess;
  port: number;
  /** For `startCli`: where it is and who may. */
  env: Record<string, string>;
  /** SIGKILL, and the wait until it is gone. */
  kill(): Promise<void>;
}

/** Starts `lading serve` on a data folder. The port is free on the first start (0) and given on later ones. */
export async function startServerProcess(
  t: TestContext,
  dataDir: string,
  port = 0,
  settings: Record<string, string> = {},
): Promise<ServerProcess> {
  const secret = 'secret-of-the-administrator';
  const running = startCli(t, ['serve', '--port', String(port), '--data-dir', dataDir, '--log-level', 'warn'], {
    env: {
      LADING_HOST: '127.0.0.1',
      LADING_ADMIN_ID: 'admin',
      LADING_ADMIN_SECRET: secret,
      LADING_WORKERS: '1',
      ...settings,
    },
  });
  const found = await until(running, /listens on http:\/\/127\.0\.0\.1:(\d+)/);
  const actual = Number(found[1]);
  return {
    process: running.process,
    port: actual,
    env: {
      LADING_SERVER: `http://127.0.0.1:${actual}`,
      LADING_CLIENT_ID: 'admin',
      LADING_CLIENT_SECRET: secret,
    },
    kill: async () => {
      running.process.kill('SIGKILL');
      await running.finished;
    },
  };
}

/** Waits until a process says something; fails when it ends without. */
export function until(running: Running, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const found = pattern.exec(running.stdout()) ?? pattern.exec(running.stderr());
      if (found !== null) resolve(found);
    };
    running.process.stdout?.on('data', look);
    running.process.stderr?.on('data', look);
    running.finished.then(({ code, stderr }) => reject(new Error(`ended with ${code}: ${stderr}`)), reject);
    look();
  });
}

/** A folder that goes away after the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'lading-test-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}
