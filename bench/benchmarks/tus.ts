import { connect } from 'node:net';
import {
  type BenchContext,
  type Benchmark,
  KIB,
  MIB,
  newDirectory,
  registered,
  sizeLabel,
  startLading,
  warmUp,
} from '../bench.ts';
import { LadingTus } from '../peers/lading-tus.ts';
import type { Peer } from '../peers/peer.ts';
import { Tus } from '../peers/tus.ts';
import type { Target } from '../report.ts';
import { type Contestant, interleave, median, timeSlices } from '../rounds.ts';
import { type Cell, measureCell } from './throughput.ts';

const TARGETS = new Map<number, Target[]>([
  [8 * MIB, [{ of: 'lading', to: 'tus', sense: '>=', bound: 3 }]],
  [64 * KIB, [{ of: 'lading', to: 'tus', sense: '>=', bound: 8 }]],
]);
const WARM_UP_SECONDS = 5;
const MAX_BYTES = 1536 * MIB;
/** Interrupted uploads per sample, one after another. */
const BREAKS = 20;

export const tus: Benchmark = {
  name: 'tus',
  title:
    'throughput of tus: PATCH of 8 MiB, 1 MiB and 64 KiB over 1, 4 and 16 connections, in memory, durability seal; time of HEAD after a broken connection',
  limitSeconds: 180,
  async run(bench: BenchContext, deadline: number): Promise<void> {
    const lading = new LadingTus(await startLading(bench, 'seal'));
    const peer = await registered(bench, Tus.start(newDirectory(bench, 'tus')));
    const small = { bytes: 64 * KIB, connections: 4, chunksEach: 250, layout: 'files' as const };
    for (const one of [lading, peer]) await warmUp(bench, one, WARM_UP_SECONDS, () => one.upload(small));
    const sizes = [8 * MIB, MIB, 64 * KIB];
    const connections = bench.options.quick ? [4] : [1, 4, 16];
    const share = timeSlices(deadline, sizes.length * connections.length + 1);
    for (const bytes of sizes)
      for (const count of connections)
        await measureCell(bench, cellOf([lading, peer], bytes, count, this.name), share());
    const times = bench.options.quick ? 2 : BREAKS;
    const breaks: Contestant = { name: 'lading', sample: () => headAfterBreak(lading, times) };
    const samples = await interleave([breaks], bench.options.rounds, share());
    const target: Target = { of: 'lading', to: null, sense: '<=', bound: 50 };
    bench.report.add(this.name, 'HEAD while the broken connection still looks alive', 'ms', samples, [target]);
  },
};

function cellOf(peers: Peer[], bytes: number, connections: number, benchmark: string): Cell {
  return {
    benchmark,
    label: `PATCH ${sizeLabel(bytes)} × ${connections}`,
    warmUpRequests: Math.max(1, Math.ceil((bytes >= MIB ? 64 * MIB : 8 * MIB) / bytes / connections)),
    maxRequests: Math.floor(MAX_BYTES / bytes / connections),
    targets: TARGETS.get(bytes) ?? [],
    contestants: peers.map((peer) => ({
      peer,
      name: peer.name,
      job: (chunksEach) => peer.upload({ bytes, connections, chunksEach, layout: 'files' }),
    })),
  };
}

/** Median milliseconds from HEAD to the correct offset, while a PATCH of 2 MiB hangs after 1 MiB. */
async function headAfterBreak(lading: LadingTus, times: number): Promise<number> {
  const all: number[] = [];
  for (let done = 0; done < times; done += 1) {
    const path = await lading.create(2 * MIB);
    const socket = connect(lading.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`${lading.head(path, 2 * MIB).replace('{start}', '0')}\r\n\r\n`);
    await new Promise<void>((resolve) => socket.write(Buffer.alloc(MIB), () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const began = performance.now();
    const offset = await lading.offset(path);
    all.push(performance.now() - began);
    socket.destroy();
    if (offset !== MIB) throw new Error(`HEAD reports offset ${offset} after ${MIB} bytes`);
    await lading.end(path);
  }
  return median(all);
}
