/** A server or program that is measured. */
export interface Contestant {
  name: string;
  /** Measures once; the number is in the unit of the row. */
  sample(): Promise<number>;
}

/** Samples by name of the contestant. */
export type Samples = Map<string, number[]>;

/** Measures the contestants in turns, A B C A B C …, so that disturbances affect all of them. Runs at least one round, and starts none after `deadline` (performance.now()). */
export async function interleave(contestants: Contestant[], rounds: number, deadline: number): Promise<Samples> {
  const samples: Samples = new Map(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    if (round > 0 && performance.now() > deadline) break;
    for (const { name, sample } of contestants) samples.get(name)?.push(await sample());
  }
  return samples;
}

/** The median; NaN for an empty list. */
export function median(values: Iterable<number>): number {
  return quantile(values, 0.5);
}

/** The quantile `q` (0 to 1), interpolated; NaN for an empty list. */
export function quantile(values: Iterable<number>, q: number): number {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return Number.NaN;
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

/** Median of the ratios within each round: drift between rounds cancels out. */
export function pairedRatio(samples: Samples, of: string, to: string): number {
  const a = samples.get(of) ?? [];
  const b = samples.get(to) ?? [];
  return median(a.slice(0, b.length).map((value, i) => value / (b[i] as number)));
}

/** Divides the time until `deadline` into `cells` equal parts. Yields the end of each part when it begins. */
export function timeSlices(deadline: number, cells: number): () => number {
  let left = cells;
  return () => {
    const now = performance.now();
    const end = now + Math.max(0, deadline - now) / Math.max(1, left);
    left -= 1;
    return end;
  };
}
