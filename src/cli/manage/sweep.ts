/** `lading sweep` */
import type { Command } from 'commander';
import { run } from '../shared/command.ts';

export function addSweep(root: Command): void {
  root
    .command('sweep')
    .description('park stale uploads and remove expired ones now, instead of within the hour (administrators only)')
    .action((_: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const result = await client.sweep({ signal });
        out.result(
          result,
          `${result.parked ?? 0} stale uploads parked, ${result.removed} removed, ${result.sealed} open-ended ones sealed`,
        );
        return undefined;
      }),
    );
}
