/** The fuzzed server: a process with a data directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs the garbage collector on SIGUSR2, which the server does not use. */
const COLLECTOR = 'data:text/javascript,process.on("SIGUSR2",()=>gc())';
const COLLECT_MS = 1_000;
const MAIN = join(import.meta.dirname, '../../src/main.js');
export const ADMIN = { id: 'fuzz-admin', secret: 'the-secret-of-the-administrator-of-fuzz' };

export interface Vitals {
  /** The resident memory in bytes. */
  resident: number;
  descriptors: number;
  /** The number of sockets among the descriptors. The server also keeps some files open. */
  sockets: number;
}

export interface Target {
  origin: string;
  port: number;
  /** Lines of its log, which has only errors. */
  faults: string[];
  /** How the process ended; null while it runs. */
  ended(): string | null;
  vitals(): Vitals;
  /** `vitals` after a garbage collection. V8 lets the heap grow while the machine has memory, so only the rest can be a leak. */
  collected(): Promise<Vitals>;
  /** Gets a new access token. */
  token(id: string, secret: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startTarget(settings: Record<string, string> = {}): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-fuzz-'));
  const child = spawn(process.execPath, ['--max-semi-space-size=4', '--expose-gc', '--import', COLLECTOR, MAIN], {
    env: {
      PATH: process.env.PATH ?? '',
      LADING_HOST: '127.0.0.1',
      LADING_PORT: '0',
      LADING_DATA_DIR: folder,
      LADING_ADMIN_ID: ADMIN.id,
      LADING_ADMIN_SECRET: ADMIN.secret,
      LADING_LOG_LEVEL: 'error',
      LADING_WORKERS: '1',
      LADING_TOKEN_MINUTES: '600',
      LADING_DURABILITY: 'seal',
      LADING_RATE_ADDRESS: '1000000',
      LADING_RATE_TOKEN: '1000000',
      LADING_RATE_PRINCIPAL: '1000000',
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const faults: string[] = [];
  child.stderr.on('data', (bytes: Buffer) => faults.push(...bytes.toString().split('\n').filter(Boolean)));
  const origin = await listening(child, faults);
  let end: string | null = null;
  child.once('exit', (code, signal) => {
    end = `exit code ${code}, signal ${signal}`;
  });
  return {
    origin,
    port: Number(new URL(origin).port),
    faults,
    ended: () => end,
    vitals: () => vitalsOf(child.pid ?? 0),
    collected: async () => {
      // Twice, because the second run collects what finalizers release.
      for (let round = 0; round < 2 && end === null; round += 1) {
        child.kill('SIGUSR2');
        await new Promise((resolve) => setTimeout(resolve, COLLECT_MS));
      }
      return vitalsOf(child.pid ?? 0);
    },
    token: (id, secret) => tokenOf(origin, id, secret),
    stop: async () => {
      if (end === null) {
        const exited = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        await exited;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves with the address once the server listens. Every line of its log after that is a fault. */
function listening(child: ChildProcess, faults: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    let found: string | undefined;
    child.stdout?.on('data', (bytes: Buffer) => {
      if (found !== undefined) {
        // Announcements on standard output are not log lines.
        faults.push(
          ...bytes
            .toString()
            .split('\n')
            .filter((line) => line.startsWith('{')),
        );
        return;
      }
      output += bytes.toString();
      found = /listens on (https?:\S+)/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`the server ended before it listened: ${output}`)));
  });
}

async function tokenOf(origin: string, username: string, password: string): Promise<string> {
  const reply = await fetch(`${origin}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({ username, password }),
  });
  if (!reply.ok) throw new Error(`the server refused a token: ${reply.status} ${await reply.text()}`);
  return ((await reply.json()) as { access_token: string }).access_token;
}

/** The target of a symbolic link; empty if it does not exist any more. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Reads the vitals from /proc; zero on other systems than Linux. */
function vitalsOf(pid: number): Vitals {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
    const folder = `/proc/${pid}/fd`;
    const links = readdirSync(folder).map((name) => linkOf(join(folder, name)));
    return { resident, descriptors: links.length, sockets: links.filter((link) => link.startsWith('socket:')).length };
  } catch {
    return { resident: 0, descriptors: 0, sockets: 0 };
  }
}
