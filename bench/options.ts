import { parseArgs } from 'node:util';

export interface Options {
  /** Tiny sizes, one round, no verdict: only shows that everything runs. */
  quick: boolean;
  /** Names of the questions to run; empty for all. */
  only: string[];
  rounds: number;
  /** Folder for the JSON, the chart and the data of the questions about a real disk. */
  out: string;
  /** Folder in memory for all other data; null takes /dev/shm if it exists, else the system's temporary folder. */
  memory: string | null;
  /** Folder for V8 CPU profiles of the Lading server. */
  cpuProfiles: string | null;
  help: boolean;
}

export const USAGE = `Usage: npm run bench -- [options]

Measures Lading beside its peers (@tus/server, a bare node:http server, nginx where installed), all on loopback in one run,
round by round in turns, and prints medians and ratios. Writes JSON and an SVG chart.

  --quick            tiny sizes and one round, in seconds; prints, never judges
  --only QUESTION    one question (repeatable)
  --rounds N         rounds of each measurement (default 5)
  --out DIR          where the results go, and data of the questions about a real disk (default bench/results)
  --memory DIR       where the other data goes (default /dev/shm)
  --cpu-prof DIR     write V8 CPU profiles of the Lading server there
  --help             this text

Questions:`;

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
