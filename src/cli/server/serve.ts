/** `lading serve`: the server itself, with its own flags. */
import type { Command } from 'commander';

/** Listed with the other commands; `main.ts` calls `serve` below before the flags of the server meet those of the client. */
export function addServe(root: Command): void {
  root
    .command('serve')
    .description('run the server until it is stopped')
    .argument('[flags...]', 'settings of the server; "lading serve --help" lists them')
    .allowUnknownOption()
    .helpOption(false)
    .action(serve);
}

/** Loads the server only now: no other command needs it. */
export async function serve(flags: readonly string[]): Promise<void> {
  if (flags.includes('--help') || flags.includes('-h')) {
    const { helpText } = await import('../../settings/help-text.ts');
    process.stdout.write(
      `Usage: lading serve [flags]\n\nEvery flag is also a variable of the environment.\n\n${helpText()}\n`,
    );
    return;
  }
  const main = await import('../../main.ts');
  await main.serve(flags);
}
