import { join } from 'node:path';
import type { LoadGenerator } from './load/generator.ts';
import type { LoadResult } from './load/plan.ts';
import type { Options } from './options.ts';
import { Lading } from './peers/lading.ts';
import type { Job, Peer } from './peers/peer.ts';
import { cpuSeconds, memory } from './process.ts';
import type { Report } from './report.ts';

/** The context of each question. */
export interface Bench {
  options: Options;
  generator: LoadGenerator;
  report: Report;
  /** Folders of this run, removed when it ends. */
  memory: string;
  disk: string;
  /** Running servers. They are stopped when their question ends, also after a failure. */
  peers: Set<Peer>;
}

export interface Question {
  name: string;
  /** One line for the help and the heading. */
  about: string;
  /** Rounds stop after this time. */
  limitSeconds: number;
  /** `deadline` is on the clock of performance.now(). */
  run(bench: Bench, deadline: number): Promise<void>;
}

export const KIB = 1024;
export const MIB = 1024 * KIB;

export function sizeLabel(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`;
}

export interface Run extends LoadResult {
  /** Processor seconds that the server used. */
  serverCpuSeconds: number;
}

/** Runs a job and cleans up after it, also after a failure. */
export async function runJob(bench: Bench, peer: Peer, job: Job): Promise<Run> {
  const cpu = () => peer.pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = cpu();
  const result = await bench.generator.run(job.plan);
  const serverCpuSeconds = cpu() - before;
  await job.clean();
  return { ...result, serverCpuSeconds };
}

/**
 * Runs jobs for a while without measuring, so that the JIT compiler has finished. Not in a quick run.
 */
export async function warmUp(bench: Bench, peer: Peer, seconds: number, job: () => Promise<Job>): Promise<void> {
  const until = performance.now() + seconds * 1000;
  while (!bench.options.quick && performance.now() < until) await runJob(bench, peer, await job());
}

export function megabytesPerSecond({ bytes, seconds }: LoadResult): number {
  return bytes / 1e6 / seconds;
}

/** Registers a server with its question. */
export async function joined<P extends Peer>(bench: Bench, starting: Promise<P>): Promise<P> {
  const peer = await starting;
  bench.peers.add(peer);
  return peer;
}

let folders = 0;

/** Starts Lading with a new data directory in memory or on the disk, or with the given one. */
export async function startLading(
  bench: Bench,
  durability: 'chunk' | 'seal',
  dataDir?: string,
  settings?: Record<string, string>,
): Promise<Lading> {
  folders += 1;
  const directory = dataDir ?? join(durability === 'chunk' ? bench.disk : bench.memory, `lading-${folders}`);
  const { generator, options } = bench;
  const { cpuProfiles } = options;
  return joined(bench, Lading.start({ dataDir: directory, durability, cpuProfiles, generator, settings }));
}

export function newFolder(bench: Bench, name: string): string {
  folders += 1;
  return join(bench.memory, `${name}-${folders}`);
}

/** Adds a row with the peak memory of a Lading server so far. The limit applies to the whole run. */
export function memoryRow(bench: Bench, question: string, label: string, lading: Lading): void {
  const { resident, peak } = memory(lading.pids()[0] as number);
  const samples = new Map([
    ['lading peak', [peak / 1e6]],
    ['lading now', [resident / 1e6]],
  ]);
  bench.report.add(question, label, 'MB', samples, [{ of: 'lading peak', to: null, sense: '<=', bound: 300 }]);
}
