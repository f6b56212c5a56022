import { join } from 'node:path';
import {
  type Bench,
  KIB,
  MIB,
  megabytesPerSecond,
  memoryRow,
  type Question,
  runJob,
  sizeLabel,
  startLading,
} from '../bench.ts';
import { fileSystem } from '../environment.ts';
import { Dd } from '../peers/dd.ts';
import type { Lading } from '../peers/lading.ts';
import { type Contestant, interleave, shares } from '../rounds.ts';

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

export const durability: Question = {
  name: 'durability',
  about:
    'both durabilities on the real disk, one file over 1, 4 and 16 connections, beside dd writing and syncing the same sizes',
  limitSeconds: 170,
  async run(bench: Bench, deadline: number): Promise<void> {
    const system = fileSystem(bench.disk);
    if (system === 'tmpfs')
      bench.report.remark('the results folder is in memory: durability says nothing about a disk');
    const sizes = bench.options.quick ? [{ bytes: 64 * KIB, count: 16, runs: 2 }] : SIZES;
    const most = Math.max(...sizes.map(({ bytes, count }) => bytes * count));
    const dd = new Dd(join(bench.memory, 'dd'), join(bench.disk, 'dd'), most);
    const chunk = await startLading(bench, 'chunk', join(bench.disk, 'chunk'));
    const seal = await startLading(bench, 'seal', join(bench.disk, 'seal'));
    const share = shares(deadline, sizes.length * 2);
    for (const size of sizes) {
      await chunkDurable(bench, chunk, dd, size, share());
      await sealDurable(bench, seal, dd, size, share());
    }
    memoryRow(bench, this.name, 'server memory after all of it', chunk);
  },
};

/**
 * Each chunk is durable before its reply, compared with a dd that does the same for each block: first one dd per block with
 * `conv=fdatasync` and a new file (timed by dd itself, without its start), then one dd with `oflag=dsync` and one file.
 */
async function chunkDurable(bench: Bench, lading: Lading, dd: Dd, size: Size, deadline: number): Promise<void> {
  const { bytes, count, runs } = size;
  const peers: Contestant[] = [
    { name: 'dd conv=fdatasync', sample: () => dd.eachSynced(bytes, runs) },
    { name: 'dd oflag=dsync', sample: () => dd.dsync(bytes, count) },
  ];
  const ladings = CONNECTIONS.map(
    (connections): Contestant => ({
      name: `lading × ${connections}`,
      sample: () => uploaded(bench, lading, size, connections),
    }),
  );
  // The first run is slower for all contestants, because the disk allocates the blocks.
  if (!bench.options.quick) await interleave([...ladings, ...peers], 1, deadline);
  const samples = await interleave([...ladings, ...peers], bench.options.rounds, deadline);
  const targets = peers.map(({ name: to }) => ({ of: 'lading', to, sense: '>=' as const, bound: 0.9 }));
  for (const connections of CONNECTIONS) {
    const row = new Map([['lading', samples.get(`lading × ${connections}`) ?? []]]);
    for (const { name } of peers) row.set(name, samples.get(name) ?? []);
    bench.report.add('durability', `chunk: ${sizeLabel(bytes)} × ${connections}, synced each`, 'MB/s', row, targets);
  }
}

/** One sync at the end of the file for both contestants. */
async function sealDurable(bench: Bench, lading: Lading, dd: Dd, size: Size, deadline: number): Promise<void> {
  const { bytes, count } = size;
  const contestants = [
    { name: 'lading', sample: () => uploaded(bench, lading, size, 4) },
    { name: 'dd conv=fdatasync', sample: () => dd.syncedAtEnd(bytes, count) },
  ];
  const samples = await interleave(contestants, bench.options.rounds, deadline);
  const label = `seal: ${sizeLabel(bytes)} × 4, ${Math.round((bytes * count) / MIB)} MiB synced at the end`;
  bench.report.add('durability', label, 'MB/s', samples);
}

async function uploaded(bench: Bench, lading: Lading, size: Size, connections: number): Promise<number> {
  const chunksEach = Math.max(1, Math.floor(size.count / connections));
  const job = await lading.upload({ bytes: size.bytes, connections, chunksEach, layout: 'ranges' });
  return megabytesPerSecond(await runJob(bench, lading, job));
}
