/** `lading import`: imports clients, roles and the FTP target from the `config.ini` of an older server. */
import type { Command } from 'commander';
import type { OfflineIdentity } from '../../compose/offline-identity.ts';
import type { Found, FoundClient, FoundFtp } from '../../import/config-ini.ts';
import { runLocally } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import type { Output } from '../shared/output.ts';
import { readNamedFile } from '../shared/settings.ts';
import { table } from '../shared/values.ts';
import { withDataDirectory } from './data-directory.ts';

interface Options {
  dataDir?: string;
  dryRun?: boolean;
}

interface Line {
  kind: 'client' | 'target';
  id: string;
  role: string;
  outcome: 'imported' | 'to be imported' | 'there already';
}

interface Imported {
  dry_run: boolean;
  entries: Line[];
  ignored_sections: string[];
}

const HELP = `
This command changes the data directory, so stop the server first. It imports clients with their secrets and roles, and the
section [FTP] as a delivery target for audio files. Hashed secrets stay valid and are rehashed at the first sign-in. Existing
entries are not changed, so the command can be repeated. If any entry is invalid, nothing is imported.

Examples:
  $ lading import config.ini --data-dir ./data --dry-run
  $ lading import config.ini --data-dir ./data`;

export function addImport(root: Command): void {
  root
    .command('import')
    .description('import clients and the FTP target from the config.ini of an older server')
    .argument('<file>', 'path of the config.ini')
    .option('--data-dir <directory>', 'data directory of the server (default: that of "lading serve")')
    .option('--dry-run', 'show what would be imported, and change nothing')
    .addHelpText('after', HELP)
    .action((file: string, options: Options, command: Command) =>
      runLocally(command, async (out) => show(out, await importFrom(file, options))),
    );
}

function show(out: Output, imported: Imported): void {
  const rows = imported.entries.map(({ kind, id, role, outcome }) => [kind, id, role, outcome]);
  const ignored = imported.ignored_sections.map((name) => `[${name}]`).join(' ');
  const text = rows.length > 0 ? table(rows) : 'There is nothing to import.';
  out.result(imported, ignored === '' ? text : `${text}\nIgnored sections: ${ignored}`);
}

async function importFrom(file: string, { dataDir, dryRun = false }: Options): Promise<Imported> {
  const found = await read(file);
  // A dry run creates no directory. Without a directory, it reports every entry as one to import.
  return withDataDirectory({ dataDir, make: !dryRun }, async (opened) => ({
    dry_run: dryRun,
    ...(await importAll(found, opened, dryRun)),
  }));
}

async function read(file: string): Promise<Found> {
  const { IniError, parseIni } = await import('../../import/ini.ts');
  const { findIn } = await import('../../import/config-ini.ts');
  const text = await readNamedFile('The configuration file', file);
  try {
    const found = findIn(parseIni(text));
    if (found.problems.length === 0) return found;
    throw new UsageError(`Nothing was imported from ${file}: ${found.problems.join(' ')}`);
  } catch (error) {
    if (error instanceof IniError) throw new UsageError(`${file} is not an INI file: ${error.message}.`);
    throw error;
  }
}

async function importAll(
  { clients, ftp, ignored }: Found,
  opened: OfflineIdentity | null,
  dryRun: boolean,
): Promise<Omit<Imported, 'dry_run'>> {
  const entries: Line[] = [];
  const done = dryRun ? 'to be imported' : 'imported';
  for (const client of clients) {
    const exists = opened !== null && opened.identity.clients.find(client.id) !== null;
    if (opened && !exists && !dryRun) await importClient(opened, client);
    entries.push({ kind: 'client', id: client.id, role: client.role, outcome: exists ? 'there already' : done });
  }
  if (ftp) {
    const exists = opened !== null && (await importTarget(opened, ftp, dryRun)) === 'exists';
    entries.push({
      kind: 'target',
      id: `${ftp.host}:${ftp.port}`,
      role: 'ftp',
      outcome: exists ? 'there already' : done,
    });
  }
  return { entries, ignored_sections: ignored };
}

async function importClient(opened: OfflineIdentity, { id, role, hash, secret }: FoundClient): Promise<void> {
  const { clients } = opened.identity;
  if (hash !== null) await clients.importDevice({ id, role, secretHash: hash });
  else if (secret !== null) await clients.create({ id, role, name: null, secret });
  const { recordImportedClient } = await import('./import-audit.ts');
  await recordImportedClient(opened, id, role);
}

async function importTarget(opened: OfflineIdentity, ftp: FoundFtp, dryRun: boolean): Promise<'exists' | 'new'> {
  const { DEFAULT_TENANT } = await import('../../identity/rights/policy.ts');
  const targets = await opened.targets();
  const others = targets.list(DEFAULT_TENANT);
  const { host, port, username, directory, password } = ftp;
  const same = others.some(
    (one) =>
      one.kind !== 'webhook' &&
      one.host === host &&
      one.port === port &&
      one.username === username &&
      one.directory === directory,
  );
  if (same) return 'exists';
  if (dryRun) return 'new';
  let name = 'FTP';
  for (let count = 2; others.some((one) => one.name === name); count += 1) name = `FTP (${count})`;
  const target = await targets.add({
    ...{ kind: 'ftp', tenant: DEFAULT_TENANT, name, host, port, username, directory, secret: password },
    ...{ pattern: '{name}', ca: null, rule: { owner: null, prefix: '', type: 'audio/' } },
  });
  const { recordImportedTarget } = await import('./import-audit.ts');
  await recordImportedTarget(opened, target);
  return 'new';
}
