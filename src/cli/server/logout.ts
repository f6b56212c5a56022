/** `lading logout`: removes the credentials that `lading login` stored, and cached tokens. */
import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import { runLocally } from '../shared/command.ts';
import { configPathOf, type GlobalOptions } from '../shared/settings.ts';
import { printable } from '../shared/terminal.ts';
import { forgetTokens, tokensPathOf } from '../shared/token-store.ts';

const HELP = `
Removes the settings file and the cached tokens beside it. Credentials in environment variables stay in effect.

Example:
  $ lading logout`;

export function addLogout(root: Command): void {
  root
    .command('logout')
    .description('remove stored credentials and cached tokens')
    .addHelpText('after', HELP)
    .action((_: object, command: Command) =>
      runLocally(command, async (out) => {
        const config = configPathOf(command.optsWithGlobals<GlobalOptions>());
        await forgetTokens(tokensPathOf(config));
        await rm(config, { force: true });
        out.result({ config, removed: true }, `Signed out. ${printable(config)} was removed.`);
      }),
    );
}
