import { type Bench, joined, KIB, MIB, type Question, sizeLabel } from '../bench.ts';
import { Bare } from '../peers/bare.ts';
import { shares } from '../rounds.ts';
import { measureCell } from './throughput.ts';

/** The throughput of the load generator itself, which must be far above all measurements. */
export const generator: Question = {
  name: 'generator',
  about:
    'is the load generator fast enough? bytes/s to a socket that only counts (sink) and to a bare node:http server',
  limitSeconds: 30,
  async run(bench: Bench, deadline: number): Promise<void> {
    const bare = await joined(bench, Bare.start());
    const sizes = [8 * MIB, MIB, 64 * KIB];
    const connections = bench.options.quick ? [4] : [1, 4];
    const share = shares(deadline, sizes.length * connections.length);
    for (const bytes of sizes)
      for (const count of connections) {
        const work = (chunksEach: number) => ({ bytes, connections: count, chunksEach, layout: 'files' as const });
        const cell = {
          question: this.name,
          label: `${sizeLabel(bytes)} × ${count}`,
          warmUp: Math.max(1, Math.floor((16 * MIB) / bytes / count)),
          most: Math.ceil((4096 * MIB) / bytes / count),
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
