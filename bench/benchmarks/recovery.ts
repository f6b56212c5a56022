import { join } from 'node:path';
import { type BenchContext, type Benchmark, KIB, memoryRow, newDirectory, startLading } from '../bench.ts';
import type { Series } from '../load/plan.ts';
import type { Lading } from '../peers/lading.ts';
import { interleave, type Samples } from '../rounds.ts';

const CHUNK_BYTES = 4 * KIB;
const CONNECTIONS = 16;

export const recovery: Benchmark = {
  name: 'recovery',
  title:
    'time from the start of the server until /ready, with 10,000 open uploads of one chunk each, in memory, durability seal',
  limitSeconds: 120,
  async run(bench: BenchContext, deadline: number): Promise<void> {
    const count = bench.options.quick ? 160 : 10_000;
    const dataDir = newDirectory(bench, 'recovery');
    const began = performance.now();
    let lading = await startLading(bench, 'seal', dataDir);
    await openUploads(bench, lading, count);
    const creating = (performance.now() - began) / 1000;
    const restart = async (signal: NodeJS.Signals): Promise<number> => {
      await lading.stop(signal);
      bench.peers.delete(lading);
      lading = await startLading(bench, 'seal', dataDir);
      await checkUploads(lading, count);
      return lading.readyMs;
    };
    const empty = async (): Promise<number> => {
      const other = await startLading(bench, 'seal', join(newDirectory(bench, 'empty')));
      await other.stop();
      bench.peers.delete(other);
      return other.readyMs;
    };
    const contestants = [
      { name: 'after SIGKILL', sample: () => restart('SIGKILL') },
      { name: 'after SIGTERM', sample: () => restart('SIGTERM') },
      { name: 'nothing stored', sample: empty },
    ];
    const samples: Samples = await interleave(contestants, bench.options.rounds, deadline);
    const label = `${count} open uploads`;
    bench.report.add(
      this.name,
      label,
      'ms',
      samples,
      [],
      `created in ${creating.toFixed(1)} s over ${CONNECTIONS} connections`,
    );
    memoryRow(bench, this.name, 'server memory after the last restart', lading);
  },
};

/** Sends the first of two chunks of each upload. */
async function openUploads(bench: BenchContext, lading: Lading, count: number): Promise<void> {
  const each = Math.ceil(count / CONNECTIONS);
  const series = Array.from({ length: CONNECTIONS }, (_, i): Series => {
    const first = i * each;
    const order = { kind: 'sequential' as const, first, count: Math.min(each, count - first), slots: count };
    return {
      ...lading.series('open-{index}', 2 * CHUNK_BYTES, CHUNK_BYTES),
      frame: 'at-zero',
      bytes: CHUNK_BYTES,
      order,
    };
  });
  await bench.generator.run(lading.planOf(series));
}

/** Checks that acknowledged chunks are known after a restart. */
async function checkUploads(lading: Lading, count: number): Promise<void> {
  for (const index of [0, Math.floor(count / 2), count - 1]) {
    const status = await lading.status(`open-${index}`);
    if (status.status !== 'partial' || status.bytes_received !== CHUNK_BYTES)
      throw new Error(`open-${index} after the restart: ${JSON.stringify(status)}`);
  }
}
