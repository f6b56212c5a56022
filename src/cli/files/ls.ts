/** `lading ls` */
import { type Command, Option } from 'commander';
import type { FileStatus } from '../../client/client.ts';
import { percentOf } from '../../protocol/schemas/progress.ts';
import { run } from '../shared/command.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { formatSize, stateOf, table } from '../shared/values.ts';

interface Options {
  prefix?: string;
  status?: 'partial' | 'parked' | 'complete';
  owner?: string;
}

const HELP = `
Examples:
  $ lading ls --prefix camera-7/
  $ lading ls --status partial
  $ lading ls --status parked        # unfinished and idle for a long time
  $ lading ls --json | jq -r '.files[].filename'`;

export function addLs(root: Command): void {
  root
    .command('ls')
    .description('list files and unfinished uploads')
    .option('--prefix <prefix>', 'only names that begin with this')
    .addOption(new Option('--status <status>', 'only files in this state').choices(['partial', 'parked', 'complete']))
    .option('--owner <who>', 'owner of the files, by id or name (administrators, or files that were granted to you)')
    .addHelpText('after', HELP)
    .action((options: Options, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const owner = await optionalIdOf(context, options.owner);
        const files: FileStatus[] = [];
        const parked = options.status === 'parked';
        const filter = { ...options, status: options.status === 'parked' ? ('partial' as const) : options.status };
        for await (const file of client.list({ ...filter, owner, limit: 1000, signal }))
          if (!parked || file.stale) files.push(file);
        out.result({ files }, table(files.map(row), [0]));
        return undefined;
      }),
    );
}

function row(file: FileStatus): string[] {
  const { bytes_received: received, total_bytes: total } = file;
  const status = stateOf(file);
  const percent = percentOf(file);
  const progress = status === 'complete' || percent === null ? status : `${status} ${percent} %`;
  return [
    formatSize(percent === null ? received : (total ?? received)),
    progress,
    file.updated_at?.replace(/\.\d+Z$/, 'Z') ?? '',
    file.filename,
  ];
}
