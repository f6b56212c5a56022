/** `lading sweep` */
import type { Command } from 'commander';
import { run } from '../shared/command.ts';

export function addSweep(root: Command): void {
  root
    .command('sweep')
    .description('run the hourly clean-up now: park stale uploads and delete expired ones (administrators only)')
    .action((_: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const result = await client.sweep({ signal });
        out.result(
          result,
          `Parked ${result.parked ?? 0} stale uploads, deleted ${result.removed} expired ones, sealed ${result.sealed} of undeclared size.`,
        );
        return undefined;
      }),
    );
}
