/** `lading tenants list|create|delete` */
import type { Command } from 'commander';
import { run } from '../shared/command.ts';
import { table } from '../shared/values.ts';

const HELP = `
Each tenant has its own clients, people, files and names, and shares nothing with others. Create the first administrator of
a new tenant with "lading clients create --tenant".

Examples:
  $ lading tenants create acme --name "Acme Corp."
  $ lading clients create --tenant acme --role admin
  $ lading tenants list
  $ lading tenants delete acme`;

export function addTenants(root: Command): void {
  const tenants = root
    .command('tenants')
    .description('create, list and delete tenants (root only)')
    .addHelpText('after', HELP);
  tenants
    .command('list')
    .description('list all tenants')
    .action((_: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const list = await client.tenants.list({ signal });
        const rows = list.map((one) => [one.tenant_id, one.created_at, one.name]);
        out.result({ tenants: list }, table([['TENANT', 'CREATED', 'NAME'], ...rows]));
        return undefined;
      }),
    );
  tenants
    .command('create')
    .description('create a tenant')
    .argument('<tenant>', 'id: lowercase letters, digits and hyphens')
    .option('--name <name>', 'display name (default: the id)')
    .action((id: string, options: { name?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const created = await client.tenants.create({ tenant_id: id, ...options }, { signal });
        out.result(created, `Created tenant ${created.tenant_id}.`);
        return undefined;
      }),
    );
  tenants
    .command('delete')
    .description('delete a tenant with its clients and people; its files are kept')
    .argument('<tenant>', 'id of the tenant')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        await client.tenants.remove(id, { signal });
        out.result({ deleted: id }, '');
        return undefined;
      }),
    );
}
