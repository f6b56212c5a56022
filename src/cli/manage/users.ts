/** `lading users list|show|create|update|delete` */
import { type Command, Option } from 'commander';
import type { Person, Role } from '../../client/client.ts';
import { ask, requireConfirmation } from '../shared/ask.ts';
import { type Context, run } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import type { Output } from '../shared/output.ts';
import { idOf as idOfAny } from '../shared/principals.ts';
import { secretFrom } from '../shared/settings.ts';
import { printable } from '../shared/terminal.ts';
import { ROLES, table } from '../shared/values.ts';

const HELP = `
Prompts for missing values. The password is not echoed.

Examples:
  $ lading users create --email ada@example.org --name Ada --surname Byron
  $ lading users create --admin --email ada@example.org --name Ada --surname Byron --password-file - < password
  $ lading users list --json | jq -r '.users[].email'
  $ lading users update ada@example.org --role admin
  $ lading users update ada@example.org --password-file - < password
  $ lading users delete ada@example.org`;

interface NewUser {
  email?: string;
  name?: string;
  surname?: string;
  passwordFile?: string;
  role?: Role;
  admin?: boolean;
  tenant?: string;
}

interface UserChange {
  email?: string;
  name?: string;
  surname?: string;
  role?: Role;
  passwordFile?: string;
  askPassword?: boolean;
  yes?: boolean;
  tenant?: string;
}

export function addUsers(root: Command): void {
  const users = root
    .command('users')
    .description('create, list, change and delete accounts of people (administrators only)')
    .addHelpText('after', HELP);
  users
    .command('list')
    .description('list all people')
    .option('--tenant <id>', 'another tenant (root only)')
    .action(({ tenant }: { tenant?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const people: Person[] = [];
        for await (const person of client.users.list({ tenant, signal })) people.push(person);
        const rows = people.map((one) => [
          one.id,
          one.username === undefined ? (one.email ?? '') : `${one.account_kind} ${one.username}`,
          one.role,
          one.last_used ?? 'never',
          `${one.name} ${one.surname}`,
        ]);
        out.result({ users: people }, table([['USER', 'EMAIL', 'ROLE', 'LAST USED', 'NAME'], ...rows]));
        return undefined;
      }),
    );
  users
    .command('show')
    .description('show a person')
    .argument('<user>', WHO)
    .option('--tenant <id>', 'another tenant (root only)')
    .action((who: string, { tenant }: { tenant?: string }, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const id = await idOf(context, who, tenant);
        show(out, await client.users.find({ id }, { tenant, signal }));
        return undefined;
      }),
    );
  addCreate(users);
  addUpdate(users);
  users
    .command('delete')
    .description('delete a person and revoke their tokens; their files are kept')
    .argument('<user>', WHO)
    .option('--tenant <id>', 'another tenant (root only)')
    .action((who: string, { tenant }: { tenant?: string }, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const id = await idOf(context, who, tenant);
        await client.users.remove(id, { signal });
        out.result({ deleted: id }, '');
        return undefined;
      }),
    );
}

function addCreate(users: Command): void {
  users
    .command('create')
    .description('create the account of a person')
    .option('--email <address>', 'e-mail address to sign in with')
    .option('--name <name>', 'given name')
    .option('--surname <surname>', 'family name')
    .option('--password-file <file>', 'read the password from a file ("-": standard input)')
    .addOption(new Option('--role <role>', 'role of the person (default: client)').choices(ROLES))
    .addOption(new Option('--admin', 'short for --role admin').conflicts('role'))
    .option('--tenant <id>', 'create it in another tenant (root only)')
    .action((options: NewUser, command: Command) => run(command, (context) => create(context, options)));
}

async function create({ client, out, signal }: Context, options: NewUser): Promise<undefined> {
  const { admin, role = admin ? 'admin' : 'client', tenant } = options;
  const email = options.email ?? (await ask('E-mail address: ', '--email'));
  const name = options.name ?? (await ask('Given name: ', '--name'));
  const surname = options.surname ?? (await ask('Family name: ', '--surname'));
  const password = (await secretFrom(options.passwordFile)) ?? (await askPassword());
  show(out, await client.users.create({ email, name, surname, password, role }, { tenant, signal }));
  return undefined;
}

function addUpdate(users: Command): void {
  users
    .command('update')
    .description(
      'change a person; a new password or role ends all sessions, and a new password also revokes all tokens',
    )
    .argument('<user>', WHO)
    .option('--email <address>', 'new e-mail address')
    .option('--name <name>', 'new given name')
    .option('--surname <surname>', 'new family name')
    .addOption(new Option('--role <role>', 'new role').choices(ROLES))
    .option('--password-file <file>', 'read the new password from a file ("-": standard input)')
    .addOption(new Option('--ask-password', 'prompt for the new password').conflicts('passwordFile'))
    .option('--yes', 'do not ask for confirmation before assigning a role above client')
    .option('--tenant <id>', 'another tenant (root only)')
    .action((who: string, options: UserChange, command: Command) =>
      run(command, (context) => update(context, who, options)),
    );
}

async function update(context: Context, who: string, options: UserChange): Promise<undefined> {
  const { email, name, surname, role, passwordFile, askPassword: asks, tenant } = options;
  const password = (await secretFrom(passwordFile)) ?? (asks ? await askPassword() : undefined);
  const change = Object.fromEntries(
    Object.entries({ email, name, surname, role, password }).filter(([, value]) => value !== undefined),
  );
  if (Object.keys(change).length === 0) throw new UsageError('Nothing to change. Specify at least one new value.');
  const { client, out, signal } = context;
  const id = await idOf(context, who, tenant);
  if (role !== undefined && role !== 'client' && !options.yes) {
    const { role: current } = await client.users.find({ id }, { tenant, signal });
    if (current !== role)
      await requireConfirmation(`Give ${printable(who)} the role ${role}? The current role is ${current}.`);
  }
  show(out, await client.users.update(id, change, { signal }));
  return undefined;
}

const WHO = 'id, name or e-mail address';

function idOf(context: Context, who: string, tenant: string | undefined): Promise<string> {
  return idOfAny(context, who, { kinds: ['person'], tenant });
}

function show(out: Output, person: Person): void {
  const { id, email, account_kind: kind, username, role, name, surname } = person;
  const rows = [
    ['user id', id],
    ...(email === null ? [] : [['email', email]]),
    ...(username === undefined ? [] : [['account', `${kind} ${username}`]]),
    ['role', role],
    ['name', `${name} ${surname}`.trim()],
  ];
  out.result(person, table(rows));
}

/** Prompts twice, because the input is not echoed. */
async function askPassword(): Promise<string> {
  const hidden = { hidden: true, verbatim: true };
  const password = await ask('Password (not shown): ', '--password-file', hidden);
  const again = await ask('Repeat the password: ', '--password-file', hidden);
  if (password !== again) throw new UsageError('The two passwords do not match.');
  return password;
}
