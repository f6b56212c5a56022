/** `lading rm NAME…` */
import type { Command } from 'commander';
import { run } from './command.ts';
import { EXIT, exitCodeOf } from './exit.ts';

export function addRm(root: Command): void {
  root
    .command('rm')
    .description('delete files, or cancel their uploads')
    .argument('<name...>', 'names on the server')
    .option('--owner <client>', 'whose files; for administrators')
    .option('-f, --force', 'a name that is not there is no error')
    .addHelpText('after', '\nExample:\n  $ lading rm camera-7/monday.wav camera-7/tuesday.wav')
    .action((names: string[], options: { owner?: string; force?: boolean }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const removed: string[] = [];
        let exitCode: number = EXIT.ok;
        for (const name of names) {
          try {
            await client.remove(name, { owner: options.owner, signal });
            removed.push(name);
          } catch (error) {
            const code = exitCodeOf(error);
            if (code === EXIT.notFound && options.force) continue;
            if (code !== EXIT.notFound || names.length === 1) throw error;
            // The others are still to be deleted.
            out.note(`lading: ${name}: ${error instanceof Error ? error.message : error}`);
            exitCode = code;
          }
        }
        out.result({ removed }, '');
        return exitCode;
      }),
    );
}
