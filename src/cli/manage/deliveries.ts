/** `lading deliveries list|retry|targets` */
import { type Command, Option } from 'commander';
import { type Delivery, type LadingClient, LadingError } from '../../client/client.ts';
import { DELIVERY_STATES } from '../../protocol/schemas/delivery.ts';
import { run } from '../shared/command.ts';
import { parseMany, table } from '../shared/values.ts';
import { addTargets } from './delivery-targets.ts';

const HELP = `
A target receives the files that become complete after its creation. A failed delivery is retried, for about two days by
default. The password of an FTP server is read from LADING_TARGET_PASSWORD or from standard input.

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

export function addDeliveries(root: Command): void {
  const deliveries = root
    .command('deliveries')
    .description('manage deliveries of files and events to FTP servers and webhooks (administrators only)')
    .addHelpText('after', HELP);
  addList(deliveries);
  deliveries
    .command('retry')
    .description('retry a delivery now')
    .argument('<id>', 'id of the delivery')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const delivery = await client.deliveries.retry(id, { signal });
        out.result(delivery, `${delivery.state} to ${delivery.target}`);
        return undefined;
      }),
    );
  addTargets(deliveries.command('targets').description('create, list, disable and delete targets'));
}

function addList(deliveries: Command): void {
  deliveries
    .command('list')
    .description('list deliveries, newest first')
    .addOption(new Option('--state <state>', 'only deliveries in this state').choices(DELIVERY_STATES))
    .option('--target <id>', 'only deliveries to this target')
    .option('--tenant <id>', 'only this tenant (root only)')
    .option('--limit <n>', 'maximum number of deliveries', parseMany, 100)
    .action((options: ListOptions, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const found: Delivery[] = [];
        for await (const delivery of client.deliveries.list({ ...options, signal })) found.push(delivery);
        if (options.target !== undefined && found.length === 0) await requireTarget(client, options.target, signal);
        const head = ['DELIVERY', 'TARGET', 'EVENT', 'FILE', 'STATE', 'ATTEMPTS', 'LAST ERROR'];
        out.result({ deliveries: found }, table([head, ...found.map(row)], [5]));
        return undefined;
      }),
    );
}

/** Reports an unknown target, which has no deliveries either. A deleted target may still have some. */
async function requireTarget(client: LadingClient, id: string, signal: AbortSignal): Promise<void> {
  const targets = await client.deliveries.targets({ signal });
  if (!targets.some((target) => target.id === id)) throw new LadingError('not_found', `There is no target ${id}.`);
}

function row({ id, target, event, filename, state, attempts, last_error: error }: Delivery): string[] {
  return [id, target, event, filename ?? '-', state, String(attempts), error ?? ''];
}
