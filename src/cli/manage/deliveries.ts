/** `lading deliveries list|retry|targets` */
import { Argument, type Command, Option } from 'commander';
import { type Delivery, type LadingClient, LadingError, type NewTarget, type Target } from '../../client/client.ts';
import { DELIVERY_STATES, TARGET_KINDS } from '../../protocol/schemas/delivery.ts';
import { EVENT_TYPES } from '../../protocol/schemas/event.ts';
import { type Context, run } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { readNamedFile, targetPassword } from '../shared/settings.ts';
import { printable } from '../shared/terminal.ts';
import { parseMany, table } from '../shared/values.ts';

const HELP = `
Files that become complete after a target was made are sent to it, and again until it takes them; administrators say where to.
The password of an FTP server is read from the variable LADING_TARGET_PASSWORD or from standard input.

Examples:
  $ lading deliveries targets add ftp --host ftp.example.org --username lading --directory incoming < password.txt
  $ lading deliveries targets add webhook --url https://example.org/hook --event file.completed file.deleted
  $ lading deliveries targets add ftps --host ftp.example.org --prefix recordings/ --type 'audio/*'
  $ lading deliveries list --state failed
  $ lading deliveries retry 0mhc1x2v5d41402abc4b`;

interface ListOptions {
  state?: Delivery['state'];
  target?: string;
  tenant?: string;
  limit: number;
}

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

export function addDeliveries(root: Command): void {
  const deliveries = root
    .command('deliveries')
    .description('send finished files on to FTP servers and tell webhooks of events; for administrators')
    .addHelpText('after', HELP);
  deliveries
    .command('list')
    .description('what was and is sent, youngest first')
    .addOption(new Option('--state <state>', 'only in this state').choices(DELIVERY_STATES))
    .option('--target <id>', 'only to this target')
    .option('--tenant <id>', 'only of this tenant; for root')
    .option('--limit <n>', 'at most so many', parseMany, 100)
    .action((options: ListOptions, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const found: Delivery[] = [];
        for await (const delivery of client.deliveries.list({ ...options, signal })) found.push(delivery);
        if (options.target !== undefined && found.length === 0) await known(client, options.target, signal);
        const head = ['DELIVERY', 'TARGET', 'EVENT', 'FILE', 'STATE', 'TRIES', 'LAST ERROR'];
        out.result({ deliveries: found }, table([head, ...found.map(row)], [5]));
        return undefined;
      }),
    );
  deliveries
    .command('retry')
    .description('try one again at once')
    .argument('<id>', 'id of the delivery')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const delivery = await client.deliveries.retry(id, { signal });
        out.result(delivery, `${delivery.state} to ${delivery.target}`);
        return undefined;
      }),
    );
  addTargets(deliveries.command('targets').description('where finished files and events are sent on to'));
}

/** Of a target that was deleted there may be deliveries; one without any is there or was never. */
async function known(client: LadingClient, id: string, signal: AbortSignal): Promise<void> {
  const targets = await client.deliveries.targets({ signal });
  if (!targets.some((target) => target.id === id)) throw new LadingError('not_found', `There is no target ${id}.`);
}

function addTargets(targets: Command): void {
  targets
    .command('list')
    .description('list them; passwords are masked')
    .option('--tenant <id>', 'of this tenant; for root')
    .action(({ tenant }: { tenant?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const found = await client.deliveries.targets({ tenant, signal });
        const head = ['TARGET', 'KIND', 'NAME', 'WHERE', 'WHAT'];
        out.result({ targets: found }, table([head, ...found.map(targetRow)]));
        return undefined;
      }),
    );
  targets
    .command('add')
    .description('make one: files that become complete from now on are sent to it')
    .addArgument(new Argument('<kind>', 'what it is').choices(TARGET_KINDS))
    .option('--name <name>', 'a name to tell it from others (default: its host)')
    .option('--host <host>', 'of an FTP server')
    .option('--port <n>', 'of an FTP server (default: 21; with implicit TLS 990)')
    .addOption(
      new Option('--security <how>', 'of an FTPS server: TLS after AUTH TLS, or from the first byte').choices([
        'explicit',
        'implicit',
      ]),
    )
    .option('--username <name>', 'of an FTP server (default: anonymous)')
    .option('--directory <path>', 'on an FTP server; made if it is not there')
    .option('--pattern <pattern>', 'of names there (default: {date}_{time}_{client_id}_{name})')
    .option('--target-ca <file>', 'PEM file with the authority that signed the certificate of the FTPS server')
    .option('--url <url>', 'of a webhook')
    .addOption(new Option('--event <type...>', 'events of a webhook (default: file.completed)').choices(EVENT_TYPES))
    .option('--file', 'send the webhook each complete file itself, and no events')
    .option('--owner <who>', 'only files of this client or person, by id or name')
    .option('--prefix <prefix>', 'only files whose names begin so')
    .option('--type <type>', 'only files of this media type, as audio/wav or audio/*')
    .option('--tenant <id>', 'whose files; for root')
    .action((kind: NewTarget['kind'], options: AddOptions, command: Command) =>
      run(command, (context) => add(context, kind, options)),
    );
  for (const [name, disabled] of [
    ['disable', true],
    ['enable', false],
  ] as const) {
    targets
      .command(name)
      .description(
        disabled
          ? 'send nothing to it any more; what waits for it is cancelled'
          : 'send to it again what becomes complete from now on',
      )
      .argument('<id>', 'id of the target')
      .action((id: string, _: object, command: Command) =>
        run(command, async ({ client, out, signal }) => {
          const target = await client.deliveries.changeTarget(id, { disabled }, { signal });
          out.result(target, `${target.name} is ${name}d`);
          return undefined;
        }),
      );
  }
  targets
    .command('rm')
    .description('delete one; what waits for it is cancelled')
    .argument('<id>', 'id of the target')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        await client.deliveries.removeTarget(id, { signal });
        out.result({ removed: id }, '');
        return undefined;
      }),
    );
}

async function add(context: Context, kind: NewTarget['kind'], options: AddOptions): Promise<undefined> {
  const { client, out, signal } = context;
  const { owner: who, prefix, type, event: events, file: whole, targetCa: file, port, tenant, ...rest } = options;
  if (port !== undefined && !/^\d{1,5}$/.test(port)) throw new UsageError('--port is a number.');
  const owner = await optionalIdOf(context, who, { tenant });
  const rule = { ...defined({ owner, prefix, type }) };
  const wanted: NewTarget = {
    kind,
    rule,
    ...rest,
    ...defined({ events }),
    ...(whole === true ? { content: 'file' as const } : {}),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(file === undefined ? {} : { ca: await readNamedFile('The file of certificates', file) }),
    ...(kind === 'webhook' || rest.username === undefined || /^(anonymous|ftp)$/i.test(rest.username)
      ? {}
      : { password: await password() }),
  };
  const made = await client.deliveries.addTarget(wanted, { tenant, signal });
  const once = `\nsecret ${made.secret}\nThe secret is not shown again: the receiver checks signatures with it.`;
  out.result(made, `${printable(made.name)} is target ${made.id}.${kind === 'webhook' ? once : ''}`);
  return undefined;
}

/** Not an option: other users of the machine can read those. */
async function password(): Promise<string> {
  const given = targetPassword();
  if (given !== undefined) return given;
  if (process.stdin.isTTY) {
    throw new UsageError('Give the password in LADING_TARGET_PASSWORD or on standard input: … < password.txt');
  }
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  return Buffer.concat(pieces)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

function row({ id, target, event, filename, state, attempts, last_error: error }: Delivery): string[] {
  return [id, target, event, filename ?? '-', state, String(attempts), error ?? ''];
}

function targetRow({ id, kind, name, host, port, directory, url, rule, events, disabled }: Target): string[] {
  const where = url ?? `${host}:${port}/${directory ?? ''}`;
  const off = disabled && `disabled: ${disabled.reason}`;
  const what = [off, rule.owner && `of ${rule.owner}`, rule.prefix && `${rule.prefix}…`, rule.type, events?.join(' ')];
  return [id, kind, name, where, what.filter(Boolean).join(', ') || 'everything'];
}
