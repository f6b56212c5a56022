/** `lading verify NAME` */
import type { Command } from 'commander';
import { run } from '../shared/command.ts';
import { EXIT } from '../shared/exit.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { printable } from '../shared/terminal.ts';
import { formatSize } from '../shared/values.ts';

export function addVerify(root: Command): void {
  root
    .command('verify')
    .description('have the server reread a file and verify its checksums')
    .argument('<name>', 'name on the server')
    .option('--owner <who>', 'owner of the file, by id or name (administrators only)')
    .addHelpText(
      'after',
      '\nExits with 6 if stored bytes are damaged.\n\nExample:\n  $ lading verify camera-7/monday.wav',
    )
    .action((name: string, options: { owner?: string }, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const owner = await optionalIdOf(context, options.owner);
        const result = await client.verify(name, { owner, signal });
        const { ok, checked_bytes: checked, bad } = result;
        const where = bad.map(([start, end]) => `${start}-${end}`).join(', ');
        out.result(
          result,
          `${printable(name)}: ${formatSize(checked)} read, ${ok ? 'no damage' : `damaged at bytes ${where}`}`,
        );
        return ok ? EXIT.ok : EXIT.verification;
      }),
    );
}
