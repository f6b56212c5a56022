import {
  type Bench,
  joined,
  KIB,
  MIB,
  memoryRow,
  newFolder,
  type Question,
  sizeLabel,
  startLading,
  warmUp,
} from '../bench.ts';
import { Bare } from '../peers/bare.ts';
import { Nginx } from '../peers/nginx.ts';
import type { Peer, UploadWork } from '../peers/peer.ts';
import { Tus } from '../peers/tus.ts';
import type { Target } from '../report.ts';
import { shares } from '../rounds.ts';
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

/** Most bytes that one sample may leave in memory before it is tidied up. */
const MAX_BYTES = 1536 * MIB;

export const upload: Question = {
  name: 'upload',
  about:
    'upload at 8 MiB, 1 MiB and 64 KiB chunks over 1, 4 and 16 connections, a file a connection, in memory, durability seal',
  limitSeconds: 290,
  async run(bench: Bench, deadline: number): Promise<void> {
    const missing = Nginx.missing();
    if (missing !== null) bench.report.remark(missing);
    const lading = await startLading(bench, 'seal');
    const peers: Peer[] = [lading, await joined(bench, Tus.start(newFolder(bench, 'tus')))];
    if (missing === null) peers.push(await joined(bench, Nginx.start(newFolder(bench, 'nginx'))));
    peers.push(await joined(bench, Bare.start()));
    const small = { bytes: 64 * KIB, connections: 4, chunksEach: 250, layout: 'files' as const };
    for (const peer of peers) await warmUp(bench, peer, WARM_UP_SECONDS, () => peer.upload(small));
    const sizes = [8 * MIB, MIB, 64 * KIB];
    const connections = bench.options.quick ? [4] : [1, 4, 16];
    const share = shares(deadline, sizes.length * connections.length + 1);
    for (const bytes of sizes)
      for (const count of connections)
        await measureCell(bench, cellOf(peers, bytes, count, 'files', this.name), share());
    if (!bench.options.quick) await measureCell(bench, cellOf([lading], 8 * MIB, 4, 'ranges', this.name), share());
    memoryRow(bench, this.name, 'server memory after all of it', lading);
  },
};

function cellOf(
  peers: Peer[],
  bytes: number,
  connections: number,
  layout: UploadWork['layout'],
  question: string,
): Cell {
  return {
    question,
    label: `${sizeLabel(bytes)} × ${connections}${layout === 'ranges' ? ', one file' : ''}`,
    warmUp: Math.max(1, Math.ceil((bytes >= MIB ? 64 * MIB : 8 * MIB) / bytes / connections)),
    most: Math.floor(MAX_BYTES / bytes / connections),
    targets: TARGETS.get(bytes) ?? [],
    contestants: peers.map((peer) => ({
      peer,
      name: peer.name,
      job: (chunksEach) => peer.upload({ bytes, connections, chunksEach, layout }),
    })),
  };
}
