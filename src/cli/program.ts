/** The command tree, in the order of `lading --help`. */
import { Command, type CommanderError, Option } from 'commander';
import { version } from '../version.ts';
import { addComplete } from './files/complete.ts';
import { addDownload } from './files/download.ts';
import { addGrants } from './files/grants.ts';
import { addLs } from './files/ls.ts';
import { addRm } from './files/rm.ts';
import { addShare } from './files/share.ts';
import { addStatus } from './files/status.ts';
import { addUpload } from './files/upload.ts';
import { addVerify } from './files/verify.ts';
import { addAudit } from './manage/audit.ts';
import { addCalls } from './manage/calls.ts';
import { addClients } from './manage/clients.ts';
import { addDeliveries } from './manage/deliveries.ts';
import { addQuotas } from './manage/quotas.ts';
import { addSweep } from './manage/sweep.ts';
import { addTenants } from './manage/tenants.ts';
import { addTokens } from './manage/tokens.ts';
import { addUsers } from './manage/users.ts';
import { addAdmin } from './server/admin.ts';
import { addCompletion } from './server/completion.ts';
import { addImport } from './server/import.ts';
import { addLogin } from './server/login.ts';
import { addLogout } from './server/logout.ts';
import { addServe } from './server/serve.ts';
import { addSettings } from './server/settings.ts';
import { EXIT, EXIT_HELP } from './shared/exit.ts';
import { DEFAULT_SERVER } from './shared/settings.ts';
import { printableLines } from './shared/terminal.ts';

const HELP = `
Options take precedence over environment variables (LADING_SERVER, LADING_CLIENT_ID, LADING_CLIENT_SECRET, LADING_TOKEN,
LADING_CA, LADING_CONFIG), which take precedence over the file that "lading login" writes. Other users of this machine can
see command-line options, so pass secrets with "lading login", the environment or --client-secret-file.

${EXIT_HELP}

Examples:
  $ lading serve --data-dir /srv/lading
  $ lading login --server https://files.example.org --client-id camera-7
  $ lading upload recording.wav --name camera-7/monday.wav
  $ lading status camera-7/monday.wav --watch
  $ lading download camera-7/monday.wav -o monday.wav
  $ lading ls --prefix camera-7/ --json
`;

/** Creates the command tree. Each call returns a new one, because commander keeps parsed options in it. */
export function program(): Command {
  const root = new Command('lading')
    .description(
      'Resumable file transfer: serve files, upload and download them over unreliable links, and resume after any interruption.',
    )
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .option('--server <url>', `URL of the server (default: ${DEFAULT_SERVER})`)
    .option('--client-id <id>', 'client id to sign in with')
    .addOption(new Option('--client-secret <secret>', 'client secret; other users of this machine can see it'))
    .option('--client-secret-file <file>', 'read the client secret from a file ("-": standard input)')
    .option('--token <token>', 'use this token instead of signing in')
    .option('--ca <file>', 'PEM file with the certificate authority of the server')
    .option('--config <file>', 'settings file, which only you may access (default: ~/.config/lading/config.json)')
    .option('--json', 'print JSON: one object, or for transfers one object per line')
    .option('-q, --quiet', 'print only results and errors, no progress')
    .addHelpText('after', HELP)
    .configureOutput({ writeErr: (text) => process.stderr.write(printableLines(text)) })
    .showHelpAfterError('(run lading --help for usage)')
    .exitOverride(exitWith);
  const commands = [
    ...[addServe, addUpload, addDownload, addStatus, addLs, addRm],
    ...[addShare, addGrants, addComplete, addVerify, addLogin, addLogout, addTokens, addClients, addUsers, addTenants],
    ...[addQuotas, addDeliveries, addCalls, addAudit, addSweep],
    ...[addAdmin, addImport, addSettings, addCompletion],
  ];
  for (const add of commands) add(root);
  for (const command of root.commands) inherit(command);
  return root;
}

/** Applies settings to a command and everything below it: commander copies them only when a command is created. */
function inherit(command: Command): void {
  command
    .exitOverride(exitWith)
    .showHelpAfterError(`(run ${pathOf(command)} --help for usage)`)
    .configureHelp({ showGlobalOptions: true });
  for (const child of command.commands) inherit(child);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** Exits after commander printed help, the version (code 0) or a usage error. */
function exitWith(error: CommanderError): never {
  process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
}
