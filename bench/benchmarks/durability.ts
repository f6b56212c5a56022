import { join } from 'node:path';
import {
  type BenchContext,
  type Benchmark,
  KIB,
  MIB,
  megabytesPerSecond,
  memoryRow,
  runJob,
  sizeLabel,
  startLading,
} from '../bench.ts';
import { fileSystem } from '../environment.ts';
import { Dd } from '../peers/dd.ts';
import type { Lading } from '../peers/lading.ts';
import { type Contestant, interleave, timeSlices } from '../rounds.ts';

interface Size {
  bytes: number;
  /** Chunks of a sample, over all connections. */
  count: number;
  /** Separate `dd` runs of a sample. */
  runs: number;
}

const CONNECTIONS = [1, 4, 16];

const SIZES: Size[] = [
  { bytes: 8 * MIB, count: 32, runs: 16 },
  { bytes: MIB, count: 192, runs: 48 },
  { bytes: 64 * KIB, count: 1024, runs: 96 },
];

export const durability: Benchmark = {
  name: 'durability',
  title:
    'throughput of durable uploads on a real disk: one file over 1, 4 and 16 connections, compared with dd that syncs the same sizes',
  limitSeconds: 170,
  async run(bench: BenchContext, deadline: number): Promise<void> {
    const system = fileSystem(bench.disk);
    if (system === 'tmpfs') bench.report.note('the results directory is in memory, so this does not measure a disk');
    const sizes = bench.options.quick ? [{ bytes: 64 * KIB, count: 16, runs: 2 }] : SIZES;
    const maxBytes = Math.max(...sizes.map(({ bytes, count }) => bytes * count));
    const dd = new Dd(join(bench.memory, 'dd'), join(bench.disk, 'dd'), maxBytes);
    const chunk = await startLading(bench, 'chunk', join(bench.disk, 'chunk'));
    const seal = await startLading(bench, 'seal', join(bench.disk, 'seal'));
    const share = timeSlices(deadline, sizes.length * 2);
    for (const size of sizes) {
      await chunkDurable(bench, chunk, dd, size, share());
      await sealDurable(bench, seal, dd, size, share());
    }
    memoryRow(bench, this.name, 'server memory at the end', chunk);
  },
};

/**
 * Each chunk is durable before its reply. The baselines sync each block too: first one dd per block with
 * `conv=fdatasync` and a new file (timed by dd itself, without its start), then one dd with `oflag=dsync` and one file.
 */
async function chunkDurable(bench: BenchContext, lading: Lading, dd: Dd, size: Size, deadline: number): Promise<void> {
  const { bytes, count, runs } = size;
  const peers: Contestant[] = [
    { name: 'dd conv=fdatasync', sample: () => dd.syncEach(bytes, runs) },
    { name: 'dd oflag=dsync', sample: () => dd.dsync(bytes, count) },
  ];
  const candidates = CONNECTIONS.map(
    (connections): Contestant => ({
      name: `lading × ${connections}`,
      sample: () => uploadRate(bench, lading, size, connections),
    }),
  );
  // The first run is slower for all, because the disk allocates the blocks.
  if (!bench.options.quick) await interleave([...candidates, ...peers], 1, deadline);
  const samples = await interleave([...candidates, ...peers], bench.options.rounds, deadline);
  const targets = peers.map(({ name: to }) => ({ of: 'lading', to, sense: '>=' as const, bound: 0.9 }));
  for (const connections of CONNECTIONS) {
    const row = new Map([['lading', samples.get(`lading × ${connections}`) ?? []]]);
    for (const { name } of peers) row.set(name, samples.get(name) ?? []);
    bench.report.add('durability', `chunk: ${sizeLabel(bytes)} × ${connections}, synced each`, 'MB/s', row, targets);
  }
}

/** One sync at the end of the file for both contestants. */
async function sealDurable(bench: BenchContext, lading: Lading, dd: Dd, size: Size, deadline: number): Promise<void> {
  const { bytes, count } = size;
  const contestants = [
    { name: 'lading', sample: () => uploadRate(bench, lading, size, 4) },
    { name: 'dd conv=fdatasync', sample: () => dd.syncAtEnd(bytes, count) },
  ];
  const samples = await interleave(contestants, bench.options.rounds, deadline);
  const label = `seal: ${sizeLabel(bytes)} × 4, ${Math.round((bytes * count) / MIB)} MiB synced at the end`;
  bench.report.add('durability', label, 'MB/s', samples);
}

async function uploadRate(bench: BenchContext, lading: Lading, size: Size, connections: number): Promise<number> {
  const chunksEach = Math.max(1, Math.floor(size.count / connections));
  const job = await lading.upload({ bytes: size.bytes, connections, chunksEach, layout: 'ranges' });
  return megabytesPerSecond(await runJob(bench, lading, job));
}
