/**
 * `npm run fuzz`: sends a limited number of requests derived from a seed, reports the replies, and exits with 1 on any fault.
 * `--only` selects parts: `sockets`, `frames`, `schema`.
 */
import { parseArgs } from 'node:util';
import { type FrameReport, fuzzFrames } from './frames.ts';
import { fuzz, type Report } from './run.ts';
import { fuzzSchema } from './schema.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'sockets,frames,schema' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    requests: { type: 'string', default: '20000' },
    connections: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '300' },
    sessions: { type: 'string', default: '3000' },
    examples: { type: 'string', default: '5' },
    'schema-seconds': { type: 'string', default: '300' },
  },
});
const seed = Number(values.seed);

function listed(counts: ReadonlyMap<string | number, number>): string {
  return [...counts]
    .sort(([a], [b]) => String(a).localeCompare(String(b)))
    .map(([key, times]) => `${key} ${times}`)
    .join(', ');
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function show(report: Report): void {
  const { sent, seconds, statuses, kinds, unanswered, before, after, memory, slowestHealthMs } = report;
  const lines = [
    `seed         ${seed}`,
    `requests     ${sent} in ${seconds.toFixed(0)} s over ${values.connections} connections`,
    `kinds        ${listed(kinds)}`,
    `statuses     ${listed(statuses)}; closed without a reply ${unanswered}`,
    `memory       ${megabytes(before.resident)} before, at most ${megabytes(Math.max(0, ...memory))}, ${megabytes(after.resident)} after`,
    `descriptors  ${before.descriptors} before, ${after.descriptors} after`,
    `/health      ${slowestHealthMs.toFixed(0)} ms at the slowest`,
    `faults       ${report.faults.length}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function sockets(): Promise<string[]> {
  const { requests, connections, seconds } = values;
  const options = {
    ...{ seed, requests: Number(requests), connections: Number(connections), seconds: Number(seconds) },
  };
  const report = await fuzz(options, ({ sent, seconds: passed, faults }) => {
    process.stdout.write(`${sent} requests after ${passed.toFixed(0)} s, ${faults.length} faults\n`);
  });
  show(report);
  return report.faults;
}

function showFrames({ sessions, seconds, kinds, statuses, ends, before, after, peak, faults }: FrameReport): void {
  const lines = [
    `sessions     ${sessions} of HTTP/2 in ${seconds.toFixed(0)} s`,
    `kinds        ${listed(kinds)}`,
    `statuses     ${listed(statuses)}`,
    `ends         ${listed(ends)}`,
    `memory       ${megabytes(before.resident)} before, at most ${megabytes(peak)}, ${megabytes(after.resident)} after`,
    `descriptors  ${before.descriptors} before, ${after.descriptors} after`,
    `faults       ${faults.length}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function frames(): Promise<string[]> {
  const { sessions, connections, seconds } = values;
  const options = { seed, sessions: Number(sessions), connections: Number(connections), seconds: Number(seconds) };
  const report = await fuzzFrames(options);
  showFrames(report);
  return report.faults;
}

/** Without schemathesis the run fails in CI; elsewhere it only prints how to install it. */
async function schema(): Promise<string[]> {
  const options = { seed, examples: Number(values.examples), seconds: Number(values['schema-seconds']) };
  const faults = await fuzzSchema(options);
  if (faults === null) return process.env.CI ? ['schemathesis is missing'] : [];
  return faults;
}

const PARTS: Record<string, () => Promise<string[]>> = { sockets, frames, schema };

process.stdout.write(`seed ${seed}\n`);
const faults: string[] = [];
for (const part of values.only.split(',')) faults.push(...((await PARTS[part]?.()) ?? [`unknown part ${part}`]));
for (const fault of faults) process.stdout.write(`${fault}\n`);
process.exit(faults.length > 0 ? 1 : 0);
