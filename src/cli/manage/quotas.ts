/** `lading quotas [show|set]` */
import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import type { QuotaKind } from '../../client/calls/quotas.ts';
import type { NewQuota, QuotaReport } from '../../client/client.ts';
import { bytesOf } from '../../protocol/sizes.ts';
import { type Context, run } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import { idOf as idOfAny } from '../shared/principals.ts';
import { formatSize, table } from '../shared/values.ts';

const KINDS = ['client', 'person', 'tenant'] as const satisfies readonly QuotaKind[];

const HELP = `
Without a subcommand, shows your own limits and usage. Administrators can show and set those of their tenant. "set" also
resets the limits that you omit: to the server defaults for clients and people, to unlimited for tenants. Lowering a limit
deletes no files.

Examples:
  $ lading quotas
  $ lading quotas show client camera-7
  $ lading quotas set client camera-7 --bytes 10GiB --open-uploads 20
  $ lading quotas set person ada@example.org --day-bytes 5GiB
  $ lading quotas set tenant acme --bytes 1TiB
  $ lading quotas set client camera-7 --none`;

interface Limits {
  bytes?: number;
  openUploads?: number;
  dayBytes?: number;
  none?: boolean;
}

export function addQuotas(root: Command): void {
  const quotas = root
    .command('quotas')
    .description('show and set storage limits')
    .addHelpText('after', HELP)
    .action((_: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const report = await client.quotas.own({ signal });
        out.result(report, tableOf(report));
        return undefined;
      }),
    );
  addSubject(quotas.command('show'))
    .description('show the limits and usage of a client, person or tenant (administrators only)')
    .action((kind: QuotaKind, who: string, _: object, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const report = await client.quotas.get(kind, await idOf(context, kind, who), { signal });
        out.result(report, tableOf(report));
        return undefined;
      }),
    );
  addSubject(quotas.command('set'))
    .description('set the limits of a client or person (administrators only) or of a tenant (root only)')
    .option('--bytes <size>', 'maximum bytes stored; 0 is unlimited', parseLimit)
    .option('--open-uploads <n>', 'maximum number of unfinished uploads; 0 is unlimited', parseNumber)
    .option('--day-bytes <size>', 'maximum bytes uploaded per day (UTC); 0 is unlimited', parseLimit)
    .addOption(new Option('--none', 'reset all limits to the defaults').conflicts(['bytes', 'openUploads', 'dayBytes']))
    .action((kind: QuotaKind, who: string, given: Limits, command: Command) =>
      run(command, (context) => set(context, kind, who, given)),
    );
}

function addSubject(command: Command): Command {
  return command
    .addArgument(new Argument('<kind>', 'kind of principal').choices(KINDS))
    .argument('<id>', 'id, name or e-mail address');
}

async function set(context: Context, kind: QuotaKind, who: string, given: Limits): Promise<undefined> {
  const { client, out, signal } = context;
  const { bytes = null, openUploads = null, dayBytes = null, none = false } = given;
  const quota: NewQuota = { bytes, open_uploads: openUploads, day_bytes: dayBytes };
  if (!none && Object.values(quota).every((limit) => limit === null)) {
    throw new UsageError('Specify a limit: --bytes, --open-uploads or --day-bytes, or reset them with --none.');
  }
  const report = await client.quotas.set(kind, await idOf(context, kind, who), quota, { signal });
  out.result(report, tableOf(report));
  return undefined;
}

async function idOf(context: Context, kind: QuotaKind, who: string): Promise<string> {
  return kind === 'tenant' ? who : idOfAny(context, who, { kinds: [kind] });
}

function tableOf({ limits, used }: QuotaReport): string {
  const any = (limit: number | null, show: (value: number) => string) => (limit === null ? 'unlimited' : show(limit));
  const rows = [
    ['', 'USED', 'LIMIT'],
    ['bytes stored', formatSize(used.bytes), any(limits.bytes, formatSize)],
    ['unfinished uploads', String(used.open_uploads), any(limits.open_uploads, String)],
    ['bytes uploaded today (UTC)', formatSize(used.day_bytes), any(limits.day_bytes, formatSize)],
  ];
  return table(rows, [1, 2]);
}

function parseLimit(text: string): number {
  const bytes = Math.round(bytesOf(text) ?? -1);
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new InvalidArgumentError('Use a size such as 10GiB, 500MB or 1048576, or 0 for unlimited.');
  }
  return bytes;
}

function parseNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Use a whole number, or 0 for unlimited.');
  return Number(text);
}
