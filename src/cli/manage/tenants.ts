/** `lading tenants list|create|delete` */
import type { Command } from 'commander';
import { run } from '../shared/command.ts';
import { table } from '../shared/values.ts';

const HELP = `
Tenants share nothing: each has clients, people, files and names of its own. Who the first of a new tenant is to be, root
enrols with "lading clients create --tenant".

Examples:
  $ lading tenants create acme --name "Acme Corp."
  $ lading clients create --tenant acme --role admin
  $ lading tenants list
  $ lading tenants delete acme`;

export function addTenants(root: Command): void {
  const tenants = root
    .command('tenants')
    .description('make and remove tenants, which share nothing; for root')
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
    .description('make a tenant')
    .argument('<tenant>', 'its id: small letters, digits and hyphens')
    .option('--name <name>', 'what it is called (default: its id)')
    .action((id: string, options: { name?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const made = await client.tenants.create({ tenant_id: id, ...options }, { signal });
        out.result(made, `Tenant ${made.tenant_id} made.`);
        return undefined;
      }),
    );
  tenants
    .command('delete')
    .description('remove a tenant; nobody of it can sign in any more, its files stay')
    .argument('<tenant>', 'its id')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        await client.tenants.remove(id, { signal });
        out.result({ deleted: id }, '');
        return undefined;
      }),
    );
}
