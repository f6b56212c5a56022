/** `lading users list|create|delete` */
import { type Command, Option } from 'commander';
import type { Person, Role } from '../client/client.ts';
import { ask } from './ask.ts';
import { type Context, run } from './command.ts';
import { UsageError } from './exit.ts';
import { secretFrom } from './settings.ts';
import { ROLES, table } from './values.ts';

const HELP = `
What is not given is asked for; the password is not shown while it is typed.

Examples:
  $ lading users create --email ada@example.org --name Ada --surname Byron
  $ lading users create --admin --email ada@example.org --name Ada --surname Byron --password-file - < password
  $ lading users list --json | jq -r '.users[].email'
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

export function addUsers(root: Command): void {
  const users = root
    .command('users')
    .description('make, list and remove the accounts of people; for administrators')
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
  addCreate(users);
  users
    .command('delete')
    .description('remove a person; their tokens are refused at once, their files stay')
    .argument('<user>', 'id or e-mail address')
    .option('--tenant <id>', 'of another tenant; for root')
    .action((who: string, { tenant }: { tenant?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const id = who.includes('@') ? (await client.users.find({ email: who }, { tenant, signal })).id : who;
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
  const made = await client.users.create({ email, name, surname, password, role }, { tenant, signal });
  const rows = [
    ['user id', made.id],
    ['email', made.email ?? ''],
    ['role', made.role],
  ];
  out.result(made, table(rows));
  return undefined;
}

/** Twice, for nobody sees what was typed. */
async function askPassword(): Promise<string> {
  const hidden = { hidden: true, verbatim: true };
  const password = await ask('Password (not shown): ', '--password-file', hidden);
  const again = await ask('Once more: ', '--password-file', hidden);
  if (password !== again) throw new UsageError('These were two different passwords.');
  return password;
}
