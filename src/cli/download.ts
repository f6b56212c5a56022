/** `lading download NAME` */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import type { RangeRequest } from '../client/client.ts';
import { type Context, run } from './command.ts';
import { UsageError } from './exit.ts';
import { ProgressView } from './progress-view.ts';
import { formatSeconds, formatSize, parseCount, parseDuration, parseRange, parseSize } from './values.ts';

interface Options {
  output?: string;
  range?: RangeRequest;
  follow?: boolean;
  parallel: number;
  chunkSize?: number;
  owner?: string;
  retryFor: number;
  progressEvery: number;
}

const HELP = `
A whole file is fetched into NAME.lading-part and gets its name when it is complete and its checksum agrees. An
interrupted download goes on where it stopped: run the same command again.

Examples:
  $ lading download camera-7/monday.wav
  $ lading download firmware/latest.img -o /var/tmp/ --parallel 8
  $ lading download log.txt --range -1000 -o -
  $ lading download live.ts --follow -o - | player`;

export function addDownload(root: Command): void {
  root
    .command('download')
    .description('fetch a file, or what is not here of it yet')
    .argument('<name>', 'name on the server')
    .option(
      '-o, --output <path>',
      'file or folder to write to, "-" for standard output (default: the last part of the name)',
    )
    .option('--range <range>', 'only these bytes: 0-99, 100- or -100; they may be of an unfinished file', parseRange)
    .option('--follow', 'start with the first byte and wait for what is still arriving')
    .option('--parallel <n>', 'requests at once', parseCount, 4)
    .option('--chunk-size <size>', 'bytes a request, at most (default: up to 32 MiB)', parseSize)
    .option('--owner <client>', 'whose file it is; for administrators')
    .addOption(
      new Option('--retry-for <time>', 'give up after so long without progress')
        .argParser(parseDuration)
        .default(3_600_000, '1h'),
    )
    .addOption(
      new Option('--progress-every <time>', 'between progress lines when not on a terminal')
        .argParser(parseDuration)
        .default(5_000, '5s'),
    )
    .addHelpText('after', HELP)
    .action((name: string, options: Options, command: Command) =>
      run(command, (context) => download(context, name, options), { connections: options.parallel + 2 }),
    );
}

async function download(context: Context, name: string, options: Options): Promise<undefined> {
  if (options.follow && options.range)
    throw new UsageError('--follow starts with the first byte; it does not go with --range.');
  if (options.output === '-' || options.range || options.follow) return streamed(context, name, options);
  const { client, out, signal } = context;
  const path = await targetOf(name, options.output);
  const view = new ProgressView(out, name, options.progressEvery);
  const started = performance.now();
  try {
    const { downloadFile } = await import('../client/node.ts');
    const result = await downloadFile(client, name, path, {
      parallel: options.parallel,
      chunkSize: options.chunkSize,
      owner: options.owner,
      retryForMs: options.retryFor,
      signal,
      onProgress: (progress) => view.update(progress),
      onRetry: (notice) => view.retry(notice),
      onRestart: () => view.restart('The file was replaced on the server; starting over with the new one.'),
    });
    const seconds = (performance.now() - started) / 1000;
    const { already, resumed, received, size, etag, crc32 } = result;
    const crc = crc32 === null ? null : crc32.toString(16).padStart(8, '0');
    const bytes = { total_bytes: size, resumed_bytes: resumed, received_bytes: received };
    const rate = formatSize(seconds > 0 ? received / seconds : 0);
    const before = resumed > 0 ? ` (${formatSize(resumed)} were here before)` : '';
    const text = already
      ? `${path}: already here, ${formatSize(size)}, CRC-32 ${crc}`
      : `${path}: received ${formatSize(received)} in ${formatSeconds(seconds)}, ${rate}/s${before}, CRC-32 ${crc ?? 'unknown'}`;
    out.result({ event: 'done', file: name, path, already, ...bytes, seconds: round(seconds), etag, crc32: crc }, text);
  } finally {
    view.end();
  }
}

/** Bytes in order, to standard output or into a file; nothing is kept for a later run. */
async function streamed({ client, out, signal }: Context, name: string, options: Options): Promise<undefined> {
  const path = options.output === '-' ? null : await targetOf(name, options.output);
  if (path === null) out.contentOnStdout();
  const view = new ProgressView(out, name, options.progressEvery);
  const started = performance.now();
  const { range, owner } = options;
  const source = options.follow
    ? (await client.download(name, { follow: true, owner, signal })).body
    : client.read(name, {
        range,
        owner,
        signal,
        retryForMs: options.retryFor,
        onRetry: (notice) => view.retry(notice),
      });
  let received = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      received += bytes.length;
      yield bytes;
    }
  };
  const target = path === null ? process.stdout : (await open(path, 'w')).createWriteStream();
  await pipeline(Readable.from(counted(), { objectMode: false }), target, { signal, end: path !== null });
  const seconds = (performance.now() - started) / 1000;
  const shown = path === null ? '' : `${path}: received ${formatSize(received)} in ${formatSeconds(seconds)}`;
  out.result({ event: 'done', file: name, path, received_bytes: received, seconds: round(seconds) }, shown);
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

/** The file to write: a folder means the last part of the name in it. A name from elsewhere never leads out of the folder. */
async function targetOf(name: string, output: string | undefined): Promise<string> {
  const last = name.slice(name.lastIndexOf('/') + 1).replaceAll('\\', '_');
  if (output === undefined) return last;
  const found = await stat(output).catch(() => null);
  return output.endsWith('/') || found?.isDirectory() ? join(output, last) : output;
}
