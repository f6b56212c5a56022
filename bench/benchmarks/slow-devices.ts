import {
  type BenchContext,
  type Benchmark,
  KIB,
  MIB,
  megabytesPerSecond,
  runJob,
  startLading,
  warmUp,
} from '../bench.ts';
import { SlowDevices } from '../load/generator.ts';
import type { Lading } from '../peers/lading.ts';
import { memory, resetPeak, sleep } from '../process.ts';

const CHUNK_BYTES = MIB;
const BYTES_PER_SECOND = 3;
/** Seconds that the slow devices stay connected, including the uploads of the fast device. */
const CONNECTED_SECONDS = 12;

export const slowDevices: Benchmark = {
  name: 'slow-devices',
  title:
    'memory, and throughput of a fast device, with 2,000 slow devices that each send 3 bytes per second of an open chunk',
  limitSeconds: 80,
  async run(bench: BenchContext): Promise<void> {
    const count = bench.options.quick ? 50 : 2000;
    const lading = await startLading(bench, 'seal');
    const small = { bytes: 64 * KIB, connections: 1, chunksEach: 500, layout: 'files' as const };
    await warmUp(bench, lading, 3, () => lading.upload(small));
    const alone = await fastDevice(bench, lading);
    await measureAmong(bench, lading, { name: `${count} slow devices`, count, burst: 0 }, alone);
    await measureAmong(
      bench,
      lading,
      { name: `${count} slow devices after 48 KiB each`, count, burst: 48 * KIB },
      alone,
    );
  },
};

interface Crowd {
  name: string;
  count: number;
  burst: number;
}

async function measureAmong(
  bench: BenchContext,
  lading: Lading,
  { name, count, burst }: Crowd,
  alone: number[],
): Promise<void> {
  const pid = lading.pids()[0] as number;
  resetPeak(pid);
  const before = memory(pid).resident;
  const { head } = lading.series(`slow-${burst}-{index}`, CHUNK_BYTES, CHUNK_BYTES);
  const bytesPerSecond = BYTES_PER_SECOND;
  const crowd = await SlowDevices.connect({
    port: lading.port,
    count,
    head,
    bytes: CHUNK_BYTES,
    burst,
    bytesPerSecond,
  });
  const until = performance.now() + (bench.options.quick ? 1 : CONNECTED_SECONDS) * 1000;
  const among = await fastDevice(bench, lading);
  while (performance.now() < until) await sleep(100);
  const { resident, peak } = memory(pid);
  const { lost, firstReply } = await crowd.disconnect();
  if (lost > 0) throw new Error(`${lost} of ${count} slow devices were disconnected: ${firstReply}`);

  const megabytes = new Map([
    ['lading peak', [peak / 1e6]],
    ['lading at the end', [resident / 1e6]],
    ['lading before', [before / 1e6]],
  ]);
  bench.report.add('slow-devices', `memory, ${name}`, 'MB', megabytes, [
    { of: 'lading peak', to: null, sense: '<=', bound: 300 },
  ]);
  const speeds = new Map([
    ['among slow devices', among],
    ['alone', alone],
  ]);
  bench.report.add('slow-devices', `a fast device, ${name}`, 'MB/s', speeds);
}

/** A device that uploads 1 MiB chunks over one connection at full speed; one sample per round. */
async function fastDevice(bench: BenchContext, lading: Lading): Promise<number[]> {
  const chunksEach = bench.options.quick ? 8 : 256;
  const samples: number[] = [];
  for (let round = 0; round < bench.options.rounds; round++) {
    const job = await lading.upload({ bytes: MIB, connections: 1, chunksEach, layout: 'files' });
    samples.push(megabytesPerSecond(await runJob(bench, lading, job)));
  }
  return samples;
}
