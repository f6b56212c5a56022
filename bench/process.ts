import { type ChildProcess, fork, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const running = new Set<ChildProcess>();

/** A forked module that answers one message with one `{ result }` or `{ error }`. */
export class Worker {
  readonly child: ChildProcess;
  /** The message that the module sent when it was ready. */
  readyMessage: unknown;
  private pending: { resolve: (value: unknown) => void; reject: (error: Error) => void } | undefined;

  private constructor(child: ChildProcess) {
    this.child = child;
    child.on('message', (message: { result?: unknown; error?: string }) => {
      const pending = this.pending;
      this.pending = undefined;
      if (message.error !== undefined) pending?.reject(new Error(message.error));
      else pending?.resolve(message.result);
    });
    child.on('exit', (code, signal) => {
      this.pending?.reject(new Error(`process ended: ${signal ?? code}`));
      this.pending = undefined;
    });
  }

  /** @param module path relative to the directory of this file in the build, such as `./load/worker.js` */
  static async start(module: string, args: string[] = []): Promise<Worker> {
    const child = fork(fileURLToPath(new URL(module, import.meta.url)), args, { serialization: 'advanced' });
    track(child);
    const worker = new Worker(child);
    worker.readyMessage = await worker.nextMessage();
    return worker;
  }

  /** Sends a message and waits for the reply. One call at a time. */
  request<Result>(message: unknown): Promise<Result> {
    const answer = this.nextMessage<Result>();
    this.child.send(message as object);
    return answer;
  }

  async stop(): Promise<void> {
    await stopChild(this.child);
  }

  private nextMessage<Result>(): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.pending = { resolve: (value) => resolve(value as Result), reject };
    });
  }
}

/** Starts a program that is killed when the benchmark ends. */
export function start(command: string, args: string[], env: Record<string, string>, stdio: StdioOptions): ChildProcess {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio });
  track(child);
  return child;
}

function track(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child));
}

/** Stops a child with `signal`, then with SIGKILL if it still runs after `timeoutMs`. */
export async function stopChild(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGTERM',
  timeoutMs = 10_000,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  await exit;
  clearTimeout(timer);
}

/** Kills all children. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** Finds a free port. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Resident memory in bytes, current and peak; zeros without /proc. */
export function memory(pid: number): { resident: number; peak: number } {
  let status = '';
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return { resident: 0, peak: 0 };
  }
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { resident: field('VmRSS'), peak: field('VmHWM') };
}

/** Resets the peak to the current memory. Without permission, the peak covers the whole life of the process. */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // A container may forbid this. The peak is then an upper bound.
  }
}

/** Processor seconds that a process used so far, with all its threads. */
export function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // Fields 14 and 15 (utime, stime) in ticks of 1/100 s.
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until `probe` succeeds; rejects after `limitMs` or when the child ends first. */
export async function waitUntil(
  probe: () => Promise<boolean>,
  child: ChildProcess,
  limitMs: number,
  everyMs = 10,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    if (await probe().catch(() => false)) return;
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${child.spawnargs.join(' ')} ended early: ${child.signalCode ?? child.exitCode}`);
    if (performance.now() > deadline) throw new Error(`${child.spawnargs.join(' ')}: not ready after ${limitMs} ms`);
    await sleep(everyMs);
  }
}
