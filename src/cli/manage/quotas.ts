/** `lading quotas [show|set]` */
import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import type { QuotaKind } from '../../client/calls/administration.ts';
import type { NewQuota, QuotaReport } from '../../client/client.ts';
import { bytesOf } from '../../protocol/sizes.ts';
import { type Context, run } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import { idOf as idOfAny } from '../shared/principals.ts';
import { formatSize, table } from '../shared/values.ts';

const KINDS = ['client', 'person', 'tenant'] as const satisfies readonly QuotaKind[];

const HELP = `
Without a word after it: what you may use yourself, and do use. Administrators see everybody of their tenant. A limit that
"set" does not name is as the server's settings say for clients and people, and none for tenants; what is stored stays.

Examples:
  $ lading quotas
  $ lading quotas show client camera-7
  $ lading quotas set client camera-7 --bytes 10GiB --open-uploads 20
  $ lading quotas set person ada@example.org --day-bytes 5GiB
  $ lading quotas set tenant acme --bytes 1TiB
  $ lading quotas set client camera-7 --none`;

interface Wanted {
  bytes?: number;
  openUploads?: number;
  dayBytes?: number;
  none?: boolean;
}

export function addQuotas(root: Command): void {
  const quotas = root
    .command('quotas')
    .description('show what may be stored and what is, and set it for others')
    .addHelpText('after', HELP)
    .action((_: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const report = await client.quotas.own({ signal });
        out.result(report, tableOf(report));
        return undefined;
      }),
    );
  addSubject(quotas.command('show'))
    .description('show what somebody, or a tenant, may use and does; for administrators')
    .action((kind: QuotaKind, who: string, _: object, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const report = await client.quotas.get(kind, await idOf(context, kind, who), { signal });
        out.result(report, tableOf(report));
        return undefined;
      }),
    );
  addSubject(quotas.command('set'))
    .description('set what somebody may use; for administrators, of tenants for root')
    .option('--bytes <size>', 'bytes stored; 0 allows any', parseLimit)
    .option('--open-uploads <n>', 'unfinished uploads; 0 allows any', parseNumber)
    .option('--day-bytes <size>', 'bytes uploaded between midnight and midnight UTC; 0 allows any', parseLimit)
    .addOption(
      new Option('--none', "nothing of their own: as the server's settings say").conflicts([
        'bytes',
        'openUploads',
        'dayBytes',
      ]),
    )
    .action((kind: QuotaKind, who: string, wanted: Wanted, command: Command) =>
      run(command, (context) => set(context, kind, who, wanted)),
    );
}

function addSubject(command: Command): Command {
  return command
    .addArgument(new Argument('<kind>', 'of whom').choices(KINDS))
    .argument('<id>', 'id or name; of a person also the e-mail address');
}

async function set(context: Context, kind: QuotaKind, who: string, wanted: Wanted): Promise<undefined> {
  const { client, out, signal } = context;
  const { bytes = null, openUploads = null, dayBytes = null, none = false } = wanted;
  const quota: NewQuota = { bytes, open_uploads: openUploads, day_bytes: dayBytes };
  if (!none && Object.values(quota).every((limit) => limit === null)) {
    throw new UsageError('Say what to set: --bytes, --open-uploads, --day-bytes, or --none for nothing of their own.');
  }
  const report = await client.quotas.set(kind, await idOf(context, kind, who), quota, { signal });
  out.result(report, tableOf(report));
  return undefined;
}

async function idOf(context: Context, kind: QuotaKind, who: string): Promise<string> {
  return kind === 'tenant' ? who : idOfAny(context, who, { kinds: [kind] });
}

function tableOf({ limits, used }: QuotaReport): string {
  const any = (limit: number | null, show: (value: number) => string) => (limit === null ? 'any' : show(limit));
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
    throw new InvalidArgumentError('Write a size such as 10GiB, 500MB or 1048576, or 0 for any.');
  }
  return bytes;
}

function parseNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Write a whole number, or 0 for any.');
  return Number(text);
}
