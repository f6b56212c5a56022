/** `npm run bench`: runs the questions in turn, prints the measurements and saves them. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Question } from './bench.ts';
import { chart } from './chart.ts';
import { describe, diskFolder, type Environment, environment, memoryFolder } from './environment.ts';
import { LoadGenerator } from './load/generator.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { killAll } from './process.ts';
import { authorise } from './questions/authorise.ts';
import { chunkCost } from './questions/chunk-cost.ts';
import { download } from './questions/download.ts';
import { durability } from './questions/durability.ts';
import { firstStatus } from './questions/first-status.ts';
import { generator } from './questions/generator.ts';
import { recovery } from './questions/recovery.ts';
import { slowDevices } from './questions/slow-devices.ts';
import { slowUploads } from './questions/slow-uploads.ts';
import { tus } from './questions/tus.ts';
import { upload } from './questions/upload.ts';
import { Report, targetTable } from './report.ts';

const QUESTIONS: Question[] = [
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
  authorise,
];

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    print([USAGE, ...QUESTIONS.map(({ name, about }) => `  ${name.padEnd(15)}${about}`)].join('\n'));
    return 0;
  }
  const unknown = options.only.find((name) => !QUESTIONS.some((question) => question.name === name));
  if (unknown !== undefined) throw new RangeError(`no such question: ${unknown}`);
  const asked = QUESTIONS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));

  const folders = { memory: memoryFolder(options.memory), disk: diskFolder(options.out) };
  const tidy = () => {
    killAll();
    for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', tidy);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

  const place = environment(folders.memory, folders.disk);
  print(describe(place));
  const bench: Bench = {
    options,
    ...folders,
    peers: new Set(),
    report: new Report(print),
    generator: await LoadGenerator.start(),
  };
  if (place.load > place.cores / 2) {
    const load = `the machine is busy with something else (load ${place.load.toFixed(1)})`;
    bench.report.remark(`${load}: only ratios mean anything, and they less than usual`);
  }
  const failed = await ask(bench, asked);
  await bench.generator.stop();
  write(options, place, bench.report, failed);
  if (!options.quick) judge(bench.report);
  return failed.length === 0 ? 0 : 1;
}

/** Runs each question, also after a failed one. Returns the names of the failed questions. */
async function ask(bench: Bench, questions: Question[]): Promise<string[]> {
  const failed: string[] = [];
  for (const question of questions) {
    print(`\n${question.name}: ${question.about}`);
    const began = performance.now();
    try {
      await question.run(bench, began + question.limitSeconds * 1000);
    } catch (error) {
      failed.push(question.name);
      print(`  FAILED: ${error instanceof Error ? error.message : error}`);
    }
    await tidyUp(bench);
    print(`  ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
  return failed;
}

/** Stops the servers of a question and empties its folders. */
async function tidyUp(bench: Bench): Promise<void> {
  await Promise.all([...bench.peers].map((peer) => peer.stop()));
  bench.peers.clear();
  for (const folder of [bench.memory, bench.disk]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
  }
}

function judge(report: Report): void {
  print('\nTargets');
  for (const line of targetTable(report.rows)) print(`  ${line}`);
}

function write(options: Options, place: Environment, report: Report, failed: string[]): void {
  const { rows, remarks } = report;
  const { quick, rounds } = options;
  mkdirSync(options.out, { recursive: true });
  const name = quick ? 'quick' : options.only.length > 0 ? options.only.join('-') : 'bench';
  const result = { finishedAt: new Date().toISOString(), quick, rounds, environment: place, remarks, failed, rows };
  const json = join(options.out, `${name}.json`);
  const svg = join(options.out, `${name}.svg`);
  writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(svg, chart(rows, 'Lading beside its peers', describe(place), !quick));
  print(`\nwritten: ${json}, ${svg}`);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
    process.exit(2);
  },
);
