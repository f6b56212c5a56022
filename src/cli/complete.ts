/** `lading complete NAME` */
import type { Command } from 'commander';
import { run } from './command.ts';
import { shown } from './terminal.ts';
import { formatSize } from './values.ts';

export function addComplete(root: Command): void {
  root
    .command('complete')
    .description('end an upload whose size was never declared')
    .argument('<name>', 'name on the server')
    .option('--owner <client>', 'whose file it is; for administrators')
    .addHelpText('after', '\nExample:\n  $ lading complete sensor.log')
    .action((name: string, { owner }: { owner?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const status = await client.complete(name, { owner, signal });
        out.result(status, `${shown(name)}: complete, ${formatSize(status.bytes_received)}, CRC-32 ${status.crc32}`);
        return undefined;
      }),
    );
}
