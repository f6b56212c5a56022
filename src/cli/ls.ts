/** `lading ls` */
import { type Command, Option } from 'commander';
import type { FileStatus } from '../client/client.ts';
import { run } from './command.ts';
import { formatSize, stateOf, table } from './values.ts';

interface Options {
  prefix?: string;
  status?: 'partial' | 'complete';
  owner?: string;
}

const HELP = `
Examples:
  $ lading ls --prefix camera-7/
  $ lading ls --status partial
  $ lading ls --json | jq -r '.files[].filename'`;

export function addLs(root: Command): void {
  root
    .command('ls')
    .description('list files and unfinished uploads')
    .option('--prefix <prefix>', 'only names that start with it')
    .addOption(new Option('--status <status>', 'only these').choices(['partial', 'complete']))
    .option('--owner <client>', 'whose files; for administrators, and to see what was granted')
    .addHelpText('after', HELP)
    .action((options: Options, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const files: FileStatus[] = [];
        for await (const file of client.list({ ...options, limit: 1000, signal })) files.push(file);
        out.result({ files }, table(files.map(row), [0]));
        return undefined;
      }),
    );
}

function row(file: FileStatus): string[] {
  const { bytes_received: received, total_bytes: total } = file;
  const status = stateOf(file);
  const progress = status === 'complete' || !total ? status : `${status} ${Math.floor((received / total) * 100)} %`;
  return [formatSize(total ?? received), progress, file.updated_at?.replace(/\.\d+Z$/, 'Z') ?? '', file.filename];
}
