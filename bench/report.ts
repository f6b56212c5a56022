import type { Samples } from './rounds.ts';
import { median, pairedRatio } from './rounds.ts';

export type Unit = 'MB/s' | 'ms' | 'µs' | 'MB' | '×';

/** The target of a measurement. */
export interface Target {
  /** Name of the measured series. With `to`, its ratio to that series is compared with the bound; otherwise its value. */
  of: string;
  to: string | null;
  sense: '>=' | '<=';
  bound: number;
}

/** The samples of one series and their median. */
export interface Value {
  name: string;
  median: number;
  samples: number[];
}

/** A target, the measured value, and whether the value meets the target. */
export interface Judgement extends Target {
  measured: number;
  met: boolean;
}

/** The samples of all series in one case of a benchmark. */
export interface Row {
  benchmark: string;
  label: string;
  unit: Unit;
  values: Value[];
  /** The first series divided by each other one, as the median over the rounds; empty for memory. */
  ratios: { to: string; value: number }[];
  judgements: Judgement[];
  note: string;
}

/** Collects rows and notes, and prints them as they are added. */
export class Report {
  readonly rows: Row[] = [];
  /** Notes, for example on what was skipped and why. */
  readonly notes: string[] = [];
  private readonly print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.print = print;
  }

  note(line: string): void {
    if (this.notes.includes(line)) return;
    this.notes.push(line);
    this.print(`  (${line})`);
  }

  /** Adds a row and prints it. Ratios compare the first series in `samples` with the others. */
  add(benchmark: string, label: string, unit: Unit, samples: Samples, targets: Target[] = [], note = ''): void {
    const values = [...samples].map(([name, all]) => ({ name, median: median(all), samples: all }));
    const first = values[0]?.name ?? '';
    const comparable = unit === 'MB' ? [] : values.slice(1);
    const ratios = comparable.map(({ name }) => ({ to: name, value: pairedRatio(samples, first, name) }));
    const judgements = targets
      .filter(({ of, to }) => samples.has(of) && (to === null || samples.has(to)))
      .map((target) => judge(target, samples));
    const row = { benchmark, label, unit, values, ratios, judgements, note };
    this.rows.push(row);
    this.print(`  ${formatRow(row)}`);
  }
}

function judge(target: Target, samples: Samples): Judgement {
  const { of, to, sense, bound } = target;
  const measured = to === null ? median(samples.get(of) ?? []) : pairedRatio(samples, of, to);
  return { ...target, measured, met: sense === '>=' ? measured >= bound : measured <= bound };
}

/** Formats a number with about three significant digits. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function formatRow(row: Row): string {
  const values = row.values.map(({ name, median: value }) => `${name} ${formatNumber(value)}`).join(' · ');
  const ratios = row.ratios.map(({ to, value }) => `${formatNumber(value)} × ${to}`).join(' · ');
  return [`${row.label}: ${values} ${row.unit}`, ratios, row.note].filter((part) => part !== '').join('  |  ');
}

export function formatTarget({ of, to, sense, bound }: Target, unit: Unit): string {
  const relation = sense === '>=' ? '≥' : '≤';
  return to === null ? `${of} ${relation} ${bound} ${unit}` : `${of} ${relation} ${bound} × ${to}`;
}

/** The table at the end: all rows that have a target. */
export function targetTable(rows: Row[]): string[] {
  const cells = rows.flatMap((row) =>
    row.judgements.map((judgement) => [
      row.benchmark,
      row.label,
      formatTarget(judgement, row.unit),
      formatNumber(judgement.measured),
      judgement.met ? 'met' : 'NOT MET',
    ]),
  );
  return table([['benchmark', 'case', 'target', 'measured', ''], ...cells]);
}

function table(cells: string[][]): string[] {
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
