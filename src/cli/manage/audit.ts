/** `lading audit` */
import type { Command } from 'commander';
import type { AuditRecord } from '../../client/client.ts';
import { run } from '../shared/command.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { parseMany, table } from '../shared/values.ts';

interface Options {
  limit: number;
  action?: string;
  principal?: string;
  tenant?: string;
}

const HELP = `
Examples:
  $ lading audit
  $ lading audit --limit 1000 --action sign_in
  $ lading audit --principal camera-7 --json | jq -r '.entries[] | [.time, .action, .target] | @tsv'`;

export function addAudit(root: Command): void {
  root
    .command('audit')
    .description('show the audit log, newest first (administrators only)')
    .option('--limit <n>', 'maximum number of entries', parseMany, 100)
    .option('--action <action>', 'only entries with this action, such as sign_in, refusal or token_created')
    .option('--principal <who>', 'only actions of this client or person, by id or name')
    .option('--tenant <id>', 'only this tenant (root only)')
    .addHelpText('after', HELP)
    .action((options: Options, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const { tenant } = options;
        const principal = await optionalIdOf(context, options.principal, { tenant });
        const entries: AuditRecord[] = [];
        for await (const entry of client.audit({ ...options, principal, signal })) entries.push(entry);
        const head = ['TIME', 'ACTION', 'OUTCOME', 'PRINCIPAL', 'ADDRESS', 'TARGET', 'DETAIL'];
        out.result({ entries }, table([head, ...entries.map(row)]));
        return undefined;
      }),
    );
}

function row({ time, action, outcome, principal, address, target, detail, count }: AuditRecord): string[] {
  const often = count > 1 ? `${count} times` : null;
  const more = [detail, often].filter((part) => part !== null).join(', ');
  return [time, action, outcome, principal ?? '-', address ?? '-', target ?? '-', more];
}
