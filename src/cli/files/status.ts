/** `lading status NAME` */
import { type Command, Option } from 'commander';
import { type FileStatus, LadingError } from '../../client/client.ts';
import { Backoff } from '../../client/transfer/retry.ts';
import { percentOf } from '../../protocol/schemas/progress.ts';
import { type Context, run } from '../shared/command.ts';
import { EXIT } from '../shared/exit.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { ProgressView } from '../shared/progress-view.ts';
import { printable } from '../shared/terminal.ts';
import { formatSize, parseDuration, stateOf, table } from '../shared/values.ts';

interface Options {
  watch?: boolean;
  owner?: string | undefined;
  retryFor: number;
}

const HELP = `
Exits with 4 if no file or upload has this name. With --watch, waits for one instead.

Examples:
  $ lading status camera-7/monday.wav
  $ lading status camera-7/monday.wav --watch
  $ lading status camera-7/monday.wav --json | jq .bytes_received`;

export function addStatus(root: Command): void {
  root
    .command('status')
    .description('show the status of a file or upload')
    .argument('<name>', 'name on the server')
    .option('-w, --watch', 'watch until the file is complete')
    .option('--owner <who>', 'owner of the file, by id or name (administrators, or a file that was granted to you)')
    .addOption(
      new Option('--retry-for <time>', 'with --watch: give up when the server has been unreachable for this long')
        .argParser(parseDuration)
        .default(3_600_000, '1h'),
    )
    .addHelpText('after', HELP)
    .action((name: string, options: Options, command: Command) =>
      run(command, async (context) => {
        const owner = await optionalIdOf(context, options.owner);
        if (options.watch) {
          await watch(context, name, { ...options, owner });
          return undefined;
        }
        const { client, out, signal } = context;
        const status = await client.status(name, { owner, signal });
        if (status.status === 'pending' && !out.json) {
          throw new LadingError('not_found', `There is no file or upload named ${name}.`);
        }
        out.result(status, describe(status));
        return status.status === 'pending' ? EXIT.notFound : EXIT.ok;
      }),
    );
}

/** Prints a line for each change until the file is complete. Reopens the status stream when it breaks. */
async function watch(context: Context, name: string, { owner, retryFor }: Options): Promise<void> {
  const { client, out } = context;
  const signal = AbortSignal.any([context.signal, out.outputClosed]);
  const view = new ProgressView(out, name, 0);
  const backoff = new Backoff({ retryForMs: retryFor }, signal, (notice) => view.retry(notice));
  let shown = '';
  const show = (status: FileStatus) => {
    backoff.progress();
    const text = oneLine(status);
    if (text === shown) return;
    shown = text;
    if (out.json) out.result(status, '');
    else if (out.interactive) out.draw(text);
    else out.result(status, text);
  };
  for (;;) {
    try {
      for await (const status of client.watch(name, { owner, signal })) {
        show(status);
        if (status.status !== 'complete') continue;
        if (out.interactive) out.result(status, shown);
        return;
      }
      // The stream ended early, for example because the server restarts.
      await backoff.retry(async () => client.status(name, { owner, signal }));
    } catch (error) {
      // A closed output is not a failure.
      if (out.outputClosed.aborted) return;
      await backoff.wait(error);
    }
  }
}

function oneLine(status: FileStatus): string {
  const { filename, total_bytes: total, bytes_received: received } = status;
  const percent = percentOf(status);
  const share = percent === null ? '' : `  ${percent} %`;
  const of = total === null || status.undeclared ? '' : ` of ${formatSize(total)}`;
  return `${printable(filename)}: ${stateOf(status)}${share}  ${formatSize(received)}${of}`;
}

function sizeOf({ total_bytes: total, undeclared }: FileStatus): string | null {
  if (undeclared) return 'not declared yet';
  return total === null ? null : `${total} bytes (${formatSize(total)})`;
}

function describe(status: FileStatus): string {
  const gaps = status.missing.map(([start, end]) => `${start}-${end}`);
  const shown =
    gaps.length > 5 ? [...gaps.slice(0, 5), `… (${gaps.length}${status.missing_more ? '+' : ''} gaps)`] : gaps;
  const rows: [string, string | null][] = [
    ['name', status.filename],
    ['status', status.stale ? `${stateOf(status)}, resumes with the next byte` : stateOf(status)],
    ['received', `${status.bytes_received} bytes (${formatSize(status.bytes_received)})`],
    ['size', sizeOf(status)],
    ['readable', status.readable ? 'yes' : 'no'],
    ['missing', shown.length === 0 ? null : shown.join(', ')],
    ['type', status.content_type],
    ['crc-32', status.crc32],
    ['etag', status.etag],
    ['id', status.id],
    ['created', status.created_at],
    ['updated', status.updated_at],
    ['completed', status.completed_at],
    ['kept until', status.expires_at],
  ];
  return table(rows.flatMap(([key, value]) => (value === null ? [] : [[key, value]])));
}
