import {
  type BenchContext,
  type Benchmark,
  KIB,
  MIB,
  memoryRow,
  newDirectory,
  registered,
  sizeLabel,
  startLading,
  warmUp,
} from '../bench.ts';
import { Bare } from '../peers/bare.ts';
import { Nginx } from '../peers/nginx.ts';
import type { Peer, UploadWork } from '../peers/peer.ts';
import { Tus } from '../peers/tus.ts';
import type { Target } from '../report.ts';
import { timeSlices } from '../rounds.ts';
import { type Cell, measureCell } from './throughput.ts';

const TARGETS = new Map<number, Target[]>([
  [
    8 * MIB,
    [
      { of: 'lading', to: 'tus', sense: '>=', bound: 3 },
      { of: 'lading', to: 'nginx', sense: '>=', bound: 0.6 },
    ],
  ],
  [64 * KIB, [{ of: 'lading', to: 'tus', sense: '>=', bound: 8 }]],
]);

/** Enough for several thousand chunks. */
const WARM_UP_SECONDS = 5;

/** Maximum bytes that one sample may store in memory before they are deleted. */
const MAX_BYTES = 1536 * MIB;

export const upload: Benchmark = {
  name: 'upload',
  title:
    'throughput of uploads: chunks of 8 MiB, 1 MiB and 64 KiB over 1, 4 and 16 connections, one file each, in memory, durability seal',
  limitSeconds: 290,
  async run(bench: BenchContext, deadline: number): Promise<void> {
    const missing = Nginx.missing();
    if (missing !== null) bench.report.note(missing);
    const lading = await startLading(bench, 'seal');
    const peers: Peer[] = [lading, await registered(bench, Tus.start(newDirectory(bench, 'tus')))];
    if (missing === null) peers.push(await registered(bench, Nginx.start(newDirectory(bench, 'nginx'))));
    peers.push(await registered(bench, Bare.start()));
    const small = { bytes: 64 * KIB, connections: 4, chunksEach: 250, layout: 'files' as const };
    for (const peer of peers) await warmUp(bench, peer, WARM_UP_SECONDS, () => peer.upload(small));
    const sizes = [8 * MIB, MIB, 64 * KIB];
    const connections = bench.options.quick ? [4] : [1, 4, 16];
    const share = timeSlices(deadline, sizes.length * connections.length + 1);
    for (const bytes of sizes)
      for (const count of connections)
        await measureCell(bench, cellOf(peers, bytes, count, 'files', this.name), share());
    if (!bench.options.quick) await measureCell(bench, cellOf([lading], 8 * MIB, 4, 'ranges', this.name), share());
    memoryRow(bench, this.name, 'server memory at the end', lading);
  },
};

function cellOf(
  peers: Peer[],
  bytes: number,
  connections: number,
  layout: UploadWork['layout'],
  benchmark: string,
): Cell {
  return {
    benchmark,
    label: `${sizeLabel(bytes)} × ${connections}${layout === 'ranges' ? ', one file' : ''}`,
    warmUpRequests: Math.max(1, Math.ceil((bytes >= MIB ? 64 * MIB : 8 * MIB) / bytes / connections)),
    maxRequests: Math.floor(MAX_BYTES / bytes / connections),
    targets: TARGETS.get(bytes) ?? [],
    contestants: peers.map((peer) => ({
      peer,
      name: peer.name,
      job: (chunksEach) => peer.upload({ bytes, connections, chunksEach, layout }),
    })),
  };
}
