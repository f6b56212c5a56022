/** `lading serve`: runs the server, which parses its own flags. */
import type { Command } from 'commander';

/** Adds the command for help pages. `main.ts` calls `serve` directly, before commander sees the flags of the server. */
export function addServe(root: Command): void {
  root
    .command('serve')
    .description('run the server')
    .argument('[flags...]', 'server settings; "lading serve --help" lists them')
    .allowUnknownOption()
    .helpOption(false)
    .action(serve);
}

/** Runs the server. Imports it here, because no other command needs it. */
export async function serve(flags: readonly string[]): Promise<void> {
  if (flags.includes('--help') || flags.includes('-h')) {
    const { helpText } = await import('../../settings/help-text.ts');
    process.stdout.write(
      `Usage: lading serve [flags]\n\nEach flag can also be set by an environment variable.\n\n${helpText()}\n`,
    );
    return;
  }
  const main = await import('../../main.ts');
  await main.serve(flags);
}
