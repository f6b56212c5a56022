import { type Bench, KIB, type Question, startLading } from '../bench.ts';
import type { Order } from '../load/plan.ts';
import type { Lading } from '../peers/lading.ts';
import { median } from '../rounds.ts';

const CHUNK_BYTES = 4 * KIB;
/** Chunks whose median stands for the one in their middle. */
const WINDOW = 1000;

interface Case {
  label: string;
  order(count: number, round: number): Order;
}

const CASES: Case[] = [
  { label: 'in order', order: (count) => ({ kind: 'sequential', first: 0, count, slots: count }) },
  {
    // A fifth of the file never comes, so that it is in thousands of pieces to the end.
    label: 'shuffled',
    order: (count, round) => ({ kind: 'shuffled', slots: Math.ceil(count * 1.2), count, seed: 7 + round }),
  },
];

export const chunkCost: Question = {
  name: 'chunk-cost',
  about:
    'time of the 100,000th chunk of a file beside the 1,000th: 4 KiB chunks over one connection, medians of 1,000 chunks',
  limitSeconds: 170,
  async run(bench: Bench, deadline: number): Promise<void> {
    const last = bench.options.quick ? 2500 : 100_000;
    const lading = await startLading(bench, 'seal');
    const windows = CASES.map(() => new Map<string, number[]>());
    const most: number[][] = CASES.map(() => []);
    await warmUp(bench, lading);
    for (let round = 0; round < bench.options.rounds && (round === 0 || performance.now() < deadline); round++)
      for (const [i, { label, order }] of CASES.entries()) {
        const count = last + WINDOW / 2;
        const times = await chunkTimes(bench, lading, `cost-${i}-${round}`, order(count, round));
        const at = (nth: number) => median(times.subarray(nth - WINDOW / 2, nth + WINDOW / 2)) * 1000;
        const put = (name: string, value: number) => windows[i]?.set(name, [...(windows[i]?.get(name) ?? []), value]);
        put(`${last}th`, at(last));
        put('1000th', at(1000));
        put('half way', at(Math.round(last / 2)));
        const all = Array.from({ length: Math.floor(count / WINDOW) - 1 }, (_, w) => at((w + 1) * WINDOW));
        most[i]?.push(Math.max(...all) / at(1000));
        void label;
      }
    for (const [i, { label }] of CASES.entries()) {
      const target = { of: `${last}th`, to: '1000th', sense: '<=' as const, bound: 1.3 };
      const note = `worst window ${median(most[i] ?? []).toFixed(2)} × the 1000th; ${most[i]?.length} rounds`;
      bench.report.add(this.name, label, 'µs', windows[i] ?? new Map(), [target], note);
    }
  },
};

async function warmUp(bench: Bench, lading: Lading): Promise<void> {
  const count = bench.options.quick ? 200 : 4000;
  await chunkTimes(bench, lading, 'warm-up', { kind: 'shuffled', slots: count * 2, count, seed: 1 });
}

/** Milliseconds of each chunk, in the order sent. The file is removed afterwards. */
async function chunkTimes(bench: Bench, lading: Lading, name: string, order: Order): Promise<Float64Array> {
  const slots = order.slots;
  const series = { ...lading.series(name, slots * CHUNK_BYTES, CHUNK_BYTES), bytes: CHUNK_BYTES, order };
  const { latencies } = await bench.generator.run(lading.planOf([series], true));
  await lading.remove([name]);
  return latencies;
}
