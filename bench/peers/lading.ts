import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LoadGenerator } from '../load/generator.ts';
import type { Frame, Plan, Series } from '../load/plan.ts';
import { freePort, start, stopChild, waitUntil } from '../process.ts';
import { type DownloadWork, downloadPlan, type FilePeer, type Job, type UploadWork, uploadPlan } from './peer.ts';

/** The arguments of node in `npm start`: flags, then the entry file. */
const START = startCommand();
const ADMIN = 'bench';
const SECRET = 'bench-secret-of-the-benchmark-only';
const START_LIMIT_MS = 120_000;
const STORED_CHUNK_BYTES = 8 * 1024 * 1024;

export interface LadingOptions {
  dataDir: string;
  durability: 'chunk' | 'seal';
  /** Directory for V8 CPU profiles of the server, or null. */
  cpuProfiles: string | null;
  generator: LoadGenerator;
  /** Further settings of the server, as environment variables. */
  settings?: Record<string, string> | undefined;
}

/** The server of this repository, as a child process with its own data directory. */
export class Lading implements FilePeer {
  readonly name: string;
  readonly port: number;
  /** Milliseconds from the start of the process until `/ready` succeeded. */
  readonly readyMs: number;
  private readonly child: ChildProcess;
  private readonly options: LadingOptions;
  private readonly token: string;
  private run = 0;

  private constructor(options: LadingOptions, child: ChildProcess, port: number, readyMs: number, token: string) {
    this.name = 'lading';
    this.options = options;
    this.child = child;
    this.port = port;
    this.readyMs = readyMs;
    this.token = token;
  }

  static async start(options: LadingOptions): Promise<Lading> {
    const port = await freePort();
    const { cpuProfiles, dataDir, durability } = options;
    const flags = cpuProfiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfiles}`];
    mkdirSync(dataDir, { recursive: true });
    const began = performance.now();
    const settings = {
      LADING_HOST: '127.0.0.1',
      LADING_PORT: String(port),
      LADING_DATA_DIR: dataDir,
      LADING_DURABILITY: durability,
      LADING_ADMIN_ID: ADMIN,
      LADING_ADMIN_SECRET: SECRET,
      LADING_TOKEN_MINUTES: '600',
      ...options.settings,
    };
    const child = start(process.execPath, [...flags, ...START], settings, ['ignore', 'ignore', 'pipe']);
    const stderr = collectStderr(child);
    try {
      await waitUntil(async () => (await fetch(`http://127.0.0.1:${port}/ready`)).ok, child, START_LIMIT_MS, 5);
    } catch (error) {
      await stopChild(child, 'SIGKILL');
      throw new Error(`${error instanceof Error ? error.message : error}\n${stderr()}`);
    }
    const readyMs = performance.now() - began;
    return new Lading(options, child, port, readyMs, await signIn(port));
  }

  pids(): number[] {
    return [this.child.pid as number];
  }

  /** Header fields of every request. */
  fields(): string {
    return `Host: 127.0.0.1\r\nAuthorization: ${this.authorization()}`;
  }

  authorization(): string {
    return `Bearer ${this.token}`;
  }

  /** The series of one connection: chunks of one file, or one file per chunk if the name contains `{index}`. */
  series(name: string, totalSize: number, bytes: number): { head: string; frame: Frame; expect: number } {
    const target = `/api/files/upload?filename=${name}&total_size=${totalSize}`;
    const head = `POST ${target} HTTP/1.1\r\n${this.fields()}\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bytes + 17}`;
    return { head, frame: 'at-position', expect: 200 };
  }

  async upload(work: UploadWork): Promise<Job> {
    this.run += 1;
    const run = `up-${process.pid}-${this.run}`;
    const shared = work.layout === 'ranges';
    const size = work.bytes * work.chunksEach * (shared ? work.connections : 1);
    const name = (connection: number) => (shared ? run : `${run}-${connection}`);
    const plan = uploadPlan(this.port, work, (connection) => this.series(name(connection), size, work.bytes));
    const names = Array.from({ length: shared ? 1 : work.connections }, (_, i) => name(i));
    return { plan, clean: () => this.remove(names) };
  }

  async store(fileBytes: number): Promise<void> {
    const bytes = Math.min(STORED_CHUNK_BYTES, fileBytes);
    const count = fileBytes / bytes;
    const order = { kind: 'sequential' as const, first: 0, count, slots: count };
    const series: Series = { ...this.series(`stored-${fileBytes}`, fileBytes, bytes), bytes, order };
    await this.options.generator.run(this.planOf([series]));
  }

  async download(work: DownloadWork): Promise<Job> {
    const head = `GET /api/files/download/stored-${work.fileBytes} HTTP/1.1\r\n${this.fields()}`;
    return { plan: downloadPlan(this.port, head, work), clean: async () => {} };
  }

  planOf(connections: Series[], latencies = false): Plan {
    return { port: this.port, connections, direction: 'upload', latencies, limitSeconds: 240 };
  }

  async status(name: string): Promise<{ status: string; bytes_received: number }> {
    const headers = { Authorization: `Bearer ${this.token}` };
    const reply = await fetch(`http://127.0.0.1:${this.port}/api/files/status/${name}`, { headers });
    if (!reply.ok) throw new Error(`status of ${name}: ${reply.status} ${await reply.text()}`);
    return (await reply.json()) as { status: string; bytes_received: number };
  }

  async remove(names: string[]): Promise<void> {
    for (const name of names) {
      const headers = { Authorization: `Bearer ${this.token}` };
      const reply = await fetch(`http://127.0.0.1:${this.port}/api/files/${name}`, { method: 'DELETE', headers });
      if (!reply.ok) throw new Error(`DELETE ${name}: ${reply.status} ${await reply.text()}`);
      await reply.arrayBuffer();
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await stopChild(this.child, signal, 30_000);
  }
}

async function signIn(port: number): Promise<string> {
  const body = new URLSearchParams({ username: ADMIN, password: SECRET });
  const reply = await fetch(`http://127.0.0.1:${port}/auth/token`, { method: 'POST', body });
  if (!reply.ok) throw new Error(`POST /auth/token: ${reply.status} ${await reply.text()}`);
  const { access_token: token } = (await reply.json()) as { access_token: string };
  return token;
}

/** Keeps the end of the standard error of a child, for the error message if it does not start. */
function collectStderr(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    text = (text + bytes.toString('utf8')).slice(-4000);
  });
  return () => text;
}

function startCommand(): string[] {
  const manifest = fileURLToPath(new URL('../../../package.json', import.meta.url));
  const { scripts } = JSON.parse(readFileSync(manifest, 'utf8')) as { scripts: { start: string } };
  const [program, ...words] = scripts.start.split(' ');
  const entry = words.pop();
  if (program !== 'node' || entry === undefined) throw new Error(`npm start does not run node: ${scripts.start}`);
  return [...words, resolve(dirname(manifest), entry)];
}
