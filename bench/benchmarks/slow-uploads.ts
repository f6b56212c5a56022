import { descriptorLimit } from '../../src/machine/descriptors.ts';
import { type BenchContext, type Benchmark, MIB, startLading } from '../bench.ts';
import { SlowDevices } from '../load/generator.ts';
import { memory, sleep } from '../process.ts';

const CHUNK_BYTES = MIB;
/** Long enough for memory to grow with the received bytes. */
const CONNECTED_SECONDS = 100;
/** Descriptors for everything except these connections and their files. */
const SPARE = 1500;

/** Each device has its own connection and file, within the limits of the system. */
export const slowUploads: Benchmark = {
  name: 'slow-uploads',
  title:
    'memory, and time of a status request, with 10,000 devices that each send one byte per second of an open chunk',
  limitSeconds: 240,
  async run(bench: BenchContext): Promise<void> {
    const maxDescriptors = (descriptorLimit() ?? 65_536) - SPARE;
    const count = Math.min(bench.options.quick ? 200 : 10_000, Math.floor(maxDescriptors * 0.9));
    const files = Math.min(count, maxDescriptors - count);
    const lading = await startLading(bench, 'seal', undefined, {
      LADING_ADDRESS_CONNECTIONS: String(2 * count),
      // The default minimum is one byte per second. A late timer of a device would fall below it.
      LADING_MIN_BYTES_PER_SECOND: '0',
    });
    const pid = lading.pids()[0] as number;
    const before = memory(pid).resident;
    const size = CHUNK_BYTES * Math.ceil(count / files);
    const { head } = lading.series('slow-{index}', size, CHUNK_BYTES);
    const plan = { port: lading.port, count, files, head, bytes: CHUNK_BYTES, burst: 0, bytesPerSecond: 1 };
    const crowd = await SlowDevices.connect(plan);
    const until = performance.now() + (bench.options.quick ? 2 : CONNECTED_SECONDS) * 1000;
    const waits: number[] = [];
    while (performance.now() < until) {
      await sleep(1000);
      const since = performance.now();
      await lading.status('slow-0');
      waits.push(performance.now() - since);
    }
    const { resident, peak } = memory(pid);
    const { lost, firstReply } = await crowd.disconnect();
    if (lost > 0) throw new Error(`${lost} of ${count} slow devices were disconnected: ${firstReply}`);
    const megabytes = new Map([
      ['lading peak', [peak / 1e6]],
      ['lading at the end', [resident / 1e6]],
      ['lading before', [before / 1e6]],
    ]);
    bench.report.add('slow-uploads', `memory, ${count} slow uploads`, 'MB', megabytes, [
      { of: 'lading peak', to: null, sense: '<=', bound: 500 },
    ]);
    bench.report.add('slow-uploads', `a status among ${count} slow uploads`, 'ms', new Map([['lading', waits]]));
  },
};
