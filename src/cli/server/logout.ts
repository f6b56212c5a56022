/** `lading logout`: forgets what `lading login` stored, and the tokens of sign-ins. */
import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import { EXIT, exitCodeOf } from '../shared/exit.ts';
import { Output } from '../shared/output.ts';
import { configPathOf, type GlobalOptions } from '../shared/settings.ts';
import { printable } from '../shared/terminal.ts';
import { forgetTokens, tokensPathOf } from '../shared/token-store.ts';

const HELP = `
Removes the settings file with the id and secret, and the tokens that are kept beside it. What the environment names stays.

Example:
  $ lading logout`;

export function addLogout(root: Command): void {
  root
    .command('logout')
    .description('forget the stored credentials and the tokens of sign-ins')
    .addHelpText('after', HELP)
    .action(async (_: object, command: Command) => {
      const globals = command.optsWithGlobals<GlobalOptions>();
      const out = new Output(globals);
      try {
        const config = configPathOf(globals);
        await forgetTokens(tokensPathOf(config));
        await rm(config, { force: true });
        out.result({ config, removed: true }, `Signed out; ${printable(config)} is removed.`);
        process.exitCode = EXIT.ok;
      } catch (error) {
        out.error(error);
        process.exitCode = exitCodeOf(error);
      }
    });
}
