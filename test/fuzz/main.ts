/** `npm run fuzz`: sends so many requests from a seed, says what came back, and exits 1 when anything was wrong. */
import { parseArgs } from 'node:util';
import { fuzz, type Report } from './run.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    connections: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '300' },
  },
});
const options = {
  requests: Number(values.requests),
  seed: Number(values.seed),
  connections: Number(values.connections),
  seconds: Number(values.seconds),
};

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
    `seed         ${options.seed}`,
    `requests     ${sent} in ${seconds.toFixed(0)} s over ${options.connections} connections`,
    `kinds        ${listed(kinds)}`,
    `statuses     ${listed(statuses)}; closed without an answer ${unanswered}`,
    `memory       ${megabytes(before.resident)} before, at most ${megabytes(Math.max(0, ...memory))}, ${megabytes(after.resident)} after`,
    `descriptors  ${before.descriptors} before, ${after.descriptors} after`,
    `/health      ${slowestHealthMs.toFixed(0)} ms at the slowest`,
    `faults       ${report.faults.length}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

process.stdout.write(`seed ${options.seed}\n`);
let shown = 0;
const report = await fuzz(options, ({ sent, seconds, faults }) => {
  process.stdout.write(`${sent} requests after ${seconds.toFixed(0)} s, ${faults.length} faults\n`);
  for (const fault of faults.slice(shown)) process.stdout.write(`${fault}\n`);
  shown = faults.length;
});
for (const fault of report.faults.slice(shown)) process.stdout.write(`${fault}\n`);
show(report);
process.exit(report.faults.length > 0 ? 1 : 0);
