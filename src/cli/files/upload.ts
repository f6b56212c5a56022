/** `lading upload FILE…` */
import { createHash } from 'node:crypto';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { FileStatus } from '../../client/client.ts';
import { LadingError, NetworkError } from '../../client/client.ts';
import type { RetryNotice } from '../../client/transfer/retry.ts';
import type { StreamProgress } from '../../client/transfer/stream.ts';
import type { RestartReason, UploadResult } from '../../client/transfer/upload.ts';
import type { UploadStreamOptions } from '../../client/transfer/upload-stream.ts';
import { type Context, run } from '../shared/command.ts';
import { EXIT, exitCodeOf, UsageError } from '../shared/exit.ts';
import { ProgressView } from '../shared/progress-view.ts';
import { type Source, type SourceOptions, STDIN, sourcesOf } from '../shared/sources.ts';
import { printable } from '../shared/terminal.ts';
import {
  addTransferOptions,
  formatSeconds,
  formatSize,
  parseCount,
  parseEtag,
  parseSize,
  table,
} from '../shared/values.ts';

interface Options extends SourceOptions {
  dryRun?: boolean;
  /** Size of standard input in bytes. */
  size?: number;
  chunkSize: number;
  parallel: number;
  /** Undefined: verify only when an earlier upload is resumed. */
  sha256?: boolean;
  overwrite?: boolean;
  ifMatch?: string;
  contentType?: string;
  retryFor: number;
  progressEvery: number;
}

const RESTARTS: Record<RestartReason, string> = {
  'other-version': 'The server had bytes of another version of this file. Starting over.',
  removed: 'The unfinished upload was deleted on the server. Starting over.',
};

/** Upper bound of `--chunk-size`: chunks are held in memory while they are sent, `--parallel` of them at a time. */
const MAX_CHUNK = 256 * 1024 * 1024;

const HELP = `
To resume an interrupted upload, run the same command again. The server then verifies the SHA-256 of the whole file at the
end, so that two versions never mix. --sha256 requests this check for every upload.

With --recursive, names begin with the name of the directory, as with "cp -r", and all names are listed before the upload.
Standard input ("-") is buffered chunk by chunk. The upload survives broken connections, but a later run cannot resume it.

Examples:
  $ lading upload recording.wav
  $ lading upload *.wav --parallel 2
  $ lading upload --recursive recordings --prefix camera-7/ --dry-run
  $ tar cz recordings | lading upload - --name recordings.tar.gz
  $ lading upload build.img --name firmware/latest.img --sha256 --overwrite
  $ lading upload notes.txt --if-match "$(lading status notes.txt --json | jq -r .etag)"
  $ lading upload big.bin --retry-for 2d --json`;

export function addUpload(root: Command): void {
  const command = root
    .command('upload')
    .description('upload files, or resume uploads')
    .argument('<file...>', 'files to upload, directories with --recursive, or "-" for standard input')
    .option('--name <name>', 'name on the server, for a single file (default: the last component of the path)')
    .option('--prefix <prefix>', 'prefix for the names on the server, such as backup/')
    .option('-r, --recursive', 'upload directories with all their files')
    .option('--follow-symlinks', 'with --recursive: follow symbolic links')
    .option('-n, --dry-run', 'list the files and their names on the server, and upload nothing')
    .option('--size <bytes>', 'size of standard input; required to replace a complete file', parseSize)
    .addOption(
      new Option('--chunk-size <size>', 'bytes per request')
        .argParser(parseChunkSize)
        .default(8 * 1024 * 1024, '8 MiB'),
    )
    .option('--parallel <n>', 'concurrent requests', parseCount, 4)
    .option('--sha256', 'verify the SHA-256 of the whole file on the server')
    .option('--no-sha256', 'never compute the SHA-256, which requires reading the file twice')
    .option('--overwrite', 'replace a complete file of the same name')
    .option('--if-match <etag>', 'replace the file only if it is this version; for a single file', parseEtag)
    .option('--content-type <type>', 'media type of the file (default: derived from its extension)');
  addTransferOptions(command)
    .addHelpText('after', HELP)
    .action((files: string[], options: Options, command: Command) =>
      run(command, (context) => uploadAll(context, files, options), { connections: options.parallel + 2 }),
    );
}

function parseChunkSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes > MAX_CHUNK) throw new InvalidArgumentError(`The maximum is ${formatSize(MAX_CHUNK)}.`);
  return bytes;
}

async function uploadAll(context: Context, files: string[], options: Options): Promise<number> {
  const { out } = context;
  const { sources, skipped } = await sourcesOf(files, options);
  if (options.size !== undefined && sources[0]?.path !== STDIN) {
    throw new UsageError('--size is only for standard input.');
  }
  for (const { path, why } of skipped) out.note(`${path} was skipped: ${why}.`);
  let exitCode: number = skipped.some(({ unexpected }) => unexpected) ? EXIT.localFile : EXIT.ok;
  if (options.dryRun) {
    out.result(
      { files: sources.map(({ name, path, size }) => ({ file: name, path, total_bytes: size })) },
      listOf(sources),
    );
    return exitCode;
  }
  if (options.recursive) {
    for (const line of listOf(sources).split('\n')) out.note(line);
  }
  if (options.ifMatch !== undefined && sources.length > 1) {
    throw new UsageError('--if-match accepts a single file.');
  }
  for (const source of sources) {
    try {
      await uploadOne(context, source, options);
    } catch (error) {
      context.signal.throwIfAborted();
      out.error(error, source.name);
      if (exitCode === EXIT.ok) exitCode = exitCodeOf(error);
      if (affectsAllFiles(error)) break;
    }
  }
  return exitCode;
}

/** True for an error that all other files would also cause: a refused sign-in, or a wrong address. */
function affectsAllFiles(error: unknown): boolean {
  return error instanceof NetworkError ? error.final : error instanceof LadingError && error.status === 401;
}

function listOf(sources: readonly Source[]): string {
  const bytes = sources.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const rows = sources.map(({ name, path, size }) => [size === null ? '?' : formatSize(size), path, '->', name]);
  return `${table(rows, [0])}\n${sources.length} ${sources.length === 1 ? 'file' : 'files'}, ${formatSize(bytes)}`;
}

async function uploadOne({ client, out, signal }: Context, { name, path }: Source, options: Options): Promise<void> {
  const view = new ProgressView(out, name, options.progressEvery);
  const started = performance.now();
  try {
    const common = {
      name,
      chunkSize: options.chunkSize,
      parallel: options.parallel,
      overwrite: options.overwrite,
      ifMatch: options.ifMatch,
      contentType: options.contentType,
      retryForMs: options.retryFor,
      signal,
      onProgress: (progress: StreamProgress) => view.update(progress),
      onRetry: (notice: RetryNotice) => view.retry(notice),
    };
    const { uploadFile } = await import('../../client/node.ts');
    const result =
      path === STDIN
        ? await client.uploadStream(process.stdin, { ...common, ...stdinOptions(options) })
        : await uploadFile(client, path, {
            ...common,
            digest: options.sha256 === undefined ? 'resume' : options.sha256 ? 'always' : 'never',
            onRestart: (why) => view.restart(RESTARTS[why]),
          });
    const seconds = (performance.now() - started) / 1000;
    out.result(jsonResult(name, path, result, seconds), textResult(name, result, seconds));
  } finally {
    view.end();
  }
}

function stdinOptions({ sha256, size }: Options): Pick<UploadStreamOptions, 'size' | 'digest'> {
  if (process.stdin.isTTY)
    throw new UsageError('Standard input is a terminal. Pipe data into the command, or specify a file.');
  if (!sha256) return { size };
  const hash = createHash('sha256');
  let value: Uint8Array | null = null;
  return {
    size,
    digest: {
      update: (bytes) => void hash.update(bytes),
      digest: () => {
        value ??= new Uint8Array(hash.digest());
        return { algorithm: 'sha-256', value };
      },
    },
  };
}

function jsonResult(name: string, path: string, result: UploadResult, seconds: number): object {
  const { already, resumed, sent, digest, status } = result;
  return {
    event: 'done',
    file: name,
    path,
    already,
    resumed_bytes: resumed,
    sent_bytes: sent,
    seconds: Math.round(seconds * 1000) / 1000,
    sha256: digest === null ? null : Buffer.from(digest.value).toString('hex'),
    status: withoutChunk(status),
  };
}

function withoutChunk({ chunk: _, ...status }: FileStatus): Omit<FileStatus, 'chunk'> {
  return status;
}

function textResult(name: string, { already, resumed, sent, status, digest }: UploadResult, seconds: number): string {
  if (already)
    return `${printable(name)}: already uploaded, ${formatSize(status.bytes_received)}, CRC-32 ${status.crc32}`;
  const rate = formatSize(seconds > 0 ? sent / seconds : 0);
  const before = resumed > 0 ? ` (${formatSize(resumed)} resumed)` : '';
  const checked = digest === null ? `CRC-32 ${status.crc32}` : 'SHA-256 verified by the server';
  return `${printable(name)}: sent ${formatSize(sent)} in ${formatSeconds(seconds)}, ${rate}/s${before}, ${checked}`;
}
