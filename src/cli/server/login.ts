/** `lading login`: checks credentials and stores them in a file that only their owner can read. */
import type { Command } from 'commander';
import { ask } from '../shared/ask.ts';
import { runLocally } from '../shared/command.ts';
import type { Output } from '../shared/output.ts';
import { configPathOf, type GlobalOptions, loginSettings, writeConfig } from '../shared/settings.ts';
import { printable } from '../shared/terminal.ts';
import { forgetTokens, tokensPathOf } from '../shared/token-store.ts';

const HELP = `
Prompts for missing values. Only you can read the settings file.

Examples:
  $ lading login --server https://files.example.org --client-id camera-7
  $ lading login --server https://files.example.org --client-id camera-7 --client-secret-file /run/secrets/lading`;

export function addLogin(root: Command): void {
  root
    .command('login')
    .description('verify credentials and store them for other commands')
    .addHelpText('after', HELP)
    .action((_: object, command: Command) =>
      runLocally(command, (out) => login(command.optsWithGlobals<GlobalOptions>(), out)),
    );
}

async function login(globals: GlobalOptions, out: Output): Promise<void> {
  const { server, credentials, caFile, ca } = await loginSettings(globals);
  const clientId = credentials.clientId ?? (await ask('Client id: ', '--client-id or LADING_CLIENT_ID'));
  const clientSecret =
    credentials.clientSecret ??
    (await ask('Client secret (not shown): ', '--client-secret-file or LADING_CLIENT_SECRET', { hidden: true }));
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
    `Signed in to ${server} as ${clientId}. Credentials are stored in ${printable(path)}.`,
  );
}
