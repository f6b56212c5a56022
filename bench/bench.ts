import { join } from 'node:path';
import type { LoadGenerator } from './load/generator.ts';
import type { LoadResult } from './load/plan.ts';
import type { Options } from './options.ts';
import { Lading } from './peers/lading.ts';
import type { Job, Peer } from './peers/peer.ts';
import { cpuSeconds, memory } from './process.ts';
import type { Report } from './report.ts';

/** What every benchmark receives. */
export interface BenchContext {
  options: Options;
  generator: LoadGenerator;
  report: Report;
  /** Directories of this run in memory and on the disk, deleted when it ends. */
  memory: string;
  disk: string;
  /** Running servers. They are stopped when their benchmark ends, even after a failure. */
  peers: Set<Peer>;
}

/** A measurement that `npm run bench` can run. */
export interface Benchmark {
  name: string;
  /** What it measures: one line for the help and the heading. */
  title: string;
  /** No round starts after this time. */
  limitSeconds: number;
  /** `deadline` is on the clock of performance.now(). */
  run(bench: BenchContext, deadline: number): Promise<void>;
}

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** Formats a size in whole MiB or KiB. */
export function sizeLabel(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`;
}

/** The result of a job. */
export interface Run extends LoadResult {
  /** Processor seconds that the server used. */
  serverCpuSeconds: number;
}

/** Runs a job and cleans up after it. */
export async function runJob(bench: BenchContext, peer: Peer, job: Job): Promise<Run> {
  const cpu = () => peer.pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = cpu();
  const result = await bench.generator.run(job.plan);
  const serverCpuSeconds = cpu() - before;
  await job.clean();
  return { ...result, serverCpuSeconds };
}

/**
 * Runs jobs without measuring them until the JIT compiler has finished. A quick run skips this.
 */
export async function warmUp(bench: BenchContext, peer: Peer, seconds: number, job: () => Promise<Job>): Promise<void> {
  const until = performance.now() + seconds * 1000;
  while (!bench.options.quick && performance.now() < until) await runJob(bench, peer, await job());
}

/** Payload in MB (10⁶ bytes) per second. */
export function megabytesPerSecond({ bytes, seconds }: LoadResult): number {
  return bytes / 1e6 / seconds;
}

/** Waits for a server and registers it, so that it is stopped when its benchmark ends. */
export async function registered<P extends Peer>(bench: BenchContext, starting: Promise<P>): Promise<P> {
  const peer = await starting;
  bench.peers.add(peer);
  return peer;
}

let directories = 0;

/** Starts Lading with a new data directory in memory or on the disk, or with the given one. */
export async function startLading(
  bench: BenchContext,
  durability: 'chunk' | 'seal',
  dataDir?: string,
  settings?: Record<string, string>,
): Promise<Lading> {
  directories += 1;
  const directory = dataDir ?? join(durability === 'chunk' ? bench.disk : bench.memory, `lading-${directories}`);
  const { generator, options } = bench;
  const { cpuProfiles } = options;
  return registered(bench, Lading.start({ dataDir: directory, durability, cpuProfiles, generator, settings }));
}

/** The path of a new directory in memory. Does not create it. */
export function newDirectory(bench: BenchContext, name: string): string {
  directories += 1;
  return join(bench.memory, `${name}-${directories}`);
}

/** Adds a row with the peak memory of a Lading server since its start. */
export function memoryRow(bench: BenchContext, benchmark: string, label: string, lading: Lading): void {
  const { resident, peak } = memory(lading.pids()[0] as number);
  const samples = new Map([
    ['lading peak', [peak / 1e6]],
    ['lading now', [resident / 1e6]],
  ]);
  bench.report.add(benchmark, label, 'MB', samples, [{ of: 'lading peak', to: null, sense: '<=', bound: 300 }]);
}
