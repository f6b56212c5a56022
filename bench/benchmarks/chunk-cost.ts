import { type BenchContext, type Benchmark, KIB, memoryRow, startLading } from '../bench.ts';
import type { Order } from '../load/plan.ts';
import type { Lading } from '../peers/lading.ts';
import { median } from '../rounds.ts';

const CHUNK_BYTES = 4 * KIB;
/** How often the two files alternate per round, so that disturbances affect both. */
const TURNS = 10;

interface Scale {
  /** Index of the chunk to measure, and of the one for comparison. */
  last: number;
  first: number;
  /** Number of chunks around the measured one, whose median is reported. */
  window: number;
}

const FULL: Scale = { last: 100_000, first: 1000, window: 1000 };
const QUICK: Scale = { last: 400, first: 100, window: 100 };

interface Case {
  label: string;
  fillConnections: number;
  /** The order of `count` chunks from the nth on, in a file with `slots` chunks. */
  order(nth: number, count: number, slots: number): Order;
}

const CASES: Case[] = [
  {
    label: 'in order',
    fillConnections: 1,
    order: (first, count, slots) => ({ kind: 'sequential', first, count, slots }),
  },
  {
    label: 'shuffled',
    fillConnections: 4,
    order: (first, count, slots) => ({ kind: 'shuffled', first, count, slots, seed: 7 }),
  },
];

export const chunkCost: Benchmark = {
  name: 'chunk-cost',
  title:
    'time of the 100,000th chunk of a file compared with the 1,000th of another file: 4 KiB chunks, one connection',
  limitSeconds: 120,
  async run(bench: BenchContext, deadline: number): Promise<void> {
    const scale = bench.options.quick ? QUICK : FULL;
    const { last, first } = scale;
    const lading = await startLading(bench, 'seal');
    for (const kind of CASES) {
      const late = `${nth(last)} chunk`;
      const early = `${nth(first)} chunk`;
      const times = new Map<string, number[]>([
        [late, []],
        [early, []],
      ]);
      await measure(bench, lading, kind, scale, deadline, (many, few) => {
        times.get(late)?.push(many);
        times.get(early)?.push(few);
      });
      const target = { of: late, to: early, sense: '<=' as const, bound: 1.3 };
      bench.report.add(this.name, kind.label, 'µs', times, [target]);
    }
    memoryRow(bench, this.name, 'server memory at the end', lading);
  },
};

/** Fills a file up to chunk `last`, then compares it with a new file in each round. */
async function measure(
  bench: BenchContext,
  lading: Lading,
  kind: Case,
  { last, first, window }: Scale,
  deadline: number,
  report: (many: number, few: number) => void,
): Promise<void> {
  const rounds = bench.options.rounds;
  // With twice as many positions as chunks, half of the file is missing, in as many gaps as possible.
  const slots = 2 * (last + rounds * window);
  const big = new GrowingFile(bench, lading, kind, `big-${kind.fillConnections}`, slots);
  await big.send(last - window / 2, kind.fillConnections);
  for (let round = 0; round < rounds && (round === 0 || performance.now() < deadline); round++) {
    const small = new GrowingFile(bench, lading, kind, `small-${kind.fillConnections}-${round}`, slots);
    await small.send(first - window / 2, 1);
    const many: number[] = [];
    const few: number[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      many.push(...(await big.send(window / TURNS, 1)));
      few.push(...(await small.send(window / TURNS, 1)));
    }
    report(median(many) * 1000, median(few) * 1000);
    await small.remove();
  }
  await big.remove();
}

class GrowingFile {
  private readonly bench: BenchContext;
  private readonly lading: Lading;
  private readonly kind: Case;
  private readonly name: string;
  private readonly slots: number;
  private sent = 0;

  constructor(bench: BenchContext, lading: Lading, kind: Case, name: string, slots: number) {
    this.bench = bench;
    this.lading = lading;
    this.kind = kind;
    this.name = name;
    this.slots = slots;
  }

  /** Sends the next `count` chunks. Returns the milliseconds of each. */
  async send(count: number, connections: number): Promise<Float64Array> {
    const each = Math.ceil(count / connections);
    const series = Array.from({ length: connections }, (_, i) => {
      const order = this.kind.order(this.sent + i * each, Math.min(each, count - i * each), this.slots);
      const size = this.slots * CHUNK_BYTES;
      return { ...this.lading.series(this.name, size, CHUNK_BYTES), bytes: CHUNK_BYTES, order };
    });
    this.sent += count;
    return (await this.bench.generator.run(this.lading.planOf(series, true))).latencies;
  }

  remove(): Promise<void> {
    return this.lading.remove([this.name]);
  }
}

function nth(n: number): string {
  return `${n.toLocaleString('en')}th`;
}
