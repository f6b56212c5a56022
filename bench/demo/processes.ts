/** The processes of the demo: a server, and the command line. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/client/node.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import { freePort, killAll, sleep, start, waitUntil } from '../process.ts';
import { say, seconds } from './print.ts';

const SERVER = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** Name of the file on the server. */
export const NAME = 'demo/random.bin';
const ID = 'demo';
const SECRET = 'secret-of-a-demo-that-lasts-a-minute';

export const directory = mkdtempSync(join(tmpdir(), 'lading-demo-'));
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
/** Clears the settings of the shell, so that the demo does not depend on them. An empty variable counts as unset. */
const cleared = Object.fromEntries(
  Object.keys(process.env).flatMap((name) => (name.startsWith('LADING_') ? [[name, '']] : [])),
);

process.once('exit', () => {
  killAll();
  rmSync(directory, { recursive: true, force: true });
});

/** Starts the server and waits until it is ready. */
export async function startServer(): Promise<ChildProcess> {
  const began = performance.now();
  const settings = {
    ...cleared,
    LADING_HOST: '127.0.0.1',
    LADING_PORT: String(port),
    LADING_DATA_DIR: join(directory, 'data'),
    LADING_ADMIN_ID: ID,
    LADING_ADMIN_SECRET: SECRET,
    LADING_LOG_LEVEL: 'fatal',
  };
  const server = start(process.execPath, [SERVER], settings, ['ignore', 'ignore', 'inherit']);
  await waitUntil(async () => (await fetch(`${url}/ready`)).ok, server, 120_000);
  say(`process ${server.pid} listens on ${url}, ready after ${seconds(began)}`);
  return server;
}

/** Kills a process without warning, like `kill -9` or the out-of-memory killer. */
export async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export interface Command {
  child: ChildProcess;
  /** Exit code (null after a signal) and the JSON lines of standard output. */
  finished: Promise<{ code: number | null; lines: Record<string, unknown>[] }>;
}

/** Runs the command line with `--json`. */
export function lading(...args: string[]): Command {
  const settings = {
    ...cleared,
    LADING_SERVER: url,
    LADING_CLIENT_ID: ID,
    LADING_CLIENT_SECRET: SECRET,
    LADING_CONFIG: join(directory, 'no-config.json'),
  };
  const child = start(process.execPath, [CLI, ...args, '--json'], settings, ['ignore', 'pipe', 'inherit']);
  const finished = Promise.all([child.stdout ? text(child.stdout) : '', once(child, 'close')]).then(([printed]) => ({
    code: child.exitCode,
    lines: printed
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>),
  }));
  return { child, finished };
}

export const client = connect({ server: url, clientId: ID, clientSecret: SECRET });

/** Polls until this many bytes are acknowledged or the command ended. Resolves with the last status. */
export async function untilReceived(bytes: number, command: Command): Promise<FileStatus> {
  for (;;) {
    const status = await client.status(NAME);
    if (status.bytes_received >= bytes || command.child.exitCode !== null) return status;
    await sleep(2);
  }
}
