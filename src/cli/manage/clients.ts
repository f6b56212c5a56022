/** `lading clients list|create|delete` */
import { type Command, Option } from 'commander';
import type { Role } from '../../client/client.ts';
import { run } from '../shared/command.ts';
import { idOf } from '../shared/principals.ts';
import { ROLES, table } from '../shared/values.ts';

const HELP = `
Examples:
  $ lading clients create --name camera-7
  $ lading clients create --role ops --name backup
  $ lading clients create --role admin --json
  $ lading clients list
  $ lading clients delete camera-7`;

export function addClients(root: Command): void {
  const clients = root
    .command('clients')
    .description('create, list and delete clients, such as devices (administrators only)')
    .addHelpText('after', HELP);
  addList(clients);
  addCreate(clients);
  clients
    .command('delete')
    .description('delete a client and revoke its tokens; its files are kept')
    .argument('<client>', 'id or name of the client')
    .option('--tenant <id>', 'another tenant (root only)')
    .action((who: string, { tenant }: { tenant?: string }, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const clientId = await idOf(context, who, { kinds: ['client'], tenant });
        await client.clients.remove(clientId, { signal });
        out.result({ deleted: clientId }, '');
        return undefined;
      }),
    );
}

function addList(clients: Command): void {
  clients
    .command('list')
    .description('list all clients')
    .option('--tenant <id>', 'another tenant (root only)')
    .action(({ tenant }: { tenant?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const list = await client.clients.list({ tenant, signal });
        const rows = list.map((one) => [one.client_id, one.role, one.last_used ?? 'never', one.name ?? '']);
        out.result({ clients: list }, table([['CLIENT', 'ROLE', 'LAST USED', 'NAME'], ...rows]));
        return undefined;
      }),
    );
}

function addCreate(clients: Command): void {
  clients
    .command('create')
    .description('create a client; its secret is shown only once')
    .option('--name <name>', 'name for lists and logs')
    .addOption(new Option('--role <role>', 'role of the client').choices(ROLES).default('client'))
    .option('--tenant <id>', 'create it in another tenant (root only)')
    .action(({ tenant, ...options }: { role: Role; name?: string; tenant?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const created = await client.clients.create(options, { tenant, signal });
        const rows = [
          ['client id', created.client_id],
          ['client secret', created.client_secret],
          ['role', created.role],
        ];
        out.result(created, `${table(rows)}\nThe secret is not shown again.`);
        return undefined;
      }),
    );
}
