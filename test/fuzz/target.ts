/** The server that is fuzzed: a process of its own on a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Collects the garbage of the server on SIGUSR2, which the server itself does not use. */
const COLLECTOR = 'data:text/javascript,process.on("SIGUSR2",()=>gc())';
const COLLECT_MS = 1_000;
const MAIN = join(import.meta.dirname, '../../src/main.js');
export const ADMIN = { id: 'fuzz-admin', secret: 'the-secret-of-the-administrator-of-fuzz' };

export interface Vitals {
  /** Bytes of memory that the process has. */
  resident: number;
  descriptors: number;
  /** Descriptors of network connections and the like. Files stay open for a while, up to a limit, in case they are needed again. */
  sockets: number;
}

export interface Target {
  origin: string;
  port: number;
  /** Lines of its log that speak of faults of its own. */
  faults: string[];
  /** Null while it runs. */
  ended(): string | null;
  vitals(): Vitals;
  /** As `vitals`, once the server has collected its garbage: V8 lets it grow while the machine has memory, so only the rest can be a leak. */
  collected(): Promise<Vitals>;
  /** A fresh access token. */
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
      // Twice: what finalizers release is collected by the second one.
      for (let round = 0; round < 2 && end === null; round += 1) {
        child.kill('SIGUSR2');
        await new Promise((resolve) => setTimeout(resolve, COLLECT_MS));
      }
      return vitalsOf(child.pid ?? 0);
    },
    token: (id, secret) => tokenOf(origin, id, secret),
    stop: async () => {
      if (end === null) {
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        await gone;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves with the address when it serves. Afterwards each line of its log is a fault. */
function listening(child: ChildProcess, faults: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    let found: string | undefined;
    child.stdout?.on('data', (bytes: Buffer) => {
      if (found !== undefined) {
        // What it announces is no log.
        faults.push(
          ...bytes
            .toString()
            .split('\n')
            .filter((line) => line.startsWith('{')),
        );
        return;
      }
      said += bytes.toString();
      found = /listens on (https?:\S+)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`the server ended before it served: ${said}`)));
  });
}

async function tokenOf(origin: string, username: string, password: string): Promise<string> {
  const reply = await fetch(`${origin}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({ username, password }),
  });
  if (!reply.ok) throw new Error(`no token: ${reply.status} ${await reply.text()}`);
  return ((await reply.json()) as { access_token: string }).access_token;
}

/** Empty for one that was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** As Linux tells them; zero elsewhere. */
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
