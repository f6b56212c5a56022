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
What is not given is asked for; the password is not shown while it is typed.

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
    .description('make, list, change and remove the accounts of people; for administrators')
    .addHelpText('after', HELP);
  users
    .command('list')
    .description('list all people')
    .option('--tenant <id>', 'of another tenant; for root')
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
    .description('one of the people')
    .argument('<user>', WHO)
    .option('--tenant <id>', 'of another tenant; for root')
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
    .description('remove a person; their tokens are refused at once, their files stay')
    .argument('<user>', WHO)
    .option('--tenant <id>', 'of another tenant; for root')
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
    .description('make the account of a person')
    .option('--email <address>', 'the e-mail address to sign in with')
    .option('--name <name>', 'the given name')
    .option('--surname <surname>', 'the family name')
    .option('--password-file <file>', 'read the password from a file, "-" for standard input')
    .addOption(new Option('--role <role>', 'what they may do (default: client)').choices(ROLES))
    .addOption(new Option('--admin', 'short for --role admin').conflicts('role'))
    .option('--tenant <id>', 'in another tenant; for root')
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
    .description('change a person; a new password or role ends their sign-ins, a new password revokes their tokens too')
    .argument('<user>', WHO)
    .option('--email <address>', 'another e-mail address to sign in with')
    .option('--name <name>', 'another given name')
    .option('--surname <surname>', 'another family name')
    .addOption(new Option('--role <role>', 'what they may do from now on').choices(ROLES))
    .option('--password-file <file>', 'read the new password from a file, "-" for standard input')
    .addOption(new Option('--ask-password', 'ask for the new password').conflicts('passwordFile'))
    .option('--yes', 'ask no question before the role becomes another one than client; scripts are not asked')
    .option('--tenant <id>', 'of another tenant; for root')
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
  if (Object.keys(change).length === 0) throw new UsageError('There is nothing to change; name what is to be another.');
  const { client, out, signal } = context;
  const id = await idOf(context, who, tenant);
  if (role !== undefined && role !== 'client' && !options.yes) {
    const { role: now } = await client.users.find({ id }, { tenant, signal });
    if (now !== role) await requireConfirmation(`Give ${printable(who)} the role ${role}? It is ${now} now.`);
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

/** Twice, for nobody sees what was typed. */
async function askPassword(): Promise<string> {
  const hidden = { hidden: true, verbatim: true };
  const password = await ask('Password (not shown): ', '--password-file', hidden);
  const again = await ask('Once more: ', '--password-file', hidden);
  if (password !== again) throw new UsageError('These were two different passwords.');
  return password;
}
