import { parseArgs } from 'node:util';

/** The command-line options. */
export interface Options {
  /** Tiny sizes, one round and no targets: only shows that everything runs. */
  quick: boolean;
  /** Names of the benchmarks to run; empty for all. */
  only: string[];
  rounds: number;
  /** Directory for the JSON, the chart, and the data of the benchmarks on a real disk. */
  out: string;
  /** Directory in memory for all other data; null selects /dev/shm if it exists, else the temporary directory of the system. */
  memory: string | null;
  /** Directory for V8 CPU profiles of the Lading server. */
  cpuProfiles: string | null;
  help: boolean;
}

export const USAGE = `Usage: npm run bench -- [options]

Compares Lading with its peers (@tus/server, a bare node:http server, and nginx if it is installed) on loopback. All servers
are measured in alternating rounds. Prints medians and ratios, and writes JSON and an SVG chart.

  --quick            tiny sizes and one round, which take seconds; compares nothing with the targets
  --only BENCHMARK   run only this benchmark (repeatable)
  --rounds N         rounds of each measurement (default 5)
  --out DIR          directory for the results, and for data of the benchmarks on a real disk (default bench/results)
  --memory DIR       directory for all other data (default /dev/shm)
  --cpu-prof DIR     directory for V8 CPU profiles of the Lading server
  --help             show this help

Benchmarks:`;

/** Parses arguments. Throws a TypeError or RangeError that names the invalid one. */
export function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      out: { type: 'string', default: 'bench/results' },
      memory: { type: 'string' },
      'cpu-prof': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError('--rounds must be a whole number of at least 1');
  return {
    quick: values.quick,
    only: values.only,
    rounds,
    out: values.out,
    memory: values.memory ?? null,
    cpuProfiles: values['cpu-prof'] ?? null,
    help: values.help,
  };
}
