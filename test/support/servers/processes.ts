/** The command line and the server as separate processes, which tests can kill. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const CLI = join(import.meta.dirname, '../../../src/cli/main.js');

export interface Finished {
  /** The exit code; null if a signal ended the process. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  process: ChildProcess;
  /** The output so far. */
  stdout: () => string;
  stderr: () => string;
  finished: Promise<Finished>;
}

export interface CliOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** The bytes of standard input; empty by default. */
  input?: string;
  /** Keeps standard input open, so that the test can write to it. */
  inputStays?: boolean;
}

/** Starts `lading ARGS…` with a clean environment. */
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
  const textOf = (pieces: Buffer[]) => Buffer.concat(pieces).toString();
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout: textOf(stdout), stderr: textOf(stderr) }));
  });
  return { process: child, stdout: () => textOf(stdout), stderr: () => textOf(stderr), finished };
}

/** Runs `lading ARGS…` until it exits. */
export function runCli(t: TestContext, args: readonly string[], options: CliOptions = {}): Promise<Finished> {
  return startCli(t, args, options).finished;
}

/** Parses an output with one JSON object per line. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Record<string, unknown> => JSON.parse(line));
}

export interface ServerProcess {
  process: ChildProcess;
  port: number;
  /** The environment of `startCli`: address and credentials of the server. */
  env: Record<string, string>;
  /** Sends SIGKILL and waits for the exit. */
  kill(): Promise<void>;
}

/** Starts `lading serve` on a data directory. Port 0 chooses a free port. */
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

/** Waits until the output of a process matches; fails if the process exits before. */
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

/** A temporary folder, deleted after the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'lading-test-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}
