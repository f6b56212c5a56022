/** `lading download NAME` */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type { RangeRequest } from '../../client/client.ts';
import { type Context, run } from '../shared/command.ts';
import { OutputClosed, UsageError } from '../shared/exit.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { ProgressView } from '../shared/progress-view.ts';
import { printable } from '../shared/terminal.ts';
import { addTransferOptions, formatSeconds, formatSize, parseCount, parseRange, parseSize } from '../shared/values.ts';

interface Options {
  output?: string;
  range?: RangeRequest;
  follow?: boolean;
  /** Undefined, like `chunkSize`, unless the option was given. */
  parallel?: number;
  chunkSize?: number;
  owner?: string | undefined;
  retryFor: number;
  progressEvery: number;
}

const DEFAULT_PARALLEL = 4;

const HELP = `
The download is written to NAME.lading-part and renamed when it is complete and verified. To resume an interrupted
download, run the same command again. A stream ("-o -" or --follow) resumes after a broken connection, but not in a later
run.

Examples:
  $ lading download camera-7/monday.wav
  $ lading download firmware/latest.img -o /var/tmp/ --parallel 8
  $ lading download log.txt --range -1000 -o -
  $ lading download archive.tar.gz - | tar xz
  $ lading download live.ts --follow -o - | player`;

export function addDownload(root: Command): void {
  const command = root
    .command('download')
    .description('download a file, or resume a download')
    .argument('<name>', 'name on the server')
    .argument('[target]', 'same as --output')
    .option(
      '-o, --output <path>',
      'file or directory to write to, "-" for standard output (default: the last component of the name)',
    )
    .option('--range <range>', 'download only these bytes, even of an unfinished file: 0-99, 100- or -100', parseRange)
    .option('--follow', 'start at the first byte and wait for bytes that have not arrived yet')
    .option('--parallel <n>', `concurrent requests; not for streams (default: ${DEFAULT_PARALLEL})`, parseCount)
    .option('--chunk-size <size>', 'maximum bytes per request; not for streams (default: up to 32 MiB)', parseSize)
    .option('--owner <who>', 'owner of the file, by id or name (administrators, or a file that was granted to you)');
  addTransferOptions(command)
    .addHelpText('after', HELP)
    .action((name: string, target: string | undefined, options: Options, command: Command) =>
      run(command, (context) => download(context, name, withTarget(options, target)), {
        connections: (options.parallel ?? DEFAULT_PARALLEL) + 2,
      }),
    );
}

function withTarget(options: Options, target: string | undefined): Options {
  if (target === undefined) return options;
  if (options.output !== undefined)
    throw new UsageError('The target is specified twice. Use either the argument or --output.');
  return { ...options, output: target };
}

async function download(context: Context, name: string, given: Options): Promise<undefined> {
  const options = { ...given, owner: await optionalIdOf(context, given.owner) };
  if (options.follow && options.range)
    throw new UsageError('--follow starts at the first byte and cannot be combined with --range.');
  const target = options.output === '-' ? null : await targetOf(name, options.output);
  if (target === null || target.special || options.follow)
    return streamed(context, name, target?.path ?? null, options);
  const { path } = target;
  const { client, out, signal } = context;
  const view = new ProgressView(out, name, options.progressEvery);
  const started = performance.now();
  try {
    const { downloadFile } = await import('../../client/node.ts');
    const result = await downloadFile(client, name, path, {
      range: options.range,
      parallel: options.parallel ?? DEFAULT_PARALLEL,
      chunkSize: options.chunkSize,
      owner: options.owner,
      retryForMs: options.retryFor,
      signal,
      onProgress: (progress) => view.update(progress),
      onRetry: (notice) => view.retry(notice),
      onRestart: () => view.restart('The file was replaced on the server. Starting over with the new version.'),
    });
    const seconds = (performance.now() - started) / 1000;
    const { already, resumed, received, size, etag, crc32 } = result;
    const crc = crc32 === null ? null : crc32.toString(16).padStart(8, '0');
    const bytes = { total_bytes: size, resumed_bytes: resumed, received_bytes: received };
    const rate = formatSize(seconds > 0 ? received / seconds : 0);
    const before = resumed > 0 ? ` (${formatSize(resumed)} resumed)` : '';
    const text = already
      ? `${printable(path)}: already downloaded, ${formatSize(size)}, CRC-32 ${crc}`
      : `${printable(path)}: received ${formatSize(received)} in ${formatSeconds(seconds)}, ${rate}/s${before}, CRC-32 ${crc ?? 'unknown'}`;
    out.result({ event: 'done', file: name, path, already, ...bytes, seconds: round(seconds), etag, crc32: crc }, text);
  } finally {
    view.end();
  }
}

/** Downloads the bytes in order to a file, or to standard output if `path` is null. A later run cannot resume the download. */
async function streamed(context: Context, name: string, path: string | null, options: Options): Promise<undefined> {
  const { client, out, signal } = context;
  const { range, follow, owner, retryFor, parallel, chunkSize } = options;
  if (parallel !== undefined || chunkSize !== undefined) {
    const option = parallel === undefined ? '--chunk-size' : '--parallel';
    throw new UsageError(`${option} cannot be used with a stream, which makes one request at a time.`);
  }
  if (path === null) out.contentOnStdout();
  const view = new ProgressView(out, name, options.progressEvery);
  // Do not mix a progress line with content on the same terminal.
  const showProgress = path !== null || process.stdout.isTTY !== true || !out.interactive;
  const started = performance.now();
  let received = 0;
  try {
    const source = client.read(name, {
      range,
      follow,
      owner,
      signal,
      retryForMs: retryFor,
      onProgress: (progress) => {
        received = progress.done;
        if (showProgress) view.update(progress);
      },
      onRetry: (notice) => view.retry(notice),
    });
    // Open the target only when the first bytes have arrived, so that a failed request leaves it unchanged.
    const first = await source.next();
    const target = path === null ? process.stdout : (await open(path, 'w')).createWriteStream();
    const bytes = Readable.from(prepend(first, source), { objectMode: false });
    await pipeline(bytes, target, { signal, end: path !== null }).catch((error: NodeJS.ErrnoException) => {
      throw path === null && error.code === 'EPIPE' ? new OutputClosed() : error;
    });
    const seconds = (performance.now() - started) / 1000;
    const text =
      path === null ? '' : `${printable(path)}: received ${formatSize(received)} in ${formatSeconds(seconds)}`;
    out.result({ event: 'done', file: name, path, received_bytes: received, seconds: round(seconds) }, text);
  } finally {
    view.end();
  }
}

async function* prepend<T>(first: IteratorResult<T, unknown>, rest: AsyncIterable<T>): AsyncGenerator<T> {
  if (first.done) return;
  yield first.value;
  yield* rest;
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

interface Target {
  path: string;
  /** True for a pipe or a device, which accepts bytes in order only. */
  special: boolean;
}

/** Resolves the output path. In a directory, the file gets the last component of the name, which cannot escape the directory. */
async function targetOf(name: string, output: string | undefined): Promise<Target> {
  const last = name.slice(name.lastIndexOf('/') + 1).replaceAll('\\', '_');
  const given = output ?? last;
  const found = await stat(given).catch(() => null);
  const inside = output !== undefined && (output.endsWith('/') || found?.isDirectory());
  const path = inside ? join(given, last) : given;
  const existing = inside ? await stat(path).catch(() => null) : found;
  if (existing?.isDirectory()) throw new UsageError(`${path} is a directory. Specify a file with --output.`);
  return { path, special: existing !== null && !existing.isFile() };
}
