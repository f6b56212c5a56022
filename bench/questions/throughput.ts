import { type Bench, megabytesPerSecond, type Run, runJob } from '../bench.ts';
import type { Job, Peer } from '../peers/peer.ts';
import type { Target } from '../report.ts';
import { type Contestant, interleave, median } from '../rounds.ts';

/** One cell of a throughput question: the same work for every contestant. */
export interface Cell {
  question: string;
  label: string;
  /** Requests each connection sends in the run that warms up and shows how many make a sample. */
  warmUp: number;
  /** Most requests a connection sends in a sample. */
  most: number;
  targets: Target[];
  contestants: { peer: Peer; name: string; job(requestsEach: number): Promise<Job> }[];
}

/** Seconds a sample should take, so that every contestant gets about the same time. */
const SAMPLE_SECONDS = 0.8;

/** Measures the cell and reports megabytes of payload a second. */
export async function measureCell(bench: Bench, cell: Cell, deadline: number): Promise<void> {
  const runs = new Map<string, Run[]>();
  const contestants: Contestant[] = [];
  for (const { peer, name, job } of cell.contestants) {
    const warm = await runJob(bench, peer, await job(cell.warmUp));
    const wanted = bench.options.quick ? cell.warmUp : Math.round((cell.warmUp * SAMPLE_SECONDS) / warm.seconds);
    const count = Math.max(1, Math.min(cell.most, wanted));
    const kept: Run[] = [];
    runs.set(name, kept);
    const sample = async () => {
      const run = await runJob(bench, peer, await job(count));
      kept.push(run);
      return megabytesPerSecond(run);
    };
    contestants.push({ name, sample });
  }
  const samples = await interleave(contestants, bench.options.rounds, deadline);
  const first = runs.get(cell.contestants[0]?.name ?? '') ?? [];
  bench.report.add(cell.question, cell.label, 'MB/s', samples, cell.targets, note(first));
}

/** How busy the generator was in the first contestant's runs, and what the server needed. */
function note(runs: Run[]): string {
  const generator = median(runs.map(({ cpuSeconds, seconds }) => cpuSeconds / seconds));
  const perGigabyte = median(runs.map(({ serverCpuSeconds, bytes }) => serverCpuSeconds / (bytes / 1e9)));
  return `generator ${Math.round(generator * 100)} % of a core, server ${perGigabyte.toFixed(2)} CPU s/GB`;
}
