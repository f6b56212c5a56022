import { type BenchContext, megabytesPerSecond, type Run, runJob } from '../bench.ts';
import type { Job, Peer } from '../peers/peer.ts';
import { formatNumber, type Target } from '../report.ts';
import { type Contestant, interleave, median } from '../rounds.ts';

/** One measurement of a throughput benchmark, with the same work for each server. */
export interface Cell {
  benchmark: string;
  label: string;
  /** Requests per connection in the warm-up run, which determines the size of a sample. */
  warmUpRequests: number;
  /** Maximum requests per connection in a sample. */
  maxRequests: number;
  targets: Target[];
  contestants: { peer: Peer; name: string; job(requestsEach: number): Promise<Job> }[];
}

/** Target duration of a sample in seconds, so that all servers get about the same time. */
const SAMPLE_SECONDS = 0.8;

/** Measures the cell and reports megabytes of payload per second. */
export async function measureCell(bench: BenchContext, cell: Cell, deadline: number): Promise<void> {
  const runs = new Map<string, Run[]>();
  const contestants: Contestant[] = [];
  for (const { peer, name, job } of cell.contestants) {
    const warmUp = await runJob(bench, peer, await job(cell.warmUpRequests));
    const requests = bench.options.quick
      ? cell.warmUpRequests
      : Math.round((cell.warmUpRequests * SAMPLE_SECONDS) / warmUp.seconds);
    const count = Math.max(1, Math.min(cell.maxRequests, requests));
    const measured: Run[] = [];
    runs.set(name, measured);
    const sample = async () => {
      const run = await runJob(bench, peer, await job(count));
      measured.push(run);
      return megabytesPerSecond(run);
    };
    contestants.push({ name, sample });
  }
  const samples = await interleave(contestants, bench.options.rounds, deadline);
  bench.report.add(cell.benchmark, cell.label, 'MB/s', samples, cell.targets, note(runs));
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
