import { type Bench, megabytesPerSecond, type Run, runJob } from '../bench.ts';
import type { Job, Peer } from '../peers/peer.ts';
import { formatNumber, type Target } from '../report.ts';
import { type Contestant, interleave, median } from '../rounds.ts';

/** One cell of a throughput question, with the same work for each contestant. */
export interface Cell {
  question: string;
  label: string;
  /** Requests per connection in the warm-up run, which determines the size of a sample. */
  warmUp: number;
  /** Maximum requests per connection in a sample. */
  most: number;
  targets: Target[];
  contestants: { peer: Peer; name: string; job(requestsEach: number): Promise<Job> }[];
}

/** Target duration of a sample in seconds, so that contestants get about the same time. */
const SAMPLE_SECONDS = 0.8;

/** Measures the cell and reports megabytes of payload per second. */
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
  bench.report.add(cell.question, cell.label, 'MB/s', samples, cell.targets, note(runs));
}

/** Reports the processor time of each server per gigabyte, and the load of the generator with the first contestant. */
function note(runs: Map<string, Run[]>): string {
  const costs = [...runs].map(([name, all]) => {
    const cost = median(all.map(({ serverCpuSeconds, bytes }) => serverCpuSeconds / (bytes / 1e9)));
    return `${name} ${formatNumber(cost)}`;
  });
  const [first = []] = runs.values();
  const busy = median(first.map(({ cpuSeconds, seconds }) => cpuSeconds / seconds));
  return `CPU s/GB: ${costs.join(' · ')}; generator at ${Math.round(busy * 100)} % of a core`;
}
