/** `lading admin reset`: a way back in for whoever has the data directory and no administrator. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { OfflineIdentity } from '../../compose/offline-identity.ts';
import type { Enrolled } from '../../identity/subjects/clients.ts';
import { EXIT, exitCodeOf, UsageError } from '../shared/exit.ts';
import { Output } from '../shared/output.ts';
import type { GlobalOptions } from '../shared/settings.ts';
import { table } from '../shared/values.ts';

type AdminRole = 'admin' | 'root';

interface Options {
  dataDir?: string;
  role?: AdminRole;
  id?: string;
}

interface Reset {
  client_id: string;
  client_secret: string;
  role: AdminRole;
  /** False: it was there before and has a new secret now. */
  created: boolean;
}

const HELP = `
Works on the data directory itself, so stop the server first. Without --id it makes one more administrator; with the id of
a known one it gives that a new secret; its sign-ins end and its tokens are revoked. The secret is shown this once.

Examples:
  $ sudo systemctl stop lading
  $ sudo -u lading lading admin reset --data-dir /var/lib/lading
  $ lading admin reset --data-dir ./data --id 5d41402abc4b2a76b9719d91
  $ lading admin reset --data-dir ./data --role root --id root --json`;

export function addAdmin(root: Command): void {
  const admin = root
    .command('admin')
    .description('get back into a server whose administrator is lost; where its data is')
    .addHelpText('after', HELP);
  admin
    .command('reset')
    .description('make an administrator, or give one a new secret, while the server is stopped')
    .option('--data-dir <folder>', 'where the server keeps its data (default: as "lading serve")')
    .addOption(new Option('--role <role>', 'what it may do (default: as before, or admin)').choices(['admin', 'root']))
    .option('--id <client>', 'id of the administrator (default: a new one)', parseId)
    .addHelpText('after', HELP)
    .action(async (options: Options, command: Command) => {
      const out = new Output(command.optsWithGlobals<GlobalOptions>());
      try {
        show(out, await reset(options));
        process.exitCode = EXIT.ok;
      } catch (error) {
        out.error(error);
        process.exitCode = exitCodeOf(error);
      }
    });
}

function parseId(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError('Write 1 to 64 letters, digits or any of . _ - that begin with a letter or digit.');
}

function show(out: Output, made: Reset): void {
  const rows = [
    ['client id', made.client_id],
    ['client secret', made.client_secret],
    ['role', made.role],
  ];
  out.result(made, `${table(rows)}\nThe secret is not shown again.`);
}

/** Loads the server's rooms only now: no other command of these needs them. */
async function reset({ dataDir, role, id }: Options): Promise<Reset> {
  const { loadConfig } = await import('../../settings/load-config.ts');
  const { ConfigError } = await import('../../settings/config-error.ts');
  const { parseFlags } = await import('../../settings/flags.ts');
  const { findEnvironment } = await import('../../settings/environment.ts');
  const { openIdentity } = await import('../../compose/offline-identity.ts');
  try {
    const flags = parseFlags(dataDir === undefined ? [] : ['--data-dir', dataDir]);
    const { config } = loadConfig(flags, findEnvironment().env);
    if (id !== undefined && id === config.adminId) {
      throw new UsageError(`The secret of ${id} is the one in LADING_ADMIN_SECRET; change it there.`);
    }
    const opened = await openIdentity(config);
    if (opened === null) {
      throw new UsageError(`There is no data of a server in ${config.dataDir}; name its folder with --data-dir.`);
    }
    try {
      return await resetIn(opened, id, role);
    } finally {
      await opened.close();
    }
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    if (!(error instanceof Error) || error.name !== 'DirectoryInUse') throw error;
    throw new Error(`The ${error.message}. Stop the server first.`);
  }
}

async function resetIn(
  { identity, audit }: OfflineIdentity,
  id: string | undefined,
  asked: AdminRole | undefined,
): Promise<Reset> {
  const { clients } = identity;
  const known = id === undefined ? null : clients.find(id);
  if (known && !identity.tenants.has(known.tenant)) {
    throw new UsageError(`${known.clientId} belongs to a tenant that was deleted; make another administrator.`);
  }
  const role = asked ?? (known ? administrator(known.clientId, known.role) : 'admin');
  const name = 'made by lading admin reset';
  const make = (): Promise<Enrolled> =>
    id === undefined ? clients.create({ role, name }) : identity.createClient({ role, name, id });
  const made = known ? await identity.renewClient(known.clientId, role) : await make();
  if (!made) throw new Error('The client is gone.');
  const { clientId, secret } = made;
  const { recordAdministrator } = await import('../../identity/record-administrator.ts');
  const change = { id: clientId, tenant: known?.tenant ?? 'default', before: known?.role, role };
  await recordAdministrator(audit, 'lading admin reset', change);
  return { client_id: clientId, client_secret: secret, role, created: known === null };
}

function administrator(id: string, role: string): AdminRole {
  if (role === 'admin' || role === 'root') return role;
  throw new UsageError(`${id} has the role ${role}; add --role to make it an administrator.`);
}
