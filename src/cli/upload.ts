/** `lading upload FILE…` */
import { basename } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { FileStatus } from '../client/client.ts';
import { LadingError } from '../client/client.ts';
import type { RestartReason, UploadResult } from '../client/upload.ts';
import { type Context, run } from './command.ts';
import { EXIT, exitCodeOf, UsageError } from './exit.ts';
import { ProgressView } from './progress-view.ts';
import { addTransferOptions, formatSeconds, formatSize, parseCount, parseEtag, parseSize } from './values.ts';

interface Options {
  name?: string;
  chunkSize: number;
  parallel: number;
  /** Absent: only when an earlier upload goes on. */
  sha256?: boolean;
  overwrite?: boolean;
  ifMatch?: string;
  contentType?: string;
  retryFor: number;
  progressEvery: number;
}

const RESTARTS: Record<RestartReason, string> = {
  'other-version': 'The server had bytes of another version of this file; starting over.',
  removed: 'The unfinished upload was removed on the server; starting over.',
};

/** A chunk is held in memory while it is sent, `--parallel` of them at once. */
const LARGEST_CHUNK = 256 * 1024 * 1024;

const HELP = `
An interrupted upload goes on where it stopped: run the same command again. When an earlier upload goes on, the server
compares the digest of the whole file at the end, so that two versions never mix; --sha256 asks for that always.

Examples:
  $ lading upload recording.wav
  $ lading upload *.wav --parallel 2
  $ lading upload build.img --name firmware/latest.img --sha256 --overwrite
  $ lading upload notes.txt --if-match "$(lading status notes.txt --json | jq -r .etag)"
  $ lading upload big.bin --retry-for 2d --json`;

export function addUpload(root: Command): void {
  const command = root
    .command('upload')
    .description('send files, or what the server does not have of them yet')
    .argument('<file...>', 'files to send')
    .option('--name <name>', 'name on the server (default: the last part of the path); for a single file')
    .addOption(
      new Option('--chunk-size <size>', 'bytes a request').argParser(parseChunkSize).default(8 * 1024 * 1024, '8 MiB'),
    )
    .option('--parallel <n>', 'requests at once', parseCount, 4)
    .option('--sha256', 'have the server compare the SHA-256 of the whole file')
    .option('--no-sha256', 'never read the file twice for its SHA-256')
    .option('--overwrite', 'replace a complete file of that name that has other content')
    .option('--if-match <etag>', 'replace that version of the file and no other; for a single file', parseEtag)
    .option('--content-type <type>', 'what downloads are labelled as (default: by the extension)');
  addTransferOptions(command)
    .addHelpText('after', HELP)
    .action((files: string[], options: Options, command: Command) =>
      run(command, (context) => uploadAll(context, files, options), { connections: options.parallel + 2 }),
    );
}

function parseChunkSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes > LARGEST_CHUNK) throw new InvalidArgumentError(`At most ${formatSize(LARGEST_CHUNK)}.`);
  return bytes;
}

async function uploadAll(context: Context, files: string[], options: Options): Promise<number> {
  let exitCode: number = EXIT.ok;
  if (options.ifMatch !== undefined && files.length > 1) throw new UsageError('--if-match goes with a single file.');
  for (const [name, path] of namesOf(files, options.name)) {
    try {
      await uploadOne(context, path, name, options);
    } catch (error) {
      context.signal.throwIfAborted();
      context.out.error(error, name);
      if (exitCode === EXIT.ok) exitCode = exitCodeOf(error);
      // Who is not let in for one file is not for the next either.
      if (error instanceof LadingError && error.status === 401) break;
    }
  }
  return exitCode;
}

/**
 * What becomes what, by the names on the server.
 * @throws UsageError when two files would get one name: the second would conflict with the first, or replace it
 */
function namesOf(files: string[], given: string | undefined): Map<string, string> {
  if (given !== undefined && files.length > 1) throw new UsageError('--name goes with a single file.');
  const names = new Map<string, string>();
  for (const path of files) {
    const name = given ?? basename(path);
    const other = names.get(name);
    if (other !== undefined) {
      throw new UsageError(`${other} and ${path} would both be ${name} on the server; send one of them with --name.`);
    }
    names.set(name, path);
  }
  return names;
}

async function uploadOne(
  { client, out, signal }: Context,
  path: string,
  name: string,
  options: Options,
): Promise<void> {
  const view = new ProgressView(out, name, options.progressEvery);
  const started = performance.now();
  try {
    const { uploadFile } = await import('../client/node.ts');
    const result = await uploadFile(client, path, {
      name,
      chunkSize: options.chunkSize,
      parallel: options.parallel,
      digest: options.sha256 === undefined ? 'resume' : options.sha256 ? 'always' : 'never',
      overwrite: options.overwrite,
      ifMatch: options.ifMatch,
      contentType: options.contentType,
      retryForMs: options.retryFor,
      signal,
      onProgress: (progress) => view.update(progress),
      onRetry: (notice) => view.retry(notice),
      onRestart: (why) => view.restart(RESTARTS[why]),
    });
    const seconds = (performance.now() - started) / 1000;
    out.result(forPrograms(name, path, result, seconds), forPeople(name, result, seconds));
  } finally {
    view.end();
  }
}

function forPrograms(name: string, path: string, result: UploadResult, seconds: number): object {
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

function forPeople(name: string, { already, resumed, sent, status, digest }: UploadResult, seconds: number): string {
  if (already) return `${name}: already there, ${formatSize(status.bytes_received)}, CRC-32 ${status.crc32}`;
  const rate = formatSize(seconds > 0 ? sent / seconds : 0);
  const before = resumed > 0 ? ` (${formatSize(resumed)} were there before)` : '';
  const checked = digest === null ? `CRC-32 ${status.crc32}` : 'SHA-256 verified by the server';
  return `${name}: sent ${formatSize(sent)} in ${formatSeconds(seconds)}, ${rate}/s${before}, ${checked}`;
}
