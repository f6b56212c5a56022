/** `lading deliveries targets list|add|disable|enable|rm` */
import { Argument, type Command, Option } from 'commander';
import type { NewTarget, Target } from '../../client/client.ts';
import { TARGET_KINDS } from '../../protocol/schemas/delivery.ts';
import { EVENT_TYPES } from '../../protocol/schemas/event.ts';
import { type Context, run } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { readNamedFile, targetPassword } from '../shared/settings.ts';
import { printable } from '../shared/terminal.ts';
import { table } from '../shared/values.ts';

interface AddOptions {
  name?: string;
  host?: string;
  port?: string;
  security?: 'explicit' | 'implicit';
  username?: string;
  directory?: string;
  pattern?: string;
  targetCa?: string;
  url?: string;
  event?: NonNullable<NewTarget['events']>;
  file?: boolean;
  owner?: string;
  prefix?: string;
  type?: string;
  tenant?: string;
}

export function addTargets(targets: Command): void {
  addList(targets);
  addAdd(targets);
  addSwitch(targets, 'disable', 'disable a target and cancel its queued deliveries');
  addSwitch(targets, 'enable', 'enable a target, for files that become complete from now on');
  targets
    .command('rm')
    .description('delete a target and cancel its queued deliveries')
    .argument('<id>', 'id of the target')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        await client.deliveries.removeTarget(id, { signal });
        out.result({ removed: id }, '');
        return undefined;
      }),
    );
}

function addList(targets: Command): void {
  targets
    .command('list')
    .description('list targets; passwords are masked')
    .option('--tenant <id>', 'another tenant (root only)')
    .action(({ tenant }: { tenant?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const found = await client.deliveries.targets({ tenant, signal });
        const head = ['TARGET', 'KIND', 'NAME', 'ADDRESS', 'FILES'];
        out.result({ targets: found }, table([head, ...found.map(row)]));
        return undefined;
      }),
    );
}

function addAdd(targets: Command): void {
  targets
    .command('add')
    .description('create a target for files that become complete from now on')
    .addArgument(new Argument('<kind>', 'kind of target').choices(TARGET_KINDS))
    .option('--name <name>', 'name for lists (default: the host)')
    .option('--host <host>', 'host of an FTP server')
    .option('--port <n>', 'port of an FTP server (default: 21, or 990 with implicit TLS)')
    .addOption(
      new Option('--security <how>', 'TLS of an FTPS server: after AUTH TLS, or from the first byte').choices([
        'explicit',
        'implicit',
      ]),
    )
    .option('--username <name>', 'user name for an FTP server (default: anonymous)')
    .option('--directory <path>', 'directory on an FTP server; created if it does not exist')
    .option('--pattern <pattern>', 'file names on an FTP server (default: {date}_{time}_{client_id}_{name})')
    .option('--target-ca <file>', 'PEM file with the certificate authority of an FTPS server')
    .option('--url <url>', 'URL of a webhook')
    .addOption(new Option('--event <type...>', 'events for a webhook (default: file.completed)').choices(EVENT_TYPES))
    .option('--file', 'send complete files to the webhook instead of events')
    .option('--owner <who>', 'only files of this client or person, by id or name')
    .option('--prefix <prefix>', 'only files whose names begin with this')
    .option('--type <type>', 'only files of this media type, such as audio/wav or audio/*')
    .option('--tenant <id>', 'tenant whose files are delivered (root only)')
    .action((kind: NewTarget['kind'], options: AddOptions, command: Command) =>
      run(command, (context) => add(context, kind, options)),
    );
}

function addSwitch(targets: Command, name: 'disable' | 'enable', help: string): void {
  targets
    .command(name)
    .description(help)
    .argument('<id>', 'id of the target')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const target = await client.deliveries.changeTarget(id, { disabled: name === 'disable' }, { signal });
        out.result(target, `${target.name} is ${name}d`);
        return undefined;
      }),
    );
}

async function add(context: Context, kind: NewTarget['kind'], options: AddOptions): Promise<undefined> {
  const { client, out, signal } = context;
  const { owner: who, prefix, type, event: events, file: sendsFiles, targetCa: file, port, tenant, ...rest } = options;
  if (port !== undefined && !/^\d{1,5}$/.test(port)) throw new UsageError('--port must be a number.');
  const owner = await optionalIdOf(context, who, { tenant });
  const rule = defined({ owner, prefix, type });
  const target: NewTarget = {
    kind,
    rule,
    ...rest,
    ...defined({ events }),
    ...(sendsFiles === true ? { content: 'file' as const } : {}),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(file === undefined ? {} : { ca: await readNamedFile('The certificate file', file) }),
    ...(needsPassword(kind, rest.username) ? { password: await targetPassword() } : {}),
  };
  const created = await client.deliveries.addTarget(target, { tenant, signal });
  const secret = `\nsecret ${created.secret}\nThe secret is not shown again. The receiver needs it to check signatures.`;
  out.result(created, `Created target ${created.id} (${printable(created.name)}).${kind === 'webhook' ? secret : ''}`);
  return undefined;
}

function needsPassword(kind: NewTarget['kind'], username: string | undefined): boolean {
  return kind !== 'webhook' && username !== undefined && !/^(anonymous|ftp)$/i.test(username);
}

function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

function row({ id, kind, name, host, port, directory, url, rule, events, disabled }: Target): string[] {
  const address = url ?? `${host}:${port}/${directory ?? ''}`;
  const state = disabled && `disabled: ${disabled.reason}`;
  const what = [
    state,
    rule.owner && `of ${rule.owner}`,
    rule.prefix && `${rule.prefix}…`,
    rule.type,
    events?.join(' '),
  ];
  return [id, kind, name, address, what.filter(Boolean).join(', ') || 'everything'];
}
