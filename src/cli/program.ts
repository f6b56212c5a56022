/** All commands, in the order of `lading --help`. */
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
Settings come from the options above, then from the environment (LADING_SERVER, LADING_CLIENT_ID, LADING_CLIENT_SECRET,
LADING_TOKEN, LADING_CA, LADING_CONFIG), then from the file that "lading login" writes. Other users of the machine can read
options, so prefer login, the environment or --client-secret-file for secrets.

${EXIT_HELP}

Examples:
  $ lading serve --data-dir /srv/lading
  $ lading login --server https://files.example.org --client-id camera-7
  $ lading upload recording.wav --name camera-7/monday.wav
  $ lading status camera-7/monday.wav --watch
  $ lading download camera-7/monday.wav -o monday.wav
  $ lading ls --prefix camera-7/ --json
`;

/** A fresh program: commander keeps what it parsed. */
export function program(): Command {
  const root = new Command('lading')
    .description(
      'Resumable chunked file transfer: serve files, send and fetch them over bad links, go on after any interruption.',
    )
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .option('--server <url>', `the server (default: ${DEFAULT_SERVER})`)
    .option('--client-id <id>', 'who signs in')
    .addOption(new Option('--client-secret <secret>', 'its secret; visible to other users of this machine'))
    .option('--client-secret-file <file>', 'read the secret from a file, "-" for standard input')
    .option('--token <token>', 'use this token instead of signing in')
    .option('--ca <file>', 'PEM file with the authority that signed the certificate of the server')
    .option('--config <file>', 'settings file, which nobody else may read (default: ~/.config/lading/config.json)')
    .option('--json', 'results for programs: one JSON object, for transfers one a line')
    .option('-q, --quiet', 'no progress and no notes, results and errors only')
    .addHelpText('after', HELP)
    .configureOutput({ writeErr: (text) => process.stderr.write(printableLines(text)) })
    .showHelpAfterError('(lading --help tells more)')
    .exitOverride(exitWith);
  const adders = [
    ...[addServe, addUpload, addDownload, addStatus, addLs, addRm],
    ...[addShare, addGrants, addComplete, addVerify, addLogin, addLogout, addTokens, addClients, addUsers, addTenants],
    ...[addQuotas, addDeliveries, addCalls, addAudit, addSweep],
    ...[addAdmin, addImport, addSettings, addCompletion],
  ];
  for (const add of adders) add(root);
  for (const command of root.commands) inherit(command);
  return root;
}

/** Commands made by `.command()` copy the settings of their parent at that time; commander has no way to say it for the whole tree. */
function inherit(command: Command): void {
  command
    .exitOverride(exitWith)
    .showHelpAfterError(`(${pathOf(command)} --help tells more)`)
    .configureHelp({ showGlobalOptions: true });
  for (const child of command.commands) inherit(child);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** Commander has said what was wrong; help and version that were asked for are no error. */
function exitWith(error: CommanderError): never {
  process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
}
