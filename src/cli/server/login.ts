/** `lading login`: checks credentials and stores them in a private file. */
import type { Command } from 'commander';
import { ask } from '../shared/ask.ts';
import { EXIT, exitCodeOf } from '../shared/exit.ts';
import { Output } from '../shared/output.ts';
import { configPathOf, type GlobalOptions, loginSettings, writeConfig } from '../shared/settings.ts';
import { printable } from '../shared/terminal.ts';
import { forgetTokens, tokensPathOf } from '../shared/token-store.ts';

const HELP = `
What is not given is asked for. The file is readable by you alone.

Examples:
  $ lading login --server https://files.example.org --client-id camera-7
  $ lading login --server https://files.example.org --client-id camera-7 --client-secret-file /run/secrets/lading`;

export function addLogin(root: Command): void {
  root
    .command('login')
    .description('check credentials and store them for the other commands')
    .addHelpText('after', HELP)
    .action(async (_: object, command: Command) => {
      const globals = command.optsWithGlobals<GlobalOptions>();
      const out = new Output(globals);
      try {
        await login(globals, out);
      } catch (error) {
        out.error(error);
        process.exitCode = exitCodeOf(error);
      }
    });
}

async function login(globals: GlobalOptions, out: Output): Promise<void> {
  const { server, credentials, caFile, ca } = await loginSettings(globals);
  const clientId = credentials.clientId ?? (await ask('Client id: ', '--client-id'));
  const clientSecret =
    credentials.clientSecret ?? (await ask('Client secret (not shown): ', '--client-secret-file', { hidden: true }));
  const { connect } = await import('../../client/node.ts');
  const client = connect({ server, clientId, clientSecret, ca });
  try {
    await client.token();
  } finally {
    await client.close();
  }
  const path = configPathOf(globals);
  await forgetTokens(tokensPathOf(path));
  await writeConfig(path, { server, clientId, clientSecret, caFile });
  out.result(
    { server, client_id: clientId, config: path },
    `Signed in to ${server} as ${clientId}; kept in ${printable(path)}`,
  );
  process.exitCode = EXIT.ok;
}
