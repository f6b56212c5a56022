import { type BenchContext, type Benchmark, KIB, MIB, registered, sizeLabel } from '../bench.ts';
import { Bare } from '../peers/bare.ts';
import { timeSlices } from '../rounds.ts';
import { measureCell } from './throughput.ts';

/** The throughput of the load generator must be far above all measurements. */
export const generator: Benchmark = {
  name: 'generator',
  title:
    'throughput of the load generator itself, to a socket that only counts bytes (sink) and to a bare node:http server',
  limitSeconds: 30,
  async run(bench: BenchContext, deadline: number): Promise<void> {
    const bare = await registered(bench, Bare.start());
    const sizes = [8 * MIB, MIB, 64 * KIB];
    const connections = bench.options.quick ? [4] : [1, 4];
    const share = timeSlices(deadline, sizes.length * connections.length);
    for (const bytes of sizes)
      for (const count of connections) {
        const work = (chunksEach: number) => ({ bytes, connections: count, chunksEach, layout: 'files' as const });
        const cell = {
          benchmark: this.name,
          label: `${sizeLabel(bytes)} × ${count}`,
          warmUpRequests: Math.max(1, Math.floor((16 * MIB) / bytes / count)),
          maxRequests: Math.ceil((4096 * MIB) / bytes / count),
          targets: [],
          contestants: [
            { peer: bare, name: 'sink', job: (each: number) => bare.sink(work(each)) },
            { peer: bare, name: 'bare', job: (each: number) => bare.upload(work(each)) },
          ],
        };
        await measureCell(bench, cell, share());
      }
  },
};
