/** `lading complete NAME` */
import type { Command } from 'commander';
import { run } from '../shared/command.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { printable } from '../shared/terminal.ts';
import { formatSize } from '../shared/values.ts';

export function addComplete(root: Command): void {
  root
    .command('complete')
    .description('complete an upload whose size was not declared')
    .argument('<name>', 'name on the server')
    .option('--owner <who>', 'owner of the file, by id or name (administrators only)')
    .addHelpText('after', '\nExample:\n  $ lading complete sensor.log')
    .action((name: string, options: { owner?: string }, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const owner = await optionalIdOf(context, options.owner);
        const status = await client.complete(name, { owner, signal });
        out.result(
          status,
          `${printable(name)}: complete, ${formatSize(status.bytes_received)}, CRC-32 ${status.crc32}`,
        );
        return undefined;
      }),
    );
}
