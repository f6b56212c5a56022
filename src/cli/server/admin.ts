/** `lading admin reset`: recovers access to a server whose administrator is lost. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { OfflineIdentity } from '../../compose/offline-identity.ts';
import type { Enrolled } from '../../identity/subjects/clients.ts';
import { runLocally } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import type { Output } from '../shared/output.ts';
import { table } from '../shared/values.ts';
import { withDataDirectory } from './data-directory.ts';

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
  /** False: the client existed and has a new secret. */
  created: boolean;
}

const HELP = `
This command changes the data directory, so stop the server first. Without --id, it creates an administrator. With the id of
an existing client, it replaces the secret, ends the sessions and revokes the tokens of that client. The secret is shown only
once.

Examples:
  $ sudo systemctl stop lading
  $ sudo -u lading lading admin reset --data-dir /var/lib/lading
  $ lading admin reset --data-dir ./data --id 5d41402abc4b2a76b9719d91
  $ lading admin reset --data-dir ./data --role root --id root --json`;

export function addAdmin(root: Command): void {
  const admin = root
    .command('admin')
    .description('recover access to a server, on the machine that stores its data')
    .addHelpText('after', HELP);
  admin
    .command('reset')
    .description('create an administrator or replace its secret, while the server is stopped')
    .option('--data-dir <directory>', 'data directory of the server (default: that of "lading serve")')
    .addOption(
      new Option('--role <role>', 'role of the administrator (default: unchanged, or admin)').choices([
        'admin',
        'root',
      ]),
    )
    .option('--id <client>', 'id of the administrator (default: generated)', parseId)
    .addHelpText('after', HELP)
    .action((options: Options, command: Command) =>
      runLocally(command, async (out) => show(out, await reset(options))),
    );
}

function parseId(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError('Use 1 to 64 letters, digits, ".", "_" or "-", beginning with a letter or digit.');
}

function show(out: Output, result: Reset): void {
  const rows = [
    ['client id', result.client_id],
    ['client secret', result.client_secret],
    ['role', result.role],
  ];
  out.result(result, `${table(rows)}\nThe secret is not shown again.`);
}

async function reset({ dataDir, role, id }: Options): Promise<Reset> {
  const check = ({ adminId }: { adminId: string | null }) => {
    if (id === undefined || id !== adminId) return;
    throw new UsageError(`The secret of ${id} is set by LADING_ADMIN_SECRET. Change it there.`);
  };
  return withDataDirectory({ dataDir, check }, (opened, config) => {
    if (opened !== null) return resetIn(opened, id, role);
    throw new UsageError(`There is no server data in ${config.dataDir}. Specify the data directory with --data-dir.`);
  });
}

async function resetIn(
  { identity, audit }: OfflineIdentity,
  id: string | undefined,
  requested: AdminRole | undefined,
): Promise<Reset> {
  const { clients } = identity;
  const known = id === undefined ? null : clients.find(id);
  if (known && !identity.tenants.has(known.tenant)) {
    throw new UsageError(`${known.clientId} belongs to a deleted tenant. Create another administrator.`);
  }
  const role = requested ?? (known ? requireAdminRole(known.clientId, known.role) : 'admin');
  const name = 'created by lading admin reset';
  const create = (): Promise<Enrolled> =>
    id === undefined ? clients.create({ role, name }) : identity.createClient({ role, name, id });
  const client = known ? await identity.renewClient(known.clientId, role) : await create();
  if (!client) throw new Error('The client was deleted in the meantime.');
  const { clientId, secret } = client;
  const { recordAdministrator } = await import('../../identity/record-administrator.ts');
  const change = { id: clientId, tenant: known?.tenant ?? 'default', before: known?.role, role };
  await recordAdministrator(audit, 'lading admin reset', change);
  return { client_id: clientId, client_secret: secret, role, created: known === null };
}

function requireAdminRole(id: string, role: string): AdminRole {
  if (role === 'admin' || role === 'root') return role;
  throw new UsageError(`${id} has the role ${role}. Add --role to make it an administrator.`);
}
