/** `npm run bench`: runs the benchmarks one after another, prints the measurements and saves them. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchContext, Benchmark } from './bench.ts';
import { authorize } from './benchmarks/authorize.ts';
import { chunkCost } from './benchmarks/chunk-cost.ts';
import { download } from './benchmarks/download.ts';
import { durability } from './benchmarks/durability.ts';
import { firstStatus } from './benchmarks/first-status.ts';
import { generator } from './benchmarks/generator.ts';
import { recovery } from './benchmarks/recovery.ts';
import { slowDevices } from './benchmarks/slow-devices.ts';
import { slowUploads } from './benchmarks/slow-uploads.ts';
import { tus } from './benchmarks/tus.ts';
import { upload } from './benchmarks/upload.ts';
import { chart } from './chart.ts';
import {
  createDiskDirectory,
  createMemoryDirectory,
  describeEnvironment,
  type Environment,
  environment,
} from './environment.ts';
import { LoadGenerator } from './load/generator.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { killAll } from './process.ts';
import { Report, targetTable } from './report.ts';

const BENCHMARKS: Benchmark[] = [
  generator,
  upload,
  download,
  tus,
  firstStatus,
  slowDevices,
  slowUploads,
  recovery,
  chunkCost,
  durability,
  authorize,
];

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    print([USAGE, ...BENCHMARKS.map(({ name, title: about }) => `  ${name.padEnd(15)}${about}`)].join('\n'));
    return 0;
  }
  const unknown = options.only.find((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
  if (unknown !== undefined) throw new RangeError(`there is no benchmark ${unknown}`);
  const selected = BENCHMARKS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));

  const directories = { memory: createMemoryDirectory(options.memory), disk: createDiskDirectory(options.out) };
  const cleanUpAll = () => {
    killAll();
    for (const directory of Object.values(directories)) rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', cleanUpAll);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

  const machine = environment(directories.memory, directories.disk);
  print(describeEnvironment(machine));
  const bench: BenchContext = {
    options,
    ...directories,
    peers: new Set(),
    report: new Report(print),
    generator: await LoadGenerator.start(),
  };
  if (machine.load > machine.cores / 2) {
    const load = `the machine is busy with other work (load ${machine.load.toFixed(1)})`;
    bench.report.note(`${load}; only ratios are meaningful, and they are less precise than usual`);
  }
  const failed = await runAll(bench, selected);
  await bench.generator.stop();
  write(options, machine, bench.report, failed);
  if (!options.quick) judge(bench.report);
  return failed.length === 0 ? 0 : 1;
}

/** Runs the benchmarks, and continues after a failure. Returns the names of the failed ones. */
async function runAll(bench: BenchContext, benchmarks: Benchmark[]): Promise<string[]> {
  const failed: string[] = [];
  for (const benchmark of benchmarks) {
    print(`\n${benchmark.name}: ${benchmark.title}`);
    const began = performance.now();
    try {
      await benchmark.run(bench, began + benchmark.limitSeconds * 1000);
    } catch (error) {
      failed.push(benchmark.name);
      print(`  FAILED: ${error instanceof Error ? error.message : error}`);
    }
    await cleanUp(bench);
    print(`  ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
  return failed;
}

/** Stops the servers of a benchmark and empties the directories. */
async function cleanUp(bench: BenchContext): Promise<void> {
  await Promise.all([...bench.peers].map((peer) => peer.stop()));
  bench.peers.clear();
  for (const directory of [bench.memory, bench.disk]) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
  }
}

function judge(report: Report): void {
  print('\nTargets');
  for (const line of targetTable(report.rows)) print(`  ${line}`);
}

function write(options: Options, machine: Environment, report: Report, failed: string[]): void {
  const { rows, notes: remarks } = report;
  const { quick, rounds } = options;
  mkdirSync(options.out, { recursive: true });
  const name = quick ? 'quick' : options.only.length > 0 ? options.only.join('-') : 'bench';
  const result = { finishedAt: new Date().toISOString(), quick, rounds, environment: machine, remarks, failed, rows };
  const json = join(options.out, `${name}.json`);
  const svg = join(options.out, `${name}.svg`);
  writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(svg, chart(rows, 'Lading compared with its peers', describeEnvironment(machine), !quick));
  print(`\nWrote ${json} and ${svg}`);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
    process.exit(2);
  },
);
